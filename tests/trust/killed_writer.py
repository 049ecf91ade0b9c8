"""
A program that is killed while it writes to the cache, again and again, and starts anew each time.

Arguments: base URL, folder, seed, rounds. The token comes on standard input. For each round it writes a JSON list: the
pages that were stored before the kill, those that were in the cache afterward, the rows of the next start, and those
of the snapshot in force.
"""

import json
import os
import random
import signal
import sys
import warnings
from pathlib import Path
from threading import Event

import outreach_frames as of
from outreach_frames._http import BearerAuth, Session
from outreach_frames.client import Client

PAGE = 5


def connected(url: str, token: str, folder: Path) -> Client:
    """Connect as somebody."""
    return Client(Session(url, BearerAuth(token), account="someone", cache_dir=folder))


def write_for_ever(url: str, token: str, folder: Path, told: int) -> None:
    """Fetch the same pages again and again, storing each, and tell of every fetch."""
    with connected(url, token, folder) as org:
        while True:
            of.fetch(org, "accounts", page_size=PAGE, refresh=True, progress=False)
            os.write(told, b".")
            of.take_snapshot(org, folder / "snapshot", resources=["accounts"], refresh=True, progress=False)
            os.write(told, b".")


def start_anew(url: str, token: str, folder: Path) -> list[object]:
    """Read what is there, and ask for the rest."""
    warnings.simplefilter("error")
    with connected(url, token, folder) as org:
        kept = org.cache.info().answers
        fetched = of.fetch(org, "accounts", page_size=PAGE, progress=False)["id"].tolist()
        taken = of.open_snapshot(folder / "snapshot")
        taken.verify()
        return [kept, fetched, taken.frame("accounts")["id"].tolist()]


def main() -> None:
    """Run the rounds."""
    url, folder, token = sys.argv[1], Path(sys.argv[2]), sys.stdin.readline().strip()
    chance = random.Random(int(sys.argv[3]))  # noqa: S311  the same points every time
    with connected(url, token, folder) as org:
        of.take_snapshot(org, folder / "snapshot", resources=["accounts"])
    for _ in range(int(sys.argv[4])):
        told, tell = os.pipe()
        if not (writer := os.fork()):
            write_for_ever(url, token, folder, tell)
        os.read(told, 1)
        Event().wait(chance.uniform(0.0, 0.12))
        os.kill(writer, signal.SIGKILL)
        os.waitpid(writer, 0)
        os.close(tell)
        stored = len(os.read(told, 10_000))
        os.close(told)
        sys.stdout.write(json.dumps([stored, *start_anew(url, token, folder)]) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
