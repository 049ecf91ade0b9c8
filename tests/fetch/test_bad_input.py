"""What goes wrong first for a newcomer: each raises its own typed error, and the command line says it in a sentence."""

import socket

import pytest
from click.testing import CliRunner

import outreach_frames as of
from outreach_frames._http import BearerAuth, Session, Waiter
from outreach_frames.cli import main
from outreach_frames.connections import Client
from outreach_frames.errors import (
    AuthError,
    DocumentError,
    OutreachError,
    QueryError,
    ServerError,
    TransportError,
    UnknownNameError,
)
from tests.scripted_server import Scripted, Server

WHOLE = b'{"data": [{"type": "account", "id": 1, "attributes": {"name": "Acme"}}]}'
TOKEN = "a-secret-that-no-message-may-show"


def server_that_answers(status, body, *, announced=None):
    """Serve the same answer to every request."""
    headers = {"Content-Length": str(announced or len(body)), "Connection": "close"}
    return Server(lambda _: Scripted(status, body, headers))


def impatient(base_url, folder):
    """Connect as `connect` does, with pauses that take no time."""
    session = Session(
        base_url, BearerAuth(TOKEN), account="test", cache_dir=folder, waiter=Waiter(sleep=lambda _: None)
    )
    return Client(session)


def dead_url():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


@pytest.mark.parametrize(
    ("status", "body", "announced", "error"),
    [
        (500, b"{}", None, ServerError),
        (200, b"<html>hello</html>", None, DocumentError),
        (200, WHOLE[:40], len(WHOLE), TransportError),
        (200, WHOLE[:40], None, DocumentError),
        (200, b'{"data": [{"type": "user", "id": 1}]}', None, DocumentError),
        (200, b'"a text"', None, DocumentError),
    ],
    ids=["500", "not JSON", "connection cut", "body cut", "another type", "no document"],
)
def test_answers_that_are_none(tmp_path, status, body, announced, error):
    with server_that_answers(status, body, announced=announced) as server, impatient(server.url, tmp_path) as org:
        with pytest.raises(error) as caught:
            of.fetch(org, "accounts")

        assert caught.value.hint or caught.value.resource_type == "user"
        assert TOKEN not in str(caught.value)
        assert org.cache.info().answers == 0


def test_a_good_answer_passes_the_same_server(tmp_path):
    """So that the failures above are not the server's own."""
    with server_that_answers(200, WHOLE) as server, impatient(server.url, tmp_path) as org:
        assert of.fetch(org, "accounts")["name"].tolist() == ["Acme"]


def test_nobody_listens(tmp_path):
    with impatient(dead_url(), tmp_path) as org, pytest.raises(TransportError) as caught:
        of.fetch(org, "accounts")

    assert caught.value.hint


@pytest.fixture(scope="module")
def sandbox():
    with of.sandbox(prospects=30) as org:
        yield org


def test_a_wrong_token(sandbox, tmp_path):
    with of.connect("wrong", sandbox.base_url, cache_dir=tmp_path) as org, pytest.raises(AuthError) as caught:
        of.fetch(org, "accounts")

    assert caught.value.status == 401
    assert caught.value.hint


def test_no_token_at_all(monkeypatch):
    monkeypatch.delenv("OUTREACH_TOKEN", raising=False)

    with pytest.raises(AuthError, match="OUTREACH_TOKEN"):
        of.connect()


def test_a_token_is_never_sent_in_clear_to_another_machine():
    with pytest.raises(OutreachError, match="http"):
        of.connect(TOKEN, "http://api.outreach.io/api/v2")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((["prospekts"], {}), UnknownNameError),
        ((["prospects"], {"fields": ["frist_name"]}), UnknownNameError),
        ((["prospects"], {"include": "acount"}), UnknownNameError),
        ((["prospects"], {"filter": {"opted_out": True}}), QueryError),
    ],
)
def test_questions_that_make_no_sense(sandbox, arguments, error):
    (args, kwargs) = arguments
    with pytest.raises(error) as caught:
        of.fetch(sandbox, *args, **kwargs)

    assert caught.value.hint


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["prospekts"], "There is no resource 'prospekts'"),
        (["prospects", "--fields", "frist_name"], "did you mean 'first_name'"),
        (["prospects", "--filter", "opted_out=true"], "cannot be filtered"),
    ],
)
def test_the_command_says_what_is_wrong_in_a_sentence(sandbox, monkeypatch, tmp_path, arguments, said):
    monkeypatch.setenv("OUTREACH_BASE_URL", sandbox.base_url)
    monkeypatch.setenv("OUTREACH_TOKEN", sandbox.sandbox.token)

    result = CliRunner().invoke(main, ["fetch", *arguments, "--out", str(tmp_path / "out.csv")])

    assert result.exit_code == 1
    assert said in result.output
    assert "Traceback" not in result.output
    assert not (tmp_path / "out.csv").exists()


def test_the_command_fails_politely_where_nobody_listens_or_the_token_is_wrong(sandbox, monkeypatch, tmp_path):
    monkeypatch.setenv("OUTREACH_TOKEN", TOKEN)
    for url in (sandbox.base_url, dead_url()):
        monkeypatch.setenv("OUTREACH_BASE_URL", url)

        result = CliRunner().invoke(main, ["fetch", "accounts", "--out", str(tmp_path / "out.csv")])

        assert result.exit_code == 1
        assert "Hint:" in result.output
        assert TOKEN not in result.output
        assert "Traceback" not in result.output


@pytest.mark.parametrize(
    "arguments", [["fetch"], ["fetsch"], ["fetch", "x", "--out", "x.txt"], ["demo", "--prospects", "0"]]
)
def test_usage_errors_exit_with_2(arguments):
    assert CliRunner().invoke(main, arguments).exit_code == 2
