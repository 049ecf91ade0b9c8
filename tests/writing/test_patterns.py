"""The vendor's guide, walked from top to bottom."""

import json
import re
from urllib.parse import parse_qsl, urlsplit

import pytest

import outreach_frames as of
from outreach_frames import compliance, patterns
from outreach_frames.errors import DeadlineError, IncompleteError, QueryError, UnknownNameError, ValidationError


def requests_of(guide):
    """Read the guide's requests, in its order: (method, path, parameters, body)."""
    for block, following in zip(guide, [*guide[1:], ""], strict=True):
        if isinstance(block, str):
            method, url = block.split(" ")
            parts = urlsplit(url)
            body = following if method != "GET" and isinstance(following, dict) else None
            yield method, parts.path, dict(parse_qsl(parts.query)), body


def without_ids(document):
    """Leave out ids, which differ from one organization to the next."""
    if isinstance(document, dict):
        return {key: without_ids(value) for key, value in document.items() if key != "id"}
    return [without_ids(item) for item in document] if isinstance(document, list) else document


def walk_the_guide(org):
    """Do what each heading of the guide does, in its order."""
    user = of.fetch(org, "users", limit=1).iloc[0]
    mailbox = of.fetch(org, "mailboxes", filter={"user": int(user["id"])}, limit=1).iloc[0]
    people = [{"emails": ["sally.smith@acme.example.com"], "first_name": "Sally", "title": "CEO"}]
    _, prospects = patterns.add_account(org, name="Acme", prospects=people)
    prospect = int(prospects["id"].iloc[0])
    org.update("prospects", prospect, last_name="Smith", owner=user)

    made = patterns.create_sequence(
        org,
        description="Primary Sales Sequence",
        name="Primary",
        sequence_type="interval",
        steps=[{"interval": 120, "step_type": "call"}],
    )
    rules = org.create(
        "rulesets", auto_resume_ooto_prospects=True, name="Custom Ruleset", permit_duplicate_prospects="onlyIfActive"
    )
    org.update("sequences", int(made.sequence["id"]), ruleset=rules)
    passage = "<p>Would you please include in your response ...</p>"
    patterns.save_snippet(org, body_html=passage, name="Request for Information")
    step = org.create("sequence_steps", interval=2880, step_type="auto_email", sequence=made.sequence)
    named = patterns.save_template(org, name="Product Announcement", body_html="<p>New</p>")
    org.create("sequence_templates", sequence_step=step, template=named)
    patterns.save_template(org, body_html="<h1>Greetings!</h1>", subject="Hello prospect")

    org.act("sequences", int(made.sequence["id"]), "activate")
    state = patterns.enroll(org, prospect, made.sequence, mailbox)
    assert (state["state"], state["sequence_step_id"]) == ("active", made.steps["id"].iloc[0])
    assert patterns.pause(org, state)["state"] == "paused"
    assert patterns.resume(org, state)["state"] == "active"
    assert patterns.finish(org, state)["state"] == "finished"

    task = org.create("tasks", action="call", owner=user, subject=of.ref(prospect, "prospect"))
    todo = patterns.open_tasks(org, user)
    assert task["id"] in todo["id"].tolist()
    assert todo.set_index("id").loc[task["id"], "prospect__first_name"] == "Sally"

    patterns.log_call(
        org,
        prospect,
        user,
        direction="outbound",
        outcome="completed",
        answered_at="2017-01-01T12:00:15",
        completed_at="2017-01-01T12:00:00",
    )
    patterns.log_call(org, prospect, user, direction="outbound", outcome="no_answer", task=task)
    assert of.fetch_one(org, "tasks", int(task["id"]))["state"] == "incomplete"
    done = {"direction": "outbound", "outcome": "completed", "note": "Meeting Booked!"}
    patterns.log_call(org, prospect, user, task=task, complete_task=True, **done)
    assert of.fetch_one(org, "tasks", int(task["id"]))["state"] == "complete"

    events = patterns.recent_events(org, limit=5)
    assert events["created_at"].is_monotonic_decreasing
    counters = patterns.delivery_statistics(org)
    assert counters.columns.tolist() == ["id", "click_count", "open_count", "reply_count"]

    foo = {"email": "foo@bar.com", "first_name": "Foo", "last_name": "Bar"}
    patterns.invite_user(org, **foo)
    assert len(org.sandbox.outbox) == 1
    patterns.invite_user(org, **{**foo, "email": "foo2@bar.com"}, send_invite=False)
    assert len(org.sandbox.outbox) == 1

    batch = compliance.request_deletion(org, "prospect_email@example.com", requester="admin@example.com")
    compliance.status(org, batch)


def test_every_request_of_the_guide_is_sent_as_it_stands_there(org, sent, guide_path):
    """Bodies are equal, ids aside; reads carry the guide's parameters."""
    wanted = list(requests_of(json.loads(guide_path.read_text())))
    assert len(wanted) == 23
    org.sandbox.clear_log()

    walk_the_guide(org)

    bodies = [(s.method, without_ids(s.body)) for s in sent]
    for method, path, parameters, body in wanted:
        if method == "GET":
            assert any(
                request.path.endswith(path) and parameters.keys() <= dict(request.parameters).keys()
                for request in org.sandbox.requests
            ), path
        elif body is None:
            assert any(re.sub(r"\d+", "1", s.path) == path and s.body is None for s in sent), path
        else:
            body = without_ids(body)  # noqa: PLW2901  compared without ids
            if body["data"]["type"] == "user" and "meta" in body["data"]:
                body["data"]["attributes"]["email"] = "foo2@bar.com"  # an address can be invited once
            assert (method, body) in bodies, path


def test_an_account_is_made_before_its_prospects(org):
    account, prospects = patterns.add_account(org, name="Acme", prospects=[{"first_name": "A"}, {"first_name": "B"}])

    assert prospects["account_id"].tolist() == [account["id"]] * 2


def test_nothing_is_created_when_any_part_cannot_be(org, sent):
    with pytest.raises(UnknownNameError):
        patterns.add_account(org, name="Acme", prospects=[{"first_name": "A"}, {"frist_name": "B"}])
    with pytest.raises(QueryError, match="needs 'interval'"):
        patterns.create_sequence(org, name="S", sequence_type="interval", steps=[{"step_type": "call"}])
    with pytest.raises(QueryError, match="needs 'date'"):
        patterns.create_sequence(org, name="S", sequence_type="date", steps=[{"step_type": "call", "interval": 1}])

    assert sent == []


def test_a_failure_half_way_says_what_was_created(org):
    people = [{"emails": ["twice@acme.example"]}, {"emails": ["twice@acme.example"]}]

    with pytest.raises(IncompleteError, match=r"accounts \d+, prospects \d+") as caught:
        patterns.add_account(org, name="Acme", prospects=people)

    assert [kind for kind, _ in caught.value.created] == ["accounts", "prospects"]
    assert isinstance(caught.value.__cause__, ValidationError)


def test_a_sequence_comes_with_its_steps_templates_and_ruleset(org):
    made = patterns.create_sequence(
        org,
        name="Welcome",
        sequence_type="interval",
        ruleset={"name": "Once only", "permit_duplicate_prospects": "disallow"},
        steps=[
            {"step_type": "auto_email", "interval": 0, "template": {"subject": "Hello", "body_html": "<p>Hi</p>"}},
            {"step_type": "call", "interval": 86_400},
        ],
    )

    assert made.sequence["ruleset_id"] == made.ruleset["id"]
    assert made.steps["step_type"].tolist() == ["auto_email", "call"]
    assert made.steps["sequence_id"].tolist() == [made.sequence["id"]] * 2
    assert made.sequence_templates["template_id"].tolist() == made.templates["id"].tolist()
    assert made.sequence_templates["sequence_step_id"].tolist() == made.steps["id"].tolist()[:1]


def test_a_webhook_is_subscribed_and_unsubscribed(org):
    hook = patterns.subscribe(org, "https://hooks.example/outreach", resource="mailing", action="replied", secret="s")

    assert hook["id"] in of.fetch_webhooks(org)["id"].tolist()
    patterns.unsubscribe(org, hook)
    assert hook["id"] not in of.fetch_webhooks(org)["id"].tolist()


def test_completing_a_task_needs_the_task(org, sent):
    with pytest.raises(QueryError, match="needs the task"):
        patterns.log_call(org, 1, 1, direction="outbound", outcome="completed", complete_task=True)
    assert sent == []


def test_types_without_counters_have_no_delivery_statistics(org):
    with pytest.raises(QueryError, match="no delivery counters"):
        patterns.delivery_statistics(org, "users")
    assert "bounce_count" in patterns.delivery_statistics(org, "sequences")


def test_a_deletion_request_is_followed_to_its_end(org):
    person = of.fetch(org, "prospects", limit=1).iloc[0]
    address = person["emails"][0]

    batch = compliance.request_deletion(org, address, requester="admin@example.com")
    waits = []
    done = compliance.wait(org, batch, poll=5, sleep=lambda s: (waits.append(s), org.sandbox.advance(3600)))

    assert (done["state"] == "done").all()
    assert person["id"] not in of.fetch(org, "prospects", fields=["title"])["id"].tolist()


def test_waiting_for_a_deletion_has_an_end(org):
    batch = compliance.request_deletion(org, "nobody@example.com", requester="admin@example.com")
    ticks = iter(range(0, 10_000, 100))

    with pytest.raises(DeadlineError, match="not done within 50 seconds"):
        compliance.wait(org, batch, timeout=50, poll=100, sleep=lambda _: None, clock=lambda: next(ticks))
