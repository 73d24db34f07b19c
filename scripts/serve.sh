#!/bin/sh
# Start the server from this checkout: `scripts/serve.sh [OPTION ...]`.
# The first call installs into `.venv` what the mode needs; the options go to `sfm serve`.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
# shellcheck source=scripts/_venv.sh
. "$root/scripts/_venv.sh"

# Print the variables that the server will see, the ones that count last.
settings() {
    [ ! -f .env ] || sed 's/^[[:blank:]]*//; s/^export[[:blank:]]\{1,\}//; s/[[:blank:]]*=[[:blank:]]*/=/' .env
    env
    before=
    for option; do
        case $before$option in
        --mode=*) echo "MEMORY_MODE=${option#--mode=}" ;;
        --mode?*) echo "MEMORY_MODE=$option" ;;
        esac
        before=
        [ "$option" != --mode ] || before=--mode
    done
}

# Settings that ask for more than the mode does: the last are where a former mode kept its memories.
beyond='^(SFM_((KV|FORMER_KV|VECTOR|GRAPH|CACHE|EVENTS|SOURCE)_URLS?|JWT_KEYS|ENCRYPTION_KEYS(_FILE)?)'
beyond="$beyond|REDIS_(URL|HOST)|POSTGRES_URL)"

# Tell whether SQLite and what is in the process are enough.
is_small() {
    # Once there, they stay: an installation takes longer than they take room.
    ! grep -qs sfm-eventing-kafka "$root/.venv/.installed" || return 1
    ! settings "$@" | grep -Eq "$beyond=." || return 1
    case $(settings "$@" | sed -n "s/^MEMORY_MODE=[\"']\{0,1\}\([a-z_]*\).*/\1/p" | tail -n 1) in
    '' | embedded | test) ;;
    *) return 1 ;;
    esac
}

if is_small "$@"; then
    ensure_venv "$root/.venv" \
        --editable ./sfm-core --editable ./sfm-backend-sqlite \
        --editable ./sfm-embedder-local --editable ./sfm-server
else
    ensure_venv "$root/.venv" \
        --editable ./sfm-core --editable ./sfm-backend-sqlite --editable ./sfm-backend-redis \
        --editable ./sfm-backend-postgres --editable './sfm-backend-qdrant[edge]' \
        --editable ./sfm-embedder-local --editable ./sfm-eventing-kafka \
        --editable './sfm-server[all]'
fi

exec "$root/.venv/bin/sfm" serve "$@"
