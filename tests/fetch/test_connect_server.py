"""An app that signs in by itself, against the sandbox's own verification of its signature."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

import outreach_frames as of
from outreach_frames.errors import AuthError, CacheMissError, QueryError, UnknownNameError
from tests.fetch_support import Answers


def pem_pair():
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return private, key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@pytest.fixture(scope="module")
def org():
    with of.sandbox(prospects=20) as client:
        yield client


def test_an_installed_app_fetches_without_a_user(org, tmp_path):
    private, public = pem_pair()
    guid = org.sandbox.installs.register_key(public)
    installation = org.sandbox.installs.install(guid)

    with of.connect_server(guid, private, installation, base_url=org.base_url, cache_dir=tmp_path) as server:
        prospects = of.fetch(server, "prospects")

    assert len(prospects) == 20
    assert not any(private[40:80].encode() in file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())


def test_another_key_is_refused(org, tmp_path):
    private, public = pem_pair()
    guid = org.sandbox.installs.register_key(public)
    other, _ = pem_pair()

    with pytest.raises(AuthError) as caught:
        of.connect_server(guid, other, org.sandbox.installs.install(guid), base_url=org.base_url, cache_dir=tmp_path)

    assert private not in str(caught.value)
    with pytest.raises(AuthError, match="private key"):
        of.connect_server(guid, "no key", "x", base_url=org.base_url, cache_dir=tmp_path)


def test_an_app_that_is_offline_asks_for_no_token(org, tmp_path):
    private, public = pem_pair()
    guid = org.sandbox.installs.register_key(public)
    app = {"base_url": org.base_url, "cache_dir": tmp_path}
    installation = org.sandbox.installs.install(guid)
    with of.connect_server(guid, private, installation, **app) as server:
        expected = of.fetch(server, "users")
    sent = len(org.sandbox.requests)

    with of.connect_server(guid, private, installation, offline=True, **app) as server:
        assert of.fetch(server, "users").equals(expected)
        with pytest.raises(CacheMissError):
            of.fetch(server, "accounts")

    assert len(org.sandbox.requests) == sent


def test_another_server_is_cached_on_request_for_each_sign_in(org, tmp_path):
    """Whoever has another token sees nothing of the first one's answers, not even offline."""
    options = {"cache": True, "cache_dir": tmp_path}
    with of.connect_jsonapi(org.base_url, org.sandbox.token, **options) as server:
        expected = of.fetch(server, "users")
    sent = len(org.sandbox.requests)

    with of.connect_jsonapi(org.base_url, org.sandbox.token, **options) as server:
        assert of.fetch(server, "users").equals(expected)
    for auth in ("another token", ("user", "password"), None):
        with of.connect_jsonapi(org.base_url, auth, offline=True, **options) as server, pytest.raises(CacheMissError):
            of.fetch(server, "users")

    assert len(org.sandbox.requests) == sent
    with pytest.raises(QueryError, match="that a function signs"):
        of.connect_jsonapi(org.base_url, lambda request: request, **options)


@pytest.mark.parametrize(
    "connect",
    [
        lambda **options: of.connect_server("guid", "key", "installation", **options),
        lambda **options: of.connect_jsonapi("https://api.example.org", **options),
        lambda **options: of.sandbox(prospects=5, **options),
    ],
    ids=["connect_server", "connect_jsonapi", "sandbox"],
)
def test_every_way_to_connect_knows_its_options(connect):
    with pytest.raises(UnknownNameError, match="offline"):
        connect(ofline=True)


@pytest.mark.parametrize("auth", ["a-token-from-a-file\n", "a-tök€n-from-a-file"])
def test_a_token_that_cannot_be_sent_is_refused_without_being_shown(auth):
    with pytest.raises(AuthError) as caught:
        of.connect_jsonapi("https://api.example.org", auth)

    assert "token-from" not in str(caught.value)


@pytest.mark.parametrize("auth", [("u", "p", "x"), ("u",), (), ("u", 1), ["u", "p"], 7, b"token"])
def test_what_signs_no_request_is_refused(auth):
    """It was a TypeError from the inside, with the password in its frames."""
    with pytest.raises(of.errors.QueryError, match="signs no request") as caught:
        of.connect_jsonapi("https://books.example", auth=auth)

    assert "'p'" not in str(caught.value)


def test_a_user_name_beyond_latin_letters_is_sent_in_utf_8():
    """By RFC 7617; it was a UnicodeEncodeError that holds the password."""
    with Answers({"/book": {"data": []}}) as server:
        with of.connect_jsonapi(server.url, auth=("Łukasz", "zażółć")) as client:
            of.fetch(client, "book")

        assert base64.b64decode(server.tokens[0].removeprefix("Basic ")).decode() == "Łukasz:zażółć"
