"""
Where secrets are kept: the system's keyring where there is one, else a file that only its owner can read.

A vault has a lock that holds across processes. Whoever replaces a token holds it from reading to writing.
"""

import os
import traceback
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from types import ModuleType
from typing import Any, Protocol

from filelock import FileLock, Timeout

from outreach_frames._hidden import HiddenBytes, HiddenText, hidden
from outreach_frames.auth.tokens import Secrets
from outreach_frames.errors import AuthError

SERVICE = "outreach_frames"
"""Name of the entries in the keyring."""
LOCK_TIMEOUT = 300.0
"""Another process may be waiting out the mint throttle [s]."""
RECOMMENDED = 1
"""Priority from which a keyring is a safe place, by the keyring project's own scale."""


class Vault(Protocol):
    """Keeps the secrets of one sign-in."""

    def load(self) -> Secrets | None:
        """Return what is kept; ``None`` if nothing is."""

    def save(self, secrets: Secrets) -> None:
        """Keep secrets in place of others; when this returns, they survive a power cut."""

    def delete(self) -> None:
        """Forget what is kept."""

    def locked(self) -> AbstractContextManager[None]:
        """Keep other threads and processes from replacing what is kept."""


class MemoryVault:
    """Keeps secrets as long as the process lives."""

    def __init__(self, secrets: Secrets | None = None) -> None:
        self._secrets = secrets

    def load(self) -> Secrets | None:
        """Return what is kept."""
        return self._secrets

    def save(self, secrets: Secrets) -> None:
        """Keep secrets."""
        self._secrets = secrets

    def delete(self) -> None:
        """Forget what is kept."""
        self._secrets = None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """There is no other process; the threads of this one are kept apart by the keeper."""
        yield


class FileVault:
    """
    Keeps secrets in a file of mode 0600.

    Parameters
    ----------
    path
        The file; its folder is private.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> Secrets | None:
        """Return what is kept."""
        try:
            return Secrets.of_json(HiddenBytes(self._path.read_bytes()))
        except FileNotFoundError:
            return None

    def save(self, secrets: Secrets) -> None:
        """
        Replace the file.

        Raises
        ------
        AuthError
            It cannot be written.
        """
        try:
            write_private(self._path, secrets.to_json())
        except OSError as error:
            raise AuthError(
                f"The sign-in cannot be saved ({type(error).__name__}).", hint="Make room, or the folder writable."
            ) from None

    def delete(self) -> None:
        """Remove the file."""
        self._path.unlink(missing_ok=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock file beside it."""
        with lock_of(self._path):
            yield


class KeyringVault:
    """
    Keeps secrets in the system's keyring.

    Parameters
    ----------
    keyring
        The module.
    name
        Name of the entry.
    path
        What the lock file is named after; nothing secret is written there.
    """

    def __init__(self, keyring: ModuleType, name: str, path: Path) -> None:
        self._keyring = keyring
        self._name = name
        self._path = path

    def load(self) -> Secrets | None:
        """Return what is kept; raise `AuthError` if the keyring is locked."""
        with self._reported():
            text = hidden(self._keyring.get_password(SERVICE, self._name))
        return None if text is None else Secrets.of_json(text)

    def save(self, secrets: Secrets) -> None:
        """Replace the entry; raise `AuthError` if the keyring is locked."""
        with self._reported():
            self._keyring.set_password(SERVICE, self._name, HiddenText(secrets.to_json().decode()))

    def delete(self) -> None:
        """Remove the entry."""
        with self._reported(), suppress(self._keyring.errors.PasswordDeleteError):
            self._keyring.delete_password(SERVICE, self._name)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock file: keyrings have no lock of their own."""
        with lock_of(self._path):
            yield

    @contextmanager
    def _reported(self) -> Iterator[None]:
        try:
            yield
        except self._keyring.errors.KeyringError as error:
            traceback.clear_frames(error.__traceback__)  # they hold what was to be kept
            raise AuthError(
                f"The keyring refused ({type(error).__name__}).", hint="Unlock it, or sign in again without it."
            ) from None


def write_private(path: Path, content: bytes) -> None:
    """Write aside, flush to the disk, then replace: a reader sees the old or the new, never half of one."""
    with NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as aside:
        try:
            aside.write(content)
            aside.flush()
            os.fsync(aside.fileno())
            Path(aside.name).replace(path)
        except BaseException:
            Path(aside.name).unlink(missing_ok=True)
            raise


def find_keyring() -> ModuleType | None:
    """
    Return the keyring module if it is installed and has a safe place to keep things in.

    A chain of keyrings is as safe as its weakest: where the first one fails, the next is written to.
    """
    try:
        import keyring  # noqa: PLC0415  optional, and slow to import
        import keyring.errors  # noqa: PLC0415
    except ImportError:
        return None
    return keyring if all(each.priority >= RECOMMENDED for each in _chained(keyring.get_keyring())) else None


def _chained(backend: Any) -> Iterator[Any]:
    """Yield a keyring, and all that it hands on to."""
    yield backend
    for each in getattr(backend, "backends", ()):
        yield from _chained(each)


@contextmanager
def lock_of(path: Path) -> Iterator[None]:
    """
    Hold the lock file beside a path.

    Raises
    ------
    AuthError
        Another process has held it for minutes.
    """
    try:
        with FileLock(f"{path}.lock", mode=0o600, timeout=LOCK_TIMEOUT):
            yield
    except Timeout:
        raise AuthError(
            "Another process has been signing in for minutes.", hint="End it, or wait until it is done."
        ) from None
