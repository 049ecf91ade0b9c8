"""The rows of a bulk write: what each would send, and the record that it concerns."""

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from outreach_frames._fetch import fetch
from outreach_frames._query import text
from outreach_frames._request_documents import (
    attribute_value,
    checked_id,
    holds_addresses,
    is_missing,
    resource_document,
)
from outreach_frames._write_selection import FrameSelection
from outreach_frames.catalog import Attribute, ResourceType
from outreach_frames.client import Client
from outreach_frames.errors import OutreachError, QueryError

EXISTS = "a record with this key exists"


@dataclass(frozen=True, slots=True)
class Row:
    """
    One row to write.

    Attributes
    ----------
    digest
        Tells the row from all others of its journal.
    fields
        What is sent, by the caller's names; nothing for a record that is as it should be.
    target
        The record to update; ``None`` for a create.
    existing
        For a create: a record with the same key, which this row may have made in an earlier call.
    problem
        Why it cannot be written.
    why_existing
        Why nothing is created beside ``existing``.
    read_at
        When the record had last changed as it was read; ``None``: not known.
    before
        Its values by column, as they were read; ``None``: not known.
    """

    digest: str
    fields: Mapping[str, Any]
    target: Any = None
    existing: Any = None
    problem: str | None = None
    why_existing: str = EXISTS
    read_at: pd.Timestamp | None = None
    before: Mapping[str, Any] | None = None

    @property
    def is_update(self) -> bool:
        """Whether there is a record to update, and something to write to it."""
        return self.target is not None and bool(self.fields) and not self.problem


def planned_rows(client: Client, kind: ResourceType, chosen: FrameSelection, key: str | None) -> list[Row]:
    """Check every row, and find the record that it concerns."""
    mode, attribute = chosen.mode, kind.attribute(key) if key else None
    sent_keys = [_sent_key(attribute, row.get(key or "")) if attribute else [] for row in chosen.rows]
    existing = _records_by_key(client, kind, attribute, sent_keys) if attribute else {}
    keys = [_comparable_keys(attribute, each) if attribute else frozenset() for each in sent_keys]
    matches = [sorted({number for k in each for number in existing.get(k, ())}) for each in keys]
    targets = chosen.ids if mode == "update" else [each[0] if each and mode == "upsert" else None for each in matches]
    in_frame = Counter(k for each in keys for k in each)
    concerned = Counter(str(target) for target in targets if target is not None)
    alike: Counter[bytes] = Counter()
    rows = []
    for place, (values, row_keys, numbers, target) in enumerate(zip(chosen.rows, keys, matches, targets, strict=True)):
        fields = dict(values)
        if target is None:
            fields = {name: value for name, value in fields.items() if value is not None}
        content, problem = _row_content(kind, fields, target if mode == "update" else None)
        if key and not row_keys:
            problem = problem or "the key is missing"
        elif any(in_frame[k] > 1 for k in row_keys):
            problem = "another row has the same key"
        elif len(numbers) > 1:
            problem = f"{len(numbers)} records have this key"
        elif mode == "update" and target is None:
            problem = "the id is missing"
        elif concerned[str(target)] > 1:
            problem = "another row concerns the same record"
        alike[content] += 1
        digest = digest_of(kind.name, mode, alike[content], content)
        if target is not None:
            fields.pop(key or "", None)  # an address that found its record would replace all its addresses
        created = numbers[0] if numbers and mode == "create" else None
        rows.append(
            Row(
                digest,
                fields,
                target,
                created,
                problem or chosen.problems.get(place),
                read_at=chosen.read_at[place],
                before=chosen.before[place],
            )
        )
    return rows


def _row_content(kind: ResourceType, fields: Mapping[str, Any], target: Any) -> tuple[bytes, str | None]:
    """Return what would be sent, or why it cannot be."""
    try:
        number = None if target is None else checked_id(kind, target)
        if target is not None and not fields:
            return b"", None
        return resource_document(kind, fields, id=number).body, None
    except QueryError as error:
        return repr(fields).encode(), message_of(error)


def message_of(error: OutreachError) -> str:
    """Return what an error says, with its hint, in one line."""
    return " ".join(filter(None, (str(error.args[0]), error.hint)))


def _records_by_key(
    client: Client, kind: ResourceType, attribute: Attribute, keys: list[list[str]]
) -> dict[str, list[Any]]:
    """Find the records that have the frame's keys: key → ids."""
    # Whether the API's filters mind case is not known: each address is asked for as it is and in small letters.
    spelled = (str, str.lower) if holds_addresses(attribute) else (str,)
    spellings = list({spell(each): None for row in keys for each in row for spell in spelled})
    if not spellings:
        return {}
    # Where the API cannot filter by the key, the whole table is looked through.
    narrowed = {attribute.name: spellings} if attribute.filterable else None
    records = fetch(client, kind.table, fields=[attribute.name], filter=narrowed, refresh=True, progress=False)
    ids: dict[str, list[Any]] = {}
    for number, value in zip(records["id"], records[attribute.column], strict=True):
        for k in _comparable_keys(attribute, _sent_key(attribute, value)):
            ids.setdefault(k, []).append(number)
    return ids


def _sent_key(attribute: Attribute, value: Any) -> list[str]:
    """Return a key's values as they are sent; an attribute that holds a list has several."""
    listed = [value] if value is None or pd.api.types.is_scalar(value) else list(value)
    there = [each for each in listed if each is not None and not is_missing(each)]
    try:
        sent = [attribute_value(attribute.name, [v] if attribute.type == "array" else v, attribute) for v in there]
    except QueryError:
        sent = there  # the row is refused for it
    return [each for each in (text(v[0] if isinstance(v, list) else v) for v in sent) if each]


def _comparable_keys(attribute: Attribute, keys: list[str]) -> frozenset[str]:
    """Return a key's values as they are compared: addresses that differ in case alone are the same."""
    return frozenset(each.casefold() for each in keys) if holds_addresses(attribute) else frozenset(keys)


def digest_of(*parts: Any) -> str:
    """Return a digest that tells values apart and nothing of them."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]
