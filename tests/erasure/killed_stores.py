"""
A program that is killed while it forgets a person in SQLite stores, again and again, and forgets them anew each time.

Arguments: a folder with a cache folder ``cache`` and a store ``deliveries.sqlite``, a folder to work in, seed, rounds.
For each round it writes a JSON list: whether both could be read after the kill, the spellings of the address that were
left after the next run, and whether it was there before.
"""

import json
import os
import random
import shutil
import signal
import sqlite3
import sys
import time
import warnings
from contextlib import closing
from pathlib import Path
from threading import Event

import outreach_frames as of
from tests.erasure.erasure_support import ADDRESS, spellings_in


def forget(path: Path) -> None:
    """Forget the person in both."""
    of.compliance.forget(ADDRESS, cache=path / "cache", webhooks=path / "deliveries.sqlite")


def is_whole(path: Path) -> bool:
    """Return whether SQLite, and who reads deliveries, finds nothing wrong with the files."""
    for file in [*path.glob("cache/http/*.sqlite"), path / "deliveries.sqlite"]:
        with closing(sqlite3.connect(file)) as connection:
            if connection.execute("pragma integrity_check").fetchall() != [("ok",)]:
                return False
    return len(of.webhooks.read(path / "deliveries.sqlite")) > 0


def main() -> None:
    """Run the rounds; the first run is not killed, and tells how long one takes."""
    warnings.simplefilter("ignore", of.errors.OutreachDataWarning)  # some deliveries are no payload
    template, work = Path(sys.argv[1]), Path(sys.argv[2])
    os.environ["XDG_STATE_HOME"] = str(work / "state")
    chance = random.Random(int(sys.argv[3]))  # noqa: S311  the same points every time
    shutil.copytree(template, work / "first")
    begun = time.monotonic()
    forget(work / "first")
    longest = time.monotonic() - begun
    for number in range(int(sys.argv[4])):
        path = work / str(number)
        shutil.copytree(template, path)
        if not (writer := os.fork()):
            forget(path)
            os._exit(0)
        Event().wait(chance.uniform(0, longest))
        os.kill(writer, signal.SIGKILL)
        os.waitpid(writer, 0)
        was_there, was_whole = bool(spellings_in(path)), is_whole(path)
        forget(path)
        sys.stdout.write(json.dumps([was_whole and is_whole(path), sorted(spellings_in(path)), was_there]) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
