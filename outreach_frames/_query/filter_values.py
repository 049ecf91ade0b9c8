"""Check filters against the catalog, and write their values in the API's two filter syntaxes."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from difflib import get_close_matches
from typing import Any, Final

import numpy as np
import pandas as pd

from outreach_frames._format import type_name
from outreach_frames._warnings import warn
from outreach_frames.catalog import Attribute, Catalog, Relationship, ResourceType, camel
from outreach_frames.errors import QueryError, UnknownNameError, UnknownValueWarning

Parameters = list[tuple[str, str]]

EXTRA_FILTERS = {
    "account": {"q"},
    "auditLog": {"agentEmail", "agentIpAddress"},
    "complianceRequest": {"batchComplianceRequest"},
    "prospect": {"q"},
}
"""Filters that the API takes though no attribute has the name."""


class _NotNull:
    def __repr__(self) -> str:
        return "NOT_NULL"


NOT_NULL: Final = _NotNull()
"""Filter value: any value but null."""


_ISO_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")

OPEN_ENDS = {"", "inf", "neginf"}
"""What the original syntax takes for the open end of a range, or refuses."""


@dataclass(frozen=True, slots=True)
class Between:
    """A closed range as a filter value; see `between`."""

    low: Any
    high: Any


def between(low: Any, high: Any) -> Between:
    """
    Filter by a range, both ends included.

    Parameters
    ----------
    low, high
        Numbers, dates or instants; either may be ``None`` for an open end. A naive instant is taken as UTC. Where the
        attribute holds instants, a date is the whole day (UTC), as the high end too.

    Raises
    ------
    QueryError
        Both ends are ``None``, or ``low`` is above ``high``.

    Examples
    --------
    >>> of.between(5, None)
    Between(low=5, high=None)
    """
    if low is None and high is None:
        raise QueryError("between(None, None) holds everything.", hint="Leave the filter out, or use NOT_NULL.")
    if low is not None and high is not None and _is_above(low, high):
        raise QueryError("The low end of between(...) is above its high end.", hint="Swap the two.")
    return Between(low, high)


def _is_above(low: Any, high: Any) -> bool:
    """Compare two ends; what Python cannot compare (text and a date, an aware and a naive instant) as it is sent."""
    try:
        return bool(low > high)
    except TypeError:
        return text(low) > text(high)


def validate_value(name: str, value: Any, attribute: Attribute | None = None) -> Any:
    """Check a filter value; lists become tuples, days of instants ranges, everything else stays."""
    if value is None or value is NOT_NULL:
        return value
    holds_instants = attribute is not None and attribute.format == "date-time"
    if holds_instants and _is_day(value):
        value = Between(value, value)
    if isinstance(value, Between):
        low, high = (None if end is None else _scalar(name, end, attribute) for end in (value.low, value.high))
        return Between(low, f"{high}T23:59:59.999Z" if holds_instants and _is_day(high) else high)
    if holds_instants and isinstance(value, Iterable) and any(map(_is_day, value)):
        raise QueryError(
            f"{name} holds times, so a day in a list would match only its first instant.",
            hint="Filter by one range of days: of.between(first, last).",
        )
    if isinstance(value, (list, tuple, set, frozenset, range, pd.Series, pd.Index, np.ndarray)):
        ordered = sorted(value, key=text) if isinstance(value, (set, frozenset)) else value
        return tuple(dict.fromkeys(_scalar(name, item, attribute) for item in ordered))
    return _scalar(name, value, attribute)


def _is_day(value: Any) -> bool:
    """Tell whether a value names a day and no time of it."""
    if isinstance(value, str):
        return bool(_ISO_DAY.fullmatch(value))
    return isinstance(value, date) and not isinstance(value, datetime)


def _scalar(name: str, value: Any, attribute: Attribute | None) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    if pd.api.types.is_scalar(value) and pd.isna(value):
        raise QueryError(f"A list or range for {name} holds a missing value.", hint="Ask for null with None alone.")
    if isinstance(value, str) and value in {"__null__", "__notnull__"}:
        raise QueryError(f"The API cannot look for the text {value} in {name}.", hint="Use None or NOT_NULL.")
    if attribute and not _is_of_type(value, attribute):
        kind = attribute.format or attribute.type
        raise QueryError(f"{name} holds a {kind}; {_excerpt(value)} is none.")
    if not isinstance(value, (str, int, float, bool, date)):
        raise QueryError(f"A filter cannot hold a {type(value).__name__}; {name} got one.")
    if attribute and isinstance(value, str) and value not in attribute.enum:
        _warn_of_slip(name, value, attribute)
    return value


def _warn_of_slip(name: str, value: str, attribute: Attribute) -> None:
    """Warn of a value that is almost a documented one; the vendor's lists are open, so others are taken as meant."""
    documented = {str(each).casefold(): each for each in attribute.enum}
    close = get_close_matches(value.casefold(), documented, n=1, cutoff=0.8)
    if close:
        warn(
            f"{name} is filtered by a value that the vendor does not document. Did you mean {documented[close[0]]!r}?",
            UnknownValueWarning,
        )


def _is_of_type(value: Any, attribute: Attribute) -> bool:
    """Return whether a value is of an attribute's type, or text that can be read as one."""
    if attribute.format in {"date-time", "date"}:
        return isinstance(value, date) or (isinstance(value, str) and _is_iso(value))
    if attribute.type in {"integer", "number"}:
        return not isinstance(value, (bool, date)) and _is_numeric(value, whole=attribute.type == "integer")
    if attribute.type == "boolean":
        return value in (True, False, "true", "false")
    return isinstance(value, str)


def _is_iso(value: str) -> bool:
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def _is_numeric(value: Any, *, whole: bool) -> bool:
    """Return whether a value is a finite number, or text that can be read as one."""
    try:
        number = float(value)
        return number.is_integer() and bool(int(value) == number) if whole else math.isfinite(number)
    except (TypeError, ValueError):
        return False


def _excerpt(value: Any) -> str:
    """Show numbers only: text may be an address."""
    return repr(value) if isinstance(value, (int, float)) else f"the {type(value).__name__} given"


def text(value: Any) -> str:
    """
    Write one value as the API reads it.

    A naive instant is taken as UTC; a whole number is written as such even where pandas made a float of it.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        aware = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
        return aware.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value.isoformat() if isinstance(value, date) else str(value)


def is_ambiguous(value: Any) -> bool:
    """Return whether the original syntax would misread the value: text with a comma or ``..``, or for an open end."""
    if isinstance(value, Between):
        return any(isinstance(end, str) and (end in OPEN_ENDS or _has_marks(end)) for end in (value.low, value.high))
    return any(map(_has_marks, value if isinstance(value, tuple) else (value,)))


def _has_marks(value: Any) -> bool:
    return isinstance(value, str) and ("," in value or ".." in value)


def legacy_syntax(value: Any) -> str:
    """Write a checked value in the original syntax: ``a,b``, ``low..high``, ``__null__``."""
    if value is None:
        return "__null__"
    if value is NOT_NULL:
        return "__notnull__"
    if isinstance(value, Between):
        low = "neginf" if value.low is None else text(value.low)
        high = "inf" if value.high is None else text(value.high)
        return f"{low}..{high}"
    return ",".join(map(text, value)) if isinstance(value, tuple) else text(value)


def new_syntax(key: str, value: Any) -> Parameters:
    """Write a checked value in the new syntax, in which commas and ``..`` are text."""
    if isinstance(value, Between):
        ends = (("gte", value.low), ("lte", value.high))
        return [(f"filter{key}[{end}]", text(v)) for end, v in ends if v is not None]
    if isinstance(value, tuple):
        return [(f"filter{key}[]", text(v)) for v in value]
    return [(f"filter{key}", legacy_syntax(value))]


def resolve_filters(catalog: Catalog, kind: ResourceType, named: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    """
    Return key and value of filters, such as ``[account][id]`` and 5.

    Raises
    ------
    UnknownNameError, QueryError
        As for `outreach_frames._query.build`.
    """
    filters = tuple(_resolved_filters(catalog, kind, named))
    _check_together(filters)
    return filters


def batch_filter(catalog: Catalog, resource: str | None, named: Mapping[str, Any]) -> Parameters:
    """
    Write the filter of a batch action, which follows the new syntax.

    Parameters
    ----------
    resource
        The type whose records are meant; ``None`` for custom objects, whose names nobody can check.
    given
        As for `build`.

    Raises
    ------
    UnknownNameError, QueryError
        As for `build`; also for any of no values, which selects nothing and in this syntax would not be there to see.
    """
    if resource is None:
        filters = [(f"[{name}]", validate_value(name, value)) for name, value in named.items()]
    else:
        filters = list(_resolved_filters(catalog, catalog.resource(resource), named))
    empty = next((key for key, value in filters if isinstance(value, tuple) and not value), None)
    if empty:
        raise QueryError(
            f"The filter on {empty.strip('[]').replace('][', '.')} is an empty list, which selects no records; "
            "nothing was sent.",
            hint="Ask for a batch only where there are records for it.",
        )
    pairs = [pair for key, value in filters for pair in new_syntax(key, value)]
    return [(f"actionParams[filter]{key.removeprefix('filter')}", value) for key, value in pairs]


def _check_together(filters: Sequence[tuple[str, Any]]) -> None:
    """Refuse filters that the API would read otherwise than they are meant."""
    named = [key for key, _ in filters]
    twice = next((key for key in named if named.count(key) > 1), None)
    if twice:
        raise QueryError(f"There are two filters on {twice}, of which the API would see one.", hint="Join them.")
    if any(map(is_ambiguous, dict(filters).values())) and any(v is None or v is NOT_NULL for _, v in filters):
        raise QueryError(
            "A value with a comma or '..' needs the API's newer filter syntax, which is not known to have null.",
            hint="Filter by one of the two, and by the other on the frame.",
        )


def _resolved_filters(catalog: Catalog, kind: ResourceType, named: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in named.items():
        if not isinstance(name, str):
            raise QueryError(f"A filter's name is text, not {type_name(name)}.", hint='filter={"state": "delivered"}')
        if isinstance(value, Mapping):
            if not value:
                raise QueryError(f"The filter on {name} is an empty mapping.", hint="Leave it out, or give it a value.")
            for inner, inner_value in value.items():
                yield _filter(catalog, kind, f"{name}.{inner}", inner_value)
        else:
            yield _filter(catalog, kind, name, value)


def _filter(catalog: Catalog, kind: ResourceType, name: str, value: Any) -> tuple[str, Any]:
    head, _, rest = name.partition(".")
    if head == "id" or camel(head) in EXTRA_FILTERS.get(kind.name, ()):
        return f"[{camel(head)}]", validate_value(name, value)
    member = kind.member(head).name
    if member in kind.attributes and not rest:
        attribute = kind.attributes[member]
        if not attribute.filterable:
            raise _not_filterable(kind, attribute.column)
        return f"[{member}]", validate_value(name, value, attribute)
    if member not in kind.relationships:
        raise UnknownNameError(name, kind=f"relationship of {kind.name}", valid=kind.relationships)
    relationship = kind.relationships[member]
    if relationship.filter == ():
        raise _not_filterable(kind, relationship.column)
    allowed = _related_filters(catalog, relationship)
    inner = next((a for a in allowed if rest in (a, allowed[a])), None) if rest else "id"
    if inner is None:
        raise QueryError(
            f"{kind.table} cannot be filtered by {rest} of {relationship.column}.",
            hint=f"Possible: {', '.join(allowed.values())}. Or fetch the ids first and filter by those.",
        )
    if inner == "id" and isinstance(value, pd.Series) and "id" in value:
        value = value["id"]  # a row of a frame stands for its record
    return f"[{member}][{inner}]", validate_value(name, value)


def _related_filters(catalog: Catalog, relationship: Relationship) -> dict[str, str]:
    """Map what may be filtered by across a relationship to its columns; only the id where nothing is said."""
    allowed = relationship.filter or ("id",)
    targets = catalog.targets(relationship).values()
    if allowed == ("*",):
        return {"id": "id"} | {a.name: a.column for t in targets for a in t.attributes.values() if a.filterable}
    columns = {a.name: a.column for t in targets for a in t.attributes.values()}
    return {name: columns.get(name, name) for name in allowed}


def _not_filterable(kind: ResourceType, name: str) -> QueryError:
    able = [a.column for a in kind.attributes.values() if a.filterable]
    able += [r.column for r in kind.relationships.values() if r.filter != () and r.has_data]
    return QueryError(f"{kind.table} cannot be filtered by {name}.", hint=f"Filterable: id, {', '.join(able)}.")
