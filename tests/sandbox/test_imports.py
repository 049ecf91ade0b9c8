"""Imports: an upload link, a look at the file, and records merged by the method asked for."""

import hashlib

import pytest
import requests

from tests.sandbox.answer_schemas import strict_document, validator
from tests.sandbox.small_organization import error
from tests.sandbox.writing_requests import faults, made

FILE = "Key,Given name,Mail,Job\nP-1,Sal,sal@acme.example,CEO\nP-7,Ola,ola@acme.example,CTO\n"
MAPPINGS = {"Key": "externalId", "Given name": "firstName", "Mail": "emails", "Job": "title"}


def upload(program, content=FILE):
    """Upload a file; return its storage key."""
    link = program.send("POST", "/imports/actions/generateUploadLink").json()["data"]["attributes"]
    assert requests.put(link["uploadURL"], data=content.encode(), timeout=5).status_code == 200
    return link["storageKey"]


def import_(program, action="prospectsImport", **attributes):
    """Ask for an import."""
    given = {"fileName": "people.csv", "dupeMethod": "overwrite"} | attributes
    return program.send("POST", f"/imports/actions/{action}", {"data": {"attributes": given}})


def test_looking_at_an_upload(openapi_path, program):
    """Both answers are no records: they have no id."""
    contract = strict_document(openapi_path)
    link = program.send("POST", "/imports/actions/generateUploadLink")
    validator(contract, "/imports/actions/generateUploadLink", "post").validate(link.json())
    key = upload(program)
    digest = hashlib.sha256(FILE.encode()).hexdigest()

    answer = program.act("/imports/actions/validateUpload", hash=digest, storageKey=key)

    validator(contract, "/imports/actions/validateUpload", "post").validate(answer.json())
    attributes = answer.json()["data"]["attributes"]
    assert attributes == {"recordCount": 2, "headerValue": {"header": "Key", "value": "P-1"}}
    assert faults(program.act("/imports/actions/validateUpload", hash="0" * 64, storageKey=key))
    assert faults(program.act("/imports/actions/validateUpload", hash=digest, storageKey="nothing"))
    assert error(program.act("/imports/actions/validateUpload", hash=digest)) == (400, "actionParameter.missing")


def test_nothing_can_be_uploaded_without_a_link(office):
    address = office.base_url.replace("/api/v2", "/uploads/imports/mine.csv")

    assert requests.put(address, data=b"x", timeout=5).status_code == 404


@pytest.mark.parametrize(
    ("method", "name", "title"), [("overwrite", "Sal", "CEO"), ("skip", "Sally", None), ("missing", "Sally", "CEO")]
)
def test_files_are_merged_by_the_external_id(program, method, name, title):
    """New rows are created; of duplicates everything is written, nothing, or what was missing."""
    began = made(import_(program, storageKey=upload(program), mappings=MAPPINGS, dupeMethod=method), 200)
    assert began["attributes"]["state"] == "pending"

    states = [program.get(f"/imports/{began['id']}")["attributes"]["state"] for _ in range(3)]

    assert states == ["pending", "running", "finished"]
    attributes = program.get(f"/imports/{began['id']}")["attributes"]
    assert attributes.items() >= {"total": 2, "dupes": 1, "failures": 0, "importType": "prospect"}.items()
    known = program.get("/prospects/1")["attributes"]
    assert (known["firstName"], known["title"]) == (name, title)
    (new,) = program.get("/prospects?filter[firstName]=Ola")
    assert new["attributes"].items() >= {"externalId": "P-7", "emails": ["ola@acme.example"]}.items()


def test_accounts_are_merged_by_their_custom_id(office, program):
    key = upload(program, "Id,Name\nA-1,Acme Ltd\nA-2,Cedar\n,\n")

    began = made(import_(program, "accountsImport", storageKey=key, mappings={"Id": "customId", "Name": "name"}), 200)
    office.run_jobs()

    assert program.get("/accounts/1")["attributes"]["name"] == "Acme Ltd"
    attributes = program.get(f"/imports/{began['id']}")["attributes"]
    assert (attributes["total"], attributes["dupes"], attributes["failures"]) == (3, 1, 1)


def test_records_are_upserted_by_id(office, program):
    """Bare or in ``data``; those that cannot be are counted as failures."""
    records = [
        {"type": "account", "id": 1, "attributes": {"name": "Acme Ltd"}},
        {
            "data": {
                "type": "prospect",
                "attributes": {"firstName": "Ola"},
                "relationships": {"account": {"data": None}},
            }
        },
        {"type": "account", "attributes": {}},
        {"type": "nothing"},
        "nonsense",
    ]

    began = made(import_(program, "bulkUpsert", records=records), 200)
    office.run_jobs()

    attributes = program.get(f"/imports/{began['id']}")["attributes"]
    assert (attributes["total"], attributes["dupes"], attributes["failures"]) == (5, 1, 3)
    assert program.get("/accounts/1")["attributes"]["name"] == "Acme Ltd"
    assert len(program.get("/prospects?filter[firstName]=Ola")) == 1


def test_upserts_may_create_nothing(office, program):
    records = [{"type": "asset", "id": 1, "attributes": {"price": 5}}, {"type": "asset", "attributes": {"price": 6}}]

    made(import_(program, "customObjectBulkUpsert", records=records, dupeMethod="overwriteNoCreate"), 200)
    office.run_jobs()

    assert [each["attributes"]["price"] for each in program.get("/customObjects/asset")] == [5, 20]


@pytest.mark.parametrize(
    ("action", "given", "pointer"),
    [
        ("prospectsImport", {"storageKey": "nothing", "mappings": {}}, "storageKey"),
        ("prospectsImport", {}, "mappings"),
        ("prospectsImport", {"dupeMethod": "overwriteNoCreate"}, "dupeMethod"),
        ("bulkUpsert", {"records": {}}, "records"),
        ("bulkUpsert", {"records": [], "fileName": ""}, "fileName"),
    ],
)
def test_imports_are_checked_before_they_begin(office, program, action, given, pointer):
    assert f"/data/attributes/{pointer}" in faults(import_(program, action, **given))
    assert not list(office.store.records("import"))


@pytest.mark.parametrize("action", ["bulkUpsert", "customObjectBulkUpsert", "prospectsImport", "accountsImport"])
def test_imports_answer_as_declared(openapi_path, program, action):
    answer = import_(program, action, records=[], storageKey=upload(program), mappings={})

    validator(strict_document(openapi_path), f"/imports/actions/{action}", "post").validate(answer.json())
    assert answer.status_code == 200
