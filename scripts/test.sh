#!/bin/sh
# Run the checks and tests: `scripts/test.sh [OPTION ...]`; the options go to tox.
# The first call installs tox into `.venv-tox`; tox makes its own environments in `.tox`.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
# shellcheck source=scripts/_venv.sh
. "$root/scripts/_venv.sh"

ensure_venv "$root/.venv-tox" tox tox-uv uv
# tox looks at the text of a requirement only, so it would miss a dependency that
# a distribution of this checkout has got since.
[ "$changed" = no ] || rm -rf "$root/.tox"

# uv does not read pip's settings, and a machine may reach its package index only with them.
pip_setting() {
    "$root/.venv-tox/bin/python" -m pip config list 2>/dev/null |
        sed -n "s/^[^=]*\.$1='\(.*\)'\$/\1/p" | head -n 1
}
index=${UV_DEFAULT_INDEX:-$(pip_setting index-url)}
[ -z "$index" ] || export UV_DEFAULT_INDEX="$index"
certificates=${SSL_CERT_FILE:-$(pip_setting cert)}
[ -z "$certificates" ] || export SSL_CERT_FILE="$certificates"
export UV_PYTHON_DOWNLOADS=never

# The stand-ins that pyenv puts on the path answer for one version only.
for bin in "${PYENV_ROOT:-${HOME:-}/.pyenv}"/versions/3.1[1-3].*/bin; do
    [ ! -x "$bin/python" ] || PATH="$bin:$PATH"
done
export PATH

missing=
for version in 3.11 3.12 3.13; do
    "$root/.venv-tox/bin/uv" --no-config --quiet python find --system --no-project "$version" \
        >/dev/null 2>&1 || missing="$missing $version"
done

cd "$root"
status=0
"$root/.venv-tox/bin/tox" "$@" || status=$?
[ -z "$missing" ] || echo "NOT TESTED, because this machine does not have them: Python$missing" >&2
exit "$status"
