"""
Tokens, and where they are stored: memory, a private file, or the system's keyring.

A token store has a lock across processes, held from reading a token to writing its replacement.
"""

import traceback
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol, Self

import msgspec
from filelock import Timeout

from outreach_frames._files import file_lock, replacing
from outreach_frames._http import UNREADABLE, fits_header, read_json
from outreach_frames._secrets import HiddenBytes, HiddenText, hidden, revealed
from outreach_frames.errors import AuthError

EARLY = 120.0
"""A token is replaced this long before it expires [s]."""
EARLY_SHARE = 0.1
"""The same for short-lived tokens, as a share of their life."""
UNSAID_LIFE = 3600.0
"""Life of a token whose reply does not tell it [s]."""
LONGEST_LIFE = 366 * 86_400.0
"""A token that lives longer is renewed all the same [s]."""


@dataclass(frozen=True, slots=True, repr=False)
class Token:
    """
    An access token and what came with it.

    Attributes
    ----------
    access
        Goes on every request.
    refresh
        Gets the next one; ``None`` where there is none. Every use makes a new one.
    minted_at, expires_at
        By this machine's clock [seconds since 1970].
    scope
        What it allows, separated by spaces; empty where the reply does not say.
    """

    access: str
    refresh: str | None
    minted_at: float
    expires_at: float
    scope: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "access", hidden(self.access))
        object.__setattr__(self, "refresh", hidden(self.refresh))

    @classmethod
    def of_reply(cls, body: bytes, requested_at: float) -> Self:
        """
        Read the reply of the token endpoint, by the time of the request: the server's clock may be another.

        Raises
        ------
        AuthError
            There is no access token in it, or one that no header can hold.
        """
        reply = read_json(body, _Reply) or _Reply()
        if not isinstance(reply.access_token, str) or not reply.access_token:
            raise AuthError("The sign-in endpoint answered without an access token.", hint="Try again later.")
        check_fits_header(reply.access_token)
        life = reply.expires_in if isinstance(reply.expires_in, int | float) else UNSAID_LIFE
        return cls(
            access=reply.access_token,
            refresh=reply.refresh_token if isinstance(reply.refresh_token, str) else None,
            minted_at=requested_at,
            expires_at=requested_at + max(-LONGEST_LIFE, min(life, LONGEST_LIFE)),
            scope=str(reply.scope or ""),
        )

    def is_fresh(self, now: float) -> bool:
        """Tell whether the token will still be good when a request arrives."""
        early = min(EARLY, EARLY_SHARE * (self.expires_at - self.minted_at))
        return now < self.expires_at - early

    def __repr__(self) -> str:
        return "Token(…)"


def check_fits_header(token: str) -> None:
    """Raise `AuthError` for a token that no header can hold; the HTTP library's own error would show it."""
    if not fits_header(token) or " " in token:
        raise AuthError(
            "The answer to the sign-in holds an access token of characters that no token has.",
            hint="Check the address of the API; another server may have answered.",
        )


@dataclass(frozen=True, slots=True, repr=False)
class Secrets:
    """
    What a sign-in keeps.

    Attributes
    ----------
    token
        The newest one; ``None`` before the first.
    client_secret
        The app's, which every refresh needs; ``None`` where it comes from elsewhere.
    account
        Random name of the sign-in: another one means another sign-in.
    """

    token: Token | None = None
    client_secret: str | None = None
    account: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "client_secret", hidden(self.client_secret))

    def with_token(self, token: Token) -> "Secrets":
        """Return the same with another token."""
        return replace(self, token=token)

    def to_json(self) -> bytes:
        """Write as JSON, for a token store."""
        return HiddenBytes(msgspec.json.encode(self, enc_hook=revealed))

    @classmethod
    def of_json(cls, text: bytes | str) -> "Secrets":
        """
        Read what `to_json` wrote.

        Raises
        ------
        AuthError
            It cannot be read.
        """
        text = hidden(text)
        try:
            return _secrets.decode(text.encode() if isinstance(text, str) else text)
        except UNREADABLE:
            # The decoder's own message may quote what it read.
            raise AuthError("The saved sign-in cannot be read.", hint="Sign in again: outreach-frames login.") from None

    def __repr__(self) -> str:
        return "Secrets(…)"


_secrets = msgspec.json.Decoder(Secrets)


class _Reply(msgspec.Struct):
    """What the token endpoint may answer, of any type."""

    access_token: Any = None
    refresh_token: Any = None
    expires_in: Any = None
    scope: Any = None

    def __repr__(self) -> str:
        return "_Reply(…)"


SERVICE = "outreach_frames"
"""Name of the entries in the keyring."""
LOCK_TIMEOUT = 300.0
"""Another process may be waiting for a new token [s]."""
RECOMMENDED = 1
"""Priority from which a keyring is a safe place, by the keyring project's own scale."""


class TokenStore(Protocol):
    """Keeps the secrets of one sign-in."""

    def load(self) -> Secrets | None:
        """Return what is kept; ``None`` if nothing is."""

    def save(self, secrets: Secrets) -> None:
        """Keep secrets in place of others; when this returns, they survive a power cut."""

    def delete(self) -> None:
        """Forget what is kept."""

    def locked(self) -> AbstractContextManager[None]:
        """Keep other threads and processes from replacing what is kept."""


class MemoryTokenStore:
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
        """There is no other process; the threads of this one have a lock in `RefreshingTokenAuth`."""
        yield


class FileTokenStore:
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
            with replacing(self._path, private=True) as stream:
                stream.write(secrets.to_json())
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


class KeyringTokenStore:
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
        with file_lock(path, timeout=LOCK_TIMEOUT):
            yield
    except Timeout:
        raise AuthError(
            "Another process has been signing in for minutes.", hint="End it, or wait until it is done."
        ) from None
