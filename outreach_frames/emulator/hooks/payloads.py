"""What a webhook's delivery says."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from outreach_frames import catalogue
from outreach_frames.emulator.changes import Change
from outreach_frames.emulator.settings import Settings
from outreach_frames.emulator.store import Identifier, Linkage, Record

WITH_BEFORE = 2
"""Payload version from which an update tells what was there before."""


def payload(change: Change, happening: str, version: int, settings: Settings, delivered_at: datetime) -> dict[str, Any]:
    """
    Return the body of a delivery.

    Parameters
    ----------
    happening
        What it is about: ``created``, ``completed`` …
    version
        1, or 2 with ``beforeUpdate`` and who did it.
    delivered_at
        When it is sent (aware).

    Returns
    -------
    body
        A created or updated record tells only what was set or changed, a deleted one all it was.
    """
    meta: dict[str, Any] = {
        "eventName": f"{change.record.type}.{happening}",
        "deliveredAt": delivered_at.isoformat(timespec="milliseconds"),
    }
    if version >= WITH_BEFORE and change.actor is not None:
        meta["actor"] = {"type": "User", "id": change.actor}
    body: dict[str, Any] = {
        "data": {
            "type": change.record.type,
            "id": change.record.id,
            **_members(_told(change), settings),
        },
        "meta": meta,
    }
    if version >= WITH_BEFORE and change.before is not None:
        body["beforeUpdate"] = _members(_difference(change.before, change.record), settings)
    return body


def _told(change: Change) -> Record:
    if change.before is not None:
        return _difference(change.record, change.before)
    if change.kind == "destroyed":
        return change.record
    set_ = {name: value for name, value in change.record.attributes.items() if value is not None}
    linked: dict[str, Linkage] = {name: named for name, named in change.record.relationships.items() if named}
    return Record(change.record.type, change.record.id, set_, linked)


def _difference(record: Record, other: Record) -> Record:
    """Return of a record what another is not."""
    return Record(
        record.type,
        record.id,
        {
            name: record.attributes.get(name)
            for name in {**record.attributes, **other.attributes}
            if record.attributes.get(name) != other.attributes.get(name)
        },
        {
            name: record.relationships.get(name)
            for name in {**record.relationships, **other.relationships}
            if record.relationships.get(name) != other.relationships.get(name)
        },
    )


def _members(record: Record, settings: Settings) -> Mapping[str, Any]:
    known = catalogue.load().types.get(record.type)
    hidden = {name for name, attribute in known.attributes.items() if attribute.write_only} if known else set()
    wrap = settings.webhook_relationships == "wrapped"
    linked = {name: _linkage(linkage) for name, linkage in record.relationships.items()}
    return {
        "attributes": {name: value for name, value in record.attributes.items() if name not in hidden},
        "relationships": {name: {"data": each} for name, each in linked.items()} if wrap else linked,
    }


def _linkage(linkage: Linkage) -> Any:
    if linkage is None:
        return None
    if isinstance(linkage, Identifier):
        return {"type": linkage.type, "id": linkage.id}
    return [{"type": each.type, "id": each.id} for each in linkage]
