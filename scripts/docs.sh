#!/bin/sh
# Builds the documentation site into docs/_build/html; each of its examples runs. Other arguments go to sphinx-build.
set -eu
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
[ -x .venv/bin/python ] || "$python" -m venv .venv 2>/dev/null || "$python" -m venv --clear --without-pip .venv
if ! .venv/bin/python -c 'import outreach_frames, myst_nb, numpydoc, pydata_sphinx_theme' 2>/dev/null; then
    "$python" -m pip --python .venv/bin/python install --quiet --disable-pip-version-check --editable '.[docs]'
fi
exec .venv/bin/python -m sphinx -W --keep-going -n -j auto "$@" docs docs/_build/html
