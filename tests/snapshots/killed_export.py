"""
A program that exports a snapshot, says so when it begins, and is killed at any moment.

Arguments: folder of the snapshot, place, options of its file system as JSON.
"""

import json
import sys

import outreach_frames as of
from outreach_frames.errors import OutreachError


def main() -> None:
    """Export, over and over."""
    snapshot = of.open_snapshot(sys.argv[1])
    place, options = sys.argv[2], json.loads(sys.argv[3])
    try:
        snapshot.export(place, storage_options=options)
    except OutreachError as error:
        sys.exit(str(error))
    sys.stdout.write("begins\n")
    sys.stdout.flush()
    while True:
        snapshot.export(place, overwrite=True, storage_options=options)


if __name__ == "__main__":
    main()
