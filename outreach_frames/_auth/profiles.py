"""Profiles: named sign-ins, one per organization and user, in a folder that only its owner can read."""

import re
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
from platformdirs import user_data_path

from outreach_frames._auth.oauth import App, Exchange, refresher
from outreach_frames._auth.token_refresh import RefreshingTokenAuth
from outreach_frames._auth.token_store import (
    FileTokenStore,
    KeyringTokenStore,
    Secrets,
    Token,
    TokenStore,
    find_keyring,
)
from outreach_frames._files import private_folder, replacing
from outreach_frames._http import UNREADABLE
from outreach_frames.errors import AuthError

DEFAULT = "default"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}")


@dataclass(frozen=True, slots=True)
class Profile:
    """
    A sign-in, as far as it is no secret.

    Attributes
    ----------
    app
        The app that was let in.
    account
        Random name of this sign-in. It stays while tokens rotate and changes when somebody signs in anew, so that
        no cache is handed on to another user.
    scopes
        The requested scopes.
    keyring
        Whether the secrets are in the system's keyring.
    """

    app: App
    account: str
    scopes: tuple[str, ...] = ()
    keyring: bool = False


_profile = msgspec.json.Decoder(Profile)


class Profiles:
    """
    The sign-ins on this machine.

    Parameters
    ----------
    folder
        Default: the user's data folder.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = (folder or user_data_path("outreach_frames")) / "profiles"

    @property
    def folder(self) -> Path:
        """Where they are, once there is one."""
        return self._folder

    def names(self) -> list[str]:
        """Return the names of the profiles, sorted."""
        return sorted(path.stem for path in self._folder.glob("*.profile"))

    def load(self, name: str = DEFAULT) -> Profile:
        """
        Return a profile.

        Raises
        ------
        AuthError
            There is none of this name.
        """
        try:
            return _profile.decode(self._path(name).read_bytes())
        except FileNotFoundError:
            names, option = ", ".join(self.names()), "" if name == DEFAULT else f" --profile {name}"
            raise AuthError(
                f"Nobody is signed in as {name!r}.",
                hint=f"Sign in: outreach-frames login{option}.{f' There is: {names}.' if names else ''}",
            ) from None
        except UNREADABLE:
            raise AuthError(
                f"The profile {name!r} cannot be read.", hint="Sign in again: outreach-frames login."
            ) from None

    def save(self, name: str, app: App, token: Token, client_secret: str, *, scopes: tuple[str, ...] = ()) -> Profile:
        """Keep a new sign-in in place of an earlier one of the same name; return it."""
        path = self._path(name)
        private_folder(self._folder)
        profile = Profile(app, uuid.uuid4().hex, scopes, keyring=find_keyring() is not None)
        store = self._store(name, keyring=profile.keyring)
        with store.locked():
            with replacing(path, private=True) as stream:
                stream.write(msgspec.json.encode(profile))
            store.save(Secrets(token, client_secret, profile.account))
        return profile

    def token_auth(
        self,
        name: str = DEFAULT,
        *,
        exchange: Exchange,
        client_secret: str | None = None,
        clock: Callable[[], float] = time.time,
        wait: Callable[[float], None] = time.sleep,
    ) -> RefreshingTokenAuth:
        """
        Return what signs requests for a profile.

        Parameters
        ----------
        name
            Of the profile.
        exchange
            Posts to the token endpoint of the profile's host.
        client_secret
            Of the app, where it is not the one that was kept.
        clock
            Wall clock [seconds since 1970].
        wait
            Waits until the API gives a new token [s].

        Raises
        ------
        AuthError
            There is no such profile, or its keyring is gone.
        """
        profile = self.load(name)
        next_token = refresher(profile.app, exchange=exchange, clock=clock, client_secret=client_secret)
        store = self._store(name, keyring=profile.keyring)
        return RefreshingTokenAuth(store, next_token, account=profile.account, clock=clock, wait=wait)

    def token(self, name: str = DEFAULT) -> Token | None:
        """
        Return a profile's token as it is, without renewing it; ``None`` where its secrets are missing.

        Raises
        ------
        AuthError
            There is no such profile, or its secrets cannot be read.
        """
        secrets = self._store(name, keyring=self.load(name).keyring).load()
        return None if secrets is None else secrets.token

    def remove(self, name: str = DEFAULT) -> None:
        """
        Sign out: forget a profile and its secrets on this machine.

        Raises
        ------
        AuthError
            There is none of this name.
        """
        store = self._store(name, keyring=self.load(name).keyring)
        with store.locked():
            store.delete()
            self._path(name).unlink(missing_ok=True)

    def _store(self, name: str, *, keyring: bool) -> TokenStore:
        path = self._path(name).with_suffix(".secrets")
        if not keyring:
            return FileTokenStore(path)
        module = find_keyring()
        if module is None:
            raise AuthError(
                f"The secrets of {name!r} are in a keyring that cannot be reached now.",
                hint="Unlock the keyring, or sign in again: outreach-frames login.",
            )
        return KeyringTokenStore(module, name, path)

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise AuthError(f"{name!r} cannot be the name of a profile.", hint="Use letters, digits, - and _.")
        return self._folder / f"{name}.profile"
