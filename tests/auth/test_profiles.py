"""Where sign-ins are kept, and what the files hold."""

import json
import os
import signal
import subprocess
import sys

import keyring
import keyring.backend
import pytest

from outreach_frames._auth import FileTokenStore, Profiles, Secrets, Token
from outreach_frames.errors import AuthError
from tests.auth.token_server import CLIENT_SECRET


def test_without_a_keyring_secrets_are_in_a_private_file(signed_in, tmp_path) -> None:
    """0600 in 0700, whatever the umask."""
    folder = tmp_path / "data" / "profiles"

    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()} == {
        "default.profile": 0o600,
        "default.secrets": 0o600,
        "default.secrets.lock": 0o600,
    }
    assert b"secret" not in (folder / "default.profile").read_bytes()
    assert signed_in.load().scopes == ("prospects.read",)


def test_with_a_keyring_no_secret_is_in_a_file(drawer, signed_in, exchange, clock, tmp_path) -> None:
    """The keyring is locked when the person is away."""
    token_auth = signed_in.token_auth(exchange=exchange, clock=clock, wait=clock.sleep)
    clock.now += 7200

    assert token_auth.token().access == "access-token-2-secret"

    assert list(drawer.entries) == [("outreach_frames", "default")]
    assert "refresh-token-2-secret" in drawer.entries["outreach_frames", "default"]
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"-secret" not in written


class Chest(keyring.backend.KeyringBackend):
    """A keyring in memory."""

    priority = 5

    def __init__(self) -> None:
        super().__init__()
        self.entries = {}

    def get_password(self, service, username):
        """Look an entry up."""
        return self.entries.get((service, username))

    def set_password(self, service, username, password):
        """Put an entry in."""
        self.entries[service, username] = password


class Legible(Chest):
    """A keyring that keeps plain text."""

    priority = 0.5


class Chain(Chest):
    """A keyring that hands on to others."""

    priority = 10

    def __init__(self, *backends) -> None:
        super().__init__()
        self.backends = list(backends)


@pytest.mark.parametrize(
    ("chain", "is_safe"),
    [
        (Chain(Chest(), Chest()), True),
        (Chain(Chest(), Legible()), False),
        (Chain(Chest(), Chain(Chest(), Legible())), False),
        (Legible(), False),
    ],
)
@pytest.mark.usefixtures("drawer")
def test_a_chain_of_keyrings_that_ends_in_plain_text_is_not_used(profiles, authority, clock, chain, is_safe) -> None:
    """Where the first one fails, the next is written to, and nobody is told."""
    keyring.set_keyring(chain)
    profile = profiles.save("default", authority.app, Token("access", "refresh", clock(), clock()), CLIENT_SECRET)

    assert profile.keyring is is_safe
    assert bool(chain.entries) is is_safe
    assert not any(each.entries for each in getattr(chain, "backends", []))


@pytest.mark.parametrize("life", ["7200", "1e308", "9" * 400, "-5", '"long"', "null", "true"])
def test_a_token_lives_for_a_time_that_can_be_told(life) -> None:
    """Whatever the endpoint says; an overflow would end the sign-in."""
    reply = f'{{"access_token": "a", "refresh_token": "r", "expires_in": {life}}}'

    token = Token.of_reply(reply.encode(), 1_800_000_000.0)

    assert abs(token.expires_at - token.minted_at) <= 366 * 86_400
    assert Secrets.of_json(Secrets(token).to_json()).token == token


@pytest.mark.parametrize("character", ["\n", "\r\nX: y", " ", "\x7f", "\u00e9", "\0"])
def test_a_token_that_no_header_can_hold_is_an_auth_error(character) -> None:
    """The HTTP library's error would quote it."""
    reply = json.dumps({"access_token": f"secret{character}token", "refresh_token": "r"}).encode()

    with pytest.raises(AuthError, match="characters that no token has") as caught:
        Token.of_reply(reply, 1_800_000_000.0)

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("reply", [b"[" * 100_000, b'{"access_token": "a\xff"}', b'{"access_token": 5}', b"", b"[]"])
def test_a_reply_that_cannot_be_read_is_an_auth_error(reply) -> None:
    """Not an error of the decoder's."""
    with pytest.raises(AuthError, match="without an access token"):
        Token.of_reply(reply, 0.0)


def test_a_locked_keyring_says_so(drawer, signed_in, exchange, clock) -> None:
    """It is no sign-out."""
    token_auth = signed_in.token_auth(exchange=exchange, clock=clock)
    drawer.is_locked = True

    with pytest.raises(AuthError, match="keyring refused"):
        token_auth.token()


@pytest.mark.usefixtures("drawer")
def test_a_keyring_that_is_gone_says_so(signed_in, exchange) -> None:
    """The same home folder on another machine."""
    import keyring  # noqa: PLC0415
    from keyring.backends.fail import Keyring  # noqa: PLC0415

    keyring.set_keyring(Keyring())

    with pytest.raises(AuthError, match="cannot be reached"):
        signed_in.token_auth(exchange=exchange)


def test_several_organizations_have_a_profile_each(signed_in, authority, exchange, clock) -> None:
    """Names are sorted; each has its own tokens and its own account."""
    token = Token("theirs", "r", clock(), clock() + 7200)
    signed_in.save("acme.eu", authority.app, token, CLIENT_SECRET)

    with pytest.raises(AuthError, match=r"login --profile europe\. There is: acme\.eu, default\."):
        signed_in.load("europe")
    assert signed_in.names() == ["acme.eu", "default"]
    assert signed_in.token_auth("acme.eu", exchange=exchange, clock=clock).token().access == "theirs"
    assert signed_in.load("acme.eu").account != signed_in.load().account


def test_signing_in_anew_is_another_account(signed_in, authority, clock) -> None:
    """It may be another person, who must not be given the first one's cache."""
    before = signed_in.load().account

    after = signed_in.save("default", authority.app, Token("x", None, clock(), clock()), CLIENT_SECRET).account

    assert before != after


def test_signing_out_leaves_nothing(signed_in, tmp_path) -> None:
    """Neither profile nor secrets."""
    signed_in.remove()

    assert signed_in.names() == []
    assert not any(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    with pytest.raises(AuthError, match="Nobody is signed in as 'default'"):
        signed_in.load()


def test_signing_out_empties_the_keyring(drawer, signed_in) -> None:
    """There too."""
    signed_in.remove()

    assert drawer.entries == {}


def test_an_unknown_profile_names_those_there_are(signed_in) -> None:
    """A typing error."""
    with pytest.raises(AuthError, match="There is: default"):
        signed_in.load("defualt")


@pytest.mark.parametrize("name", ["", "../other", "a/b", ".hidden", "a" * 65, "a b", "nul\0"])
def test_a_profiles_name_cannot_point_elsewhere(profiles, name) -> None:
    """It becomes a file name."""
    with pytest.raises(AuthError, match="cannot be the name"):
        profiles.load(name)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"token": {"access": 1}}', b"\xff"])
def test_damaged_files_say_so_and_quote_nothing(signed_in, exchange, tmp_path, content) -> None:
    """The decoder's own message could quote a token."""
    folder = tmp_path / "data" / "profiles"
    (folder / "default.secrets").write_bytes(content)
    with pytest.raises(AuthError, match="cannot be read") as caught:
        signed_in.token_auth(exchange=exchange).token()
    assert caught.value.__suppress_context__

    (folder / "default.profile").write_bytes(content)
    with pytest.raises(AuthError, match="cannot be read"):
        signed_in.load()


WRITER = """
import sys, pathlib
from outreach_frames._auth import FileTokenStore, Secrets, Token
store = FileTokenStore(pathlib.Path(sys.argv[1]))
print("ready", flush=True)
n = 0
while True:
    n += 1
    store.save(Secrets(Token(f"a{n}", "r" * 5000, n, n)))
    print(n, flush=True)
"""


def test_killed_while_saving_the_old_or_the_new_token_is_there(tmp_path) -> None:
    """Never half of one: that would cost the sign-in."""
    path = tmp_path / "secrets"
    for n in range(10):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE)
        for _ in range(2 + n):  # "ready", then how many are saved
            saved = writer.stdout.readline()
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()

        token = FileTokenStore(path).load().token
        assert int(token.access[1:]) >= int(saved)
        assert token.refresh == "r" * 5000


def test_a_failed_save_leaves_no_scraps(tmp_path, monkeypatch) -> None:
    """They would hold a token."""

    def fail(_: int) -> None:
        raise OSError

    store = FileTokenStore(tmp_path / "secrets")
    monkeypatch.setattr(os, "fsync", fail)

    with pytest.raises(AuthError, match="cannot be saved"):
        store.save(Secrets(Token("a", None, 0, 0)))

    assert list(tmp_path.iterdir()) == []


def test_the_default_folder_is_the_users_own(monkeypatch, tmp_path) -> None:
    """Not the cache folder, which people delete."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))

    assert Profiles()._folder.is_relative_to(tmp_path) or sys.platform != "linux"
