"""
Imports of files or records, and compliance requests.

A compliance request becomes a batch of tasks, one for each prospect with the email address and one for the address
itself. Each task has its own states. A failure is temporary: the task is tried again until it succeeds.
"""

import csv
import hashlib
import io
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from outreach_frames import catalog
from outreach_frames._sandbox.errors import Invalid, bad_request, invalid
from outreach_frames._sandbox.store import Identifier, Key, Record
from outreach_frames._sandbox.writes import records
from outreach_frames._sandbox.writes.request_body import Draft, Faults, blank
from outreach_frames._sandbox.writes.rules import values_index
from outreach_frames._sandbox.writes.unit_of_work import UnitOfWork
from outreach_frames.catalog import ResourceType

FILES = {"prospectsImport": ("prospect", "externalId"), "accountsImport": ("account", "customId")}
"""Imports of files: the type they make, and the attribute that two records must not share."""

UPSERTS = frozenset({"bulkUpsert", "customObjectBulkUpsert"})


@dataclass(frozen=True)
class Entry:
    """
    One record to import.

    Attributes
    ----------
    kind
        Its type; ``None`` if it names none that exists.
    present
        The record it is a duplicate of.
    draft
        What it says.
    """

    kind: ResourceType | None
    present: Record | None
    draft: Draft


def upload_link(editor: UnitOfWork, _: Mapping[str, str]) -> dict[str, Any]:
    """Return where a file may be uploaded to, and the key it will lie under."""
    key = f"imports/{uuid4()}.csv"
    editor.state.uploads[key] = b""
    return {"type": "upload", "attributes": {"uploadURL": f"{editor.state.origin}/uploads/{key}", "storageKey": key}}


def validate_upload(editor: UnitOfWork, parameters: Mapping[str, str]) -> dict[str, Any]:
    """
    Look at an uploaded file.

    Raises
    ------
    Problem
        400, 422: a parameter is missing, there is no such file, or it is not the one whose hash is given.
    """
    for name in ("hash", "storageKey"):
        if name not in parameters:
            raise bad_request("actionParameter.missing", f"'actionParams[{name}]' is required.")
    content = editor.state.uploads.get(parameters["storageKey"])
    if not content:
        raise invalid("Storage key names no uploaded file.")
    if parameters["hash"] not in _hashes(content):
        raise invalid("Hash is not that of the uploaded file.")
    rows = _rows(content)
    header, value = next(iter(rows[0].items())) if rows else ("", "")
    attributes = {"recordCount": len(rows), "headerValue": {"header": header, "value": value}}
    return {"type": "validateUpload", "attributes": attributes}


def _hashes(content: bytes) -> set[str]:
    """Return the hashes that a client may have meant: the algorithm is not documented."""
    digests = [hashlib.new(name, content, usedforsecurity=False).digest() for name in ("md5", "sha1", "sha256")]
    return {spelled for digest in digests for spelled in (digest.hex(), b64encode(digest).decode())}


def _rows(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))


def begin_import(editor: UnitOfWork, action: str, payload: Mapping[str, Any]) -> Record:
    """
    Start an import.

    Raises
    ------
    Problem
        422: the payload is not what the action takes.
    """
    faults = Faults()
    methods = catalog.load().types["import"].attributes["dupeMethod"].enum
    if payload.get("dupeMethod") not in (*methods, *(("overwriteNoCreate",) if action in UPSERTS else ())):
        faults.attribute("dupeMethod", "is not included in the list")
    if blank(payload.get("fileName")):
        faults.attribute("fileName", "can't be blank")
    if action in UPSERTS:
        if not isinstance(payload.get("records"), list):
            faults.attribute("records", "must be a list of resource objects")
    else:
        if not editor.state.uploads.get(str(payload.get("storageKey"))):
            faults.attribute("storageKey", "names no uploaded file")
        if not isinstance(payload.get("mappings"), dict):
            faults.attribute("mappings", "must be an object")
    faults.tell()
    entries = _upserts(payload["records"]) if action in UPSERTS else _file(action, editor, payload)
    made = editor.add(
        "import",
        {
            "fileName": payload["fileName"],
            "importType": FILES.get(action, (action, ""))[0],
            "dupeMethod": payload["dupeMethod"],
            "mappings": payload.get("mappings"),
            "state": "pending",
            "stateChangedAt": editor.stamp,
            "recurring": False,
            **dict.fromkeys(("total", "dupes", "failures"), 0),
        },
    )
    editor.state.jobs.start("import", _run_import(editor, made, entries))
    return made


Reading = Callable[[UnitOfWork], Entry]


def _upserts(given: Sequence[Any]) -> list[Reading]:
    """Return how to read each resource object, bare or in ``data``; matched by id."""

    def reading(resource: Any) -> Reading:
        data = resource.get("data", resource) if isinstance(resource, dict) else {}

        def read(editor: UnitOfWork) -> Entry:
            kind = editor.schema.type(str(data.get("type")))
            id_: Key | None = data.get("id")
            present = editor.find(kind.name, id_) if kind and id_ is not None else None
            related = {name: value.get("data") for name, value in (data.get("relationships") or {}).items()}
            return Entry(kind, present, Draft(attributes=data.get("attributes") or {}, relationships=related))

        return read

    return [reading(resource) for resource in given]


def _file(action: str, editor: UnitOfWork, payload: Mapping[str, Any]) -> list[Reading]:
    """Return how to read each row of a file by its mapping; matched by the external id."""
    type_name, unique = FILES[action]

    def reading(row: Mapping[str, str]) -> Reading:
        def read(now: UnitOfWork) -> Entry:
            kind = now.schema.type(type_name)
            attributes = _mapped(kind, row, payload["mappings"])
            key = attributes.get(unique)
            found = values_index(now, type_name, unique).of(str(key).casefold()) if key else []
            return Entry(kind, next(iter(found), None), Draft(attributes=attributes))

        return read

    return [reading(row) for row in _rows(editor.state.uploads[str(payload["storageKey"])])]


def _mapped(kind: ResourceType | None, row: Mapping[str, str], mappings: Mapping[str, str]) -> dict[str, Any]:
    """Return the attributes of a row: lists hold one entry, empty cells nothing."""
    found: dict[str, Any] = {}
    for source, destination in mappings.items():
        value = row.get(source)
        attribute = kind.attributes.get(destination) if kind else None
        if value:
            found[destination] = [value] if attribute and attribute.type == "array" else value
    return found


def _run_import(editor: UnitOfWork, made: Record, entries: Sequence[Reading]) -> Iterator[None]:
    state, actor = editor.state, editor.actor
    began = UnitOfWork(state, actor)
    began.change(made, {"state": "running", "stateChangedAt": began.stamp, "total": len(entries)})
    yield
    now = UnitOfWork(state, actor)
    outcomes = [_merge(now, entry(now), str(made.attributes["dupeMethod"])) for entry in entries]
    counts = {"dupes": outcomes.count("duplicate"), "failures": outcomes.count("failed")}
    now.change(made, {"state": "finished", "stateChangedAt": now.stamp, **counts})


def _merge(editor: UnitOfWork, entry: Entry, method: str) -> str:
    """Create or change a record as the method says; tell what became of it."""
    if entry.kind is None or (entry.present is None and method == "overwriteNoCreate"):
        return "failed"
    try:
        if entry.present is None:
            records.create(editor, entry.kind, entry.draft)
            return "created"
        if method != "skip":
            records.update(editor, entry.kind, entry.present, _kept(entry, method))
    except Invalid:
        return "failed"
    return "duplicate"


def _kept(entry: Entry, method: str) -> Draft:
    """Return what of an entry is written over a present record: everything, or what the record lacks."""
    if method != "missing" or entry.present is None:
        return entry.draft
    held = entry.present.attributes
    return Draft(attributes={name: each for name, each in entry.draft.attributes.items() if blank(held.get(name))})


MEMBERS = {"requester_email": None, "request_type": "requestType", "object_type": "objectType"}
"""Members of a request beside the address, with the attribute of `complianceRequest` whose values they have."""
ADDRESS = "request_object_email"

BEFORE_RUNNING = {"guide": ("pending", "queued"), "schema": ("pending",)}
AFTER_FAILURE = {"guide": ("temporary_failure", "queued"), "schema": ("failed",)}


def begin_erasure(editor: UnitOfWork, attributes: Mapping[str, Any]) -> str:
    """
    Take a request.

    Parameters
    ----------
    attributes
        As sent, in snake_case, unlike anything else in the API.

    Returns
    -------
    uuid
        Of the batch of tasks.

    Raises
    ------
    Problem
        422: something is missing or unknown.
    """
    _check_request(editor, attributes)
    address = str(attributes[ADDRESS])
    requester = _requester(editor, attributes)
    batch = str(uuid4())
    found = values_index(editor, "prospect", "emails").of(address.casefold())
    targets = [("Prospect", str(prospect.id)) for prospect in found] + [("Recipient", address)]
    for object_type, id_ in targets:
        task = editor.add(
            "complianceRequest",
            {
                "uuid": str(uuid4()),
                "batchComplianceRequestUuid": batch,
                "state": "pending",
                "objectType": object_type,
                "requestType": "Delete",
                "requestObjectId": id_,
                "requesterId": requester.id if requester else None,
                "pii": {"email": address},
            },
            {"requester": requester},
        )
        editor.state.jobs.start("complianceRequest", _run_erasure(editor, task))
    return batch


def _requester(editor: UnitOfWork, attributes: Mapping[str, Any]) -> Identifier | None:
    """Return the user of the address that the request gives, if there is one."""
    users = values_index(editor, "user", "email").of(str(attributes.get("requester_email")).casefold())
    return next((user.identifier for user in users), None)


def _check_request(editor: UnitOfWork, attributes: Mapping[str, Any]) -> None:
    faults = Faults()
    for name in attributes.keys() - {*MEMBERS, ADDRESS}:
        faults.attribute(name, "is not an attribute of a compliance request")
    declared = catalog.load().types["complianceRequest"].attributes
    for name, attribute in MEMBERS.items():
        choices = declared[attribute].enum if attribute else ()
        if blank(attributes.get(name)):
            faults.attribute(name, "can't be blank")
        elif choices and attributes[name] not in choices:
            faults.attribute(name, f"must be one of {', '.join(map(str, choices))}")
    if editor.settings.compliance_requester == "user" and _requester(editor, attributes) is None:
        faults.attribute("requester_email", "must be the email of a user")
    address = attributes.get(ADDRESS)
    if blank(address):
        faults.attribute(ADDRESS, "can't be blank")
    elif editor.settings.compliance_unknown == "refuse" and not values_index(editor, "prospect", "emails").of(
        str(address).casefold()
    ):
        faults.attribute(ADDRESS, "must be the email of a prospect")
    faults.tell()


def _run_erasure(editor: UnitOfWork, task: Record) -> Iterator[None]:
    """Take a task through its states; the last but one step erases."""
    words = editor.settings.compliance_states
    every = editor.settings.compliance_failures
    fails = every > 0 and int(task.id) % every == 0
    path = [*BEFORE_RUNNING[words][1:], "running", *((*AFTER_FAILURE[words], "running") if fails else ())]
    for name in path:
        UnitOfWork(editor.state, editor.actor).change(task, {"state": name})
        yield
    _erase(UnitOfWork(editor.state, editor.actor), task)


def _erase(editor: UnitOfWork, task: Record) -> None:
    """Remove a prospect with everything that was sent to it or noted about it, or the address where it stands alone."""
    id_ = str(task.attributes["requestObjectId"])
    if task.attributes["objectType"] == "Prospect":
        prospect = editor.find("prospect", id_)
        if prospect is not None:
            for type_name in ("mailing", "call", "task", "event"):
                for record in editor.store.referrers(type_name, "prospect").of(prospect.identifier):
                    editor.remove(record)
            editor.remove(prospect)
    else:
        for record in values_index(editor, "recipient", "value").of(id_.casefold()):
            editor.remove(record)
    editor.change(task, {"state": "done", "pii": {}})
