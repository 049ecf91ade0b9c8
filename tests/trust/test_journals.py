"""Bulk writes that are cut short and gone on with: by whom, after what, and from how many places at once."""

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import ExitStack, closing

import pandas as pd
import pytest

import outreach_frames as of
from outreach_frames import connections
from outreach_frames._sandbox import Sandbox
from outreach_frames._write_journal import Entry, Journal
from outreach_frames.errors import (
    AuthError,
    JournalError,
    MaintenanceError,
    OutreachError,
    QueryError,
    ServerError,
    TransportError,
)
from tests.trust.trust_setting import ACCOUNTS, app_key, keep_profile, organization

ROWS, CUT = 8, 5
FRAME = pd.DataFrame({"name": [f"New {n}" for n in range(ROWS)], "tags": [["x"]] * ROWS})


@pytest.fixture
def sandbox(punctual):
    """Return a sandbox that has the machine's time, by which apps sign their tokens."""
    return punctual


def new_accounts(sandbox) -> int:
    """Count what was created."""
    return len(list(sandbox.store.records("account"))) - ACCOUNTS


def write(org, journal=None) -> pd.DataFrame:
    """Write all rows."""
    return of.write_frame(org, "accounts", FRAME, confirm=True, journal=journal, progress=False)


def cut_short(sandbox, org, journal=None, **fault) -> OutreachError:
    """Write, and stop before a row is executed."""
    what = {"status": 503, "wait_s": 86_400.0, **fault}
    sandbox.faults.add(path="/accounts", method="POST", after=CUT, **what)
    with pytest.raises(OutreachError) as caught:
        write(org, journal)
    assert new_accounts(sandbox) == CUT
    return caught.value


def new_token(sandbox):
    return of.connect(sandbox.issue_token(user=1), sandbox.base_url)


def new_sign_in(sandbox):
    keep_profile(sandbox, None, user=1)
    return of.connect()


def refreshed_profile(sandbox):
    keep_profile(sandbox, None, user=1, lifetime=-1.0)
    return of.connect()


def other_profile(sandbox):
    keep_profile(sandbox, None, name="other", user=1)
    return of.connect(profile="other")


def other_user(sandbox):
    return of.connect(sandbox.issue_token(user=2), sandbox.base_url)


def installed_app(sandbox):
    private, public = app_key()
    guid = sandbox.installs.register_key(public)
    return connections.connect_server(guid, private, sandbox.installs.install(guid), base_url=sandbox.base_url)


def other_organization(sandbox):
    sandbox.settings.organization = 2
    return of.connect(sandbox.issue_token(user=1), sandbox.base_url)


def not_told(sandbox):
    sandbox.settings.organization = None
    return of.connect(sandbox.issue_token(user=1), sandbox.base_url)


@pytest.mark.parametrize("own_journal", [True, False], ids=["journal named", "default journal"])
@pytest.mark.parametrize("again", [new_token, new_sign_in, refreshed_profile, other_profile])
def test_the_same_user_goes_on_whatever_the_sign_in(sandbox, tmp_path, again, own_journal):
    """Another token is no other user: rows that were written under the old one would be doubled."""
    journal = tmp_path / "journal" if own_journal else None
    with of.connect(sandbox.issue_token(user=1), sandbox.base_url) as org:
        assert isinstance(cut_short(sandbox, org, journal, status=None, revokes_token=True), AuthError)

    with again(sandbox) as org:
        result = write(org, journal)

    assert result["status"].tolist() == ["created"] * ROWS
    assert new_accounts(sandbox) == ROWS


@pytest.mark.parametrize("own_journal", [True, False], ids=["journal named", "default journal"])
@pytest.mark.parametrize(
    ("again", "said"),
    [
        (other_user, "another user of this organization"),
        (installed_app, "another user of this organization"),
        (not_told, "another sign-in"),
    ],
)
def test_who_may_be_somebody_else_is_refused(sandbox, tmp_path, again, said, own_journal):
    journal = tmp_path / "journal" if own_journal else None
    with new_token(sandbox) as org:
        if again is not_told:
            sandbox.settings.organization = None
        cut_short(sandbox, org, journal, status=None, revokes_token=True)

    with again(sandbox) as org, pytest.raises(QueryError, match=said) as caught:
        write(org, journal)

    assert "journal=" in str(caught.value)
    assert new_accounts(sandbox) == CUT


def test_another_organization_on_the_same_host_has_journals_of_its_own(sandbox, tmp_path):
    """All organizations share one host, and numbers of users are theirs alone."""
    with new_token(sandbox) as org:
        cut_short(sandbox, org, tmp_path / "journal")
    sandbox.faults.clear()

    with other_organization(sandbox) as org:
        with pytest.raises(QueryError, match="begun by another organization"):
            write(org, tmp_path / "journal")
        assert write(org)["status"].tolist() == ["created"] * ROWS

    assert new_accounts(sandbox) == CUT + ROWS


def test_an_installed_app_goes_on_with_its_next_token(sandbox):
    """It has no user; the installation stays while its token lasts an hour."""
    private, public = app_key()
    guid = sandbox.installs.register_key(public)
    install = sandbox.installs.install(guid)
    with connections.connect_server(guid, private, install, base_url=sandbox.base_url, max_wait=0.0) as org:
        cut_short(sandbox, org)
    sandbox.faults.clear()

    with connections.connect_server(guid, private, install, base_url=sandbox.base_url) as org:
        assert write(org)["status"].tolist() == ["created"] * ROWS

    assert new_accounts(sandbox) == ROWS


def test_an_unnamed_user_goes_on_with_the_same_token(sandbox):
    """Where the API does not say whose a token is, the token itself does."""
    sandbox.settings.organization = None
    token = sandbox.issue_token(user=1)
    with of.connect(token, sandbox.base_url, max_wait=0.0) as org:
        cut_short(sandbox, org)
    sandbox.faults.clear()

    with of.connect(token, sandbox.base_url) as org:
        assert write(org)["status"].tolist() == ["created"] * ROWS

    assert new_accounts(sandbox) == ROWS


def test_without_a_root_document_the_token_tells(sandbox):
    """The document is not in the vendor's contract."""
    sandbox.faults.add(path="/", status=404, times=None)
    with of.connect(sandbox.issue_token(user=1), sandbox.base_url) as org:
        assert write(org)["status"].tolist() == ["created"] * ROWS
    with new_token(sandbox) as org, pytest.raises(QueryError, match="less than a day"):
        write(org)


def test_a_journal_of_an_earlier_version_is_refused(sandbox, tmp_path):
    """It told its rows from others by the token."""
    Journal(tmp_path / "journal").note("digest", Entry("created", "5"))

    with new_token(sandbox) as org, pytest.raises(QueryError, match="earlier version"):
        write(org, tmp_path / "journal")
    assert new_accounts(sandbox) == 0


# What was certainly not executed


def test_rows_turned_away_for_maintenance_are_sent_by_the_next_call(sandbox):
    with of.connect(sandbox.token, sandbox.base_url, max_wait=0.0) as org:
        assert isinstance(cut_short(sandbox, org), MaintenanceError)
        assert write(org)["status"].tolist() == ["created"] * ROWS
    assert new_accounts(sandbox) == ROWS


def test_a_row_that_waited_to_be_sent_again_is_sent_by_the_next_call(sandbox):
    """Ctrl-C comes in the wait that the server asked for: it had turned the row away."""
    sandbox.faults.add(path="/accounts", method="POST", after=CUT, status=503, wait_s=600.0)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts jobs in the background without it
    interrupts = lambda _: signal.raise_signal(signal.SIGINT)  # noqa: E731
    with new_token(sandbox) as org:
        org.session.waiter.listeners.append(interrupts)
        with pytest.raises(KeyboardInterrupt):
            write(org)
        org.session.waiter.listeners.clear()
        sandbox.faults.clear()
        assert write(org)["status"].tolist() == ["created"] * ROWS
    assert new_accounts(sandbox) == ROWS


def test_rows_for_which_no_token_could_be_had_are_sent_by_the_next_call(sandbox):
    token = keep_profile(sandbox, None, user=1)
    sandbox.oauth.end(token.refresh)
    with of.connect() as org:
        assert isinstance(cut_short(sandbox, org, status=None, revokes_token=True), AuthError)
    with new_token(sandbox) as org:
        assert write(org)["status"].tolist() == ["created"] * ROWS
    assert new_accounts(sandbox) == ROWS


def test_rows_that_met_no_server_are_not_unknown(tmp_path, monkeypatch):
    """Nothing listens any more: the connection is refused, so the row goes to the next call."""
    with Sandbox(organization()) as sandbox, new_token(sandbox) as org:
        send, posted = org.session.send, []

        def sending(*call):
            posted.append(call)
            if len(posted) == CUT + 1:
                sandbox.stop()
            return send(*call)

        monkeypatch.setattr(org.session, "send", sending)
        with pytest.raises(TransportError, match="nothing answers") as caught:
            write(org, tmp_path / "journal")

    assert caught.value.executed is False
    assert [entry.state for entry in Journal(tmp_path / "journal").entries().values()] == ["created"] * CUT


def test_an_offline_connection_begins_no_journal(sandbox, tmp_path):
    with (
        of.connect(sandbox.token, sandbox.base_url, offline=True) as org,
        pytest.raises(TransportError, match="offline"),
    ):
        write(org, tmp_path / "journal")

    assert not (tmp_path / "journal").exists()


def test_a_row_that_may_have_been_executed_stays_unknown(sandbox):
    """A gateway's word says nothing of what stands behind it."""
    with of.connect(sandbox.token, sandbox.base_url) as org:
        sandbox.faults.add(path="/accounts", method="POST", after=CUT, status=502, executed=True)
        with pytest.raises(ServerError) as caught:
            write(org)
        result = write(org)

    assert caught.value.executed is None
    assert result["status"].tolist() == [*["created"] * CUT, "unknown", *["created"] * (ROWS - CUT - 1)]
    assert new_accounts(sandbox) == ROWS


# From several places at once

WRITER = """
import sys
import pandas as pd
import outreach_frames as of
url, token, journal = sys.argv[1:]
frame = pd.DataFrame({"name": [f"Twin {n}" for n in range(40)]})
with of.connect(token, url) as org:
    print("ready", flush=True)
    sys.stdin.readline()
    try:
        of.write_frame(org, "accounts", frame, confirm=True, journal=journal, progress=False)
        print("done")
    except of.errors.QueryError as error:
        print(error)
"""


def test_two_containers_with_one_journal_double_nothing(punctual, tmp_path):
    """Each has a state folder of its own; what they share is the file, so the lock lies beside it."""
    command = [sys.executable, "-c", WRITER, punctual.base_url, punctual.token, str(tmp_path / "shared" / "journal")]
    with ExitStack() as running:
        both = [
            running.enter_context(
                subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                    env=os.environ | {"XDG_STATE_HOME": str(tmp_path / name), "XDG_CACHE_HOME": str(tmp_path / name)},
                )
            )
            for name in ("one", "two")
        ]
        for one in both:
            assert one.stdout.readline() == "ready\n"
        for one in both:
            one.stdin.write("go\n")
            one.stdin.flush()
        ends = [one.communicate(timeout=60)[0] for one in both]

    assert "done\n" in ends
    assert all(end == "done\n" or "Another call is writing with the journal" in end for end in ends)
    assert new_accounts(punctual) == 40


def test_a_journal_that_cannot_be_written_is_an_error_of_its_own(sandbox, tmp_path):
    (tmp_path / "file").write_text("")

    with new_token(sandbox) as org, pytest.raises(JournalError, match="cannot be read or written"):
        write(org, tmp_path / "file" / "journal")
    with new_token(sandbox) as org, pytest.raises(JournalError, match="cannot be read or written"):
        write(org, tmp_path)
    assert new_accounts(sandbox) == 0


def test_a_journal_of_an_earlier_version_goes_on(tmp_path):
    """It had no times."""
    with closing(sqlite3.connect(tmp_path / "journal")) as connection, connection:
        connection.execute("create table entry (digest text primary key, state text not null, id text)")
        connection.execute("insert into entry values ('d', 'created', '5')")

    journal = Journal(tmp_path / "journal")
    journal.note("e", Entry("updated", "6", "2026-01-01"))

    assert Journal(tmp_path / "journal").entries() == {
        "d": Entry("created", "5"),
        "e": Entry("updated", "6", "2026-01-01"),
    }
