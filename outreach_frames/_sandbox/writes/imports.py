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
from outreach_frames._sandbox.errors import InvalidError, bad_request, invalid
from outreach_frames._sandbox.store import Identifier, Key, Record
from outreach_frames._sandbox.writes import records
from outreach_frames._sandbox.writes.request_body import Draft, ErrorList, blank
from outreach_frames._sandbox.writes.rules import values_index
from outreach_frames._sandbox.writes.unit_of_work import UnitOfWork
from outreach_frames.catalog import ResourceType

_FILES = {"prospectsImport": ("prospect", "externalId"), "accountsImport": ("account", "customId")}
"""Imports of files: the type of the records, and the attribute that identifies one."""

_UPSERTS = frozenset({"bulkUpsert", "customObjectBulkUpsert"})


@dataclass(frozen=True)
class ImportEntry:
    """
    One record to import.

    Attributes
    ----------
    kind
        Its type; ``None`` if the type does not exist.
    present
        The existing record with the same id; ``None`` for a new one.
    draft
        The content.
    """

    kind: ResourceType | None
    present: Record | None
    draft: Draft


def upload_link(unit: UnitOfWork, _: Mapping[str, str]) -> dict[str, Any]:
    """Return an upload URL, and the storage key of the file."""
    key = f"imports/{uuid4()}.csv"
    unit.state.uploads[key] = b""
    return {"type": "upload", "attributes": {"uploadURL": f"{unit.state.origin}/uploads/{key}", "storageKey": key}}


def validate_upload(unit: UnitOfWork, parameters: Mapping[str, str]) -> dict[str, Any]:
    """
    Validate an uploaded file.

    Raises
    ------
    HttpError
        400, 422: a parameter is missing, there is no such file, or its hash differs.
    """
    for name in ("hash", "storageKey"):
        if name not in parameters:
            raise bad_request("actionParameter.missing", f"'actionParams[{name}]' is required.")
    content = unit.state.uploads.get(parameters["storageKey"])
    if not content:
        raise invalid("Storage key names no uploaded file.")
    if parameters["hash"] not in _hashes(content):
        raise invalid("Hash is not that of the uploaded file.")
    rows = _csv_rows(content)
    header, value = next(iter(rows[0].items())) if rows else ("", "")
    attributes = {"recordCount": len(rows), "headerValue": {"header": header, "value": value}}
    return {"type": "validateUpload", "attributes": attributes}


def _hashes(content: bytes) -> set[str]:
    """Return all hashes that are accepted, since the algorithm is not documented."""
    digests = [hashlib.new(name, content, usedforsecurity=False).digest() for name in ("md5", "sha1", "sha256")]
    return {spelled for digest in digests for spelled in (digest.hex(), b64encode(digest).decode())}


def _csv_rows(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))


def begin_import(unit: UnitOfWork, action: str, payload: Mapping[str, Any]) -> Record:
    """
    Start an import.

    Raises
    ------
    HttpError
        422: the payload is not valid.
    """
    errors = ErrorList()
    methods = catalog.load().types["import"].attributes["dupeMethod"].enum
    if payload.get("dupeMethod") not in (*methods, *(("overwriteNoCreate",) if action in _UPSERTS else ())):
        errors.attribute("dupeMethod", "is not included in the list")
    if blank(payload.get("fileName")):
        errors.attribute("fileName", "can't be blank")
    if action in _UPSERTS:
        if not isinstance(payload.get("records"), list):
            errors.attribute("records", "must be a list of resource objects")
    else:
        if not unit.state.uploads.get(str(payload.get("storageKey"))):
            errors.attribute("storageKey", "names no uploaded file")
        if not isinstance(payload.get("mappings"), dict):
            errors.attribute("mappings", "must be an object")
    errors.raise_any()
    entries = _upserts(payload["records"]) if action in _UPSERTS else _file(action, unit, payload)
    record = unit.add(
        "import",
        {
            "fileName": payload["fileName"],
            "importType": _FILES.get(action, (action, ""))[0],
            "dupeMethod": payload["dupeMethod"],
            "mappings": payload.get("mappings"),
            "state": "pending",
            "stateChangedAt": unit.stamp,
            "recurring": False,
            **dict.fromkeys(("total", "dupes", "failures"), 0),
        },
    )
    unit.state.jobs.start("import", _run_import(unit, record, entries))
    return record


Reading = Callable[[UnitOfWork], ImportEntry]


def _upserts(resources: Sequence[Any]) -> list[Reading]:
    """Return functions that read each resource object, bare or in ``data``; matched by id."""

    def reading(resource: Any) -> Reading:
        data = resource.get("data", resource) if isinstance(resource, dict) else {}

        def read(unit: UnitOfWork) -> ImportEntry:
            kind = unit.schema.type(str(data.get("type")))
            id_: Key | None = data.get("id")
            present = unit.find(kind.name, id_) if kind and id_ is not None else None
            related = {name: value.get("data") for name, value in (data.get("relationships") or {}).items()}
            return ImportEntry(kind, present, Draft(attributes=data.get("attributes") or {}, relationships=related))

        return read

    return [reading(resource) for resource in resources]


def _file(action: str, unit: UnitOfWork, payload: Mapping[str, Any]) -> list[Reading]:
    """Return functions that read each row of a file by its mapping; matched by the external id."""
    type_name, unique = _FILES[action]

    def reading(row: Mapping[str, str]) -> Reading:
        def read(now: UnitOfWork) -> ImportEntry:
            kind = now.schema.type(type_name)
            attributes = _row_attributes(kind, row, payload["mappings"])
            key = attributes.get(unique)
            matches = values_index(now, type_name, unique).of(str(key).casefold()) if key else []
            return ImportEntry(kind, next(iter(matches), None), Draft(attributes=attributes))

        return read

    return [reading(row) for row in _csv_rows(unit.state.uploads[str(payload["storageKey"])])]


def _row_attributes(kind: ResourceType | None, row: Mapping[str, str], mappings: Mapping[str, str]) -> dict[str, Any]:
    """Return the attributes of a row: lists with one entry, no attribute for an empty cell."""
    attributes: dict[str, Any] = {}
    for source, destination in mappings.items():
        value = row.get(source)
        attribute = kind.attributes.get(destination) if kind else None
        if value:
            attributes[destination] = [value] if attribute and attribute.type == "array" else value
    return attributes


def _run_import(unit: UnitOfWork, record: Record, entries: Sequence[Reading]) -> Iterator[None]:
    state, actor = unit.state, unit.actor
    start = UnitOfWork(state, actor)
    start.change(record, {"state": "running", "stateChangedAt": start.stamp, "total": len(entries)})
    yield
    now = UnitOfWork(state, actor)
    outcomes = [_merge(now, entry(now), str(record.attributes["dupeMethod"])) for entry in entries]
    counts = {"dupes": outcomes.count("duplicate"), "failures": outcomes.count("failed")}
    now.change(record, {"state": "finished", "stateChangedAt": now.stamp, **counts})


def _merge(unit: UnitOfWork, entry: ImportEntry, method: str) -> str:
    """Create or change a record by the method; return the outcome."""
    if entry.kind is None or (entry.present is None and method == "overwriteNoCreate"):
        return "failed"
    try:
        if entry.present is None:
            records.create_record(unit, entry.kind, entry.draft)
            return "created"
        if method != "skip":
            records.update_record(unit, entry.kind, entry.present, _overwriting_draft(entry, method))
    except InvalidError:
        return "failed"
    return "duplicate"


def _overwriting_draft(entry: ImportEntry, method: str) -> Draft:
    """Return the attributes of an entry that replace those of an existing record: all, or the missing ones."""
    if method != "missing" or entry.present is None:
        return entry.draft
    present = entry.present.attributes
    return Draft(attributes={name: each for name, each in entry.draft.attributes.items() if blank(present.get(name))})


_MEMBERS = {"requester_email": None, "request_type": "requestType", "object_type": "objectType"}
"""Members of a request beside the address, with the attribute of `complianceRequest` whose values they have."""
ADDRESS = "request_object_email"

_BEFORE_RUNNING = {"guide": ("pending", "queued"), "schema": ("pending",)}
_AFTER_FAILURE = {"guide": ("temporary_failure", "queued"), "schema": ("failed",)}


def begin_erasure(unit: UnitOfWork, attributes: Mapping[str, Any]) -> str:
    """
    Start a compliance request.

    Parameters
    ----------
    attributes
        As sent, in snake_case, unlike the rest of the API.

    Returns
    -------
    uuid
        Of the batch of tasks.

    Raises
    ------
    HttpError
        422: something is missing or unknown.
    """
    _check_request(unit, attributes)
    address = str(attributes[ADDRESS])
    requester = _requester(unit, attributes)
    batch = str(uuid4())
    prospects = values_index(unit, "prospect", "emails").of(address.casefold())
    targets = [("Prospect", str(prospect.id)) for prospect in prospects] + [("Recipient", address)]
    for object_type, id_ in targets:
        task = unit.add(
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
        unit.state.jobs.start("complianceRequest", _run_erasure(unit, task))
    return batch


def _requester(unit: UnitOfWork, attributes: Mapping[str, Any]) -> Identifier | None:
    """Return the user with the requester's address, if there is one."""
    users = values_index(unit, "user", "email").of(str(attributes.get("requester_email")).casefold())
    return next((user.identifier for user in users), None)


def _check_request(unit: UnitOfWork, attributes: Mapping[str, Any]) -> None:
    errors = ErrorList()
    for name in attributes.keys() - {*_MEMBERS, ADDRESS}:
        errors.attribute(name, "is not an attribute of a compliance request")
    declared = catalog.load().types["complianceRequest"].attributes
    for name, attribute in _MEMBERS.items():
        choices = declared[attribute].enum if attribute else ()
        if blank(attributes.get(name)):
            errors.attribute(name, "can't be blank")
        elif choices and attributes[name] not in choices:
            errors.attribute(name, f"must be one of {', '.join(map(str, choices))}")
    if unit.settings.compliance_requester == "user" and _requester(unit, attributes) is None:
        errors.attribute("requester_email", "must be the email of a user")
    address = attributes.get(ADDRESS)
    if blank(address):
        errors.attribute(ADDRESS, "can't be blank")
    elif unit.settings.compliance_unknown == "refuse" and not values_index(unit, "prospect", "emails").of(
        str(address).casefold()
    ):
        errors.attribute(ADDRESS, "must be the email of a prospect")
    errors.raise_any()


def _run_erasure(unit: UnitOfWork, task: Record) -> Iterator[None]:
    """Run a task through its states, and erase the data."""
    words = unit.settings.compliance_states
    every = unit.settings.compliance_failures
    fails = every > 0 and int(task.id) % every == 0
    path = [*_BEFORE_RUNNING[words][1:], "running", *((*_AFTER_FAILURE[words], "running") if fails else ())]
    for name in path:
        UnitOfWork(unit.state, unit.actor).change(task, {"state": name})
        yield
    _erase(UnitOfWork(unit.state, unit.actor), task)


def _erase(unit: UnitOfWork, task: Record) -> None:
    """Remove a prospect with its mailings, calls, tasks and events, or the recipients with an address."""
    id_ = str(task.attributes["requestObjectId"])
    if task.attributes["objectType"] == "Prospect":
        prospect = unit.find("prospect", id_)
        if prospect is not None:
            for type_name in ("mailing", "call", "task", "event"):
                for record in unit.store.referrers(type_name, "prospect").of(prospect.identifier):
                    unit.remove(record)
            unit.remove(prospect)
    else:
        for record in values_index(unit, "recipient", "value").of(id_.casefold()):
            unit.remove(record)
    unit.change(task, {"state": "done", "pii": {}})
