#!/bin/sh
# Install the server and every backend from a folder of wheels, and from nowhere else, into a
# virtual environment: `scripts/install_wheels.sh WHEELS ENVIRONMENT`.
set -eu
wheels=${1:?usage: install_wheels.sh WHEELS ENVIRONMENT}
environment=${2:?usage: install_wheels.sh WHEELS ENVIRONMENT}
"${PYTHON:-python3}" -m venv "$environment"
"$environment/bin/python" -m pip install --quiet --disable-pip-version-check --no-cache-dir \
    --no-index --find-links "$wheels" --compile 'somafractalmemory-server[all]'
# Nothing that runs needs it, and an attacker might.
"$environment/bin/python" -m pip uninstall --quiet --yes --disable-pip-version-check pip
