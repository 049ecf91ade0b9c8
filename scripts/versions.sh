#!/bin/sh
# Runs the core tests with the lowest and the latest version of each dependency, on each Python that is there.
# Arguments name Pythons; default: python3.11 to python3.14. Environments are made in a temporary folder.
set -eu
cd "$(dirname "$0")/.."
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/tools"
"$folder/tools/bin/python" -m pip install --quiet --disable-pip-version-check uv
[ $# -gt 0 ] || set -- python3.11 python3.12 python3.13 python3.14
failed=""
for python in "$@"; do
    if ! "$python" -c '' 2>/dev/null; then
        echo "$python: not on this machine"
        continue
    fi
    for resolution in lowest-direct highest; do
        echo "$python, $resolution versions"
        here="$folder/$resolution"
        "$folder/tools/bin/uv" venv --quiet --clear --python "$(command -v "$python")" "$here"
        "$folder/tools/bin/uv" pip install --quiet --python "$here/bin/python" --resolution "$resolution" '.[dev]' &&
            "$folder/tools/bin/uv" pip check --quiet --python "$here/bin/python" &&
            PYTHONPATH="$PWD:$PWD/tools" "$here/bin/python" -m pytest -q -n auto --dist worksteal -m core ||
            failed="$failed $python/$resolution"
    done
done
[ -z "$failed" ] || { echo "Failed:$failed"; exit 1; }
