#!/bin/sh
# Write a backup of all memories and links, verify that it is whole, and have `sfm import` look
# through it without storing anything:
#
#     scripts/backup.sh FILE [OPTION ...]
#
# FILE is packed if it ends in .gz or .zst; an existing one is replaced when the new one is
# whole. The options go to `sfm export`, such as --url http://localhost:9595, --token TOKEN,
# --data FOLDER or --only NAMESPACE. SFM names the program, if it is not on the path.
#
# Exit status: 0 if the backup was made, is whole and can be restored; that of `sfm export` if it
# was not made; 1 if it is not whole, or has lines that cannot be restored; that of `sfm import` if
# it could not be looked through.
set -eu
# shellcheck source=scripts/_backup.sh
. "$(dirname -- "$0")/_backup.sh"

case ${1:-} in
--help | -h)
    sed -n '2,/^set/{s/^# \{0,1\}//p;}' "$0"
    exit 0
    ;;
'' | -*) die "Name the file: scripts/backup.sh FILE [OPTION ...]" ;;
esac
file=$1
shift

find_sfm
# A backup holds everything that the memories say.
umask 077
"$sfm" export "$file" "$@" >/dev/null
verify "$file"
# What only an export is told is not for the import; each option is looked at once.
left=$#
while [ "$left" -gt 0 ]; do
    case $1 in
    --only | --compress)
        shift
        left=$((left - 1))
        ;;
    --only=* | --compress=*) ;;
    *) set -- "$@" "$1" ;;
    esac
    shift
    left=$((left - 1))
done
status=0
answer=$("$sfm" import "$file" --dry-run "$@") || status=$?
if [ "$status" != 0 ]; then
    printf '%s\n' "$answer" >&2
    die "$file was written, but not found fit to be restored." "$status"
fi
echo "Backed up $memories memories and $links links to $file. SHA-256 of its lines: $sum"
