#!/bin/sh
# From nothing to a report: makes an environment of its own beside the project and runs the demo in it.
# Works without ensurepip (Debian's python3 without python3-venv) as long as some pip >= 22.3 is there.
set -eu
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "Python 3.11 or later is needed, and this is $("$python" --version 2>&1); name another: PYTHON=python3.12 sh $0" >&2
    exit 1
}
[ -x .venv/bin/python ] || "$python" -m venv .venv 2>/dev/null || "$python" -m venv --clear --without-pip .venv
echo "Installing into .venv; this takes a few minutes ..."
"$python" -m pip --python .venv/bin/python install --quiet --disable-pip-version-check '.[explore,report,sandbox,sql]'
exec .venv/bin/outreach-frames demo "$@"
