#!/bin/sh
# Installs the development set into .venv (and a browser, where apt-get can) and runs all tests.
set -eu
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
[ -x .venv/bin/python ] || "$python" -m venv .venv 2>/dev/null || "$python" -m venv --clear --without-pip .venv
"$python" -m pip --python .venv/bin/python install --quiet --disable-pip-version-check --editable '.[dev]'
if ! command -v chromium >/dev/null 2>&1; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium >/dev/null
    else
        echo "No Chromium: the browser tests are skipped; install the package chromium to run them."
    fi
fi
exec .venv/bin/python -m pytest "$@"
