"""Threads that decode pages at the same time."""

import subprocess
import sys

PROGRAM = """
import sys
from threading import Barrier, Thread

from outreach_frames._jsonapi.page import Layout
from outreach_frames._query import build
from outreach_frames.catalog import load

catalog, body, rows = load(), b'{"data": [{"type": "prospect", "id": 1, "attributes": {"title": "CFO"}}]}', []
sys.setswitchinterval(1e-6)

def read(barrier, layout):
    barrier.wait()
    rows.append(layout.page(body).batch.num_rows)

for _ in range(20):
    barrier, layout = Barrier(4), Layout(build(catalog, "prospects", fields="*").selection, catalog=catalog)
    threads = [Thread(target=read, args=(barrier, layout)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
assert rows == [1] * 80
"""


def test_threads_may_build_their_decoders_at_the_same_time():
    """
    Two that built decoders of the same struct ended the interpreter, and a notebook's kernel with it.

    Seen from Python 3.12 on, where ``cached_property`` has no lock.
    """
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
