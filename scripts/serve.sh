#!/bin/sh
# Start the server from this checkout: `scripts/serve.sh [OPTION ...]`.
# The first call installs everything into `.venv`; the options go to `sfm serve`.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
# shellcheck source=scripts/_venv.sh
. "$root/scripts/_venv.sh"

ensure_venv "$root/.venv" \
    --editable ./sfm-core --editable ./sfm-backend-sqlite \
    --editable ./sfm-embedder-local --editable ./sfm-server

exec "$root/.venv/bin/sfm" serve "$@"
