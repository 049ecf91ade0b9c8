"""
Every fault against every way to ask: exactly right, or a typed error with nothing lost and nothing sent twice.

The sandbox is the witness: its store tells what was carried out, its log what was sent.
"""

from dataclasses import dataclass
from typing import Any

import pytest

import outreach_frames as of
from outreach_frames.errors import (
    DeadlineError,
    DocumentError,
    MaintenanceError,
    OutreachError,
    RateLimitError,
    ServerError,
    TransportError,
)
from tests.trust.trust_setting import (
    ACCOUNTS,
    PAGE,
    account,
    connect,
    rows,
    sent,
    signed_in,
    snapshot_rows,
    true_rows,
)

DAY = 86_400.0
HTML = b"<html><body>Sign in</body></html>"
FORMS = [(form, "epoch") for form in ("delta", "epoch", "iso", "http-date")] + [
    ("absent", form) for form in ("epoch", "delta", "iso", "pair", "absent")
]
"""Of ``Retry-After``, and of ``X-RateLimit-Reset`` where that has to do in its place."""


@dataclass
class Case:
    """
    A fault and how it ends.

    Attributes
    ----------
    fault
        See `Fault`.
    read, write, delete
        The error of a fetch or snapshot, of a create or change, of a delete; ``None`` for none.
    """

    fault: dict[str, Any]
    read: type[OutreachError] | None = None
    write: type[OutreachError] | None = None
    delete: type[OutreachError] | None = None

    @property
    def turns_away(self) -> bool:
        """Whether the answer itself says that nothing was carried out, so that anything may be sent again."""
        told = self.fault.get("status") in {401, 403, 429} or "revokes_token" in self.fault
        return told or (self.fault.get("status") == 503 and "body" not in self.fault)


def always(error: type[OutreachError], **fault: Any) -> Case:
    """Return a fault that does not end, and its error."""
    return Case({"times": None} | fault, error, error, error)


CASES = {
    "500": Case({"status": 500}, write=ServerError),
    "500 three times": Case({"status": 500, "times": 3}, write=ServerError),
    "500 after doing it": Case({"status": 500, "executed": True}, write=ServerError),
    "500 always": always(ServerError, status=500),
    "502": Case({"status": 502}, write=ServerError),
    "502 always": always(ServerError, status=502),
    "503 that announces nothing": Case({"status": 503, "body": HTML}, write=ServerError),
    "504 after doing it": Case({"status": 504, "executed": True}, write=ServerError),
    "maintenance": Case({"status": 503, "wait_s": 120.0}),
    "maintenance for a day": always(MaintenanceError, status=503, wait_s=DAY),
    "429 storm": Case({"status": 429, "times": 8, "wait_s": 30.0}),
    "429 storm without headers": Case({"status": 429, "times": 8, "retry_after": "absent", "rate_headers": "absent"}),
    "429 always": always(RateLimitError, status=429),
    **{
        f"429, Retry-After {form}, Reset {reset}": Case(
            {"status": 429, "retry_after": form, "rate_headers": reset, "times": 2, "wait_s": 60.0}
        )
        for form, reset in FORMS
    },
    "token revoked": Case({"revokes_token": True}),
    "401 for no reason": Case({"status": 401}),
    "403 that gives no reason": Case({"status": 403}),
    "dropped": Case({"delivery": "dropped"}, write=TransportError),
    "dropped after doing it": Case({"delivery": "dropped", "executed": True}, write=TransportError),
    "dropped always": always(TransportError, delivery="dropped"),
    "silent": Case({"delivery": "silent"}, write=DeadlineError),
    "silent after doing it": Case({"delivery": "silent", "executed": True}, write=DeadlineError),
    "stalled": Case({"delivery": "stalled"}, write=DeadlineError),
    "cut": Case({"delivery": "cut"}, write=TransportError),
    "cut in a chunk": Case({"delivery": "cut in a chunk"}, write=TransportError),
    "cut always": always(TransportError, delivery="cut"),
    "short": Case({"delivery": "short"}, write=DocumentError),
    "gzip": Case({"gzip": True}),
    "gzip, cut": Case({"gzip": True, "delivery": "cut"}, write=TransportError),
    "gzip, short": Case({"gzip": True, "delivery": "short"}, write=OutreachError),
    "gzip that is none": Case({"headers": {"content-encoding": "gzip"}, "body": b"{}"}, write=TransportError),
    "another content type": Case({"content_type": "text/html"}),
    "a sign-in page": Case({"body": HTML, "content_type": "text/html"}, write=DocumentError),
    "a sign-in page always": always(DocumentError, body=HTML, content_type="text/html"),
    "an empty body": Case({"body": b"", "executed": True}, write=DocumentError),
}
READ_ONLY = {
    "502 on pages of more than two": Case({"status": 502, "page_size_above": 2, "times": None}),
    "no JSON:API": Case({"body": b'{"data": "text"}'}, read=DocumentError),
    "another type": Case({"body": b'{"data": [{"type": "user", "id": 1}]}'}, read=DocumentError),
}

WAYS = [
    pytest.param({}, id="one by one"),
    pytest.param({"parallel": 3}, id="by ranges of ids"),
    pytest.param({"parallel": 3, "limit": ACCOUNTS}, id="by offsets"),
]
READS = [pytest.param(case, id=name) for name, case in (CASES | READ_ONLY).items()]
WRITES = [pytest.param(case, id=name) for name, case in CASES.items()]
ACTIONS = [case for case in WRITES if case.id != "an empty body"]
"""An action may well answer with nothing."""


def patience(case: Case) -> dict[str, Any]:
    """Return the session's patience: little, where a fault is over only when somebody gives up."""
    return {"timeout": (5.0, 0.25)} if case.fault.get("delivery") in {"silent", "stalled"} else {}


@pytest.fixture
def org(sandbox, tmp_path, request):
    """Return somebody's connection, whose token can be renewed."""
    case = request.node.callspec.params["case"]
    with connect(sandbox, tmp_path, signed_in(sandbox, tmp_path / "data"), **patience(case)) as client:
        yield client


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", READS)
def test_a_fetch_is_right_or_fails_and_goes_on_where_it_stopped(sandbox, org, case, way):
    """The fault comes on the third page; what was fetched before it is not asked for again."""
    fault = sandbox.faults.add(path="/accounts", method="GET", after=2, **case.fault)

    if case.read is None:
        frame = of.fetch(org, "accounts", page_size=PAGE, **way)
    else:
        with pytest.raises(case.read):
            of.fetch(org, "accounts", page_size=PAGE, **way)
        kept = {record.query for record in sandbox.requests[:2]}
        sandbox.faults.clear()
        sandbox.clear_log()
        frame = of.fetch(org, "accounts", page_size=PAGE, **way)
        assert not kept & {record.query for record in sandbox.requests}

    assert fault.used
    assert rows(frame) == true_rows(sandbox)
    assert len(frame) == ACCOUNTS


@pytest.mark.parametrize("case", READS)
def test_a_snapshot_is_right_or_leaves_the_one_before(sandbox, org, case, tmp_path):
    """Half a snapshot is never in force, and nothing of it stays."""
    folder = tmp_path / "snapshot"
    wanted = {"accounts": {"page_size": PAGE}}
    before = of.take_snapshot(org, folder, resources=["accounts"])
    old = true_rows(sandbox)
    sandbox.put(account(1, "Renamed"))
    org.cache.clear()
    fault = sandbox.faults.add(path="/accounts", method="GET", after=2, **case.fault)

    if case.read is not None:
        with pytest.raises(case.read):
            of.take_snapshot(org, folder, resources=wanted)
        assert snapshot_rows(folder) == old
        assert sorted(path.name for path in folder.iterdir()) == sorted([before.version, "CURRENT"])
        sandbox.faults.clear()
    taken = of.take_snapshot(org, folder, resources=wanted)

    assert fault.used
    taken.verify()
    assert snapshot_rows(folder) == true_rows(sandbox) != old


@pytest.mark.parametrize("case", WRITES)
def test_a_create_makes_one_record_or_says_that_it_may_have(sandbox, org, case):
    """There is no idempotency key: what may have been carried out is not sent again."""
    fault = sandbox.faults.add(path="/accounts", method="POST", **case.fault)

    if case.write is None:
        assert org.create("accounts", name="New")["id"] > ACCOUNTS
    else:
        with pytest.raises(case.write) as caught:
            org.create("accounts", name="New")
        assert caught.value.hint

    made = [name for _, name in true_rows(sandbox)].count("New")
    assert fault.used
    assert case.turns_away or len(sent(sandbox, "POST")) == 1
    assert made == (1 if case.write is None or fault.executed or not fault.is_canned else 0)


@pytest.mark.parametrize("case", WRITES)
def test_a_change_is_made_or_may_have_been(sandbox, org, case):
    """An update is not sent again either: somebody else may have changed the record in between."""
    fault = sandbox.faults.add(path="/accounts/3", method="PATCH", **case.fault)

    if case.write is None:
        assert org.update("accounts", 3, name="New")["name"] == "New"
    else:
        with pytest.raises(case.write):
            org.update("accounts", 3, name="New")

    changed = [id_ for id_, name in true_rows(sandbox) if name == "New"]
    assert fault.used
    assert case.turns_away or len(sent(sandbox, "PATCH")) == 1
    assert changed == ([3] if case.write is None or fault.executed or not fault.is_canned else [])


@pytest.mark.parametrize("case", ACTIONS)
def test_an_action_is_carried_out_or_may_have_been(sandbox, org, case):
    """Finishing an enrollment twice is refused, and advancing a task twice would skip a step."""
    fault = sandbox.faults.add(path="/sequences/1/actions/deactivate", **case.fault)

    if case.write is None:
        assert not org.act("sequences", 1, "deactivate")["enabled"]
    else:
        with pytest.raises(case.write):
            org.act("sequences", 1, "deactivate")

    done = not sandbox.store.find("sequence", 1).attributes["enabled"]
    assert fault.used
    assert case.turns_away or len(sent(sandbox, "POST")) == 1
    assert done == (case.write is None or fault.executed or not fault.is_canned)


@pytest.mark.parametrize("case", WRITES)
def test_a_delete_is_carried_out_whatever_it_takes(sandbox, org, case):
    """Deleting twice is the same as deleting once, so it is repeated, and finding nothing then means done."""
    fault = sandbox.faults.add(path="/accounts/3", method="DELETE", **case.fault)

    if case.delete is None:
        org.delete("accounts", 3)
    else:
        with pytest.raises(case.delete):
            org.delete("accounts", 3)

    assert fault.used
    assert sent(sandbox, "DELETE")
    assert len(true_rows(sandbox)) in ({ACCOUNTS - 1} if case.delete is None else {ACCOUNTS - 1, ACCOUNTS})
