#!/bin/sh
# Restore a backup, after verifying that it is whole:
#
#     scripts/restore.sh FILE [OPTION ...]
#
# What is there already, in the same version or a later one, stays as it is; so a restore that
# was cut off is simply run again. What has expired since the backup does not come back, nor do
# links of memories that are not there any more; the numbers of both are told. The options go to
# `sfm import`, such as --url http://localhost:9595, --token TOKEN or --data FOLDER. SFM names
# the program, if it is not on the path.
#
# Exit status: 0 if everything in the backup that lives is there now; that of `sfm import` if it
# failed; 1 if the backup is not whole (nothing was stored) or something of it could not be stored.
set -eu
# shellcheck source=scripts/_backup.sh
. "$(dirname -- "$0")/_backup.sh"

case ${1:-} in
--help | -h)
    sed -n '2,/^set/{s/^# \{0,1\}//p;}' "$0"
    exit 0
    ;;
'' | -*) die "Name the file: scripts/restore.sh FILE [OPTION ...]" ;;
esac
file=$1
shift
for option; do
    [ "$option" != --dry-run ] || die "A restore stores; to only look, use: sfm import $file --dry-run"
done

find_sfm
verify "$file"
status=0
answer=$("$sfm" import "$file" --atomic --json "$@") || status=$?
case $status in
0 | 1) ;;
*) exit "$status" ;;
esac
imported=$(member "$answer" imported)
linked=$(member "$answer" links)
expired=$(member "$answer" expired)
passed_over=$(member "$answer" passed_over)
if [ "$(member "$answer" failed)" != 0 ] || [ $((imported + ${expired:-0})) != "$memories" ] ||
    [ $((linked + ${passed_over:-0})) != "$links" ]; then
    printf '%s\n' "$answer" >&2
    die "Not all of $file is there: $memories memories and $links links were to be." 1
fi
echo "Restored $imported memories and $linked links from $file."
if [ "${expired:-0}${passed_over:-0}" != 00 ]; then
    echo "Left out, since their time is over: $expired memories, and $passed_over links."
fi
