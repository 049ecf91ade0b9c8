#!/bin/sh
# Installs the development set into .venv, system programs where apt-get can, and runs all tests.
# "core" runs the heart of each package in about a minute; other arguments go to pytest.
set -eu
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "Python 3.11 or later is needed, and this is $("$python" --version 2>&1); name another: PYTHON=python3.12 sh $0" >&2
    exit 1
}
[ -x .venv/bin/python ] || "$python" -m venv .venv 2>/dev/null || "$python" -m venv --clear --without-pip .venv
if [ "${1-}" != core ] || ! .venv/bin/python -c 'import outreach_frames, pytest, xdist' 2>/dev/null; then
    "$python" -m pip --python .venv/bin/python install --quiet --disable-pip-version-check --editable '.[dev]'
fi
if [ "${1-}" = core ]; then
    shift
    exec .venv/bin/python -m pytest -n auto --dist worksteal -m core "$@"
elif [ $# -gt 0 ]; then
    exec .venv/bin/python -m pytest "$@"
fi

# provide PROGRAM PACKAGE WHAT: installs a system package for a program that is not there, or says what goes without it.
provide() {
    command -v "$1" >/dev/null 2>&1 && return
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        { apt-get update -qq && apt-get install -y -qq --no-install-recommends "$2"; } >/dev/null 2>&1 && return
    fi
    echo "No $1: $3 are skipped; install the package $2 to run them."
}
provide chromium chromium "tests in a browser"
provide java default-jre-headless "tests on Spark"
provide npm npm "tests against Prism"

# Notebook servers, browsers and the build of the pages want the machine to themselves: their tests run one by one, after
# all others. Some of the others wait at any time, so that there is one process more than there are cores.
alone="tests/browser tests/test_notebooks.py tests/test_demo.py tests/test_docs.py"
cores=$(.venv/bin/python -c 'import os; print(os.cpu_count())')
.venv/bin/python -m pytest -n $((cores + 1)) --dist worksteal $(printf -- '--ignore=%s ' $alone)
# shellcheck disable=SC2086  the list is meant to be split
exec .venv/bin/python -m pytest $alone
