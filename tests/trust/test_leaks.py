"""
After a run of everything: no secret on disk outside the token store, and neither secrets nor people in logs and errors.

Answers are compressed on disk, so a look at the raw bytes alone would find nothing whatever was in them; the scan reads
them back as well, and is first shown to find what is there.
"""

import base64
import logging
import socket
import sqlite3
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit
from urllib.request import urlopen

import click
import pandas as pd
import pytest
from click.testing import CliRunner

import outreach_frames as of
from outreach_frames._auth import Profiles
from outreach_frames._http import Session, TokenEndpoint, Waiter
from outreach_frames._http.cache import decode_response
from outreach_frames._sandbox import Sandbox
from outreach_frames.cli import main
from outreach_frames.client import Client
from outreach_frames.errors import OutreachError
from tests.trust.trust_setting import PAGE, app_key, organization

ADDRESS = "sally.confidential@example.com"
COOKIE = "a-cookie-that-nobody-may-keep"
NAME = "Confidential Ltd"


class Run:
    """
    What a run of everything left behind.

    Attributes
    ----------
    home
        Folder of all the user's folders.
    secrets
        Every token, code, key and cookie that there was.
    said
        Everything that was logged, printed, warned of or raised.
    """

    def __init__(self, sandbox: Sandbox, home: Path) -> None:
        self.sandbox = sandbox
        self.home = home
        self.codes: list[str] = []
        self.keys: list[str] = []
        self.said = ""

    @property
    def secrets(self) -> list[str]:
        """Return the secrets, from the sandbox's own books."""
        tokens = [*self.sandbox._state.tokens._grants, *self.sandbox.oauth._refreshes]
        return [*tokens, *self.codes, *self.keys, self.sandbox.oauth.client_secret, COOKIE]

    def command(self, *arguments: object) -> None:
        """Run a command."""
        self.said += CliRunner().invoke(main, [str(each) for each in arguments]).output

    def attempt(self, what: Callable[[], object]) -> None:
        """Do something that fails, and keep what is said about it."""
        with pytest.raises(OutreachError) as caught:
            what()
        self.said += f"{caught.value} {caught.value!r} {''.join(traceback.format_exception(caught.value))}"

    def browse(self, url: str) -> None:
        """Agree in a browser, in a thread as browsers do."""

        def visit() -> None:
            with urlopen(url, timeout=30) as back:  # noqa: S310  http to this machine; and it logs nothing
                self.codes.extend(parse_qs(urlsplit(back.url).query)["code"])

        threading.Thread(target=visit, daemon=True).start()


def free_port() -> int:
    """Return a port that nobody uses."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def everything(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sign in, read, write, fail, get a new token, and sign out of nothing yet."""
    sandbox, home = run.sandbox, run.home
    monkeypatch.setattr(click, "launch", run.browse)
    monkeypatch.setenv("OUTREACH_BASE_URL", sandbox.base_url)
    monkeypatch.setenv("OUTREACH_CLIENT_ID", sandbox.oauth.client_id)
    monkeypatch.setenv("OUTREACH_CLIENT_SECRET", sandbox.oauth.client_secret)
    scopes = "accounts.all prospects.all users.read"
    run.command("login", "--redirect-uri", f"http://localhost:{free_port()}/callback", "--scopes", scopes)
    run.command("whoami")
    run.command("fetch", "accounts", "--out", home / "accounts.parquet")
    run.command("snapshot", home / "snapshot", "--resources", "accounts,users")
    run.command("cache", "info")
    by_itself(run)
    with of.connect() as org:
        reading(run, org)
        writing(run, org)
        renewing(run, org)


def reading(run: Run, org: Client) -> None:
    """Read in every way, through faults of every kind."""
    of.fetch(org, "prospects", filter={"emails": ADDRESS}, page_size=PAGE)
    of.fetch(org, "accounts", parallel=3, page_size=PAGE, refresh=True)
    of.fetch_one(org, "accounts", 1)
    of.count(org, "prospects", filter={"emails": ADDRESS})
    list(of.fetch_batches(org, "accounts", page_size=PAGE))
    search = {"filter": {"emails": ADDRESS}, "refresh": True}
    for fault in (
        {"body": f'{{"data": "{ADDRESS} {NAME}"}}'.encode()},
        {"body": f"<html>{ADDRESS} {NAME}".encode(), "times": 9},
        {"status": 404},
        {"status": 422, "body": f'{{"errors": [{{"id": "x", "detail": "{ADDRESS} {NAME}"}}]}}'.encode()},
        {"status": 400, "body": f'{{"errors": [{{"id": "x", "title": "{ADDRESS}"}}]}}'.encode()},
        {"status": 403, "body": f'{{"errors": [{{"id": "unauthorizedRequest", "detail": "{ADDRESS}"}}]}}'.encode()},
    ):
        run.sandbox.faults.clear()
        run.sandbox.faults.add(path="/prospects", **fault)
        run.attempt(lambda: of.fetch(org, "prospects", **search))
    with of.connect(offline=True) as offline:
        run.attempt(lambda: of.fetch(offline, "prospects", filter={"emails": f"x{ADDRESS}"}))
    run.attempt(lambda: of.fetch(org, "tasks"))
    run.attempt(lambda: of.fetch_one(org, "accounts", ADDRESS))


def writing(run: Run, org: Client) -> None:
    """Write in every way, through what can go wrong with it."""
    org.create("prospects", first_name="Sally", emails=[f"x{ADDRESS}"])
    of.write_frame(org, "prospects", pd.DataFrame({"emails": [[f"y{ADDRESS}"]], "first_name": ["S"]}), confirm=True)
    for fault in ({"delivery": "cut"}, {"delivery": "dropped"}, {"status": 500}, {"delivery": "short"}):
        run.sandbox.faults.clear()
        run.sandbox.faults.add(path="/prospects", method="POST", **fault)
        run.attempt(lambda: org.create("prospects", first_name=NAME, emails=[f"z{ADDRESS}"]))
    run.attempt(lambda: org.create("prospects", emails=[ADDRESS], account=999_999))
    org.delete("accounts", 23)


def renewing(run: Run, org: Client) -> None:
    """Use a token up, get another, and lose that one too."""
    sandbox = run.sandbox
    sandbox.faults.clear()
    waiter = Waiter(sandbox.seconds, sandbox.advance)
    token_auth = Profiles().token_auth(
        exchange=TokenEndpoint(sandbox.base_url, waiter=waiter), clock=waiter.clock, wait=waiter.wait
    )
    with Client(Session(sandbox.base_url, token_auth, account="again", waiter=waiter)) as again:
        for fault in ({"revokes_token": True}, {"status": 429, "times": 3}, {"status": 503, "wait_s": 60.0}):
            sandbox.faults.add(path="/accounts", headers={"set-cookie": f"session={COOKIE}"}, **fault)
            of.fetch(again, "accounts", refresh=True)
        sandbox.faults.add(path="/oauth/token", headers={"set-cookie": f"session={COOKIE}"}, delivery="cut")
        sandbox.faults.add(path="/accounts", revokes_token=True)
        run.attempt(lambda: of.fetch(again, "accounts", refresh=True))
    run.attempt(lambda: of.fetch(org, "accounts", refresh=True))


def by_itself(run: Run) -> None:
    """Sign in as an app, with its key and with another."""
    private, public = app_key()
    run.keys.append(private.splitlines()[3])
    installs = run.sandbox.installs
    installation = installs.install(guid := installs.register_key(public))
    run.sandbox.faults.add(path="/api/app/*", times=None, headers={"set-cookie": f"session={COOKIE}"})
    with of.connect_server(guid, private, installation, base_url=run.sandbox.base_url) as org:
        of.fetch(org, "prospects", filter={"emails": ADDRESS})
    run.attempt(lambda: of.connect_server(guid, app_key()[0], installation, base_url=run.sandbox.base_url))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Run everything once, with everything logged that anybody logs, and with a cookie from every endpoint."""
    person = {"type": "prospect", "id": 1, "attributes": {"emails": [ADDRESS], "firstName": "Sally"}}
    firm = {"type": "account", "id": 24, "attributes": {"name": NAME, "named": True}}
    with Sandbox([*organization(), firm, person]) as sandbox:
        yield ran(sandbox, tmp_path_factory.mktemp("everything"))
        assert sandbox.failures == ()


def ran(sandbox: Sandbox, home: Path) -> Run:
    """Run everything, in a home of its own."""
    run = Run(sandbox, home)
    (home / "log").mkdir()
    handler = logging.FileHandler(home / "log" / "everything.log")
    root = logging.getLogger()
    level = root.level
    with pytest.MonkeyPatch.context() as monkeypatch, warnings.catch_warnings(record=True) as warned:
        for name in ("CONFIG", "DATA", "CACHE", "STATE"):
            monkeypatch.setenv(f"XDG_{name}_HOME", str(home / name.lower()))
        root.addHandler(handler)
        root.setLevel(logging.DEBUG)
        try:
            everything(run, monkeypatch)
        finally:
            root.removeHandler(handler)
            root.setLevel(level)
            handler.close()
    run.said += "".join(str(each.message) for each in warned) + (home / "log" / "everything.log").read_text()
    return run


def written(folder: Path) -> dict[str, bytes]:
    """Return the name and bytes of every file below a folder, and the answers in it as they were before compression."""
    found = {}
    for path in folder.rglob("*"):
        if path.is_file():
            found[str(path)] = path.name.encode() + path.read_bytes()
        if path.suffix == ".sqlite":
            reader = sqlite3.connect(path)
            tables = [name for (name,) in reader.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            if "answers" in tables:
                values = [value for (value,) in reader.execute("SELECT value FROM answers")]
                answers = [decode_response(value) for value in values]
                found[f"{path} unpacked"] = b"".join(
                    each.content + repr(dict(each.headers)).encode() for each in answers
                )
            reader.close()
    return found


def forms(secret: str) -> Iterator[bytes]:
    """Yield the ways in which a secret may be spelt: as it is, escaped, in hexadecimal and in base 64 at any offset."""
    plain = secret.encode()
    yield plain
    yield quote(secret, safe="").encode()
    yield plain.hex().encode()
    for offset in range(3):
        whole = base64.b64encode(b"\0" * offset + plain)
        yield whole[4 if offset else 0 : len(whole) - 4]


def files_with(secrets: list[str], folders: list[Path]) -> set[str]:
    """Return the files that hold one of the secrets in any form."""
    needles = [form for secret in secrets for form in forms(secret)]
    files = {name: content for folder in folders for name, content in written(folder).items()}
    return {name for name, content in files.items() if any(needle in content for needle in needles)}


def test_the_run_was_one_and_the_scan_finds_what_is_there(run):
    """A scan that finds nothing proves something only where it could have found it."""
    statuses = {record.status for record in run.sandbox.requests}
    files = [path for path in run.home.rglob("*") if path.is_file()]

    assert len(run.secrets) >= 6
    assert len(run.codes) == 1
    assert {200, 401, 403, 404, 422, 429, 500, 503} <= statuses
    assert "Signed in as 'default'" in run.said
    assert "takes the sign-in" in run.said
    assert len(run.said) > 10_000
    assert len({path.parent for path in files}) >= 4
    assert files_with([NAME], [run.home / "cache"])
    assert files_with(run.secrets, [run.home / "data"])
    (run.home / "cache" / "planted").write_bytes(b"xy" + base64.b64encode(b"." + COOKIE.encode()))
    assert files_with([COOKIE], [run.home / "cache"]) == {str(run.home / "cache" / "planted")}
    (run.home / "cache" / "planted").unlink()


@pytest.mark.parametrize("folder", ["cache", "state", "log", "config", "snapshot"])
def test_no_secret_is_in_any_file_outside_the_token_store(run, folder):
    """Token, refresh token, client secret, code and cookie: whoever copies the folder cannot sign in with it."""
    assert files_with(run.secrets, [run.home / folder]) == set()


def test_nothing_that_is_said_holds_a_secret_or_a_person(run):
    """Logs go to colleagues and messages into tickets."""
    said = run.said.encode()
    spelt = [form for secret in [*run.secrets, ADDRESS, NAME] for form in forms(secret)]

    assert [form for form in spelt if form in said] == []


def test_the_token_store_is_the_owners_only_and_goes_with_the_sign_in(run, monkeypatch):
    """Where there is no keyring, the secrets are in one file."""
    monkeypatch.setenv("XDG_DATA_HOME", str(run.home / "data"))
    kept = [Path(name) for name in files_with(run.secrets, [run.home / "data"])]
    assert kept
    assert {path.stat().st_mode & 0o777 for path in kept} == {0o600}
    assert {path.parent.stat().st_mode & 0o777 for path in kept} == {0o700}

    assert CliRunner().invoke(main, ["logout"]).exit_code == 0

    assert files_with(run.secrets, [run.home]) == set()
