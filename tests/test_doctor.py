"""What ``doctor`` says is so, and can be pasted into an issue."""

import json
import os
import re
import socket
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

import outreach_frames as of
from outreach_frames._auth import App, Profiles, Token
from outreach_frames._write_journal import journal_folder
from outreach_frames.cli import main

PROFILE = "jane.doe@acme-rockets.example"
HERE = "acme-rockets-home"


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    """Nothing of the developer's own sign-ins or caches is seen or changed."""
    for name in ("CONFIG", "DATA", "CACHE", "STATE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / HERE / name.lower()))
    for name in [name for name in os.environ if name.startswith("OUTREACH_")]:
        monkeypatch.delenv(name)
    return tmp_path / HERE


@pytest.fixture
def org():
    with of.sandbox(prospects=5, as_of=datetime.now(UTC), settings={"rate_limit": 100}) as org:
        yield org


@pytest.fixture
def live(org, monkeypatch):
    monkeypatch.setenv("OUTREACH_BASE_URL", org.base_url)
    monkeypatch.setenv("OUTREACH_TOKEN", org.sandbox.token)
    return org


@pytest.fixture
def signed_in(org, monkeypatch):
    """A profile under a telling name, as ``login`` leaves it."""
    now = datetime.now(UTC).timestamp()
    token = Token(org.sandbox.token, "a-refresh-token-of-acme", now, now + 7200)
    app = App("client-id-of-acme", "http://localhost:1/callback", org.base_url)
    Profiles().save(PROFILE, app, token, "client-secret-of-acme", scopes=("users.read",))
    monkeypatch.setenv("OUTREACH_PROFILE", PROFILE)
    return PROFILE


def doctor(*arguments):
    """Return the exit code, the checks by name, and all that was printed."""
    done = CliRunner().invoke(main, ["doctor", "--log", "json", *arguments], catch_exceptions=False)
    checks = [json.loads(line) for line in done.stdout.splitlines()]
    return done.exit_code, {each["check"]: (each["state"], each["message"]) for each in checks}, done.output


def test_all_is_well(live):
    code, checks, _ = doctor()

    assert code == 0
    assert {state for state, _ in checks.values()} == {"ok"}
    assert f"outreach_frames {of.__version__}" in checks["version"][1]
    assert "pandas 3." in checks["libraries"][1]
    assert "sql" in checks["extras"][1]
    assert "OUTREACH_TOKEN" in checks["environment"][1]
    assert "takes the sign-in" in checks["API"][1]
    assert re.match(r"\d+ of 100 requests left; reset in \d+ minutes", checks["budget"][1])
    assert len(live.sandbox.requests) == 1


@pytest.mark.usefixtures("live")
def test_the_text_has_a_line_for_each_check():
    code, checks, _ = doctor()
    done = CliRunner().invoke(main, ["doctor"])

    assert done.exit_code == code == 0
    assert [line.split()[0] for line in done.output.splitlines()] == ["ok"] * len(checks)


@pytest.mark.usefixtures("signed_in")
def test_a_profile_is_described_without_its_name():
    code, checks, _ = doctor()

    assert code == 0
    state, message = checks["sign-in"]
    assert state == "ok"
    assert re.match(
        r"a profile, secrets in a private file, 1 scopes; token valid for (119|120) more minutes, renews", message
    )


@pytest.mark.usefixtures("signed_in")
@pytest.mark.parametrize("wrong", ["nothing", "token", "profile", "host"])
@pytest.mark.parametrize("log", ["text", "json"])
def test_nothing_that_names_anybody_is_said(org, monkeypatch, wrong, log):
    """Whatever fails: neither secrets nor names, hosts, paths, or anything of the data."""
    if wrong == "token":
        monkeypatch.setenv("OUTREACH_BASE_URL", org.base_url)
        monkeypatch.setenv("OUTREACH_TOKEN", "a-refused-token-of-acme")
    elif wrong == "profile":
        monkeypatch.setenv("OUTREACH_PROFILE", "acme.other")
    elif wrong == "host":
        monkeypatch.setenv("OUTREACH_BASE_URL", "http://api.acme-rockets.example/api/v2")
        monkeypatch.setenv("OUTREACH_TOKEN", "token-of-acme")
    users = of.fetch(org, "users")
    secret = [org.sandbox.token, "acme", "jane", "client-", "refresh-token", "@", str(Path.home()), HERE, "127.0.0.1"]
    secret += [*users["email"], *users["last_name"], str(org.base_url.split(":")[2].split("/")[0])]

    done = CliRunner().invoke(main, ["doctor", "--log", log], catch_exceptions=False)

    assert done.exit_code == (wrong != "nothing")
    assert not [each for each in secret if each and str(each).lower() in done.output.lower()]


@pytest.mark.usefixtures("signed_in")
def test_names_are_shown_on_request(org, home):
    _, checks, _ = doctor("--names")

    assert PROFILE in checks["sign-in"][1]
    assert org.base_url in checks["sign-in"][1]
    assert str(home) in checks["folder of sign-ins"][1]
    assert checks["API"][1].startswith("127.0.0.1 ")


@pytest.mark.usefixtures("live")
def test_a_message_is_shown_on_request(monkeypatch):
    monkeypatch.setenv("OUTREACH_TOKEN", "refused")
    code, checks, _ = doctor("--names")

    assert code == 1
    assert checks["API"][0] == "failed"
    assert "the access token was refused" in checks["API"][1]


def test_who_is_not_signed_in_is_told():
    code, checks, _ = doctor()

    assert code == 1
    assert checks["sign-in"][0] == "failed"
    assert [checks[name][0] for name in ("API", "clock", "budget")] == ["unknown"] * 3


def test_a_token_that_expired_and_cannot_be_renewed_is_told(org):
    now = datetime.now(UTC).timestamp()
    app = App("id", "http://localhost:1/callback", org.base_url)
    Profiles().save("default", app, Token("old", None, now - 7200, now - 3600), "secret")

    code, checks, _ = doctor()

    assert code == 1
    assert checks["sign-in"][0] == "failed"
    assert checks["sign-in"][1].endswith("token expired, cannot be renewed")


@pytest.mark.usefixtures("signed_in")
def test_secrets_that_are_missing_are_told(home):
    next(home.rglob("*.secrets")).unlink()

    assert doctor()[1]["sign-in"][0] == "failed"


@pytest.mark.parametrize(("minutes", "side"), [(90, "behind"), (-90, "ahead of")])
def test_a_clock_that_is_wrong_is_told(monkeypatch, minutes, side):
    with of.sandbox(prospects=5, as_of=datetime.now(UTC) + timedelta(minutes=minutes)) as org:
        monkeypatch.setenv("OUTREACH_BASE_URL", org.base_url)
        monkeypatch.setenv("OUTREACH_TOKEN", org.sandbox.token)
        code, checks, _ = doctor()

    assert code == 1
    assert checks["clock"][0] == "failed"
    assert re.fullmatch(rf"(5399|5400|5401) seconds {side} the API's", checks["clock"][1])


def test_a_spent_budget_is_told(monkeypatch):
    with of.sandbox(prospects=5, as_of=datetime.now(UTC), settings={"rate_limit": 1}) as org:
        monkeypatch.setenv("OUTREACH_BASE_URL", org.base_url)
        monkeypatch.setenv("OUTREACH_TOKEN", org.sandbox.token)
        last, spent = doctor(), doctor()

    for code, checks, _ in (last, spent):
        assert code == 1
        assert checks["budget"][0] == "failed"
    assert checks["API"] == ("ok", "answered")


def test_an_api_that_cannot_be_reached_is_told(monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv("OUTREACH_BASE_URL", f"http://127.0.0.1:{taken.getsockname()[1]}/api/v2")
        monkeypatch.setenv("OUTREACH_TOKEN", "token")
        code, checks, _ = doctor()

    assert code == 1
    assert checks["API"] == ("failed", "TransportError; --names shows the message")


@pytest.mark.usefixtures("live", "signed_in")
def test_secrets_that_others_can_read_are_told(home):
    secrets = next(home.rglob("*.secrets"))
    secrets.chmod(0o644)

    code, checks, _ = doctor()

    assert code == 1
    assert checks["folder of sign-ins"] == ("failed", "1 entries can be read by others")
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o644  # nothing is changed


@pytest.mark.usefixtures("live")
def test_a_file_in_a_folders_place_is_told():
    folder = journal_folder()
    folder.parent.mkdir(parents=True)
    folder.touch()

    code, checks, _ = doctor()

    assert code == 1
    assert checks["folder of journals"] == ("failed", "cannot be written to")


@pytest.mark.usefixtures("live")
def test_a_folder_that_cannot_be_made_is_told():
    journal_folder().parents[1].mkdir(parents=True)
    journal_folder().parent.touch()

    assert doctor()[1]["folder of journals"] == ("failed", "cannot be made")
