"""The vendor's guide from top to bottom: each of its requests, answered as it says."""

import json
from datetime import UTC, datetime

import pytest

from outreach_frames._sandbox import Sandbox
from tests.sandbox.small_organization import resource
from tests.sandbox.writing_requests import Program, document, made

AS_OF = datetime(2017, 1, 1, tzinfo=UTC)
AT_THE_START = "2017-01-01T00:0"


@pytest.fixture
def empty():
    """Return an organization as it is on its first day: a user and her mailbox."""
    resources = [
        {"type": "user", "id": 1, "attributes": {"email": "ana@example.com", "firstName": "Ana"}},
        {
            "type": "mailbox",
            "id": 1,
            "attributes": {"email": "ana@example.com"},
            "relationships": {"user": {"data": {"type": "user", "id": 1}}},
        },
    ]
    with Sandbox(resources, as_of=AS_OF) as running:
        yield running
    assert running.failures == ()


@pytest.fixture
def program(empty):
    """Return a program that talks to that organization."""
    return Program(empty)


def test_manage_prospects_and_accounts(empty, program):
    """Stamps are those of the request, relationships are there, an update changes only what it names."""
    account = made(program.create("accounts", "account", {"name": "Acme"}))

    assert account["id"] == 1
    assert account["attributes"]["name"] == "Acme"
    assert account["attributes"]["createdAt"].startswith(AT_THE_START)
    assert account["attributes"]["updatedAt"] == account["attributes"]["createdAt"]
    prospects = account["relationships"]["prospects"]
    assert prospects == {"links": {"related": f"{empty.base_url}/prospects?filter[account][id]=1"}}
    assert program.get(prospects["links"]["related"].removeprefix(empty.base_url)) == []

    attributes = {"emails": ["sally.smith@acme.example.com"], "firstName": "Sally", "title": "CEO"}
    prospect = made(program.create("prospects", "prospect", attributes, account=("account", 1)))
    assert prospect["attributes"].items() >= attributes.items()
    assert prospect["relationships"]["account"]["data"] == {"type": "account", "id": 1}
    assert [each["id"] for each in program.get("/prospects?filter[account][id]=1")] == [1]

    empty.advance(3_600)
    changed = made(program.update("prospects", "prospect", 1, {"lastName": "Smith"}, owner=("user", 1)), 200)
    assert changed["attributes"].items() >= (attributes | {"lastName": "Smith", "name": "Sally Smith"}).items()
    assert changed["attributes"]["createdAt"] == prospect["attributes"]["createdAt"]
    assert changed["attributes"]["updatedAt"].startswith("2017-01-01T01:0")
    assert changed["relationships"]["account"]["data"] == {"type": "account", "id": 1}
    assert changed["relationships"]["owner"]["data"] == {"type": "user", "id": 1}


def test_setup_and_manage_sequences(program):
    """The guide's ruleset names an id and a value that the schema does not know; both are taken."""
    sequence = made(
        program.create(
            "sequences",
            "sequence",
            {"description": "Primary Sales Sequence", "name": "Primary", "sequenceType": "interval"},
        )
    )
    step = made(
        program.create("sequenceSteps", "sequenceStep", {"interval": 120, "stepType": "call"}, sequence=("sequence", 1))
    )
    rules = {"autoResumeOotoProspects": True, "name": "Custom Ruleset", "permitDuplicateProspects": "onlyIfActive"}
    ruleset = made(program.send("POST", "/rulesets", document("ruleset", rules, id_=1)))
    changed = made(program.update("sequences", "sequence", 1, ruleset=("ruleset", 1)), 200)

    assert sequence["attributes"]["enabled"] is False
    assert step["attributes"].items() >= {"order": 1, "displayName": "Step 1: call", "interval": 120}.items()
    assert ruleset["attributes"].items() >= rules.items()
    assert changed["relationships"]["ruleset"]["data"] == {"type": "ruleset", "id": 1}
    assert changed["relationships"]["sequenceSteps"]["data"] == [{"type": "sequenceStep", "id": 1}]
    assert changed["attributes"]["sequenceStepCount"] == 1


def test_save_snippets_and_templates(empty, program):
    """The owner is who made them; a template without a name is in no list, and serves a step all the same."""
    passage = {
        "bodyHtml": "<p>Would you please include in your response ...</p>",
        "name": "Request for Information",
    }
    snippet = made(program.create("snippets", "snippet", passage))
    assert snippet["attributes"].items() >= passage.items()
    assert snippet["attributes"]["bodyText"] == "Would you please include in your response ..."
    assert snippet["relationships"]["owner"]["data"] == {"type": "user", "id": 1}

    unnamed = made(
        program.create("templates", "template", {"bodyHtml": "<h1>Greetings!</h1>", "subject": "Hello prospect"})
    )
    assert program.get("/templates") == []
    assert program.get(f"/templates/{unnamed['id']}")["attributes"]["subject"] == "Hello prospect"
    for name, type_ in (("mailings", "mailings"), ("sequenceTemplates", "sequenceTemplates"), ("tasks", "tasks")):
        link = unnamed["relationships"].get(name, {}).get("links", {}).get("related")
        assert link in {None, f"{empty.base_url}/{type_}?filter[template][id]=1"}

    made(program.create("sequences", "sequence", {"name": "Primary", "sequenceType": "interval"}))
    made(
        program.create(
            "sequenceSteps", "sequenceStep", {"interval": 2880, "stepType": "auto_email"}, sequence=("sequence", 1)
        )
    )
    joined = made(
        program.create(
            "sequenceTemplates", "sequenceTemplate", sequenceStep=("sequenceStep", 1), template=("template", 1)
        )
    )
    assert joined["relationships"]["template"]["data"] == {"type": "template", "id": 1}
    assert program.send("DELETE", "/sequenceTemplates/1").status_code == 204
    assert program.get("/sequenceSteps/1")["relationships"]["sequenceTemplates"]["data"] == []


@pytest.fixture
def ready(program):
    """Return a program whose organization has a prospect and an enabled sequence of one call."""
    made(program.create("prospects", "prospect", {"emails": ["sally@acme.example.com"], "firstName": "Sally"}))
    made(program.create("sequences", "sequence", {"name": "Primary", "sequenceType": "interval"}))
    made(program.create("sequenceSteps", "sequenceStep", {"interval": 0, "stepType": "call"}, sequence=("sequence", 1)))
    made(program.act("/sequences/1/actions/activate"), 200)
    return program


def test_add_prospects_to_sequences(ready):
    """Active at the first step, at once; finished, paused and resumed by actions."""
    state = made(
        ready.create(
            "sequenceStates",
            "sequenceState",
            prospect=("prospect", 1),
            sequence=("sequence", 1),
            mailbox=("mailbox", 1),
        )
    )

    assert state["attributes"]["state"] == "active"
    stamps = {state["attributes"][name] for name in ("createdAt", "stateChangedAt", "updatedAt", "activeAt")}
    assert len(stamps) == 1
    assert stamps.pop().startswith(AT_THE_START)
    for name in ("prospect", "sequence", "sequenceStep", "mailbox"):
        assert state["relationships"][name]["data"] == {"type": name, "id": 1}

    paused = made(ready.act("/sequenceStates/1/actions/pause"), 200)
    resumed = made(ready.act("/sequenceStates/1/actions/resume"), 200)
    finished = made(ready.act("/sequenceStates/1/actions/finish"), 200)
    states = [each["attributes"]["state"] for each in (paused, resumed, finished)]
    assert states == ["paused", "active", "finished"]


def test_discover_open_tasks(ready):
    """The first step's call is a task of the mailbox's user."""
    made(
        ready.create(
            "sequenceStates",
            "sequenceState",
            prospect=("prospect", 1),
            sequence=("sequence", 1),
            mailbox=("mailbox", 1),
        )
    )

    answer = ready.send("GET", "/tasks?filter[state]=incomplete&filter[owner][id]=1&include=prospect").json()

    (task,) = answer["data"]
    assert task["attributes"]["action"] == "call"
    assert [each["attributes"]["firstName"] for each in answer["included"]] == ["Sally"]


def test_log_external_calls(ready):
    """Times without a zone are UTC; a task is left alone unless the relationship's meta says otherwise."""
    first = made(
        ready.create(
            "calls",
            "call",
            {
                "answeredAt": "2017-01-01T12:00:15",
                "completedAt": "2017-01-01T12:00:00",
                "direction": "outbound",
                "outcome": "completed",
            },
            prospect=("prospect", 1),
            user=("user", 1),
        )
    )
    assert first["attributes"]["answeredAt"] == "2017-01-01T12:00:15.000Z"
    assert first["attributes"]["outcome"] == "completed"

    made(ready.create("tasks", "task", {"action": "call"}, subject=("prospect", 1), owner=("user", 1)))
    linked = made(
        ready.create(
            "calls",
            "call",
            {"direction": "outbound", "outcome": "no_answer"},
            prospect=("prospect", 1),
            task=("task", 1),
            user=("user", 1),
        )
    )
    assert linked["relationships"]["task"]["data"] == {"type": "task", "id": 1}
    assert ready.get("/tasks/1")["attributes"]["state"] == "incomplete"

    made(
        ready.create(
            "calls",
            "call",
            {"direction": "outbound", "note": "Meeting Booked!", "outcome": "completed"},
            prospect=("prospect", 1),
            task={"data": {"type": "task", "id": 1}, "meta": {"complete": True}},
            user=("user", 1),
        )
    )
    task = ready.get("/tasks/1")
    assert task["attributes"].items() >= {"state": "complete", "completed": True}.items()
    assert task["attributes"]["completedAt"].startswith(AT_THE_START)
    assert task["relationships"]["completer"]["data"] == {"type": "user", "id": 1}


def test_invite_new_users(empty, program):
    """By mail, unless the resource's meta says not to."""
    person = {"email": "foo@bar.com", "firstName": "Foo", "lastName": "Bar"}

    invited = made(program.create("users", "user", person))
    quiet = made(program.create("users", "user", person | {"email": "baz@bar.com"}, meta={"sendInvite": False}))

    assert invited["attributes"].items() >= person.items()
    assert [(message.kind, message.to, message.user) for message in empty.outbox] == [
        ("invitation", "foo@bar.com", invited["id"])
    ]
    assert quiet["id"] == invited["id"] + 1


def exchanges(guide):
    """Return method, path, body and documented answer of each request that the guide shows, in order."""
    found = []
    for block in guide:
        if isinstance(block, str):
            found.append([*block.split(" "), None, None])
        elif found:
            method, _, body, answer = found[-1]
            if body is None and method != "GET":
                found[-1][2] = block
            elif answer is None:
                found[-1][3] = block
    return found


OWN = frozenset({"createdAt", "updatedAt", "stateChangedAt", "clickCount", "openCount", "replyCount"})


def unlike(documented, answered, place=()):
    """Yield where an answer is not what is documented; ids, times, names and counts are each organization's own."""
    if isinstance(documented, dict):
        for name, value in documented.items():
            if name not in answered:
                yield (*place, name)
            elif name not in OWN | {"id"} and documented.get("name") != "prospect_updated":
                yield from unlike(value, answered[name], (*place, name))
    elif isinstance(documented, list) and documented and isinstance(documented[0], dict):
        yield from unlike(documented[0], answered[0], place)
    elif isinstance(documented, str) and documented.startswith("https://"):
        if documented.partition("/api/v2")[2].partition("=")[0] not in answered:
            yield place
    elif documented != answered:
        yield place


def test_every_request_of_the_guide_as_printed(guide_path, empty, program):
    """Read from its text, sent in its order; what its author did in between is done here."""
    between = {
        "/sequenceTemplates": lambda: program.create("templates", "template", {"name": "Product Announcement"}),
        "/sequenceStates": lambda: program.act("/sequences/1/actions/activate"),
        "/tasks?filter[state]=incomplete&filter[owner][id]=1&include=prospect": lambda: empty.put(
            resource("task", 1, {"action": "call", "state": "incomplete"}, prospect=("prospect", 1), owner=("user", 1))
        ),
        "/complianceRequests": lambda: program.create(
            "prospects", "prospect", {"emails": ["prospect_email@example.com"]}
        ),
    }
    empty.settings.event_updated_at = True
    walked = exchanges(json.loads(guide_path.read_text()))
    assert len(walked) == 23

    for method, path, body, documented in walked:
        if method == "POST" or "tasks" in path:
            between.pop(path, lambda: None)()
        if path == "/users":
            for user in [each for each in empty.store.records("user") if each.attributes["email"] == "foo@bar.com"]:
                empty.remove("user", user.id)

        if path == "/prospects":
            del documented["data"]["attributes"]["lastName"]  # answered, though nobody sent one

        answer = program.send(method, path, body)

        created = method == "POST" and "/actions/" not in path
        assert answer.status_code == (201 if created else 200), (method, path, answer.text)
        if path == "/complianceRequests":
            assert answer.json()["data"].keys() == documented["data"].keys()
        elif documented:
            assert list(unlike(documented, answer.json())) == [], (method, path)

    assert [message.to for message in empty.outbox] == ["foo@bar.com"]
    assert program.get("/tasks/1")["attributes"]["state"] == "complete"
