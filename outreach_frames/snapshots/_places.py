"""
Where an export goes: a folder or file of this machine, or of any file system that fsspec reaches.

On this machine it is written aside and renamed. Elsewhere each file is uploaded as a whole, and the manifest last: if
the manifest is there, the export is complete.
"""

import glob
import os
import re
import shutil
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

import msgspec

from outreach_frames._files import sync
from outreach_frames.errors import ExportError, MissingExtraError, OutreachError, SnapshotError
from outreach_frames.snapshots._manifest import MANIFEST, POINTER

UNFINISHED_EXPORT = "unfinished.json"
"""The names of all files, there while they are uploaded."""

_OVERWRITE = "Name another place, or pass overwrite=True."


class ExportPlace(ABC):
    """
    A place to write files to; used in a ``with`` block, at whose end there is all or nothing.

    Parameters
    ----------
    overwrite
        Whether an earlier export is replaced.
    is_file
        Whether it is one file, and no folder.
    """

    name: str
    """What messages call it: never a whole address, which may hold a password."""

    def __init__(self, *, overwrite: bool, is_file: bool) -> None:
        self._overwrite = overwrite
        self._is_file = is_file

    @abstractmethod
    def __enter__(self) -> Self: ...

    @abstractmethod
    def __exit__(self, *_: object) -> None: ...

    @abstractmethod
    def announce(self, paths: Sequence[str]) -> None:
        """Name the files that are going to be written."""

    @abstractmethod
    def write(self, path: str, make: Callable[[Path], object]) -> None:
        """Write one file, which `make` makes under the name that it is given."""

    @abstractmethod
    def finish(self) -> None:
        """Put everything in place; the last file that was written is the manifest."""

    def _check_present(self, paths: Iterator[str], listed: set[str]) -> None:
        """Refuse a folder that holds something, unless it is an earlier export that is to be replaced."""
        present = next(paths, None)
        if present is None:
            return
        if not self._overwrite:
            raise self._exists()
        other = next((path for path in (present, *paths) if path not in listed), None)
        if other is not None:
            raise SnapshotError(
                f"{self.name} holds files that are of no export, such as {Path(other).name}.",
                hint="overwrite=True replaces an earlier export only. Name another place.",
            )

    def _exists(self) -> SnapshotError:
        return SnapshotError(f"{self.name} is there already.", hint=_OVERWRITE)


def open_place(
    place: str | Path, options: Mapping[str, Any] | None = None, *, overwrite: bool = False, is_file: bool = False
) -> ExportPlace:
    """
    Return the place of an address or path.

    Raises
    ------
    SnapshotError
        There is no file system for the address, or not with such options.
    ExportError
        An extra is missing.
    """
    text = os.fspath(place)
    if "://" not in text and "::" not in text:
        return _LocalPlace(Path(text), overwrite=overwrite, is_file=is_file)
    name = _name_of(text)
    try:
        from fsspec.core import url_to_fs  # noqa: PLC0415  an extra

        system, path = url_to_fs(text, **(options or {}))
    except ImportError:
        raise MissingExtraError(
            f"The file system of {name} is not installed.",
            extra="s3",
            hint="pip install 'outreach_frames[s3]' for s3://; gcsfs for gs://, adlfs for abfs://.",
        ) from None
    except Exception:  # noqa: BLE001  file systems raise what they like, with the address in the message
        raise SnapshotError(
            f"{name} cannot be reached with this address and these options.",
            hint="Write an address of fsspec, such as s3://bucket/folder.",
        ) from None
    if "file" in ([system.protocol] if isinstance(system.protocol, str) else system.protocol):
        return _LocalPlace(Path(path), overwrite=overwrite, is_file=is_file)
    return _RemotePlace(system, path, name, overwrite=overwrite, is_file=is_file)


def _name_of(address: str) -> str:
    """Return an address without what can be secret: users, passwords and queries."""
    scheme = re.match(r"[a-z0-9+.-]*", address)
    last = re.split(r"[?#]", address)[0].rstrip("/").rpartition("/")[2].rpartition("@")[2]
    return f"{scheme[0] if scheme else ''}://…/{last}"


class _LocalPlace(ExportPlace):
    """A folder or file of this machine, written beside its place and then renamed."""

    def __init__(self, path: Path, *, overwrite: bool, is_file: bool) -> None:
        super().__init__(overwrite=overwrite, is_file=is_file)
        self._path = path.absolute()
        self.name = self._path.name
        if not self.name or "\0" in self.name:
            raise SnapshotError("The place of the export has no name.", hint="Name a folder, or a file for DuckDB.")
        self._aside = self._path.with_name(f".{self._path.name}-{uuid.uuid4().hex}.writing")
        self._descriptor: int | None = None

    def __enter__(self) -> Self:
        with self._as_export_error():
            self._check()
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._remove_abandoned("writing")
            self._aside.mkdir()
            self._descriptor = _lock(self._aside)
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._aside, ignore_errors=True)
        if self._descriptor is not None:
            os.close(self._descriptor)

    def announce(self, paths: Sequence[str]) -> None:
        pass

    def write(self, path: str, make: Callable[[Path], object]) -> None:
        file = self._aside / path
        with self._as_export_error():
            file.parent.mkdir(exist_ok=True)
            make(file)
            sync(file)

    def finish(self) -> None:
        with self._as_export_error():
            self._check()
            for folder in [*self._aside.iterdir(), self._aside]:
                if folder.is_dir() and os.name == "posix":
                    sync(folder)
            if self._is_file:
                next(self._aside.iterdir()).replace(self._path)
            elif self._path.exists():
                self._replace_folder()
            else:
                self._aside.rename(self._path)

    def _replace_folder(self) -> None:
        old = self._aside.with_suffix(".replaced")
        self._path.rename(old)
        try:
            self._aside.rename(self._path)
        except BaseException:
            old.rename(self._path)
            raise
        self._remove_abandoned("replaced")

    def _check(self) -> None:
        path = self._path
        if any((folder / POINTER).is_file() for folder in (path, *path.parents)):
            raise SnapshotError(f"{self.name} is within a snapshot.", hint="Name a place of its own.")
        if path.is_symlink():
            raise SnapshotError(f"{self.name} is a link.", hint="Name the place that it leads to, or another one.")
        if not path.exists():
            return
        if path.is_dir() == self._is_file:
            raise SnapshotError(
                f"{self.name} is a {'folder' if self._is_file else 'file'}.",
                hint="DuckDB is exported to a file, the other formats to a folder.",
            )
        if self._is_file:
            if not self._overwrite:
                raise self._exists()
            return
        below = (file for file in path.rglob("*") if file.is_symlink() or not file.is_dir())
        listed = set()
        with suppress(OSError):
            listed = _listed((path / MANIFEST).read_bytes())
        self._check_present((file.relative_to(path).as_posix() for file in below), listed)

    def _remove_abandoned(self, kind: str) -> None:
        """Remove what was replaced, or left by a program that was killed: nobody holds its lock."""
        for folder in self._path.parent.glob(f".{glob.escape(self._path.name)}-*.{kind}"):
            descriptor = _lock(folder)
            if descriptor is not None:
                shutil.rmtree(folder, ignore_errors=True)
                os.close(descriptor)

    @contextmanager
    def _as_export_error(self) -> Iterator[None]:
        try:
            yield
        except OutreachError:
            raise
        except OSError as error:
            raise ExportError(
                f"{self.name} cannot be written: {error.strerror or error}.",
                hint="Make room, or name another place. Nothing was written.",
            ) from error


def _lock(folder: Path) -> int | None:
    """Return a lock on a folder, which ends with this process; ``None`` where another one has it or there is none."""
    try:
        import fcntl  # noqa: PLC0415  not on Windows
    except ImportError:
        return None
    descriptor = None
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_NOFOLLOW)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return descriptor
    if descriptor is not None:
        os.close(descriptor)
    return None


class _RemotePlace(ExportPlace):
    """A folder or file of another file system, to which whole files are uploaded."""

    def __init__(self, system: Any, path: str, name: str, *, overwrite: bool, is_file: bool) -> None:
        super().__init__(overwrite=overwrite, is_file=is_file)
        self._system = system
        self._root = path.rstrip("/")
        self.name = name
        self._old: set[str] = set()
        self._written: list[str] = []

    def __enter__(self) -> Self:
        with self._as_export_error():
            self._system.invalidate_cache()
            self._check()
            self._temporary = TemporaryDirectory()
        return self

    def __exit__(self, kind: object = None, *_: object) -> None:
        self._temporary.cleanup()
        if kind is not None and not self._old and not self._is_file:
            with suppress(Exception):  # what stays is listed, so that overwrite=True replaces it
                for path in reversed(self._written):
                    self._system.rm_file(self._at(path))

    def announce(self, paths: Sequence[str]) -> None:
        if self._is_file:
            return
        names = sorted({*paths, *self._old})
        self._put(UNFINISHED_EXPORT, lambda file: file.write_bytes(_listed_files(names)))
        if MANIFEST in self._old:
            with self._as_export_error():
                self._system.rm_file(self._at(MANIFEST))

    def write(self, path: str, make: Callable[[Path], object]) -> None:
        self._put(path, make)

    def finish(self) -> None:
        if self._is_file:
            return
        with self._as_export_error():
            for path in sorted(self._old - {*self._written}):
                self._system.rm_file(self._at(path))
            self._system.rm_file(self._at(UNFINISHED_EXPORT))

    def _check(self) -> None:
        if self._is_file:
            if self._system.isdir(self._root):
                raise SnapshotError(f"{self.name} is a folder.", hint="DuckDB is exported to a file.")
            if self._system.exists(self._root) and not self._overwrite:
                raise self._exists()
            return
        if self._system.isfile(self._root):
            raise SnapshotError(f"{self.name} is a file.", hint="Name a folder, or one that is not there.")
        present = {path.removeprefix(f"{self._root}/") for path in self._system.find(self._root)}
        listed: set[str] = set()
        for name in {MANIFEST, UNFINISHED_EXPORT} & present:
            listed |= _listed(self._system.cat_file(self._at(name)))
        self._check_present(iter(sorted(present)), listed)
        self._old = present

    def _put(self, path: str, make: Callable[[Path], object]) -> None:
        file = Path(self._temporary.name) / "file"
        try:
            with self._as_export_error():
                make(file)
                self._system.put_file(str(file), self._at(path))
                self._written.append(path)
        finally:
            file.unlink(missing_ok=True)

    def _at(self, path: str) -> str:
        return self._root if self._is_file else f"{self._root}/{path}"

    @contextmanager
    def _as_export_error(self) -> Iterator[None]:
        """Turn whatever a file system raises into an error without its text, which may hold an address or a key."""
        try:
            yield
        except OutreachError:
            raise
        except Exception as error:  # noqa: BLE001  file systems raise what they like
            reason = {
                PermissionError: "access is denied",
                FileNotFoundError: "there is no such bucket or folder",
                NotImplementedError: "its file system does not write",
            }.get(type(error))
            if reason is None:
                number = getattr(error, "errno", None) if isinstance(error, OSError) else None
                reason = os.strerror(number) if number else type(error).__name__
            raise ExportError(
                f"{self.name} cannot be written: {reason}.",
                hint="Check the address, the sign-in and the right to write there; then export again.",
            ) from None


def _listed_files(paths: Sequence[str]) -> bytes:
    return msgspec.json.encode({"files": [{"path": path} for path in paths]})


def _listed(manifest: bytes) -> set[str]:
    """Return the files that the manifest of an export names, itself too; none where it is something else."""
    with suppress(msgspec.MsgspecError, UnicodeError, RecursionError, TypeError, LookupError):
        return {file["path"] for file in msgspec.json.decode(manifest)["files"]} | {MANIFEST, UNFINISHED_EXPORT}
    return set()
