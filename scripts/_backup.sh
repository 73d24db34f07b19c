# shellcheck shell=sh
# Shared by backup.sh and restore.sh: finds `sfm`, and verifies a backup without it.

die() {
    printf '%s: %s\n' "$(basename -- "$0")" "$1" >&2
    exit "${2:-2}"
}

# Set `sfm` to the program: that of SFM, of this checkout, or of the path.
find_sfm() {
    root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
    if [ -n "${SFM:-}" ]; then
        sfm=$SFM
    elif [ -x "$root/.venv/bin/sfm" ]; then
        sfm=$root/.venv/bin/sfm
    else
        sfm=sfm
    fi
    command -v "$sfm" >/dev/null || die "There is no program '$sfm'. Install it, or set SFM to its path."
}

# Print the lines of a backup.
unpack() {
    case $1 in
    *.gz) gzip -dc -- "$1" ;;
    *.zst)
        command -v zstd >/dev/null || die "Install zstd, which reads $1."
        zstd -dcq -- "$1"
        ;;
    *) cat -- "$1" ;;
    esac
}

sha256() {
    if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi | cut -d ' ' -f 1
}

# Print a member of a flat JSON object: number or text without quotes.
member() {
    printf '%s\n' "$1" | sed -n "s/.*\"$2\":\"\{0,1\}\([0-9a-f]\{1,\}\).*/\1/p"
}

# Verify a backup by its last line, and set `memories`, `links` and `sum` from there.
verify() {
    [ -f "$1" ] || die "There is no file $1."
    footer=$(unpack "$1" | tail -n 1)
    case $footer in
    '{"kind":"footer",'*) ;;
    *) die "$1 is no whole export: its last line is missing." 1 ;;
    esac
    memories=$(member "$footer" memories)
    links=$(member "$footer" links)
    sum=$(member "$footer" sha256)
    if [ -z "$memories" ] || [ -z "$links" ] || [ -z "$sum" ]; then
        die "$1 has no checksum: it was made by an earlier release. Make a new one." 1
    fi
    # A payload may hold such text, but no line begins with it.
    found=$(unpack "$1" | grep -c '^{"kind":"memory",') || true
    [ "$found" = "$memories" ] || die "$1 holds $found memories, and should hold $memories." 1
    found=$(unpack "$1" | grep -c '^{"kind":"link",') || true
    [ "$found" = "$links" ] || die "$1 holds $found links, and should hold $links." 1
    found=$(unpack "$1" | sed '$d' | sha256)
    [ "$found" = "$sum" ] || die "$1 was changed or damaged: its checksum is $found, not $sum." 1
}
