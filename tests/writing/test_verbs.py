from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

import outreach_frames as of
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
    assert body["attributes"] == {"action": "call", "dueAt": "2026-04-01T13:00:00.000Z", "note": None}
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
    org.sandbox.faults.add(path="/prospects", method="POST", carried_out=True, body=b"", status=201)
    with pytest.raises(DocumentError, match="did what was asked") as caught:
        org.create("prospects", first_name="Once")
    assert "Do not send it again" in str(caught.value)
    assert of.count(org, "prospects") == before + 1
