"""Long fetches: what goes wrong in the middle, and what changes in the middle."""

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable

import pytest

import outreach_frames as of
from outreach_frames.errors import DocumentError, OriginError
from tests.trust.trust_setting import ACCOUNTS, PAGE, account, connect, rows, signed_in, true_rows

MANY = 600
INTERRUPTED = """
import sys
from pathlib import Path
import outreach_frames as of
from outreach_frames.client import Client
from outreach_frames._http import BearerAuth, Session
url, folder, parallel = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
session = Session(url, BearerAuth(sys.stdin.readline().strip()), account="someone", cache_dir=folder)
with Client(session) as org:
    of.fetch(org, "accounts", page_size=5, parallel=parallel, progress=True)
"""


@pytest.fixture
def org(sandbox, tmp_path):
    """Return somebody's connection."""
    with connect(sandbox, tmp_path, signed_in(sandbox, tmp_path / "data")) as client:
        yield client


def linking_to(link: Callable[[dict[str, str]], object]) -> Callable[[bytes], bytes]:
    """Return what gives a page another next link, made of those it has."""

    def rewrite(body: bytes) -> bytes:
        page = json.loads(body)
        page["links"]["next"] = link(page["links"])
        return json.dumps(page).encode()

    return rewrite


@pytest.mark.parametrize(
    ("link", "error"),
    [
        (lambda links: links["first"], DocumentError),
        (lambda links: links["next"].replace("http://127.0.0.1", "https://evil.example"), OriginError),
        (lambda links: links["next"].replace("127.0.0.1", "api.outreach.io"), OriginError),
        (lambda links: links["next"].replace("127.0.0.1", "127.0.0.1.evil.example"), OriginError),
        (lambda links: links["next"].replace("127.0.0.1", "x:y@127.0.0.1"), OriginError),
        (lambda _: "http://[::1", OriginError),
        (lambda _: "//[", OriginError),
        (lambda _: "https://*.outreach.io/api/v2/accounts", OriginError),
        (lambda _: 7, DocumentError),
        (lambda _: ["a", "list"], DocumentError),
    ],
    ids=[
        "back to the first page",
        "another host",
        "plain http",
        "a longer host",
        "a user name",
        "half an address",
        "half a host",
        "no host's name",
        "a number",
        "a list",
    ],
)
@pytest.mark.parametrize("parallel", [None, 3], ids=["one by one", "parallel"])
def test_a_page_whose_link_leads_astray_is_never_kept(sandbox, org, link, error, parallel):
    """Else the same call would follow the same wrong link until the cache is cleared."""
    fault = sandbox.faults.add(path="/accounts", after=1, rewrite=linking_to(link))

    with pytest.raises(error):
        of.fetch(org, "accounts", page_size=PAGE, parallel=parallel)

    assert fault.used
    assert rows(of.fetch(org, "accounts", page_size=PAGE, parallel=parallel)) == true_rows(sandbox)


@pytest.mark.parametrize("parallel", [None, 4], ids=["one by one", "parallel"])
def test_a_fetch_of_hundreds_of_pages_survives_everything_at_once(sandbox, org, parallel):
    """An hour's walk meets all of it: none of it may cost a row, a page asked for twice, or the walk."""
    sandbox.put(*(account(n % 28 + 1) | {"id": n} for n in range(ACCOUNTS + 1, MANY + 1)))
    faults = [
        sandbox.faults.add(path="/accounts", **what)
        for what in (
            {"after": 10, "revokes_token": True},
            {"after": 20, "status": 429, "times": 8, "wait_s": 60.0},
            {"after": 30, "delivery": "dropped", "times": 2},
            {"after": 40, "status": 502, "page_size_above": 3, "times": 3},
            {"after": 50, "delivery": "cut"},
            {"after": 60, "status": 503, "wait_s": 900.0},
            {"after": 70, "status": 503, "body": b"<html>", "times": 3},
            {"after": 80, "delivery": "short"},
            {"after": 90, "gzip": True, "times": 20},
            {"after": 100, "status": 429, "retry_after": "absent", "rate_headers": "absent", "times": 4},
            {"after": 110, "body": b"<html>", "content_type": "text/html", "times": 2},
        )
    ]

    frame = of.fetch(org, "accounts", page_size=4, parallel=parallel)

    assert all(fault.used for fault in faults)
    assert rows(frame) == true_rows(sandbox)
    assert len(frame) == MANY
    assert sum(record.status == 200 for record in sandbox.requests) >= MANY / 4
    assert [record.path for record in sandbox.requests].count("/oauth/token") == 1


def test_what_is_added_behind_the_cursor_comes_along(sandbox, org):
    """Pages are walked in the order of creation, so new records come at the end."""
    late = account(25, "Late")
    sandbox.faults.add(path="/accounts", after=2, on_request=lambda: sandbox.put(late))

    assert rows(of.fetch(org, "accounts", page_size=PAGE))[-1] == (25, "Late")


@pytest.mark.parametrize("gone", [2, 22], ids=["before the cursor", "ahead of it"])
@pytest.mark.parametrize("parallel", [None, 3], ids=["one by one", "parallel"])
def test_a_deletion_in_the_middle_loses_and_doubles_nobody_else(sandbox, org, gone, parallel):
    """With page numbers, everybody behind the gap would move up and one would be skipped."""
    everybody = true_rows(sandbox)
    sandbox.faults.add(path="/accounts", after=2, on_request=lambda: sandbox.remove("account", gone))

    found = rows(of.fetch(org, "accounts", page_size=PAGE, parallel=parallel))

    assert found == sorted(set(found))
    assert set(everybody) - set(found) <= {(gone, f"Account {gone}")}


def test_a_record_that_moves_while_it_is_sorted_by_its_change_comes_once(sandbox, org):
    """Sorted by ``updated_at``, what changes moves to the end and is met again; the last state counts."""
    moved = account(1, "Moved")
    moved["attributes"]["updatedAt"] = "2025-04-01T09:00:00.000Z"
    sandbox.faults.add(path="/accounts", after=2, on_request=lambda: sandbox.put(moved))

    found = rows(of.fetch(org, "accounts", sort="updated_at", page_size=PAGE))

    assert len(found) == ACCOUNTS
    assert found[-1] == (1, "Moved")


@pytest.mark.parametrize("parallel", [1, 3], ids=["one by one", "parallel"])
def test_ctrl_c_ends_a_fetch_and_the_same_call_goes_on(sandbox, tmp_path, parallel):
    """Whoever stops a long fetch, to go home or by mistake, has the pages that came; nobody waits for the others."""
    waiting = threading.Semaphore(0)
    sandbox.faults.add(path="/accounts", after=4, times=None, delivery="silent", on_request=waiting.release)
    command = [sys.executable, "-c", INTERRUPTED, sandbox.base_url, str(tmp_path), str(parallel)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        child.stdin.write(f"{sandbox.token}\n")
        child.stdin.flush()
        assert all(waiting.acquire(timeout=60) for _ in range(parallel))
        child.send_signal(signal.SIGINT)
        try:
            _, said = child.communicate(timeout=30)
        finally:
            child.kill()
    kept = [record.query for record in sandbox.requests if record.status == 200]
    sandbox.faults.clear()
    sandbox.clear_log()

    with connect(sandbox, tmp_path, signed_in(sandbox, tmp_path / "data")) as org:
        found = rows(of.fetch(org, "accounts", page_size=PAGE, parallel=parallel))

    assert child.returncode
    assert "KeyboardInterrupt" in said
    assert sandbox.token not in said
    assert len(kept) == 4
    assert not set(kept) & {record.query for record in sandbox.requests}
    assert found == true_rows(sandbox)
