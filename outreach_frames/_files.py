"""Files: replaced as a whole, private to their owner, locked between processes; and SQLite files."""

import errno
import os
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from sqlite3 import Connection

    from filelock import BaseFileLock

PRIVATE = 0o600
"""Mode of a file that only its owner can read and write."""
PRIVATE_FOLDER = 0o700
"""The same for folders."""


@contextmanager
def replacing(out: Path, *, private: bool = False) -> Iterator[IO[bytes]]:
    """
    Give a stream to write a file; the complete file replaces `out`, and an incomplete one is removed.

    A place that cannot be written raises at once. The stream's file is new and has a random name; where `out` is a
    link, the link is replaced, and what it leads to stays as it is.

    Parameters
    ----------
    private
        Whether only its owner can read the file.

    Raises
    ------
    OSError
        The place cannot be written, or the disk is full.
    """
    _check_name(out)
    aside = out.with_name(f".{uuid.uuid4().hex}{'' if private else out.suffix}")
    try:
        if private:
            make_private(aside)
        with aside.open("wb" if private else "xb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        aside.replace(out)
    finally:
        with suppress(OSError):
            aside.unlink(missing_ok=True)


def _check_name(path: Path) -> None:
    """Raise `OSError` for a path that no file can have, where Python would raise `ValueError`."""
    if "\0" in str(path):
        raise OSError(errno.EINVAL, "its name has a NUL character")


def sync(path: Path) -> None:
    """Make sure that a file or folder is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def private_folder(folder: Path) -> Path:
    """Make a folder that only its owner can read, and return it; one that exists becomes private."""
    _check_name(folder)
    folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    folder.chmod(PRIVATE_FOLDER)
    return folder


def make_private(path: Path) -> None:
    """
    Make an empty file that only its owner can read; one that exists becomes private.

    Raises
    ------
    OSError
        There is a link or a folder in its place, or it cannot be made.
    """
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, PRIVATE))
    except FileExistsError:
        if path.is_symlink() or not path.is_file():
            raise
        path.chmod(PRIVATE)


def file_lock(path: Path, *, timeout: float, poll_interval: float = 0.05) -> "BaseFileLock":
    """
    Return a new lock between processes, in the file beside `path`.

    One that was made before a fork is refused after it.

    Parameters
    ----------
    timeout
        How long to wait for it [s]; then ``filelock.Timeout``, an `OSError`, is raised.
    poll_interval
        How often to look whether it is free [s].
    """
    from filelock import FileLock  # noqa: PLC0415  slow to import

    _check_name(path)

    return FileLock(f"{path}.lock", mode=PRIVATE, timeout=timeout, poll_interval=poll_interval)


def open_sqlite(
    path: Path, *, timeout: float = 5.0, autocommit: bool = True, read_only: bool = False, pragmas: Iterable[str] = ()
) -> "Connection":
    """
    Open an SQLite file; it is made, readable for its owner only, if it does not exist.

    Parameters
    ----------
    timeout
        How long to wait for another program's lock [s].
    autocommit
        Whether every statement is a transaction of its own; otherwise ``with connection`` commits.
    read_only
        Whether the file is neither made nor written.
    pragmas
        Statements that set the connection up.

    Raises
    ------
    sqlite3.Error, OSError
        The file cannot be opened, or is no SQLite file.
    """
    import sqlite3  # noqa: PLC0415  slow to import

    _check_name(path)
    if not read_only:
        path.touch(mode=PRIVATE)
    connection = sqlite3.connect(
        f"{path.resolve().as_uri()}?mode={'ro' if read_only else 'rwc'}",
        uri=True,
        timeout=timeout,
        isolation_level=None if autocommit else "DEFERRED",
        check_same_thread=False,
    )
    try:
        for pragma in pragmas:
            connection.execute(pragma).fetchall()
    except BaseException:
        connection.close()
        raise
    return connection


def compact_sqlite(connection: "Connection") -> None:
    """
    Write an SQLite file anew and empty its log, so that nothing that was deleted stays in either.

    Raises
    ------
    sqlite3.Error, OSError
        Another program uses the file, or there is no room: something may still be in it.
    """
    for statement in ("pragma secure_delete = on", "pragma temp_store = memory", "vacuum"):
        connection.execute(statement).fetchall()
    if connection.execute("pragma wal_checkpoint(truncate)").fetchone()[0]:
        raise OSError(errno.EBUSY, "another program is reading it")
