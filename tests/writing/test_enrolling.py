"""Many prospects are enrolled after a check of each, and the check is true."""

import pandas as pd
import pytest

import outreach_frames as of
from outreach_frames import patterns
from outreach_frames.errors import QueryError, TransportError, ValidationError


def new_sequence(org, step="auto_email", **ruleset):
    rules = {"name": "Rules", "permit_duplicate_prospects": "only_if_inactive", **ruleset}
    steps = [{"step_type": step, "interval": 0}]
    made = patterns.create_sequence(org, name="S", sequence_type="interval", steps=steps, ruleset=rules)
    org.act("sequences", made.sequence, "activate")
    return int(made.sequence["id"])


def new_prospect(org, name, **values):
    return int(org.create("prospects", **{"emails": [f"{name}@new.example"], **values})["id"])


def is_taken(org, prospect, sequence, mailbox):
    """Return whether the sandbox enrolls a prospect."""
    try:
        patterns.enroll(org, prospect, sequence, mailbox)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize("sequence", [1, 2, 3, 4])
def test_what_would_be_created_is_created_and_nothing_else_could_be(tmp_path, monkeypatch, sequence):
    """All prospects of an organization with a history: opted out, bounced, active here and elsewhere."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with of.sandbox(prospects=120, seed=11) as org:
        org.update("sequences", sequence, ruleset=3 if sequence == 4 else 1)
        people = of.fetch_prospects(org, fields=["id"])
        planned = patterns.enroll(org, people, sequence, 1)
        done = patterns.enroll(org, people, sequence, 1, confirm=True, progress=False)

        created = done["status"] == "created"
        assert created.tolist() == (planned["status"] == "would create").tolist()
        assert done.loc[~created, "status"].eq("refused").all()
        assert not any(is_taken(org, int(number), sequence, 1) for number in people.loc[~created.to_numpy(), "id"])
        if sequence != 4:
            assert 0 < created.sum() < len(people)
    assert planned["reason"].notna().tolist() == planned["status"].eq("refused").tolist()


def test_each_obstacle_is_named(org):
    sequence = new_sequence(org)
    people = {
        "fine": new_prospect(org, "a"),
        "has opted out": new_prospect(org, "b", opted_out=True),
        "opted out of emails": new_prospect(org, "c", email_opted_out=True),
        "no deliverable address": new_prospect(org, "d", emails=[]),
        "already active": new_prospect(org, "e"),
        "no such prospect": 99_999,
    }
    active = patterns.enroll(org, people["already active"], sequence, 1)

    planned = patterns.enroll(org, [*people.values(), people["fine"]], sequence, mailbox=1)

    assert planned["status"].tolist() == ["would create", *["refused"] * 6]
    for said, reason in zip([*people][1:], planned["reason"].iloc[1:6], strict=True):
        assert said in reason
    assert planned["id"].iloc[4] == str(active["id"])
    assert planned["reason"].iloc[6] == "an earlier row has the same prospect"


@pytest.mark.parametrize(
    ("ruleset", "said"),
    [
        ({"permit_duplicate_prospects": "disallow"}, "has already been in this sequence"),
        ({"sequence_exclusivity": "all_sequences"}, "active in another sequence"),
        ({"minimum_prospect_touched_interval": 86_400}, "contacted more recently"),
    ],
)
def test_the_ruleset_is_obeyed(org, ruleset, said):
    sequence, other = new_sequence(org, **ruleset), new_sequence(org, step="call")
    prospect = new_prospect(org, "a")
    patterns.finish(org, patterns.enroll(org, prospect, sequence, 1))
    patterns.enroll(org, prospect, other, 1)
    patterns.log_call(org, prospect, 1, direction="outbound", outcome="Answered")

    planned = patterns.enroll(org, [prospect], sequence, 1)

    assert said in planned["reason"].iloc[0]
    assert not is_taken(org, prospect, sequence, 1)


def test_a_ruleset_that_allows_duplicates_does(org):
    sequence = new_sequence(org, permit_duplicate_prospects="allow")
    prospect = new_prospect(org, "a")
    patterns.enroll(org, prospect, sequence, 1)

    assert patterns.enroll(org, [prospect], sequence, 1)["status"].tolist() == ["would create"]


def test_mailboxes_are_checked_row_by_row(org):
    sequence = new_sequence(org)
    org.update("mailboxes", 2, send_disabled=True)
    people = [new_prospect(org, name) for name in "abcd"]
    frame = pd.DataFrame({"id": people, "mailbox_id": [1, None, 2, 999]}, index=[*"wxyz"])

    result = patterns.enroll(org, frame, sequence, confirm=True)

    assert result["status"].to_dict() == {"w": "created", "x": "refused", "y": "refused", "z": "refused"}
    assert result["reason"].iloc[1:].tolist() == [
        "there is no mailbox",
        "the mailbox does not send",
        "there is no such mailbox",
    ]


@pytest.mark.parametrize(("sequence", "said"), [(99_999, "no such sequence"), ("disabled", "not enabled")])
def test_a_sequence_that_takes_nobody_refuses_all(org, sequence, said):
    if sequence == "disabled":
        sequence = new_sequence(org)
        org.act("sequences", sequence, "deactivate")

    planned = patterns.enroll(org, [1, 2], sequence, 1)

    assert planned["status"].tolist() == ["refused"] * 2
    assert said in planned["reason"].iloc[0]


def test_a_call_that_was_cut_short_goes_on_and_enrolls_nobody_twice(org, sent, monkeypatch):
    """The answer of the second was lost; the first is active by the same call."""
    sequence = new_sequence(org)
    people = [new_prospect(org, name) for name in "abc"]
    send, writes = org.session.send, []

    def losing(*args, **kwargs):
        answer = send(*args, **kwargs)
        writes.append(args)
        if len(writes) == 2:
            raise TransportError("The connection was dropped.")
        return answer

    with monkeypatch.context() as patch:
        patch.setattr(org.session, "send", losing)
        with pytest.raises(TransportError):
            patterns.enroll(org, people, sequence, 1, confirm=True)
    del sent[:]

    result = patterns.enroll(org, people, sequence, 1, confirm=True)
    again = patterns.enroll(org, people, sequence, 1, confirm=True)

    assert result["status"].tolist() == ["created"] * 3
    assert again["status"].tolist() == ["refused"] * 3
    assert again["id"].tolist() == result["id"].tolist()
    assert len(sent) == 1
    assert of.count(org, "sequence_states", filter={"sequence": sequence}) == 3


def test_one_prospect_is_enrolled_at_once_and_can_be_checked(org, sent):
    sequence, prospect = new_sequence(org), new_prospect(org, "a")
    del sent[:]

    planned = patterns.enroll(org, prospect, sequence, 1, confirm=False)
    assert planned["status"].tolist() == ["would create"]
    assert sent == []
    state = patterns.enroll(org, of.fetch_one(org, "prospects", prospect), sequence, 1)

    assert state["state"] == "active"


def test_fifty_prospects_are_checked_in_few_requests(org):
    sequence = new_sequence(org)
    org.sandbox.clear_log()

    patterns.enroll(org, range(1, 41), sequence, 1)

    assert len(org.sandbox.requests) <= 10


@pytest.mark.parametrize(
    ("prospects", "mailbox"), [([1, None], 1), ([1], None), (pd.DataFrame({"prospect": [1]}), 1), ([1], "x")]
)
def test_what_cannot_work_is_refused_at_once(org, sent, prospects, mailbox):
    org.sandbox.clear_log()
    with pytest.raises(QueryError):
        patterns.enroll(org, prospects, 1, mailbox, confirm=True)
    assert not [*org.sandbox.requests, *sent]


def test_nobody_to_enroll_is_an_empty_result(org):
    assert len(patterns.enroll(org, [], 1, 1, confirm=True)) == 0
