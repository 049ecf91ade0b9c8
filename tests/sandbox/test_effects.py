"""What follows from a write: stamps, defaults, the other side of relationships, the log of events."""

from outreach_frames._sandbox import Sandbox
from tests.sandbox.small_organization import error
from tests.sandbox.writing_requests import Program, made

# What follows


def test_creating_stamps_and_signs(office):
    """Time of the request, and the user of the token; neither can be written."""
    program = Program(office, office.issue_token(user=2))

    new = made(program.create("accounts", "account", {"name": "Cedar"}))
    changed = made(Program(office).update("accounts", "account", new["id"], {"name": "Cedar & Sons"}), 200)

    assert new["attributes"]["createdAt"] == new["attributes"]["updatedAt"]
    assert new["relationships"]["creator"]["data"] == {"type": "user", "id": 2}
    assert changed["relationships"]["creator"]["data"] == {"type": "user", "id": 2}
    assert changed["relationships"]["updater"]["data"] == {"type": "user", "id": 1}


def test_an_update_that_changes_nothing_is_none(office, program):
    """``updatedAt`` stays, nothing is logged."""
    program.update("accounts", "account", 1, {"domain": "acme.example"})
    before, events = program.get("/accounts/1"), len(list(office.store.records("event")))
    office.advance(60)

    assert made(program.update("accounts", "account", 1, {"domain": "acme.example"}), 200) == before
    assert len(list(office.store.records("event"))) == events


def test_null_clears(program):
    changed = made(program.update("prospects", "prospect", 1, {"title": None, "tags": []}, account=None), 200)

    assert changed["attributes"]["title"] is None
    assert changed["attributes"]["tags"] == []
    assert changed["relationships"]["account"]["data"] is None


def test_ids_are_not_given_twice(program):
    """Not even the last one, once it is deleted."""
    first = made(program.create("stages", "stage", {"name": "A"}))["id"]
    program.send("DELETE", f"/stages/{first}")

    assert made(program.create("stages", "stage", {"name": "B"}))["id"] == first + 1


def test_addresses_and_numbers_are_resources_too(program):
    """Either side follows the other."""
    lists = {"emails": ["a@new.example", "b@new.example"], "mobilePhones": ["+49170"], "workPhones": ["+4930"]}
    new = made(program.create("prospects", "prospect", lists))
    link = f"filter[prospect][id]={new['id']}"
    addresses = program.get(f"/emailAddresses?{link}")
    assert [each["attributes"]["email"] for each in addresses] == lists["emails"]
    assert {each["id"] for each in new["relationships"]["emailAddresses"]["data"]} == {e["id"] for e in addresses}
    numbers = {
        each["attributes"]["phoneType"]: each["attributes"]["number"] for each in program.get(f"/phoneNumbers?{link}")
    }
    assert numbers == {"mobile": "+49170", "work": "+4930"}

    program.update("prospects", "prospect", new["id"], {"emails": ["b@new.example", "c@new.example"]})
    kept = {each["attributes"]["email"]: each["id"] for each in program.get(f"/emailAddresses?{link}")}
    assert set(kept) == {"b@new.example", "c@new.example"}
    assert kept["b@new.example"] == addresses[1]["id"]

    program.send("DELETE", f"/emailAddresses/{kept['b@new.example']}")
    made(
        program.create(
            "emailAddresses", "emailAddress", {"email": "d@new.example", "order": 5}, prospect=("prospect", new["id"])
        )
    )
    assert program.get(f"/prospects/{new['id']}")["attributes"]["emails"] == ["c@new.example", "d@new.example"]


def test_opting_out_is_stamped(program):
    """Setting the flag stamps the time, unsetting it clears it; a channel's flag and status agree."""
    out = made(program.update("prospects", "prospect", 1, {"optedOut": True, "emailOptedOut": True}), 200)["attributes"]
    back = made(program.update("prospects", "prospect", 1, {"optedOut": False}), 200)["attributes"]

    assert out["optedOutAt"] == out["updatedAt"]
    assert (out["emailsOptStatus"], out["emailsOptedAt"]) == ("opted_out", out["updatedAt"])
    assert (back["optedOut"], back["optedOutAt"]) == (False, None)
    assert back["emailOptedOut"] is True


def test_a_channels_status_sets_its_flag(program):
    """The newer spelling of the same choice."""
    out = made(program.update("prospects", "prospect", 1, {"callsOptStatus": "opted_out"}), 200)["attributes"]
    back = made(program.update("prospects", "prospect", 1, {"callsOptStatus": "opted_in"}), 200)["attributes"]

    assert (out["callOptedOut"], out["callsOptedAt"]) == (True, out["updatedAt"])
    assert back["callOptedOut"] is False


def test_reply_action_has_an_older_spelling(program):
    """``finishOnReply`` is true exactly if the primary reply action is ``finish``."""
    new = made(program.create("sequences", "sequence", {"name": "X", "sequenceType": "date"}))["attributes"]
    assert (new["primaryReplyAction"], new["finishOnReply"]) == ("finish", True)

    paused = made(program.update("sequences", "sequence", 1, {"primaryReplyAction": "pause"}), 200)["attributes"]
    assert paused["finishOnReply"] is False
    older = made(program.update("sequences", "sequence", 2, {"finishOnReply": True}), 200)["attributes"]
    assert older["primaryReplyAction"] == "finish"


def test_mailings_take_their_words_from_the_template(program):
    """Unless they have words of their own; with a time they are scheduled."""
    common = {"mailbox": ("mailbox", 2), "prospect": ("prospect", 1), "template": ("template", 1)}

    from_template = made(program.create("mailings", "mailing", {}, **common))
    own = made(
        program.create("mailings", "mailing", {"subject": "Mine", "scheduledAt": "2026-05-01T09:00:00Z"}, **common)
    )

    attributes = from_template["attributes"]
    assert attributes.items() >= {"subject": "Hello", "bodyText": "Hi & bye", "state": "drafted"}.items()
    assert attributes.items() >= {"mailboxAddress": "ben@example.com", "mailingType": "single", "openCount": 0}.items()
    assert from_template["relationships"]["user"]["data"] == {"type": "user", "id": 2}
    assert (own["attributes"]["subject"], own["attributes"]["state"]) == ("Mine", "scheduled")


def test_tasks_are_about_their_subject(program):
    """Prospect and account are read-only on a task; they follow from the subject."""
    new = made(program.create("tasks", "task", {"note": "Ring"}, subject=("prospect", 1)))

    assert new["attributes"].items() >= {"taskType": "manual", "state": "incomplete", "completed": False}.items()
    linked = {name: new["relationships"][name]["data"] for name in ("prospect", "account", "owner", "creator")}
    assert linked == {
        "prospect": {"type": "prospect", "id": 1},
        "account": {"type": "account", "id": 1},
        "owner": {"type": "user", "id": 1},
        "creator": {"type": "user", "id": 1},
    }


def test_archiving_is_stamped(program):
    archived = made(program.update("templates", "template", 1, {"archived": True}), 200)["attributes"]

    assert archived["archivedAt"] == archived["updatedAt"]
    restored = made(program.update("templates", "template", 1, {"archived": False}), 200)["attributes"]
    assert restored["archivedAt"] is None


# Both sides of relationships


def test_lists_on_the_other_side_follow():
    """A seeded sequence lists its steps, a team its users: what was stored there changes with the step, the user."""
    with Sandbox(prospects=20, seed=3) as seeded:
        seeded_program = Program(seeded)
        before = seeded_program.get("/sequences/1")["relationships"]["sequenceSteps"]["data"]
        step = made(
            seeded_program.create(
                "sequenceSteps", "sequenceStep", {"stepType": "call", "interval": 0}, sequence=("sequence", 1)
            )
        )
        after = seeded_program.get("/sequences/1")["relationships"]["sequenceSteps"]["data"]
        assert after == [*before, {"type": "sequenceStep", "id": step["id"]}]

        (mine,) = seeded_program.get("/users/1")["relationships"]["teams"]["data"]
        other = made(seeded_program.create("teams", "team", {"name": "New"}, users=[("user", 1)]))
        teams = seeded_program.get("/users/1")["relationships"]["teams"]["data"]
        assert teams == [mine, {"type": "team", "id": other["id"]}]
        made(seeded_program.update("users", "user", 1, teams=[("team", other["id"])]), 200)
        members = seeded_program.get(f"/teams/{mine['id']}")["relationships"]["users"]["data"]
        assert {"type": "user", "id": 1} not in members
    assert seeded.failures == ()


def test_enrollments_list_what_their_step_has_open():
    """A seeded enrollment lists its task; when the task is done, the list is of the next step."""
    with Sandbox(prospects=60, seed=3) as seeded:
        program = Program(seeded)
        state, task = next(
            (each, open_[0])
            for each in program.get("/sequenceStates?filter[state]=active&page[size]=1000")
            if (open_ := each["relationships"]["activeStepTasks"]["data"])
        )
        made(program.act(f"/tasks/{task['id']}/actions/markComplete"), 200)

        after = program.get(f"/sequenceStates/{state['id']}")
        assert task not in after["relationships"]["activeStepTasks"]["data"]
        assert after["relationships"]["sequenceStep"] != state["relationships"]["sequenceStep"] or (
            after["attributes"]["state"] == "finished"
        )
    assert seeded.failures == ()


def test_roles_join_prospects_and_opportunities():
    """Also where a seeded prospect lists its opportunities itself."""
    with Sandbox(prospects=60, seed=3) as seeded:
        program = Program(seeded)
        role = program.get("/opportunityProspectRoles?page[size]=1")[0]["relationships"]
        prospect, known = role["prospect"]["data"]["id"], role["opportunity"]["data"]
        deal = made(program.create("opportunities", "opportunity", {"name": "Deal"}))["id"]
        joined = made(
            program.create(
                "opportunityProspectRoles",
                "opportunityProspectRole",
                prospect=("prospect", prospect),
                opportunity=("opportunity", deal),
            )
        )
        listed = program.get(f"/prospects/{prospect}")["relationships"]["opportunities"]["data"]
        assert listed[-1] == {"type": "opportunity", "id": deal}
        assert known in listed

        program.send("DELETE", f"/opportunityProspectRoles/{joined['id']}")
        assert program.get(f"/prospects/{prospect}")["relationships"]["opportunities"]["data"] == listed[:-1]
    assert seeded.failures == ()


def test_deleting_takes_along_what_belongs_to_it(program):
    """Addresses, notes and open tasks of a prospect go; what was done, and other people's records, stay and let go."""
    task = made(program.create("tasks", "task", {}, subject=("prospect", 1)))["id"]
    done = made(program.create("tasks", "task", {}, subject=("prospect", 1)))["id"]
    made(program.act(f"/tasks/{done}/actions/markComplete"), 200)

    assert program.send("DELETE", "/prospects/1").status_code == 204

    gone = [("emailAddresses", 1), ("phoneNumbers", 1), ("prospectNotes", 1), ("tasks", task)]
    assert [program.send("GET", f"/{plural}/{id_}").status_code for plural, id_ in gone] == [404] * 4
    assert program.get("/calls/1")["relationships"]["prospect"]["data"] is None
    assert program.get(f"/tasks/{done}")["relationships"]["subject"]["data"] is None
    assert program.get("/prospects/2")["attributes"]["emails"] == ["katie@acme.example"]


def test_references_to_deleted_records_may_stay(office, program):
    """As they do where a store deletes softly."""
    office.settings.deleted_references = "keep"

    program.send("DELETE", "/accounts/1")

    assert program.get("/prospects/1")["relationships"]["account"]["data"] == {"type": "account", "id": 1}


# Custom objects


def test_custom_objects_are_written_like_any_other(office, program):
    """Their attributes are the organization's own business."""
    new = made(
        program.create("customObjects/asset", "asset", {"serial": "S-3", "color": "red"}, account=("account", 2))
    )
    changed = made(program.update("customObjects/asset", "asset", new["id"], {"price": 12}), 200)

    assert changed["attributes"].items() >= {"serial": "S-3", "color": "red", "price": 12}.items()
    assert changed["relationships"]["account"]["data"] == {"type": "account", "id": 2}
    assert changed["links"]["self"] == f"{office.base_url}/customObjects/asset/{new['id']}"
    assert [each["id"] for each in program.get("/customObjects/asset?filter[color]=red")] == [new["id"]]
    assert program.send("DELETE", f"/customObjects/asset/{new['id']}").status_code == 204
    assert error(program.create("customObjects/nothing", "nothing", {})) == (404, "routeNotFound")


# The log of events


def test_what_happens_is_logged(office, program):
    """Who did what to which record, as the guide's download of recent events shows."""
    made(program.create("prospects", "prospect", {"firstName": "Ola"}, account=("account", 2)))
    made(program.update("prospects", "prospect", 1, {"emailOptedOut": True}, owner=("user", 2)), 200)
    made(program.act("/tasks/1/actions/markComplete"), 200)
    made(program.create("calls", "call", {"direction": "inbound", "outcome": "no_answer"}, prospect=("prospect", 2)))

    events = list(office.store.records("event"))

    assert [event.attributes["name"] for event in events] == [
        "prospect_created",
        "prospect_updated",
        "emails_opt_out",
        "prospect_owner_changed",
        "task_completed",
        "inbound_call_no_answer",
        "prospect_updated",
    ]
    first = program.get(f"/events/{events[0].id}")
    assert first["relationships"]["account"]["data"] == {"type": "account", "id": 2}
    assert first["relationships"]["user"]["data"] == {"type": "user", "id": 1}
