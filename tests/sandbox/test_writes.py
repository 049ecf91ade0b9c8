"""Creating, changing and deleting records: what is taken and what is refused."""

import pytest
import requests

from outreach_frames._sandbox import Sandbox
from tests.sandbox.small_organization import MEDIA_TYPE, error, resource
from tests.sandbox.writing_requests import Program, document, faults, made

# What a request must be


def test_other_media_types_are_refused(office):
    answer = requests.post(
        f"{office.base_url}/accounts",
        data='{"data": {"type": "account", "attributes": {"name": "Cedar"}}}',
        headers={"Authorization": f"Bearer {office.token}", "Content-Type": "application/json"},
        timeout=5,
    )

    assert error(answer) == (415, "unsupportedMediaType")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"data": []}', b'{"data": {"type": "account", "attributes": 1}}'])
def test_bodies_that_are_no_documents(office, body):
    """Not a word of them is carried out."""
    answer = requests.post(
        f"{office.base_url}/accounts",
        data=body,
        headers={"Authorization": f"Bearer {office.token}", "Content-Type": MEDIA_TYPE},
        timeout=5,
    )

    assert error(answer) == (400, "invalidDocument")
    assert len(list(office.store.records("account"))) == 2


@pytest.mark.parametrize("relationship", [None, 5, {}, {"meta": {}}, {"type": "user", "id": 1}])
def test_relationships_have_data(program, relationship):
    """A bare identifier is the likeliest mistake."""
    data = {"type": "account", "attributes": {"name": "Cedar"}, "relationships": {"owner": relationship}}

    answer = program.send("POST", "/accounts", {"data": data})

    assert error(answer) == (400, "invalidDocument")
    assert answer.json()["errors"][0]["source"] == {"pointer": "/data/relationships/owner"}


@pytest.mark.parametrize(
    ("scopes", "status"),
    [(["accounts.read"], 403), (["accounts.delete"], 403), (["accounts.write"], 201), (["accounts.all"], 201)],
)
def test_creating_needs_the_scope_to_write(office, scopes, status):
    """Scopes are not additive."""
    program = Program(office, office.issue_token(scopes=scopes))

    assert program.create("accounts", "account", {"name": "Cedar"}).status_code == status


def test_deleting_has_a_scope_of_its_own(office):
    writer = Program(office, office.issue_token(scopes=["accounts.write"]))
    deleter = Program(office, office.issue_token(scopes=["accounts.delete"]))

    assert error(writer.send("DELETE", "/accounts/1")) == (403, "unauthorizedOauthScope")
    assert deleter.send("DELETE", "/accounts/1").status_code == 204


@pytest.mark.parametrize(("wanted", "id_"), [(422, "validationError"), (409, "conflict")])
def test_type_and_id_must_be_those_of_the_url(office, program, wanted, id_):
    """The vendor says that they must match, not what happens else; JSON:API says 409."""
    office.settings.mismatch_status = wanted

    wrong_type = program.send("PATCH", "/accounts/1", document("prospect", {"name": "Cedar"}, id_=1))
    wrong_id = program.send("PATCH", "/accounts/1", document("account", {"name": "Cedar"}, id_=2))
    no_id = program.send("PATCH", "/accounts/1", document("account", {"name": "Cedar"}))

    assert [error(each) for each in (wrong_type, wrong_id, no_id)] == [(wanted, id_)] * 3
    pointers = [each.json()["errors"][0]["source"]["pointer"] for each in (wrong_type, wrong_id, no_id)]
    assert pointers == ["/data/type", "/data/id", "/data/id"]
    assert office.store.find("account", 1).attributes["name"] == "Acme"


def test_ids_may_be_text(program):
    """JSON:API writes ids as text, Outreach as numbers; both name the same record."""
    changed = program.send("PATCH", "/prospects/1", document("prospect", id_="1", account=("account", "2")))

    assert made(changed, 200)["relationships"]["account"]["data"] == {"type": "account", "id": 2}


def test_ids_of_new_records(office, program):
    """The guide sends one for a ruleset; it does not become the record's."""
    new = made(program.send("POST", "/rulesets", document("ruleset", {"name": "Other"}, id_=1)))
    assert new["id"] != 1

    office.settings.create_with_id = "refuse"
    refused = program.send("POST", "/rulesets", document("ruleset", {"name": "Other"}, id_=1))
    assert list(faults(refused)) == ["/data/id"]


def test_nothing_can_be_included_in_the_answer_to_a_write(program):
    """Removed in 2023."""
    answer = program.send("POST", "/accounts?include=owner", document("account", {"name": "Cedar"}))

    assert error(answer) == (400, "queryParameter.unknown")


def test_answers_to_writes_take_fieldsets(program):
    new = made(program.send("POST", "/accounts?fields[account]=name", document("account", {"name": "Cedar"})))

    assert new["attributes"] == {"name": "Cedar"}


@pytest.mark.parametrize(
    ("method", "path", "status", "allowed"),
    [
        ("DELETE", "/users/1", 405, "GET, PATCH"),
        ("PATCH", "/calls/1", 405, "GET, DELETE"),
        ("PATCH", "/sequenceStates/1", 405, "GET, DELETE"),
        ("POST", "/events", 405, "GET"),
        ("PUT", "/accounts/1", 405, "GET, PATCH, DELETE"),
        ("GET", "/tasks/1/actions/snooze", 405, "POST"),
        ("GET", "/batches/actions/prospectsAddTags", 405, "POST"),
    ],
)
def test_operations_the_api_does_not_have(program, method, path, status, allowed):
    answer = program.send(method, path)

    assert error(answer) == (status, "methodNotAllowed")
    assert answer.headers["allow"] == allowed


@pytest.mark.parametrize("path", ["/tasks/1/actions/undo", "/prospects/actions/addTags", "/nosuch", "/tasks/1/call"])
def test_paths_the_api_does_not_have(program, path):
    assert error(program.send("POST", path)) == (404, "routeNotFound")


@pytest.mark.parametrize(("method", "path"), [("PATCH", ""), ("DELETE", ""), ("POST", "/actions/snooze")])
def test_records_that_do_not_exist(program, method, path):
    answer = program.send(method, f"/tasks/99{path}", document("task", id_=99) if method == "PATCH" else None)

    assert error(answer) == (404, "resourceNotFound")
    assert answer.json()["errors"][0]["detail"] == "Could not find 'task' with ID '99'."


# What values must be


def test_every_fault_is_told_at_once_with_its_place(office, program):
    answer = program.create(
        "prospects",
        "prospect",
        {
            "firstName": 5,
            "score": "high",
            "optedOut": "no",
            "linkedInConnections": 2.5,
            "emails": "sally@acme.example",
            "tags": ["hot", 3],
            "addedAt": "yesterday",
            "dateOfBirth": "13/13/1999",
            "title": "x" * 256,
            "nickName": "Sal",
            "openCount": 3,
        },
        account=("user", 1),
        owner=[("user", 1)],
        stage=("stage", 99),
        mailings=[("mailing", 1)],
        boss=("user", 1),
    )

    told = faults(answer)
    assert told == {
        "/data/attributes/firstName": "First name must be a string.",
        "/data/attributes/score": "Score must be a number.",
        "/data/attributes/optedOut": "Opted out must be true or false.",
        "/data/attributes/linkedInConnections": "Linked in connections must be an integer.",
        "/data/attributes/emails": "Emails must be a list.",
        "/data/attributes/tags": "Tags must be a string.",
        "/data/attributes/addedAt": "Added at is not a valid datetime.",
        "/data/attributes/dateOfBirth": "Date of birth is not a valid date.",
        "/data/attributes/title": "Title is too long (maximum is 255 characters).",
        "/data/attributes/nickName": "Nick name is not an attribute of prospect.",
        "/data/attributes/openCount": "Open count is read-only.",
        "/data/relationships/account": "Account must be a resource identifier of type account.",
        "/data/relationships/owner": "Owner must be a resource identifier.",
        "/data/relationships/stage": "Stage must exist.",
        "/data/relationships/mailings": "Mailings is read-only.",
        "/data/relationships/boss": "Boss is not a relationship of prospect.",
    }
    assert len(list(office.store.records("prospect"))) == 3


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        ("1", "must be a resource identifier"),
        ({"type": "user"}, "must be a resource identifier with an id"),
        ({"type": "user", "id": True}, "must be a resource identifier with an id"),
        ({"type": "team", "id": 1}, "must be a resource identifier of type user"),
    ],
)
def test_identifiers_are_told_apart(program, data, complaint):
    answer = program.create("accounts", "account", {"name": "Cedar"}, owner={"data": data})

    assert faults(answer) == {"/data/relationships/owner": f"Owner {complaint}."}


def test_lists_of_identifiers_are_lists(program):
    answer = program.create("teams", "team", {"name": "East"}, users=("user", 1))

    assert faults(answer) == {"/data/relationships/users": "Users must be a list of resource identifiers."}


@pytest.mark.parametrize("address", ["ana", "ana@", "@example.com", "ana @example.com", 5])
def test_addresses_look_like_addresses(program, address):
    """Where the schema says that they are; a prospect's list is of plain text."""
    assert list(faults(program.create("users", "user", {"email": address}))) == ["/data/attributes/email"]


def test_documented_error_of_a_name(program):
    """The vendor's own example."""
    for name in (None, "", "  "):
        answer = program.create("accounts", "account", {"name": name})
        assert answer.json()["errors"] == [
            {
                "id": "validationError",
                "title": "Validation Error",
                "detail": "Name can't be blank.",
                "source": {"pointer": "/data/attributes/name"},
            }
        ]
    assert faults(program.update("accounts", "account", 1, {"name": None})) == {
        "/data/attributes/name": "Name can't be blank."
    }


def test_what_is_unknown_or_read_only_may_be_ignored(office, program):
    """Whether the live API refuses it is not documented."""
    office.settings.unknown_members = office.settings.read_only_members = "ignore"

    sent = {"name": "Cedar", "nickName": "C", "createdAt": "2001-01-01T00:00:00Z"}
    new = made(program.create("accounts", "account", sent, boss=("user", 1), prospects=[]))

    assert "nickName" not in new["attributes"]
    assert not new["attributes"]["createdAt"].startswith("2001")


def test_relationships_to_nothing_may_be_taken(office, program):
    office.settings.missing_related = "accept"

    new = made(program.create("prospects", "prospect", {"firstName": "Ola"}, account=("account", 99)))

    assert new["relationships"]["account"]["data"] == {"type": "account", "id": 99}


def test_times_are_kept_in_utc(program):
    """With an offset, without a zone, or as a date; always written with milliseconds and ``Z``."""
    for sent, kept in (
        ("2026-01-05T12:00:15", "2026-01-05T12:00:15.000Z"),
        ("2026-01-05T12:00:15.250+02:00", "2026-01-05T10:00:15.000Z"),
        ("2026-01-05", "2026-01-05T00:00:00.000Z"),
    ):
        answer = program.update("tasks", "task", 1, {"dueAt": sent})
        assert made(answer, 200)["attributes"]["dueAt"] == kept


@pytest.mark.parametrize(
    ("type_", "given", "strict_only"),
    [
        ("call", {"direction": "sideways", "outcome": "Answered"}, False),
        ("sequence", {"name": "X", "sequenceType": "weekly"}, False),
        ("ruleset", {"name": "X", "permitDuplicateProspects": "onlyIfActive"}, True),
        ("call", {"direction": "outbound", "outcome": "completed"}, True),
    ],
)
def test_enumerations_are_loose_where_the_documents_disagree(office, program, type_, given, strict_only):
    """The guide uses values that the schema does not list."""
    related = {"prospect": ("prospect", 1)} if type_ == "call" else {}

    for strict in (False, True):
        office.settings.strict_values = strict
        answer = program.create(f"{type_}s", type_, given, **related)
        assert answer.status_code == (422 if strict or not strict_only else 201)


@pytest.mark.parametrize("address", ["sally@acme.example", "SALLY@ACME.EXAMPLE"])
def test_addresses_of_prospects_are_unique(program, address):
    """In whatever case; an address that a prospect has already is its own."""
    taken = {"/data/attributes/emails": "Emails has already been taken."}

    assert faults(program.create("prospects", "prospect", {"emails": ["new@acme.example", address]})) == taken
    assert faults(program.update("prospects", "prospect", 2, {"emails": [address]})) == taken
    assert made(program.update("prospects", "prospect", 1, {"emails": [address, "two@acme.example"]}), 200)
    assert faults(program.create("emailAddresses", "emailAddress", {"email": address}, prospect=("prospect", 2))) == {
        "/data/attributes/email": "Email has already been taken."
    }


def test_addresses_are_free_again_after_a_deletion(program):
    assert program.send("DELETE", "/prospects/1").status_code == 204

    assert made(program.create("prospects", "prospect", {"emails": ["sally@acme.example"]}))


def test_external_ids_are_unique_on_request(office, program):
    """Imports match on them; whether the API itself refuses a second one is not known."""
    made(program.create("prospects", "prospect", {"externalId": "P-1"}))
    office.settings.unique_external_ids = True

    assert faults(program.create("prospects", "prospect", {"externalId": "P-1"})) == {
        "/data/attributes/externalId": "External id has already been taken."
    }


def test_users_keep_their_address(program):
    """It cannot be updated through the API, by the schema's own words."""
    answer = program.update("users", "user", 1, {"email": "ana@elsewhere.example"})

    assert faults(answer) == {"/data/attributes/email": "Email cannot be changed through the API."}
    assert made(program.update("users", "user", 1, {"email": "ana@example.com", "title": "CRO"}), 200)


@pytest.mark.parametrize(
    ("sequence_type", "given", "pointer"),
    [
        ("interval", {}, "interval"),
        ("interval", {"interval": 60, "date": "2026-05-01"}, "date"),
        ("date", {"interval": 60}, "date"),
        ("date", {"date": "2026-05-01"}, None),
        ("interval", {"interval": 60}, None),
    ],
)
def test_steps_have_what_their_sequence_goes_by(program, sequence_type, given, pointer):
    """The guide: with a date sequence, a date *instead of* an interval."""
    sequence = made(program.create("sequences", "sequence", {"name": "X", "sequenceType": sequence_type}))

    answer = program.create(
        "sequenceSteps", "sequenceStep", {"stepType": "call", **given}, sequence=("sequence", sequence["id"])
    )

    if pointer is None:
        assert made(answer)["attributes"].items() >= given.items()
    else:
        assert f"/data/attributes/{pointer}" in faults(answer)


def test_records_may_lack_what_only_reason_demands(office, program):
    """That a note needs a prospect is likely and not documented."""
    assert list(faults(program.create("prospectNotes", "prospectNote", {"message": "Hm"}))) == [
        "/data/relationships/prospect"
    ]
    office.settings.required_members = False
    assert made(program.create("prospectNotes", "prospectNote", {"message": "Hm"}))


def test_custom_fields_are_what_the_organization_made_of_them():
    """Required ones must be there, choices must be among the options; unlike names these are each company's own."""
    fields = {
        "custom1": {"type": "inclusion", "required": True, "label": "Tier", "definition": ["Gold", "Silver"]},
        "custom2": {"type": "string", "required": False, "label": "Nickname", "definition": None},
    }
    with Sandbox([resource("prospect", 1, {"custom1": None})], custom_fields={"prospect": fields, "asset": {}}) as own:
        program = Program(own)
        missing = program.create("prospects", "prospect", {"firstName": "Ola"})
        other = program.create("prospects", "prospect", {"custom1": "Bronze"})
        assert faults(missing) == {"/data/attributes/custom1": "Custom1 can't be blank."}
        assert faults(other) == {"/data/attributes/custom1": "Custom1 is not included in the list."}
        assert made(program.create("prospects", "prospect", {"custom1": "Gold", "custom2": "x"}))
        assert made(program.update("prospects", "prospect", 1, {"title": "CEO"}), 200)
        assert program.get("/customObjects/asset") == []
        assert made(program.create("customObjects/asset", "asset", {"serial": "S-1"}))["id"] == 1
    assert own.failures == ()
