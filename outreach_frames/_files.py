"""Files that are whole or not there."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO


@contextmanager
def replacing(out: Path) -> Iterator[IO[bytes]]:
    """
    Give a stream to write; what was written takes the place of a file once it is whole, and is gone otherwise.

    A place that cannot be written is found out at once. The stream's file is new and has a name that nobody can know
    before; where `out` is a link, the link is replaced, and what it leads to stays as it is.

    Raises
    ------
    OSError
        The place cannot be written, or the disk is full.
    """
    aside = out.with_name(f".{uuid.uuid4().hex}{out.suffix}")
    try:
        with aside.open("xb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        aside.replace(out)
    finally:
        with suppress(OSError):
            aside.unlink(missing_ok=True)
