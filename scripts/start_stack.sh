#!/bin/sh
# Start the services that a mode works with, and wait until they are well:
#
#     scripts/start_stack.sh [--api] [MODE]
#
# MODE is embedded, test, development, evented_enterprise or cloud_managed; without it, what the
# variable MEMORY_MODE or else `.env` says. With --api the API and the consumer are started too.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
cd "$root"

fail() {
    printf 'start_stack.sh: %s\n' "$1" >&2
    exit 2
}

mode=
api=no
while [ $# -gt 0 ]; do
    case $1 in
    --api) api=yes ;;
    --help | -h)
        sed -n '2,/^set/{s/^# \{0,1\}//p;}' "$0"
        exit 0
        ;;
    -*) fail "There is no option $1." ;;
    *)
        [ -z "$mode" ] || fail "One mode at a time: '$mode' or '$1'."
        mode=$1
        ;;
    esac
    shift
done

[ -f .env ] || fail "There is no .env. Make one: ./configure.sh, or cp .env.example .env"
from_file=$(tr -d '\r' <.env |
    sed -n "s/^[[:blank:]]*\(export[[:blank:]]\{1,\}\)\{0,1\}MEMORY_MODE[[:blank:]]*=[[:blank:]]*//p" |
    tail -n 1 | sed "s/^[\"']//; s/[\"'].*//; s/[[:blank:]].*//")
mode=${mode:-${MEMORY_MODE:-${from_file:-embedded}}}

case $mode in
embedded | test) services= ;;
development) services="redis qdrant redpanda" ;;
evented_enterprise) services="redis qdrant postgres redpanda" ;;
cloud_managed)
    # Its services are managed by others: there is nothing to start but our own.
    services=
    ;;
*) fail "'$mode' is no mode. Choose embedded, test, development, evented_enterprise or cloud_managed." ;;
esac

ours=
if [ "$api" = yes ]; then
    ours=api
    # The consumer needs a stream, which these modes do not have.
    case $mode in embedded | test) ;; *) ours="api consumer" ;; esac
fi

if [ -z "$services$ours" ]; then
    echo "Mode $mode needs no service of this stack."
    exit 0
fi

command -v docker >/dev/null || fail "docker is not installed; see https://docs.docker.com/get-docker/"
docker compose version >/dev/null 2>&1 || fail "docker has no 'compose'; install the plugin of that name."

if [ -n "$services" ]; then
    # shellcheck disable=SC2086 # one word for each service
    docker compose up --detach --wait --wait-timeout 180 $services ||
        fail "Not all of these are well: $services. See: docker compose ps; docker compose logs"
    echo "Running and well: $services"
fi
if [ -n "$ours" ]; then
    # Everything of this mode is in one process.
    [ "$mode" != test ] || export UVICORN_WORKERS=1
    # What the other modes need stays off.
    # shellcheck disable=SC2086 # one word for each service
    MEMORY_MODE=$mode docker compose up --detach --build --no-deps --wait --wait-timeout 300 $ours ||
        fail "Not all of these are well: $ours. See: docker compose ps; docker compose logs $ours"
    echo "Running and well: $ours. The API: http://localhost:9595/docs"
fi
if [ "$mode" != "$from_file" ]; then
    echo "Note: .env says MEMORY_MODE=${from_file:-embedded}. To keep this mode: ./configure.sh --mode $mode"
fi
