"""An authority for one test, a signed-in profile on it, and time that passes only by sleeping."""

import json
from collections.abc import Iterator
from pathlib import Path

import keyring
import keyring.backend
import keyring.errors
import pytest

from outreach_frames._auth import Profiles, Token
from outreach_frames._http import TokenEndpoint, Waiter
from tests.auth.token_server import CLIENT_SECRET, Authority
from tests.fake_clock import Clock


class Drawer(keyring.backend.KeyringBackend):
    """A keyring in memory."""

    priority = 5

    def __init__(self) -> None:
        super().__init__()
        self.entries: dict[tuple[str, str], str] = {}
        self.is_locked = False

    def get_password(self, service, username):
        """Look an entry up."""
        if self.is_locked:
            raise keyring.errors.KeyringLocked
        return self.entries.get((service, username))

    def set_password(self, service, username, password):
        """Put an entry in."""
        if self.is_locked:
            raise keyring.errors.KeyringLocked
        self.entries[service, username] = password

    def delete_password(self, service, username):
        """Take an entry out."""
        if self.entries.pop((service, username), None) is None:
            raise keyring.errors.PasswordDeleteError


@pytest.fixture
def drawer() -> Iterator[Drawer]:
    """Give the machine a keyring for one test."""
    before = keyring.get_keyring()
    drawer = Drawer()
    keyring.set_keyring(drawer)
    yield drawer
    keyring.set_keyring(before)


@pytest.fixture
def clock() -> Clock:
    """Return time that passes only by sleeping."""
    return Clock()


@pytest.fixture
def authority(clock: Clock) -> Iterator[Authority]:
    """Run an authority."""
    with Authority(clock) as running:
        yield running


@pytest.fixture
def exchange(authority: Authority, clock: Clock) -> Iterator[TokenEndpoint]:
    """Return what posts to the authority."""
    endpoint = TokenEndpoint(authority.base_url, waiter=Waiter(clock, clock.sleep), spread=lambda: 0.0)
    yield endpoint
    endpoint.close()


@pytest.fixture
def profiles(tmp_path: Path) -> Profiles:
    """Return an empty place for sign-ins."""
    return Profiles(tmp_path / "data")


@pytest.fixture
def signed_in(authority: Authority, profiles: Profiles, clock: Clock) -> Profiles:
    """Sign in long enough ago that a new one can be had."""
    token = Token.of_reply(json.dumps(authority.issue()).encode(), clock())
    profiles.save("default", authority.app, token, CLIENT_SECRET, scopes=("prospects.read",))
    clock.now += 100
    return profiles
