"""
Conditions on records: reading the values of a filter and comparing them with what records hold.

Values are compared as what they are: instants as instants, whatever their spelling; numbers as numbers. A record's
value that cannot be read as its declared type counts as missing. Ranges include both ends.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Literal
from uuid import UUID

from outreach_frames._sandbox import relations
from outreach_frames._sandbox.errors import Problem, bad_request
from outreach_frames._sandbox.relations import Schema
from outreach_frames._sandbox.settings import SandboxSettings
from outreach_frames._sandbox.store import Record, Store
from outreach_frames.catalog import Attribute, Relationship, ResourceType

Kind = Literal["id", "integer", "number", "boolean", "date-time", "date", "string"]

ID = "id"
NULL, NOT_NULL = "__null__", "__notnull__"

VIRTUAL: dict[tuple[str, str], tuple[str, ...]] = {
    ("auditLog", "agentEmail"): ("agent", "email"),
    ("auditLog", "agentIpAddress"): ("agent", "ipAddress"),
    ("complianceRequest", "batchComplianceRequest"): ("batchComplianceRequestUuid",),
}
"""Filters without an attribute of their name: where the value lies. The members of ``agent`` are a guess."""

BY_RELATED_ID = {"byPersonaId": "persona", "byStageId": "stage"}

SEARCHED = {"account": ("name", "domain"), "prospect": ("name", "firstName", "lastName", "company", "emails")}
"""What ``filter[q]`` searches. The vendor says only that it is a prefix search on these two types."""


@dataclass(frozen=True)
class Target:
    """
    What a filter looks at.

    Attributes
    ----------
    name
        As written in the query, without ``filter``.
    kind
        How its values compare.
    relationship
        Relationship to follow first, or ``None``.
    attribute
        Attribute of the record, or of the related records.
    """

    name: str
    kind: Kind
    relationship: str | None
    attribute: str


@dataclass(frozen=True)
class Condition:
    """A test that a record passes or not; `text` says the same for equal conditions."""

    text: tuple[object, ...]
    test: Callable[[Store, Record], bool]


def resolve(kind: ResourceType, path: tuple[str, ...], schema: Schema) -> Target:
    """
    Find what ``filter[…]`` or ``filter[…][…]`` names.

    Raises
    ------
    Problem
        The type has no such attribute or relationship, or it cannot be filtered by.
    """
    name = ".".join(path)
    refused = bad_request("filterParameter.invalidAttribute", f"'{kind.name}' cannot be filtered by '{name}'.")
    if len(path) == 1:
        return Target(name, _own_kind(kind, path[0], refused), None, path[0])
    if len(path) != 2:  # noqa: PLR2004 - a relationship and an attribute of it
        raise refused
    first, second = path
    if first not in kind.relationships and first in relations.one_way(kind.name) and second == ID:
        return Target(name, "id", first, ID)
    if first not in kind.relationships or not _allows(kind.relationships[first], second):
        raise refused
    targets = (schema.type(target) for target in kind.relationships[first].targets)
    kinds = [target for target in targets if target is not None]
    return Target(name, _related_kind(kind.relationships[first], kinds, second, refused), first, second)


def _allows(relationship: Relationship, attribute: str) -> bool:
    """Whether a relationship may be filtered by an attribute; where the vendor does not say, by the id alone."""
    allowed = (ID,) if relationship.filter is None else relationship.filter
    return attribute in allowed or allowed == ("*",)


def _related_kind(relationship: Relationship, kinds: list[ResourceType], name: str, refused: Problem) -> Kind:
    if name == ID:
        return "string" if any(kind.id_type == "string" for kind in kinds) else "id"
    if name in BY_RELATED_ID:
        return "id"
    if relationship.filter == ("*",):
        return _own_kind(kinds[0], name, refused)
    return next((value_kind(kind.attributes[name]) for kind in kinds if name in kind.attributes), "string")


def _own_kind(kind: ResourceType, name: str, refused: Problem) -> Kind:
    if name == ID:
        return "string" if kind.id_type == "string" else "id"
    if (kind.name, name) in VIRTUAL or (name == "q" and kind.name in SEARCHED):
        return "string"
    attribute = kind.attributes.get(name)
    if attribute is None or not attribute.filterable:
        raise refused
    return value_kind(attribute)


def value_kind(attribute: Attribute) -> Kind:
    """Return how the values of an attribute compare."""
    if attribute.format in {"date-time", "date"}:
        return "date-time" if attribute.format == "date-time" else "date"
    if attribute.type in {"integer", "number", "boolean"}:
        return attribute.type
    return "string"


def read_condition(target: Target, operator: str, texts: list[str], settings: SandboxSettings) -> Condition:
    """
    Read one filter.

    Parameters
    ----------
    target
        What it looks at.
    operator
        ``"equal"`` for the original syntax, where commas and ``..`` mean something; ``"literal"``, ``"gte"`` and
        ``"lte"`` for the new one.
    texts
        Its values; any of them may hold.
    settings
        Case and null rules, and the status of a value that cannot be read.

    Raises
    ------
    Problem
        A value is not of the attribute's type.
    """
    if target.attribute == "q" and target.relationship is None:
        return Condition(("q", texts[-1]), _Search(texts[-1]))
    matches = list(_matches(target, operator, texts, settings))

    def test(store: Store, record: Record) -> bool:
        held = [
            value
            for raw in _held(store, record, target)
            if (value := readable(target.kind, raw, case_sensitive=settings.case_sensitive)) is not None
        ]
        return any(match(held) for match in matches)

    return Condition((target.name, operator, *texts, settings.case_sensitive), test)


Match = Callable[[list[Any]], bool]


def _matches(target: Target, operator: str, texts: list[str], settings: SandboxSettings) -> Iterator[Match]:
    """Yield one test on a record's values for each alternative of a filter."""

    def read(text: str) -> Any:
        return _comparable_text(target, text, settings)

    if operator == "gte":
        yield _between(read(texts[0]), None)
    elif operator == "lte":
        yield _between(None, read(texts[0]))
    elif operator == "literal":
        yield from (_one(text, read, null_words=settings.null_words_in_new_syntax) for text in texts)
    elif ".." in texts[0] and "," not in texts[0]:
        low, _, high = texts[0].partition("..")
        if not low or not high:
            raise _unreadable(target, texts[0], settings)
        yield _between(None if low == "neginf" else read(low), None if high == "inf" else read(high))
    else:
        yield from (_one(text, read, null_words=True) for text in texts[0].split(","))


def _one(text: str, read: Callable[[str], Any], *, null_words: bool) -> Match:
    if null_words and text in {NULL, NOT_NULL}:
        return (lambda held: not held) if text == NULL else bool
    wanted = read(text)
    return lambda held: wanted in held


def _between(low: Any, high: Any) -> Match:
    return lambda held: any((low is None or low <= value) and (high is None or value <= high) for value in held)


def _held(store: Store, record: Record, target: Target) -> Iterable[Any]:
    """Yield the values of a record, or of its related records, that a filter looks at."""
    if target.relationship is None:
        yield from _values(store, record, target.attribute)
        return
    identifiers = relations.related(store, record, target.relationship)
    if target.attribute == ID:
        yield from (identifier.id for identifier in identifiers)
        return
    for identifier in identifiers:
        other = store.find(*identifier)
        if other is not None:
            yield from _values(store, other, target.attribute)


def _values(store: Store, record: Record, name: str) -> Iterable[Any]:
    if name == ID:
        return [record.id]
    if name in BY_RELATED_ID:
        return [identifier.id for identifier in relations.related(store, record, BY_RELATED_ID[name])]
    value: Any = record.attributes
    for step in VIRTUAL.get((record.type, name), (name,)):
        value = value.get(step) if isinstance(value, dict) else None
    return value if isinstance(value, list) else [value]


@dataclass(frozen=True)
class _Search:
    """Whether a word of the searched attributes begins with the text, in any case."""

    text: str

    def __call__(self, store: Store, record: Record) -> bool:
        found = (str(value) for name in SEARCHED[record.type] for value in _values(store, record, name) if value)
        text = self.text.casefold()
        return any(word.startswith(text) for value in found for word in (value.casefold(), *value.casefold().split()))


def _comparable_text(target: Target, text: str, settings: SandboxSettings) -> Any:
    try:
        value = comparable(target.kind, text, case_sensitive=settings.case_sensitive)
    except ValueError:
        raise _unreadable(target, text, settings) from None
    return value


def _unreadable(target: Target, text: str, settings: SandboxSettings) -> Problem:
    if target.kind in {"date-time", "date"}:
        id_ = "filterParameter.invalidDatetimeFormat"
    else:
        id_ = "filterParameter.invalidValue"
    return bad_request(
        id_, f"'{text}' is not a value that '{target.name}' can be filtered by.", status=settings.invalid_value_status
    )


def readable(kind: Kind, raw: Any, *, case_sensitive: bool = True) -> Any:
    """Return a record's value as something that compares, or ``None`` where it is missing or not of its type."""
    try:
        return None if raw is None else comparable(kind, raw, case_sensitive=case_sensitive)
    except (ValueError, TypeError, OverflowError):
        return None


def comparable(kind: Kind, raw: Any, *, case_sensitive: bool = True) -> Any:
    """
    Return a value as something that compares with others of its kind.

    Raises
    ------
    ValueError
        It is not of that kind.
    """
    if kind == "string":
        return str(raw) if case_sensitive else str(raw).casefold()
    if kind == "date-time":
        return _instant(str(raw))
    if kind == "date":
        return date.fromisoformat(str(raw)[:10]).toordinal()
    if kind == "id":
        return _id(raw)
    if kind == "boolean":
        return _boolean(raw)
    return float(raw) if kind == "number" else int(raw)


def _instant(text: str) -> float:
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _boolean(raw: Any) -> bool:
    if raw in {True, "true"}:
        return True
    if raw in {False, "false"}:
        return False
    raise ValueError(f"{raw!r} is neither true nor false")


def _id(raw: Any) -> tuple[int, Any]:
    """Numbers in their order, then UUIDs."""
    text = str(raw)
    return (0, int(text)) if re.fullmatch(r"[0-9]+", text) else (1, str(UUID(text)))
