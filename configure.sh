#!/bin/sh
# Write `.env`: `./configure.sh` asks; with `--non-interactive` it takes what the options say.
#
#     ./configure.sh --mode evented_enterprise --token "$TOKEN" --non-interactive
#
# What is not asked for is as in `.env.example`. A `.env` that is there is kept as
# `.env.backup-<time>`, and its values are the answers that are proposed.
set -eu
# So that [A-Z] are the capital letters, whatever the language.
export LC_ALL=C
root=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
target=${SFM_ENV_FILE:-$root/.env}
template=$root/.env.example
modes="embedded test development evented_enterprise cloud_managed"

usage() {
    cat <<END
usage: configure.sh [OPTION ...]
  --mode MODE            one of: $modes
  --token TOKEN          bearer token that requests must carry; "" for none; "new" makes one
  --workers NUMBER       server processes
  --namespace NAME       namespace of requests that name none
  --postgres-url URL     the database
  --postgres-password P  password of the PostgreSQL of docker-compose.yml; "new" makes one
  --redis-url URL        Redis, instead of REDIS_HOST and REDIS_PORT
  --qdrant-url URL       Qdrant, instead of QDRANT_HOST and QDRANT_PORT
  --kafka SERVERS        brokers, as host:port,host:port
  --set NAME=VALUE       any other variable; may be repeated
  --non-interactive      ask nothing
  --help                 show this
END
}

fail() {
    printf 'configure.sh: %s\n' "$1" >&2
    exit 2
}

# What stands behind the variable $2 in the file $1, or nothing. The last line counts.
text_in() {
    sed -n "s/^$2=//p" "$1" | tail -n 1
}

# The value that such a text stands for, as far as it matters here: without quotes or comment.
meaning() {
    case $1 in
    \'*) printf '%s\n' "$1" | sed "s/^'//; s/'[^']*$//; s/\\\\'/'/g" ;;
    \"*) printf '%s\n' "$1" | sed 's/^"//; s/"[^"]*$//' ;;
    *) printf '%s\n' "$1" | sed 's/ #.*//' ;;
    esac
}

# The text that stands for the value $1, and that Compose and the server take for nothing else.
quoted() {
    case $1 in
    *[!A-Za-z0-9_./:@%+,=~?\&-]*) printf "'%s'\n" "$(printf '%s\n' "$1" | sed "s/'/\\\\'/g")" ;;
    *) printf '%s\n' "$1" ;;
    esac
}

# What was chosen, and what was there before, one NAME=VALUE a line. There are secrets in them.
umask 077
chosen=$(mktemp)
before=$(mktemp)
draft=
trap 'rm -f "$chosen" "$before" ${draft:+"$draft"}' EXIT
trap 'exit 130' INT TERM

# Read the file that is there, which may say `export`, and have blanks around a name.
read_target() {
    [ -f "$target" ] || return 0
    tr -d '\r' <"$target" | sed 's/^[[:blank:]]*//; s/^export[[:blank:]]\{1,\}//
        s/^\([A-Za-z_][A-Za-z0-9_]*\)[[:blank:]]*=[[:blank:]]*/\1=/' >"$before"
    # Neither may be lost unnoticed: other lines, and values that go on in the next line.
    odd=$(grep -nEv "^(#.*|[A-Za-z_][A-Za-z0-9_]*=([^\"'].*|\".*\".*|'.*'.*)?)?\$" "$before" |
        sed 's/:.*//; q')
    [ -z "$odd" ] || fail "Line $odd of $target is no NAME=VALUE on one line. Correct it first."
}

choose() {
    case $2 in
    *'
'*) fail "$1 has a line break in it." ;;
    *\\ | *\\\'*) fail "$1 has a backslash at its end or before a quote, which .env cannot hold." ;;
    esac
    printf '%s=%s\n' "$1" "$2" >>"$chosen"
}

was_chosen() { grep -q "^$1=" "$chosen"; }

# The value of the variable $1: chosen, or that of the file that is there, or the template's.
current() {
    if was_chosen "$1"; then
        text_in "$chosen" "$1"
    elif grep -q "^$1=" "$before"; then
        meaning "$(text_in "$before" "$1")"
    else
        meaning "$(text_in "$template" "$1")"
    fi
}

# The line of the variable $1; what was not chosen stays as somebody has written it.
line_of() {
    if was_chosen "$1"; then
        printf '%s=%s\n' "$1" "$(quoted "$(text_in "$chosen" "$1")")"
    else
        printf '%s=%s\n' "$1" "$(text_in "$before" "$1")"
    fi
}

new_token() {
    od -An -N32 -tx1 /dev/urandom | tr -d ' \n'
}

read_target
interactive=yes
password=
while [ $# -gt 0 ]; do
    case $1 in
    --non-interactive) interactive=no && shift && continue ;;
    --help | -h) usage && exit 0 ;;
    --mode | --token | --workers | --namespace | --postgres-url | --postgres-password | --redis-url | --qdrant-url | --kafka | --set)
        [ $# -ge 2 ] || fail "$1 needs a value."
        ;;
    *)
        usage >&2
        fail "There is no option $1."
        ;;
    esac
    case $1 in
    --mode) choose MEMORY_MODE "$2" ;;
    --token) choose SOMA_API_TOKEN "$2" ;;
    --workers) choose UVICORN_WORKERS "$2" ;;
    --namespace) choose SOMA_NAMESPACE "$2" ;;
    --postgres-url) choose POSTGRES_URL "$2" ;;
    --postgres-password) password=$2 ;;
    --redis-url) choose REDIS_URL "$2" ;;
    --qdrant-url) choose QDRANT_URL "$2" ;;
    --kafka) choose KAFKA_BOOTSTRAP_SERVERS "$2" ;;
    --set)
        case $2 in
        *=*) ;;
        *) fail "--set takes NAME=VALUE, not '$2'." ;;
        esac
        case ${2%%=*} in
        '' | [!A-Z]* | *[!A-Z0-9_]*) fail "--set takes NAME=VALUE with a name in capital letters, not '${2%%=*}'." ;;
        esac
        choose "${2%%=*}" "${2#*=}"
        ;;
    esac
    shift 2
done

# What is proposed for the variable $1, without what nobody behind the screen is to read.
proposed() {
    case $1 in
    *TOKEN) [ -z "$(current "$1")" ] || echo "the one that is there" ;;
    *) current "$1" | sed 's#\(://[^:@/]*\):[^@/]*@#\1:...@#' ;;
    esac
}

# Ask for the variable $1 with the question $2, unless an option has said it.
ask() {
    ! was_chosen "$1" || return 0
    printf '%s [%s]: ' "$2" "$(proposed "$1")"
    read -r answer || fail "There was no answer; use --non-interactive where nobody can give one."
    [ -z "$answer" ] || choose "$1" "$answer"
}

if [ "$interactive" = yes ]; then
    ask MEMORY_MODE "Mode ($modes)"
    ask SOMA_API_TOKEN 'Token that requests must carry ("new" makes one)'
    ask UVICORN_WORKERS 'Server processes'
    case $(current MEMORY_MODE) in
    evented_enterprise | cloud_managed) ask POSTGRES_URL 'PostgreSQL' ;;
    esac
fi

mode=$(current MEMORY_MODE)
case " $modes " in
*" $mode "*) ;;
*) fail "The mode is '$mode'. Choose one of: $modes." ;;
esac
workers=$(current UVICORN_WORKERS)
case $workers in
'' | *[!0-9]* | 0*) fail "The number of workers is '$workers'. Give a whole number from 1 on." ;;
esac
if [ "$mode" = test ] && [ "$workers" != 1 ]; then
    was_chosen UVICORN_WORKERS && fail "Mode test keeps everything in one process: --workers 1."
    choose UVICORN_WORKERS 1
fi
case $(current POSTGRES_URL) in
postgresql://?* | postgres://?*) ;;
*) fail "The database is '$(current POSTGRES_URL)'. Give a URL like postgresql://user:password@host:5433/name." ;;
esac
if [ "$(current SOMA_API_TOKEN)" = new ]; then
    choose SOMA_API_TOKEN "$(new_token)"
fi
if [ -n "$password" ]; then
    [ "$password" != new ] || password=$(new_token)
    case $password in
    *[!A-Za-z0-9_.~-]*) fail "The password of PostgreSQL becomes part of a URL: use letters, digits, _ . ~ and -." ;;
    esac
    ! was_chosen POSTGRES_URL || fail "Give --postgres-url or --postgres-password: a URL has its own password."
    case $(current POSTGRES_URL) in
    *://?*@*) ;;
    *) fail "The database is '$(current POSTGRES_URL)'. Name a user in it, who gets the password." ;;
    esac
    # Both have to be told: the server that is made with it, and who logs in.
    choose POSTGRES_PASSWORD "$password"
    choose POSTGRES_URL "$(current POSTGRES_URL | sed "s#://\([^:@/]*\)[^@/]*@#://\1:$password@#")"
fi

draft=$(mktemp "$target.XXXXXX")
# The lines of the template with the values that hold, and then what it does not have.
{
    while IFS= read -r line || [ -n "$line" ]; do
        name=$(printf '%s\n' "$line" | sed -n 's/^\(# \)\{0,1\}\([A-Z][A-Z0-9_]*\)=.*/\2/p')
        if [ -z "$name" ]; then
            printf '%s\n' "$line"
        elif was_chosen "$name" || grep -q "^$name=" "$before"; then
            line_of "$name"
        else
            printf '%s\n' "$line"
        fi
    done <"$template"
    known=$(sed -n 's/^\(# \)\{0,1\}\([A-Z][A-Z0-9_]*\)=.*/\2/p' "$template")
    cat "$before" "$chosen" | sed -n 's/^\([A-Za-z_][A-Za-z0-9_]*\)=.*/\1/p' | sort -u | while read -r name; do
        printf '%s\n' "$known" | grep -qx "$name" || line_of "$name"
    done
} >"$draft"

if [ -f "$target" ]; then
    backup=$target.backup-$(date +%Y%m%d-%H%M%S)
    [ ! -e "$backup" ] || backup=$backup-$$
    cp -p "$target" "$backup"
    chmod 600 "$backup"
    echo "What was there is kept in $backup."
fi
mv "$draft" "$target"
draft=
echo "$target is written, for mode $mode."
if [ -z "$(text_in "$target" SOMA_API_TOKEN)" ]; then
    echo "There is no SOMA_API_TOKEN: everybody who reaches the port may read and write everything."
fi
