# Read by the scripts beside it; makes virtual environments with nothing but Python.
# shellcheck shell=sh
: "${root:?the folder of the checkout}"

# Print a Python of version 3.11 or later that can make virtual environments.
# Each name is tried by running it: a version manager's stand-in may exist and still not work.
find_python() {
    for candidate in ${PYTHON:-python3.13 python3.12 python3.11 python3.14 python3 python}; do
        if "$candidate" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' \
            >/dev/null 2>&1; then
            command -v "$candidate"
            return 0
        fi
    done
    cat >&2 <<END
No usable Python was found. What is needed is Python 3.11, 3.12 or 3.13 with the modules
\`venv\` and \`ensurepip\` (on Debian and Ubuntu: \`apt-get install python3 python3-venv\`).
If it is installed in another place, name it: PYTHON=/path/to/python3 $0
END
    return 1
}

# Say what an environment was made from, so that it is only made again when that has changed.
fingerprint() {
    cat "$root"/sfm-*/pyproject.toml "$root"/constraints/all.txt | cksum
}

# Make the environment $1 and install the rest of the arguments into it, unless that is done.
# Sets `changed` to yes or no.
# shellcheck disable=SC2034 # `changed` is for the script that reads this file.
ensure_venv() {
    venv=$1
    shift
    wanted="$root $(fingerprint) $*"
    changed=no
    if "$venv/bin/python" -c '' 2>/dev/null && [ "$(cat "$venv/.installed" 2>/dev/null)" = "$wanted" ]; then
        return 0
    fi
    changed=yes
    python=$(find_python)
    echo "Installing into $venv with $python; the first time this takes about a minute." >&2
    "$python" -m venv --clear "$venv"
    (cd "$root" && "$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
        --constraint constraints/all.txt "$@") >&2
    # Written last, so that an interrupted installation is made again.
    printf '%s\n' "$wanted" >"$venv/.installed"
}
