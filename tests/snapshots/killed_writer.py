"""
A program that brings snapshots up to date in processes of its own, and kills each of them after a while.

Each line of its input is a JSON list: ``refresh`` or ``apply``, base URL, token, the folder with the snapshot ``org``
and the store ``deliveries.sqlite``, and the time until the kill [seconds]. It answers each with a line.
"""

import json
import os
import signal
import sys
from pathlib import Path
from threading import Event

import outreach_frames as of
from tests.snapshot_support import shrink
from tests.snapshots.killed_snapshot import connected


def write(work: str, url: str, token: str, folder: Path) -> None:
    """Refresh a snapshot, or apply the deliveries that were received."""
    taken = of.open_snapshot(folder / "org")
    if work == "apply":
        taken.apply(of.webhooks.read(folder / "deliveries.sqlite"), keep=2)
    else:
        with connected(url, token, folder) as org:
            taken.refresh(org, keep=2, progress=False)


def main() -> None:
    """Answer each line."""
    shrink(setattr)
    for line in sys.stdin:
        work, url, token, folder, delay = json.loads(line)
        if not (writer := os.fork()):
            try:
                write(work, url, token, Path(folder))
            finally:
                os._exit(0)
        Event().wait(delay)
        os.kill(writer, signal.SIGKILL)
        os.waitpid(writer, 0)
        print(flush=True)  # noqa: T201  the answer


if __name__ == "__main__":
    main()
