"""
A program that is killed while it takes or refreshes a snapshot, again and again, and goes on each time.

Arguments: ``take`` or ``refresh``, base URL, folder, seed, rounds. The token comes on standard input. For each round it
writes a JSON list: whether the current version was readable after the kill, and whether the next run gave what the API
has.
"""

import json
import os
import random
import signal
import sys
from pathlib import Path
from threading import Event

import outreach_frames as of
from outreach_frames._http import BearerAuth, Session
from outreach_frames.client import Client
from tests.snapshot_support import shrink

TABLES = ["accounts", "users"]


def connected(url: str, token: str, folder: Path) -> Client:
    """Connect as somebody."""
    return Client(Session(url, BearerAuth(token), account="someone", cache_dir=folder))


def write(work: str, url: str, token: str, folder: Path) -> None:
    """Take or refresh the snapshot."""
    with connected(url, token, folder) as org:
        if work == "take":
            of.take_snapshot(org, folder / "org", resources=TABLES, keep=3, progress=False)
        else:
            of.open_snapshot(folder / "org").refresh(org, keep=3, progress=False)


def check(url: str, token: str, folder: Path) -> bool:
    """Return whether the current version holds what the API has."""
    with connected(url, token, folder) as org:
        taken = of.open_snapshot(folder / "org")
        taken.verify()
        fetched = {table: of.fetch(org, table, refresh=True, progress=False) for table in TABLES}
        return all(taken.frame(table).equals(fetched[table]) for table in TABLES)


def main() -> None:
    """Run the rounds."""
    shrink(setattr)
    work, url, folder, token = sys.argv[1], sys.argv[2], Path(sys.argv[3]), sys.stdin.readline().strip()
    chance = random.Random(int(sys.argv[4]))  # noqa: S311  the same points every time
    write("take", url, token, folder)
    for number in range(int(sys.argv[5])):
        with connected(url, token, folder) as org:
            account = org.create("accounts", name=f"New {number}")["id"]
            org.update("accounts", 1 + number, name=f"Changed {number}")
            org.delete("accounts", account - 30)
        if not (writer := os.fork()):
            write(work, url, token, folder)
            os._exit(0)
        Event().wait(chance.uniform(0.0, 0.5))
        os.kill(writer, signal.SIGKILL)
        os.waitpid(writer, 0)
        of.open_snapshot(folder / "org").verify()
        write(work, url, token, folder)
        sys.stdout.write(json.dumps([True, check(url, token, folder)]) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
