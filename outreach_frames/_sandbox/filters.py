"""
Filters: read the values of a filter, and compare them with the values of records.

Values are compared by type: instants as instants, in any spelling, and numbers as numbers. A record's
value that cannot be read as its declared type counts as missing. Ranges include both ends.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Literal
from uuid import UUID

from outreach_frames._sandbox import relations
from outreach_frames._sandbox.errors import HttpError, bad_request
from outreach_frames._sandbox.relations import Schema
from outreach_frames._sandbox.settings import SandboxSettings
from outreach_frames._sandbox.store import Record, Store
from outreach_frames.catalog import Attribute, Relationship, ResourceType

ValueKind = Literal["id", "integer", "number", "boolean", "date-time", "date", "string"]

ID = "id"
_NULL_WORD, _NOT_NULL_WORD = "__null__", "__notnull__"

_VIRTUAL: dict[tuple[str, str], tuple[str, ...]] = {
    ("auditLog", "agentEmail"): ("agent", "email"),
    ("auditLog", "agentIpAddress"): ("agent", "ipAddress"),
    ("complianceRequest", "batchComplianceRequest"): ("batchComplianceRequestUuid",),
}
"""Filters that are not named as an attribute, with the place of their value. The members of ``agent`` are a guess."""

_BY_RELATED_ID = {"byPersonaId": "persona", "byStageId": "stage"}

_SEARCHED = {"account": ("name", "domain"), "prospect": ("name", "firstName", "lastName", "company", "emails")}
"""Attributes that ``filter[q]`` searches. The vendor documents only that it is a prefix search on these two types."""


@dataclass(frozen=True)
class FilterTarget:
    """
    The attribute that a filter tests.

    Attributes
    ----------
    name
        Name in the query, without ``filter``.
    kind
        How its values compare.
    relationship
        Relationship to follow first, or ``None``.
    attribute
        Attribute of the record, or of the related records.
    """

    name: str
    kind: ValueKind
    relationship: str | None
    attribute: str


@dataclass(frozen=True)
class Condition:
    """A test of a record; equal conditions have equal `text`."""

    text: tuple[object, ...]
    test: Callable[[Store, Record], bool]


def resolve(kind: ResourceType, path: tuple[str, ...], schema: Schema) -> FilterTarget:
    """
    Return the attribute that ``filter[…]`` or ``filter[…][…]`` names.

    Raises
    ------
    HttpError
        The type has no such attribute or relationship, or it cannot be filtered by.
    """
    name = ".".join(path)
    refusal = bad_request("filterParameter.invalidAttribute", f"'{kind.name}' cannot be filtered by '{name}'.")
    if len(path) == 1:
        return FilterTarget(name, _own_kind(kind, path[0], refusal), None, path[0])
    if len(path) != 2:  # noqa: PLR2004 - a relationship and an attribute of it
        raise refusal
    first, second = path
    if first not in kind.relationships and first in relations.one_way(kind.name) and second == ID:
        return FilterTarget(name, "id", first, ID)
    if first not in kind.relationships or not _allows(kind.relationships[first], second):
        raise refusal
    targets = (schema.type(target) for target in kind.relationships[first].targets)
    kinds = [target for target in targets if target is not None]
    return FilterTarget(name, _related_kind(kind.relationships[first], kinds, second, refusal), first, second)


def _allows(relationship: Relationship, attribute: str) -> bool:
    """Whether a relationship may be filtered by an attribute; only by the id where the vendor does not document it."""
    allowed = (ID,) if relationship.filter is None else relationship.filter
    return attribute in allowed or allowed == ("*",)


def _related_kind(relationship: Relationship, kinds: list[ResourceType], name: str, refusal: HttpError) -> ValueKind:
    if name == ID:
        return "string" if any(kind.id_type == "string" for kind in kinds) else "id"
    if name in _BY_RELATED_ID:
        return "id"
    if relationship.filter == ("*",):
        return _own_kind(kinds[0], name, refusal)
    return next((value_kind(kind.attributes[name]) for kind in kinds if name in kind.attributes), "string")


def _own_kind(kind: ResourceType, name: str, refusal: HttpError) -> ValueKind:
    if name == ID:
        return "string" if kind.id_type == "string" else "id"
    if (kind.name, name) in _VIRTUAL or (name == "q" and kind.name in _SEARCHED):
        return "string"
    attribute = kind.attributes.get(name)
    if attribute is None or not attribute.filterable:
        raise refusal
    return value_kind(attribute)


def value_kind(attribute: Attribute) -> ValueKind:
    """Return how the values of an attribute compare."""
    if attribute.format in {"date-time", "date"}:
        return "date-time" if attribute.format == "date-time" else "date"
    if attribute.type in {"integer", "number", "boolean"}:
        return attribute.type
    return "string"


def read_condition(target: FilterTarget, operator: str, texts: list[str], settings: SandboxSettings) -> Condition:
    """
    Read one filter.

    Parameters
    ----------
    target
        The attribute.
    operator
        ``"equal"`` for the original syntax, where commas and ``..`` are special; ``"literal"``, ``"gte"`` and
        ``"lte"`` for the new one.
    texts
        Its values; one match is enough.
    settings
        Case and null rules, and the status of a value that cannot be read.

    Raises
    ------
    HttpError
        A value is not of the attribute's type.
    """
    if target.attribute == "q" and target.relationship is None:
        return Condition(("q", texts[-1]), _Search(texts[-1]))
    matches = list(_alternatives(target, operator, texts, settings))

    def test(store: Store, record: Record) -> bool:
        values = [
            value
            for raw in _filtered_values(store, record, target)
            if (value := readable_value(target.kind, raw, case_sensitive=settings.case_sensitive)) is not None
        ]
        return any(match(values) for match in matches)

    return Condition((target.name, operator, *texts, settings.case_sensitive), test)


_Match = Callable[[list[Any]], bool]


def _alternatives(target: FilterTarget, operator: str, texts: list[str], settings: SandboxSettings) -> Iterator[_Match]:
    """Yield one test on a record's values for each alternative of a filter."""

    def read(text: str) -> Any:
        return _comparable_text(target, text, settings)

    if operator == "gte":
        yield _in_range(read(texts[0]), None)
    elif operator == "lte":
        yield _in_range(None, read(texts[0]))
    elif operator == "literal":
        yield from (_one(text, read, null_words=settings.null_words_in_new_syntax) for text in texts)
    elif ".." in texts[0] and "," not in texts[0]:
        low, _, high = texts[0].partition("..")
        if not low or not high:
            raise _bad_value(target, texts[0], settings)
        yield _in_range(None if low == "neginf" else read(low), None if high == "inf" else read(high))
    else:
        yield from (_one(text, read, null_words=True) for text in texts[0].split(","))


def _one(text: str, read: Callable[[str], Any], *, null_words: bool) -> _Match:
    if null_words and text in {_NULL_WORD, _NOT_NULL_WORD}:
        return (lambda values: not values) if text == _NULL_WORD else bool
    expected = read(text)
    return lambda values: expected in values


def _in_range(low: Any, high: Any) -> _Match:
    return lambda values: any((low is None or low <= value) and (high is None or value <= high) for value in values)


def _filtered_values(store: Store, record: Record, target: FilterTarget) -> Iterable[Any]:
    """Yield the values of a record, or of its related records, that a filter tests."""
    if target.relationship is None:
        yield from _attribute_values(store, record, target.attribute)
        return
    identifiers = relations.related(store, record, target.relationship)
    if target.attribute == ID:
        yield from (identifier.id for identifier in identifiers)
        return
    for identifier in identifiers:
        other = store.find(*identifier)
        if other is not None:
            yield from _attribute_values(store, other, target.attribute)


def _attribute_values(store: Store, record: Record, name: str) -> Iterable[Any]:
    if name == ID:
        return [record.id]
    if name in _BY_RELATED_ID:
        return [identifier.id for identifier in relations.related(store, record, _BY_RELATED_ID[name])]
    value: Any = record.attributes
    for step in _VIRTUAL.get((record.type, name), (name,)):
        value = value.get(step) if isinstance(value, dict) else None
    return value if isinstance(value, list) else [value]


@dataclass(frozen=True)
class _Search:
    """Whether a word of the searched attributes begins with the text, in any case."""

    text: str

    def __call__(self, store: Store, record: Record) -> bool:
        texts = (
            str(value) for name in _SEARCHED[record.type] for value in _attribute_values(store, record, name) if value
        )
        text = self.text.casefold()
        return any(word.startswith(text) for value in texts for word in (value.casefold(), *value.casefold().split()))


def _comparable_text(target: FilterTarget, text: str, settings: SandboxSettings) -> Any:
    try:
        value = comparable(target.kind, text, case_sensitive=settings.case_sensitive)
    except ValueError:
        raise _bad_value(target, text, settings) from None
    return value


def _bad_value(target: FilterTarget, text: str, settings: SandboxSettings) -> HttpError:
    if target.kind in {"date-time", "date"}:
        id_ = "filterParameter.invalidDatetimeFormat"
    else:
        id_ = "filterParameter.invalidValue"
    return bad_request(
        id_, f"'{text}' is not a value that '{target.name}' can be filtered by.", status=settings.invalid_value_status
    )


def readable_value(kind: ValueKind, raw: Any, *, case_sensitive: bool = True) -> Any:
    """Return a comparable value, or ``None`` where it is missing or not of its type."""
    try:
        return None if raw is None else comparable(kind, raw, case_sensitive=case_sensitive)
    except (ValueError, TypeError, OverflowError):
        return None


def comparable(kind: ValueKind, raw: Any, *, case_sensitive: bool = True) -> Any:
    """
    Return a value that can be compared with others of its kind.

    Raises
    ------
    ValueError
        It is not of that kind.
    """
    if kind == "string":
        return str(raw) if case_sensitive else str(raw).casefold()
    if kind == "date-time":
        return _comparable_instant(str(raw))
    if kind == "date":
        return date.fromisoformat(str(raw)[:10]).toordinal()
    if kind == "id":
        return _comparable_id(raw)
    if kind == "boolean":
        return _comparable_boolean(raw)
    return float(raw) if kind == "number" else int(raw)


def _comparable_instant(text: str) -> float:
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _comparable_boolean(raw: Any) -> bool:
    if raw in {True, "true"}:
        return True
    if raw in {False, "false"}:
        return False
    raise ValueError(f"{raw!r} is neither true nor false")


def _comparable_id(raw: Any) -> tuple[int, Any]:
    """Numbers in their order, then UUIDs."""
    text = str(raw)
    return (0, int(text)) if re.fullmatch(r"[0-9]+", text) else (1, str(UUID(text)))
