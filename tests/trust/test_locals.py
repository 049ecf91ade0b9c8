"""
Tracebacks with local variables (IPython's verbose ones, rich, Sentry) show no secret and no whole body of people.

Only the frames of this package and of what it calls are looked at: what a caller holds in variables is the caller's.
"""

import json
import signal
import socket
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

import outreach_frames as of
from outreach_frames._auth import App, FileTokenStore, Profiles, Secrets, ServerApp, Token, find_installation, login
from outreach_frames._auth.oauth import read_redirect
from outreach_frames._http import BearerAuth, Session, TokenEndpoint
from outreach_frames._secrets import HiddenBytes, HiddenText, hidden
from outreach_frames.errors import OutreachError
from tests.trust.trust_setting import app_key, connect, keep_profile, signed_in, token_auth

SECRET = "a-webhook-secret-of-twenty-and-more"
PERSON = "sally.confidential@example.com"
TESTS = str(Path(__file__).parents[1])


def shown(error: BaseException | None) -> str:
    """Return what the tracebacks of an error and of its causes show, long texts also as rich cuts them."""
    told = []
    while error is not None:
        for frame, _ in traceback.walk_tb(error.__traceback__):
            if not frame.f_code.co_filename.startswith(TESTS):
                for name, value in frame.f_locals.items():
                    cut = value[:80] if isinstance(value, str | bytes) else ""
                    told.append(f"{frame.f_code.co_filename} {frame.f_code.co_name} {name} = {value!r} {cut!r}\n")
        error = error.__cause__ or error.__context__
    return "".join(told)


def failing(what: Callable[[], object], kind: type[BaseException] = OutreachError) -> str:
    """Do something that fails; return what a traceback with local variables shows of it."""
    with pytest.raises(kind) as caught:
        what()
    told = shown(caught.value)
    assert told
    return told


def secrets_of(sandbox) -> list[str]:
    """Return every token and secret that the sandbox knows."""
    return [*sandbox._state.tokens._grants, *sandbox.oauth._refreshes, sandbox.oauth.client_secret]


def found(sandbox, told: str, *more: str) -> list[str]:
    """Return where a secret is shown."""
    return [line for line in told.splitlines() for each in [*secrets_of(sandbox), *more] if each in line]


def ended(sandbox, token_auth) -> None:
    """Use a token that cannot be renewed."""
    for refresh in list(sandbox.oauth._refreshes):
        sandbox.oauth.end(refresh)
    token_auth.token()


def test_the_scan_finds_what_is_there() -> None:
    """One that finds nothing proves something only where it could have found it."""

    def leaking(secret: str) -> None:
        json.loads(secret)

    assert "not-json" in failing(lambda: leaking("not-json-at-all"), json.JSONDecodeError)


@pytest.mark.parametrize("fault", [{"status": 400}, {"status": 500}, {"delivery": "dropped"}, {"delivery": "cut"}])
def test_a_failing_refresh_shows_no_secret(sandbox, tmp_path, fault) -> None:
    """The form holds the refresh token and the app's secret."""
    mine = signed_in(sandbox, tmp_path, lifetime=-1.0)
    sandbox.faults.add(path="/oauth/token", method="POST", times=None, **fault)

    assert found(sandbox, failing(mine.token)) == []


def test_a_sign_in_that_has_ended_shows_no_secret(sandbox, tmp_path) -> None:
    """The commonest failure of all."""
    mine = signed_in(sandbox, tmp_path, lifetime=-1.0)

    assert found(sandbox, failing(lambda: ended(sandbox, mine))) == []


@pytest.mark.parametrize(
    "damage", [lambda text: text[:-3], lambda text: text.replace('"access":"', '"access":5,"x":"')]
)
def test_a_damaged_store_shows_no_secret(sandbox, tmp_path, damage) -> None:
    """What cannot be read is shown by nobody."""
    keep_profile(sandbox, tmp_path)
    (path,) = tmp_path.rglob("*.secrets")
    path.write_text(damage(path.read_text()))

    assert found(sandbox, failing(token_auth(sandbox, tmp_path).token)) == []


def test_a_store_that_cannot_be_written_shows_no_secret(tmp_path) -> None:
    """The token is in hand at that moment."""
    store = FileTokenStore(tmp_path / "missing" / "secrets")
    kept = Secrets(Token("access-token", "refresh-token", 0.0, 1.0), SECRET)

    told = failing(lambda: store.save(kept))

    assert not [each for each in ("access-token", "refresh-token", SECRET) if each in told]


@pytest.mark.parametrize("consents", [True, False])
def test_a_failing_sign_in_shows_no_secret(sandbox, tmp_path, consents) -> None:
    """Neither the app's, nor the code, nor its verifier."""
    app = App(sandbox.oauth.client_id, "https://example.com/callback", sandbox.base_url)
    codes = []

    def pasted(_: str) -> str:
        if not consents:
            return "https://example.com/callback?code=a-code-of-another&state=another"
        codes.append("a-code-that-is-refused")
        return codes[0]

    told = failing(
        lambda: login(
            app,
            sandbox.oauth.client_secret,
            ["users.read"],
            exchange=TokenEndpoint(sandbox.base_url),
            profiles=Profiles(tmp_path),
            ask=pasted,
            open_browser=lambda _: None,
        )
    )

    assert found(sandbox, told, "a-code-") == []


def test_a_code_that_is_pasted_wrongly_is_not_shown() -> None:
    """It may be good for minutes."""
    assert "a-code" not in failing(lambda: read_redirect("code=a-code&state=theirs", state="mine"))


def test_an_app_whose_sign_in_fails_shows_no_key(sandbox) -> None:
    """Nor its token, nor the setup token."""
    private = app_key()[0]
    line = private.splitlines()[3]
    app = ServerApp("guid", private)
    exchange = TokenEndpoint(sandbox.base_url)

    told = failing(lambda: of.connect_server("guid", private, "installation", base_url=sandbox.base_url))
    told += failing(lambda: find_installation(app, "a-setup-token", exchange=exchange, clock=sandbox.seconds))
    told += failing(lambda: of.connect_server("guid", f"no key {line}", "installation", base_url=sandbox.base_url))

    assert not [part for part in (line, "eyJ", "a-setup-token") if part in told]


def test_refused_connections_show_no_token(sandbox) -> None:
    """A token with a line end; a base URL that it must not go to."""
    told = failing(lambda: of.connect(f"{sandbox.token}\n", sandbox.base_url))
    told += failing(lambda: of.connect(sandbox.token, "http://elsewhere.example"))
    told += failing(lambda: of.connect_jsonapi("http://elsewhere.example", sandbox.token))
    told += failing(lambda: of.connect_jsonapi("http://elsewhere.example", ("user", SECRET)))

    assert found(sandbox, told, SECRET) == []


FAULTS = {
    "not found": {"status": 404},
    "failed": {"status": 500, "body": PERSON.encode()},
    "dropped": {"delivery": "dropped"},
    "no document": {"status": 200, "body": f'{{"data": "{PERSON}"}}'.encode()},
    "no JSON": {"status": 200, "body": f"<html>{PERSON}".encode()},
    "refused": {"status": 422, "body": f'{{"errors": [], "meta": "{PERSON}"}}'.encode()},
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_failing_read_shows_neither_token_nor_body(sandbox, tmp_path, fault) -> None:
    """An answer is a page of people."""
    sandbox.faults.add(path="/prospects", times=None, **fault)
    with connect(sandbox, tmp_path, BearerAuth(sandbox.token)) as org:
        told = failing(lambda: of.fetch(org, "prospects"))

    assert found(sandbox, told, PERSON) == []


def test_a_failing_write_shows_no_secret(sandbox, tmp_path) -> None:
    """A webhook is made with the secret that its deliveries are signed with."""
    sandbox.faults.add(path="/webhooks*", times=None, status=422)
    with connect(sandbox, tmp_path, BearerAuth(sandbox.token)) as org:
        told = failing(lambda: of.patterns.subscribe(org, "https://example.com/", secret=SECRET))
        told += failing(lambda: org.create("webhooks", url="https://example.com/", secret=SECRET))
        told += failing(lambda: org.update("webhooks", 1, secret=SECRET))

    assert found(sandbox, told, SECRET) == []


def test_a_secret_that_is_hidden_arrives(sandbox, tmp_path) -> None:
    """It is hidden from whoever prints it only."""
    with connect(sandbox, tmp_path, BearerAuth(sandbox.token)) as org:
        made = of.patterns.subscribe(org, "https://example.com/", secret=SECRET)

    assert (
        next(each for each in sandbox.store.records("webhook") if each.id == made["id"]).attributes["secret"] == SECRET
    )


def test_a_delivery_with_another_signature_shows_neither_secret_nor_body() -> None:
    """Nor the signature that would have been right."""
    body = json.dumps({"data": PERSON}).encode()

    told = failing(lambda: of.webhooks.verify(body, "0" * 64, secret=SECRET))
    told += failing(lambda: of.webhooks.parse(body))

    assert not [part for part in (SECRET, PERSON) if part in told]


@contextmanager
def silent_server() -> Iterator[tuple[str, threading.Event]]:
    """Take requests and never answer; tell when one has come."""
    arrived = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            visitor, _ = listening.accept()
            with visitor:
                visitor.recv(1 << 16)
                arrived.set()
                visitor.recv(1)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", arrived


@pytest.mark.parametrize("kind", ["read", "write", "refresh"])
def test_an_interrupt_in_the_middle_of_an_answer_shows_no_secret(sandbox, tmp_path, kind) -> None:
    """Ctrl-C is raised in the innermost frame of all, where everything is in somebody's variables."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts jobs in the background without it
    body = json.dumps({"data": PERSON}).encode()
    with silent_server() as (url, arrived):
        session = Session(url, BearerAuth(sandbox.token), account="a", cache_dir=tmp_path)
        refresh = {"refresh_token": HiddenText("a-refresh-token"), "client_secret": HiddenText(SECRET)}
        work = {
            "read": lambda: session.get("/users"),
            "write": lambda: session.send("POST", "/prospects", body=body),
            "refresh": lambda: TokenEndpoint(url)("/oauth/token", refresh),
        }[kind]

        def interrupt() -> None:
            arrived.wait(30)
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

        threading.Thread(target=interrupt, daemon=True).start()
        told = failing(work, KeyboardInterrupt)
        session.close()

    assert arrived.is_set()
    assert found(sandbox, told, PERSON, SECRET, "a-refresh-token") == []


@given(st.one_of(st.text(min_size=8), st.binary(min_size=8)), st.slices(8))
def test_what_is_hidden_is_equal_and_not_shown(value, part) -> None:
    """Its parts neither, whatever prints them."""
    covered = hidden(value)

    assert covered == value
    assert hash(covered) == hash(value)
    assert covered[part] == value[part]
    assert {repr(covered), repr(covered[part])} <= {"'…'", "b'…'"}
    assert isinstance(covered, HiddenText | HiddenBytes)
