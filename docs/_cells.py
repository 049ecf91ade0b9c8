"""
First cell of each page: the others run in a folder of their own, in which the sample is ``data/sample``.

With the argument ``live`` an embedded organization stands in for a live one: `connect` reaches it.
"""

import atexit
import os
import sys
import tempfile
import warnings
from functools import partial
from pathlib import Path

import tqdm.auto
from IPython import get_ipython
from tqdm.std import tqdm as plain_tqdm

folder = tempfile.TemporaryDirectory(prefix="outreach-docs-page-")
atexit.register(folder.cleanup)
for name in ("data", "notebooks", "docs"):
    (Path(folder.name) / name).symlink_to(Path(__file__).parents[1] / name)
os.chdir(folder.name)

# Warnings are shown without the file that they came from, which is of no use to a reader.
warnings.formatwarning = lambda message, category, *_, **__: f"{category.__name__}: {message}\n"

# Progress bars are for those who wait.
tqdm.auto.tqdm = partial(plain_tqdm, file=open(os.devnull, "w"))  # noqa: PTH123, SIM115  to the end of the kernel

get_ipython().run_line_magic("xmode", "Minimal")  # an error is shown as its message, without the way to it

if sys.argv[1:] == ["live"]:
    import outreach_frames

    _live = outreach_frames.sandbox(prospects=100, seed=7)
    os.environ |= {"OUTREACH_BASE_URL": _live.base_url, "OUTREACH_TOKEN": _live.sandbox.token}
