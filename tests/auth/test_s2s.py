"""Server to server: the app's own token, the installation's token, the organization's own host."""

import json
import sys

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from outreach_frames._auth import (
    MemoryTokenStore,
    RefreshingTokenAuth,
    Secrets,
    ServerApp,
    find_installation,
    installation_refresher,
)
from outreach_frames.errors import AuthError, BadRequestError, MissingExtraError, ServerError

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PEM = KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).decode()
API = "https://app1f.outreach.io/api/v2"
REPLY = {
    "data": {
        "type": "install",
        "id": "3f0c",
        "relationships": {"org": {"data": {"type": "org", "id": 1}, "links": {"api": API}}},
        "meta": {"accessToken": "installation-token"},
    }
}


class Endpoint:
    """Plays the sign-in endpoint."""

    def __init__(self, reply: object = REPLY, error: Exception | None = None) -> None:
        self.reply, self.error = reply, error
        self.asked: list[tuple[str, str, str]] = []

    def __call__(self, path, form=None, *, bearer=None, label=None) -> bytes:
        """Answer."""
        assert form is None
        self.asked.append((path, bearer, label))
        if self.error:
            raise self.error
        return self.reply if isinstance(self.reply, bytes) else json.dumps(self.reply).encode()


@pytest.fixture
def app() -> ServerApp:
    """Return an app with a key."""
    return ServerApp("guid-1", PEM)


def test_the_app_token_is_signed_and_lasts_an_hour(app, clock) -> None:
    """RS256 with iat, exp and iss, and nothing else."""
    token = app.token(clock())

    by_the_tests_clock = {"verify_exp": False, "verify_iat": False}
    claims = jwt.decode(token, KEY.public_key(), algorithms=["RS256"], options=by_the_tests_clock)
    assert claims == {"iss": "guid-1", "iat": int(clock()), "exp": int(clock()) + 3600}
    assert jwt.get_unverified_header(token)["alg"] == "RS256"


def test_an_installations_token_is_got_and_kept_until_it_is_old(app, clock) -> None:
    """It lasts an hour and cannot be refreshed: the next one is asked for in the same way."""
    endpoint, told = Endpoint(), []
    next_token = installation_refresher(app, "3f0c", exchange=endpoint, clock=clock, on_reply=told.append)
    keeper = RefreshingTokenAuth(MemoryTokenStore(Secrets()), next_token, clock=clock, wait=clock.sleep)

    assert keeper.token().access == keeper.token().access == "installation-token"
    assert [path for path, _, _ in endpoint.asked] == ["/api/app/installs/3f0c/actions/accessToken"]
    clock.now += 3500
    keeper.token()

    assert len(endpoint.asked) == 2
    assert {installation.api for installation in told} == {API}


def test_the_setup_token_leads_to_the_installation(app, clock) -> None:
    """It comes on the redirect after installing; it is a secret, so a message may not name it."""
    endpoint = Endpoint()

    installation = find_installation(app, "setup/token", exchange=endpoint, clock=clock)

    assert (installation.id, installation.api) == ("3f0c", API)
    (path, _, label) = endpoint.asked[0]
    assert path == "/api/app/installs/setup%2Ftoken/actions/setupToken"
    assert "setup%2F" not in label


def test_a_refused_app_says_what_to_check(app, clock) -> None:
    """A 404 as well: it is the answer for an app that is not installed."""
    for error in (AuthError("x", status=401), BadRequestError("x", status=400), BadRequestError("x", status=404)):
        next_token = installation_refresher(app, "3f0c", exchange=Endpoint(error=error), clock=clock)

        with pytest.raises(AuthError, match="Check the private key"):
            next_token(Secrets())


def test_a_failing_endpoint_is_no_refusal(app, clock) -> None:
    """Nobody should change keys because a server is down."""
    next_token = installation_refresher(app, "3f0c", exchange=Endpoint(error=ServerError("x", status=500)), clock=clock)

    with pytest.raises(ServerError):
        next_token(Secrets())


@pytest.mark.parametrize(
    "reply",
    [
        {},
        [],
        {"data": None},
        {"data": {"id": "x", "meta": {}}},
        {"data": {"meta": []}},
        b'{"data": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"data": {"meta": {"accessToken": %s}}}' % (b"9" * 5_000),
    ],
)
def test_an_answer_without_a_token_says_so(app, clock, reply) -> None:
    """Not a KeyError."""
    next_token = installation_refresher(app, "3f0c", exchange=Endpoint(reply), clock=clock)

    with pytest.raises(AuthError, match="no access token"):
        next_token(Secrets())


@pytest.mark.parametrize("key", ["", "not a key", PEM.replace("M", "N")])
def test_a_key_that_cannot_be_read_says_so_and_quotes_nothing(clock, key) -> None:
    """It is the most secret thing there is."""
    with pytest.raises(AuthError, match="private key cannot be read") as caught:
        ServerApp("guid-1", key).token(clock())

    assert caught.value.__suppress_context__
    assert key not in repr(ServerApp("guid-1", key)) or not key


def test_without_the_extra_the_message_says_what_to_install(app, clock, monkeypatch) -> None:
    """Most people never need it."""
    monkeypatch.setitem(sys.modules, "jwt", None)

    with pytest.raises(MissingExtraError, match=r"outreach_frames\[s2s\]"):
        app.token(clock())
