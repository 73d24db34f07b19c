#!/bin/sh
# Put the wheel of every distribution, and of all that they need, into a folder:
# `scripts/build_wheels.sh FOLDER`. The versions are those of constraints/all.txt.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
folder=${1:?usage: build_wheels.sh FOLDER}
cd "$root"
"${PYTHON:-python3}" -m pip wheel --quiet --disable-pip-version-check --wheel-dir "$folder" \
    --constraint constraints/all.txt \
    ./sfm-core ./sfm-backend-postgres './sfm-backend-qdrant[edge]' ./sfm-backend-redis \
    ./sfm-backend-sqlite ./sfm-embedder-local ./sfm-eventing-kafka './sfm-server[all]'
