import json
import math
from datetime import UTC, datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies as st

import outreach_frames as of
from outreach_frames import catalog
from outreach_frames._request_documents import resource_document
from outreach_frames.errors import DocumentError, NotFoundError, QueryError, UnknownNameError, ValidationError


def test_create_gives_the_record_as_the_api_made_it(org, sent):
    account = org.create("accounts", name="Acme", tags=["new"])

    prospect = org.create("prospects", first_name="Sally", emails=["sally@acme.example"], account=account, owner_id=1)

    assert prospect["first_name"] == "Sally"
    assert prospect["account_id"] == account["id"]
    assert prospect.name == prospect["id"]
    assert prospect["created_at"].tzinfo is not None
    assert sent[1].body["data"]["relationships"] == {
        "account": {"data": {"type": "account", "id": account["id"]}},
        "owner": {"data": {"type": "user", "id": 1}},
    }


def test_update_changes_what_is_named_and_none_clears(org):
    before = of.fetch(org, "prospects", limit=1).iloc[0]

    after = org.update("prospects", int(before["id"]), title="CEO", owner=None)

    assert after["title"] == "CEO"
    assert after["owner_id"] is pd.NA
    assert after["first_name"] == before["first_name"]


def test_values_of_frames_are_taken_as_they_are(org, sent):
    """NumPy numbers, timestamps, missing values and rows come out of frames all the time."""
    user = of.fetch(org, "users", limit=1).iloc[0]

    org.create(
        "tasks",
        action="call",
        due_at=pd.Timestamp("2026-04-01 09:00", tz="America/New_York"),
        owner=user,
        subject=of.ref(np.int64(1).item(), "prospect"),
        note=pd.NA,
    )

    body = sent[0].body["data"]
    assert body["attributes"] == {"action": "call", "dueAt": "2026-04-01T13:00:00.000Z"}
    assert body["relationships"]["owner"]["data"]["id"] == user["id"]


def test_delete_removes_the_record(org):
    account = org.create("accounts", name="Acme")

    assert org.delete("accounts", account["id"]) is None

    with pytest.raises(NotFoundError):
        of.fetch_one(org, "accounts", account["id"])


def test_a_write_is_seen_by_the_next_read(org):
    """The cache forgets what a write may have changed."""
    before = of.count(org, "accounts")
    names = of.fetch(org, "accounts", fields=["name"])

    org.create("accounts", name="Acme", named=True)

    assert len(of.fetch(org, "accounts", fields=["name"])) == len(names) + 1
    assert of.count(org, "accounts") == before + 1


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda org: org.create("prospects", frist_name="x"), UnknownNameError, "did you mean 'first_name'"),
        (lambda org: org.create("prospects", created_at="2026-01-01"), QueryError, "read-only"),
        (lambda org: org.create("prospects", first_name=5), QueryError, "takes a string"),
        (lambda org: org.create("prospects", first_name="x" * 300), QueryError, "at most"),
        (lambda org: org.create("prospects", opted_out=1), QueryError, "takes a boolean"),
        (lambda org: org.create("tasks", subject=1), QueryError, "may point to account, opportunity, prospect"),
        (lambda org: org.create("prospects", account=1.5), QueryError, "takes an id"),
        (lambda org: org.create("compliance_requests", requester=1), QueryError, "compliance.request_deletion"),
        (lambda org: org.update("calls", 1, note="x"), QueryError, "no operation 'update'"),
        (lambda org: org.delete("users", 1), QueryError, "no operation 'delete'"),
        (lambda org: org.act("sequence_states", 1, "finnish"), UnknownNameError, "did you mean 'finish'"),
        (lambda org: org.act("tasks", 1, "snooze", until="tomorrow"), UnknownNameError, "parameter of task.snooze"),
        (lambda org: org.act("batches", None, "prospects_destroy_all"), QueryError, "touch every record"),
        (lambda org: org.act("batches", None, "prospects_destroy_all", filter={}), QueryError, "touch every record"),
        (lambda org: org.act("tasks", 1, "snooze", filter={"id": 1}), QueryError, "takes no filter"),
    ],
)
def test_what_the_api_would_refuse_is_refused_before_anything_is_sent(org, sent, call, error, said):
    with pytest.raises(error, match=said):
        call(org)

    assert sent == []


def test_refused_values_are_told_by_the_callers_argument(org):
    with pytest.raises(ValidationError) as caught:
        org.create("accounts", name="")

    assert list(caught.value.arguments) == ["name"]
    assert "name" in str(caught.value)


def test_action_parameters_go_into_the_query(org, sent):
    open_task = of.fetch(org, "tasks", filter={"state": "incomplete"}, limit=1).iloc[0]

    task = org.act("tasks", int(open_task["id"]), "update_note", note="Call after lunch")

    assert task["note"] == "Call after lunch"
    assert sent[0].parameters == [("actionParams[note]", "Call after lunch")]
    assert sent[0].body is None


def test_values_that_documents_disagree_on_pass_through(org):
    """The guide and the schema spell call outcomes differently; the client takes no side."""
    for outcome in ("completed", "Answered"):
        assert org.create("calls", direction="outbound", outcome=outcome, prospect=1, user=1)["outcome"] == outcome


def test_a_webhooks_secret_is_fetched_only_when_named_and_kept_nowhere(org):
    hook = org.create("webhooks", url="https://hooks.example/x", secret="between us")

    assert "secret" not in of.fetch_webhooks(org)
    of.fetch(org, "webhooks", fields=["url", "secret"])
    of.fetch_one(org, "webhooks", int(hook["id"]), fields="*")

    path = org.cache.info().path
    assert not any(b"between us" in file.read_bytes() for file in path.parent.iterdir())
    assert org.cache.info().answers == 0


def test_actions_that_answer_something_else_give_what_they_answer(org):
    """They were carried out: an error would say the contrary."""
    methods = {"sendMethod": "ews", "syncMethod": "ews"}
    org.sandbox.put({"type": "mailbox", "id": 999, "attributes": {"email": "ews@example.com", **methods}})

    assert org.act("mailboxes", 999, "link_ews_master_account").empty
    assert any("upload" in name.lower() for name in org.act("imports", None, "generate_upload_link").index)


@pytest.mark.parametrize(
    "bad", [None, "", "11/../21", "1?x=1", 1.5, float("nan"), True, -1, pd.NA, pd.Series({"name": 1})]
)
def test_what_is_no_id_names_no_record(org, sent, bad):
    """A path may not be led to another record."""
    for call in (
        lambda: org.update("prospects", bad, title="CEO"),
        lambda: org.delete("prospects", bad),
        lambda: of.fetch_one(org, "prospects", bad),
    ):
        with pytest.raises(QueryError, match="no id of prospects"):
            call()
    assert sent == []


def test_ids_of_frames_are_ids(org):
    for good in (np.int64(1), "1", 1.0):
        assert of.fetch_one(org, "prospects", good)["id"] == 1


def test_rows_of_frames_name_their_records(org):
    """As in relationships, so with the verbs: what was found is what is changed."""
    prospect = of.fetch_prospects(org, limit=1).iloc[0]

    assert org.update("prospects", prospect, title="CEO")["id"] == prospect["id"]
    assert of.fetch_one(org, "prospects", prospect)["title"] == "CEO"
    org.delete("prospects", prospect)
    with pytest.raises(NotFoundError):
        of.fetch_one(org, "prospects", prospect)


def test_a_refused_action_says_why(org):
    """No attribute is named where the record's state is what does not allow it."""
    states = of.fetch_sequence_states(org)
    with pytest.raises(ValidationError, match="cannot be paused: it is finished"):
        org.act("sequence_states", states[states["state"] == "finished"].iloc[0], "pause")


def test_numbers_of_frames_are_ids_in_documents_too(org, sent):
    """A column with a gap holds floats; NumPy's integers are not JSON's."""
    for number in (np.int64(1), 1.0, "1"):
        assert org.update("prospects", number, title="CEO", owner=of.ref(np.int64(1)))["owner_id"] == 1
    assert [request.body["data"]["id"] for request in sent] == [1, 1, "1"]
    org.create("tasks", action="email", subject=of.ref(1.0, "prospect"), owner=1.0)


def test_action_parameters_that_are_missing_are_not_sent(org, sent):
    """None in a query string is the text None."""
    task = int(of.fetch_tasks(org, limit=1)["id"].iloc[0])
    with pytest.raises(QueryError, match="takes one value"):
        org.act("tasks", task, "update_note", note=["a", "b"])
    org.act("tasks", task, "update_note", note="kept")
    org.act("tasks", task, "update_note", note=None)
    assert [request.parameters for request in sent] == [[("actionParams[note]", "kept")], []]


@pytest.mark.parametrize("nothing", [{"id": []}, {"id": pd.Series([], dtype="int64")}, {"owner": 1, "id": []}])
def test_a_batch_of_nothing_is_refused(org, sent, nothing):
    """An empty list, left out of the filter, would select every record."""
    with pytest.raises(QueryError):
        org.act("batches", None, "prospects_destroy_all", filter=nothing, skip_confirmation=True)
    assert sent == []


def test_a_member_in_two_spellings_is_refused(org, sent):
    with pytest.raises(QueryError, match="given twice"):
        org.create("prospects", first_name="x", account=1, account_id=2)
    assert sent == []


def test_instants_keep_their_time_or_are_refused(org, sent):
    """A time of day that is cut off is a changed value."""
    moment = datetime(2026, 1, 5, 10, 30, tzinfo=UTC)
    org.create("prospects", first_name="x", custom5=moment, available_at=moment)
    assert sent[-1].body["data"]["attributes"]["custom5"] == "2026-01-05T10:30:00.000Z"
    with pytest.raises(QueryError, match="takes an integer"):
        org.create("opportunities", name="x", probability=moment.date())
    with pytest.raises(QueryError, match="time of day"):
        org.create("prospects", first_name="x", date_of_birth=moment)


def test_a_write_whose_answer_cannot_be_read_says_that_it_was_carried_out(org):
    """Try again, said of a create, makes two."""
    before = of.count(org, "prospects")
    org.sandbox.faults.add(path="/prospects", method="POST", executed=True, body=b"", status=201)
    with pytest.raises(DocumentError, match="did what was asked") as caught:
        org.create("prospects", first_name="Once")
    assert "Do not send it again" in str(caught.value)
    assert of.count(org, "prospects") == before + 1


MISSING = [float("nan"), np.nan, pd.NaT, pd.NA, np.datetime64("NaT"), np.float32("nan"), Decimal("nan")]


@pytest.mark.parametrize("missing", MISSING, ids=repr)
def test_a_missing_value_is_left_out_and_only_none_clears(org, sent, missing):
    """To the API null means "clear": a ratio over zero would delete what is there."""
    org.update("prospects", 1, score=50, title="CEO", owner=1)

    org.update("prospects", 1, score=missing, owner=missing, tags=missing, title="CFO")
    assert sent[-1].body["data"] == {"type": "prospect", "id": 1, "attributes": {"title": "CFO"}}

    org.update("prospects", 1, score=None, owner=None)
    assert sent[-1].body["data"]["attributes"] == {"score": None}
    assert sent[-1].body["data"]["relationships"] == {"owner": {"data": None}}


@pytest.mark.parametrize("infinity", [math.inf, -math.inf, np.float64("inf"), np.float32("-inf")])
def test_an_infinite_value_is_refused_wherever_it_stands(org, sent, infinity):
    for call in (
        lambda: org.update("prospects", 1, score=infinity),
        lambda: org.create("prospects", first_name="x", score=infinity),
        lambda: org.create("prospects", first_name="x", tags=["a", infinity]),
        lambda: org.create("users", meta={"send_invite": infinity}, email="x@x.example"),
        lambda: org.act("tasks", 1, "update_note", note=infinity),
        lambda: org.act("batches", None, "prospects_bulk_modify", ids=[1], score=infinity),
    ):
        with pytest.raises(QueryError, match="is infinite"):
            call()
    assert sent == []


def test_a_missing_value_in_a_list_is_refused(org, sent):
    """Left out of the list, it could leave an empty one, which clears."""
    for call in (
        lambda: org.update("prospects", 1, tags=[float("nan")]),
        lambda: org.act("batches", None, "prospects_bulk_modify", ids=[pd.NA], score=1),
    ):
        with pytest.raises(QueryError, match="missing value"):
            call()
    with pytest.raises(QueryError, match="takes an id"):
        org.update("users", 1, teams=[1, None])
    assert sent == []


def test_a_batch_leaves_a_missing_value_out(org, sent):
    """One null would clear the field of every record."""
    org.act("batches", None, "prospects_bulk_modify", ids=[1, 2], score=float("nan"), title="CEO")

    assert sent[-1].body["data"]["attributes"] == {"ids": [1, 2], "title": "CEO"}
    with pytest.raises(QueryError, match="needs a field_value"):
        org.act("batches", None, "prospects_bulk_modify", ids=[1], field_name="score", field_value=float("nan"))


def test_an_update_without_any_value_is_not_sent(org, sent):
    with pytest.raises(QueryError, match="nothing to change"):
        org.update("prospects", 1, score=float("nan"))
    assert sent == []


def test_patterns_refuse_a_missing_record(org, sent):
    """Left out, it would enroll nobody, or list the tasks of no owner."""
    for missing in (None, pd.NA, float("nan")):
        for call in (
            lambda m=missing: of.patterns.enroll(org, m, 1, 1),
            lambda m=missing: of.patterns.log_call(org, 1, m, direction="outbound", outcome="completed"),
            lambda m=missing: of.patterns.open_tasks(org, m),
        ):
            with pytest.raises(QueryError, match="is no id of"):
                call()
    with pytest.raises(QueryError, match="no id of templates"):
        of.patterns.create_sequence(org, name="x", steps=[{"step_type": "call", "interval": 1, "template": pd.NA}])
    assert sent == []


@given(blank=st.text(" \t\r\n\u00a0\u2007\u202f\u3000\u200b\ufeff", max_size=4), number=st.integers(-(2**52), 2**52))
def test_values_are_sent_in_one_form(blank, number):
    """Addresses without blanks around them, whole numbers as such."""
    kind = catalog.load().resource("prospects")
    sent = resource_document(kind, {"emails": [f"{blank}Ann@a.example{blank}"], "score": float(number)})

    assert json.loads(sent.body)["data"]["attributes"] == {"emails": ["Ann@a.example"], "score": number}


def test_floats_too_large_to_be_exact_are_no_whole_numbers(org, sent):
    """2**53 + 1 is not among them: the id of one record would name its neighbor."""
    with pytest.raises(QueryError, match="no id of prospects"):
        org.update("prospects", float(2**53 + 1), title="CEO")
    with pytest.raises(QueryError, match="takes an integer"):
        org.create("accounts", name="x", number_of_employees=1e300)
    assert sent == []


def test_numpys_instants_are_instants(org, sent):
    org.create("tasks", action="call", subject=of.ref(1, "prospect"), due_at=np.datetime64("2026-04-01T13:00", "ns"))
    assert sent[-1].body["data"]["attributes"]["dueAt"] == "2026-04-01T13:00:00.000Z"
