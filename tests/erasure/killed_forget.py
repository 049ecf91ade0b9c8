"""
A program that is killed while it forgets a person, again and again, and forgets them anew each time.

Arguments: a snapshot, a folder to work in, seed, rounds. For each round it writes a JSON list: whether all versions
were whole after the kill, the spellings of the address that were left after the next run, and whether it was there
before.
"""

import json
import os
import random
import shutil
import signal
import sys
from pathlib import Path
from threading import Event

import outreach_frames as of
from tests.erasure.erasure_support import ADDRESS, spellings_in


def forget(path: Path) -> None:
    """Forget the person in a snapshot."""
    of.compliance.forget(ADDRESS, cache=False, snapshots=path)


def is_whole(path: Path) -> bool:
    """Return whether every version can be read, and has what its manifest says."""
    opened = of.open_snapshot(path)
    checks = [opened.at(version).verify() for version in opened.versions]
    return len(checks) == 3 and all(each["passed"].ne(other=False).fillna(value=True).all() for each in checks)


def main() -> None:
    """Run the rounds."""
    template, work = Path(sys.argv[1]), Path(sys.argv[2])
    os.environ["XDG_STATE_HOME"] = str(work / "state")
    chance = random.Random(int(sys.argv[3]))  # noqa: S311  the same points every time
    for number in range(int(sys.argv[4])):
        path = work / str(number)
        shutil.copytree(template, path, copy_function=os.link)  # no file is changed in its place
        if not (writer := os.fork()):
            forget(path)
            os._exit(0)
        Event().wait(chance.uniform(0.1, 1.2))
        os.kill(writer, signal.SIGKILL)
        os.waitpid(writer, 0)
        was_whole, was_there = is_whole(path), bool(spellings_in(path))
        forget(path)
        left = sorted(spellings_in(path)) + [str(file) for file in path.rglob(".*")]
        sys.stdout.write(json.dumps([was_whole and is_whole(path), left, was_there]) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
