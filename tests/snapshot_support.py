"""Snapshots whose files were changed on purpose, and disks that are full."""

import hashlib
import json
import resource
from contextlib import contextmanager


def seal(snapshot):
    """Note the files of a version as they are now, so that they count as those that were written."""
    manifest = snapshot.folder / "manifest.json"
    facts = json.loads(manifest.read_text())
    for name, told in facts["tables"].items():
        told["sha256"] = hashlib.sha256((snapshot.folder / f"{name}.parquet").read_bytes()).hexdigest()
    manifest.write_text(json.dumps(facts))


def contents(*folders):
    """Return the bytes of every file below some folders, and what is there besides files."""
    return {path: path.read_bytes() if path.is_file() else None for folder in folders for path in folder.rglob("*")}


@contextmanager
def full_after(size):
    """Let no file grow beyond a size [bytes], as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
