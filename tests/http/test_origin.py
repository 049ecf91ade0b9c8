"""Where a token may go, and where it never goes."""

import pytest

import outreach_frames as of
from outreach_frames._http import BearerAuth, Session
from outreach_frames._http.origin import check_base_url, check_origin
from outreach_frames.errors import OriginError, TransportError
from tests.scripted_server import Scripted, Server

VENDOR = "https://api.outreach.io/api/v2"


@pytest.mark.parametrize(
    "url",
    [
        "https://api.outreach.io/api/v2/prospects?page[after]=x",
        "https://app1f.outreach.io/api/v2/prospects",
        "https://outreach.io/",
        "https://API.OUTREACH.IO:443/api/v2",
    ],
)
def test_the_vendors_hosts_are_allowed(url) -> None:
    """An organization can live on another host, and its links name that one."""
    check_origin(url, VENDOR)


@pytest.mark.parametrize(
    "url",
    [
        "http://api.outreach.io/api/v2/prospects",
        "https://api.outreach.io:8443/api/v2",
        "https://evil-outreach.io/",
        "https://outreach.io.evil.example/",
        "https://api.outreach.io@evil.example/",
        "https://evil.example\\@api.outreach.io/",
        "https://evil.example/?https://api.outreach.io",
        "https://xn--outreach-.io/",
        "ftp://api.outreach.io/",
        "//evil.example/",
        "https://[::1/",
    ],
)
def test_everything_else_is_refused(url) -> None:
    """Links are data from outside; a parser that reads the host otherwise than the connection does is a hole."""
    with pytest.raises(OriginError):
        check_origin(url, VENDOR)


def test_the_configured_origin_is_allowed_with_its_port_only() -> None:
    """Another port of the same machine is another program."""
    check_origin("http://127.0.0.1:8000/api/v2/users", "http://127.0.0.1:8000/api/v2")
    with pytest.raises(OriginError):
        check_origin("http://127.0.0.1:8001/api/v2/users", "http://127.0.0.1:8000/api/v2")


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/api/v2/", "http://localhost:1/api/v2", "http://[::1]:1/api/v2"])
def test_plain_http_is_allowed_to_this_machine(url) -> None:
    """The embedded organization has no certificate, and nobody listens on loopback."""
    assert check_base_url(url) == url.rstrip("/")


@pytest.mark.parametrize("url", ["http://api.outreach.io/api/v2", "http://10.0.0.1/", "http://localhost.evil.example/"])
def test_plain_http_to_another_machine_is_refused_before_anything_is_sent(url, tmp_path) -> None:
    """The token could be read on the way."""
    with pytest.raises(OriginError, match="https"):
        Session(url, BearerAuth("x"), account="a", cache_dir=tmp_path)


def test_a_link_elsewhere_is_refused_before_anything_is_sent(server, connect) -> None:
    """A forged ``links.next`` must not carry the token away."""
    with Server() as elsewhere, pytest.raises(OriginError, match="outside this organization's hosts"):
        connect().get(f"http://127.0.0.1:{elsewhere.server_port}/api/v2/users?page[after]=x")

    assert server.requests == []


def test_a_redirect_elsewhere_is_not_followed(server, connect) -> None:
    """Requests would follow it and, in its older versions, take the token along."""
    server.script = [Scripted(302, b"", {"Location": "https://evil.example/api/v2/users"})]
    session = connect()

    with pytest.raises(OriginError):
        session.get("/users")

    assert session.cache.info().answers == 0


def test_somebody_elses_token_is_not_redirected_to_outreach(server) -> None:
    """Another server could otherwise send its users' tokens to any host that has a name below ``outreach.io``."""
    server.script = [Scripted(302, b"", {"Location": "https://elsewhere.outreach.io/articles"})]

    with of.connect_jsonapi(server.base_url, "a token") as client:
        with pytest.raises(OriginError, match="leads away from the server"):
            client.get("/articles")
        with pytest.raises(OriginError, match="leads away from the server"):
            client.get("https://api.outreach.io/articles")

    assert server.paths == ["/articles"]


def test_a_redirect_within_the_origin_is_followed(server, connect) -> None:
    """The answer is what was asked for, under the URL that was asked."""
    server.script = [Scripted(307, b"", {"Location": "/api/v2/people"})]

    answer = connect().get("/users")

    assert server.paths == ["/users", "/people"]
    assert answer.url.endswith("/users")


def test_redirects_end(server, connect) -> None:
    """A circle would go round for ever."""
    server.respond = lambda _: Scripted(302, b"", {"Location": "/api/v2/users"})

    with pytest.raises(TransportError, match="points elsewhere"):
        connect().get("/users")

    assert len(server.requests) == 6


def test_a_write_is_not_redirected(server, connect) -> None:
    """Following would mean sending it twice, or as a read."""
    server.script = [Scripted(307, b"", {"Location": "/api/v2/people"})]

    with pytest.raises(TransportError, match="points elsewhere"):
        connect().send("POST", "/users", body=b"{}")

    assert server.paths == ["/users"]


def test_this_machine_is_never_asked_through_a_proxy(server, connect, monkeypatch) -> None:
    """A company proxy in the environment would be shown the token in plain text."""
    with Server() as proxy:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.server_port}")
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)

        connect().get("/users")

    assert (len(server.requests), len(proxy.requests)) == (1, 0)


def test_passwords_of_a_netrc_file_are_not_sent(server, connect, monkeypatch, tmp_path) -> None:
    """Requests takes them from the home folder by itself, which would replace the token."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))

    connect().get("/users")

    assert server.requests[0].headers["Authorization"].startswith("Bearer ")


def test_cookies_are_neither_kept_nor_sent(server, connect) -> None:
    """The API needs none, and a cookie is a secret."""
    server.script = [Scripted(headers={"Set-Cookie": "session=secret; Path=/"})]
    session = connect()

    session.get("/users")
    session.get("/prospects")

    assert "Cookie" not in server.requests[1].headers
