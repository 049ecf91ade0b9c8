"""
Requests to erase a person.

A request becomes a batch of tasks, one for each prospect with the address and one for the address itself. Each runs
through its states on its own; a failure is temporary and tried again until it succeeds.
"""

from collections.abc import Iterator, Mapping
from typing import Any
from uuid import uuid4

from outreach_frames._sandbox.store import Identifier, Record
from outreach_frames._sandbox.writes.checks import Faults, blank
from outreach_frames._sandbox.writes.rules import values_index
from outreach_frames._sandbox.writes.unit_of_work import UnitOfWork

MEMBERS = {"requester_email": None, "request_type": ("Delete",), "object_type": ("Prospect", "Recipient")}
ADDRESS = "request_object_email"

BEFORE_RUNNING = {"guide": ("pending", "queued"), "schema": ("pending",)}
FAILED = {"guide": ("temporary_failure", "queued"), "schema": ("failed",)}


def request(editor: UnitOfWork, attributes: Mapping[str, Any]) -> str:
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
    _check(editor, attributes)
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
        editor.state.jobs.start("complianceRequest", _run(editor, task))
    return batch


def _requester(editor: UnitOfWork, attributes: Mapping[str, Any]) -> Identifier | None:
    """Return the user of the address that the request gives, if there is one."""
    users = values_index(editor, "user", "email").of(str(attributes.get("requester_email")).casefold())
    return next((user.identifier for user in users), None)


def _check(editor: UnitOfWork, attributes: Mapping[str, Any]) -> None:
    faults = Faults()
    for name in attributes.keys() - {*MEMBERS, ADDRESS}:
        faults.attribute(name, "is not an attribute of a compliance request")
    for name, choices in MEMBERS.items():
        if blank(attributes.get(name)):
            faults.attribute(name, "can't be blank")
        elif choices and attributes[name] not in choices:
            faults.attribute(name, f"must be one of {', '.join(choices)}")
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


def _run(editor: UnitOfWork, task: Record) -> Iterator[None]:
    """Take a task through its states; the last but one step erases."""
    words = editor.settings.compliance_states
    every = editor.settings.compliance_failures
    fails = every > 0 and int(task.id) % every == 0
    path = [*BEFORE_RUNNING[words][1:], "running", *((*FAILED[words], "running") if fails else ())]
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
