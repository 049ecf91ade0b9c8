"""Erase a person from all cache files of a folder: responses that mention the address or one of their prospects."""

import sqlite3
from contextlib import nullcontext
from pathlib import Path

import pyarrow as pa
from requests_cache.models.response import CachedResponse

from outreach_frames._files import file_lock
from outreach_frames._http.cache import decode_response, default_folder
from outreach_frames._http.cache_file import BUSY_TIMEOUT, erase_values, is_damage, stored_values
from outreach_frames._person import Erased, Person, json_document_of


def cache_files(folder: Path | None = None) -> list[Path]:
    """Return the cache files in a folder, and those that were set aside; by default in the user's cache folder."""
    return sorted((folder or default_folder()).glob("http/*.sqlite*"))


def ids_in_cache(files: list[Path], person: Person) -> set[int]:
    """Return the ids of the prospects that stored responses show with the address."""
    ids = set()
    for path in _databases(files):
        try:
            for response in (_decoded(value) for _, value in stored_values(path)):
                if response is not None and _mentions(response, person):
                    ids |= person.ids_in(json_document_of(response.content))
        except sqlite3.Error as error:
            if not is_damage(error):
                raise
    return ids


def erase_from_cache(path: Path, person: Person, *, dry_run: bool) -> Erased | None:
    """
    Delete the person's responses from one of the files, for good; ``None`` for a file that goes with another.

    A response that cannot be read is deleted too. So is, as a whole, a file that is damaged, was set aside or has an
    earlier format; it counts as one.

    Raises
    ------
    sqlite3.Error, OSError
        The file cannot be used now, or another program reads it: the person may still be in it.
    """
    if path.suffix in (".lock", ".sqlite-wal", ".sqlite-shm"):
        return None
    if path not in _databases([path]):
        if not dry_run:
            path.unlink(missing_ok=True)
        return Erased(path.name, rows=1)

    def is_erased(value: bytes) -> bool:
        response = _decoded(value)
        return response is None or _is_about(response, person)

    with nullcontext() if dry_run else file_lock(path, timeout=BUSY_TIMEOUT):  # nobody opens it, or sets it aside
        try:
            return Erased(path.name, rows=erase_values(path, is_erased, dry_run=dry_run))
        except sqlite3.Error as error:
            if not is_damage(error):
                raise
            if not dry_run:
                for each in (path, *(path.with_name(f"{path.name}-{log}") for log in ("wal", "shm", "journal"))):
                    each.unlink(missing_ok=True)
            return Erased(path.name, rows=1)


def _databases(files: list[Path]) -> list[Path]:
    return [path for path in files if path.suffix == ".sqlite"]


def _decoded(value: bytes) -> CachedResponse | None:
    """Return a response; ``None`` where it cannot be read."""
    try:
        return decode_response(value)
    except ValueError:
        return None


def _is_about(response: CachedResponse, person: Person) -> bool:
    return _mentions(response, person) or (bool(person.ids) and person.is_named(json_document_of(response.content)))


def _mentions(response: CachedResponse, person: Person) -> bool:
    parts = [response.content, *(header.encode() for header in response.headers.values())]
    return bool(person.mentions(pa.array(parts, pa.binary())))
