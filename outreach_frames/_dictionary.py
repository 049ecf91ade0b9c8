"""
The data dictionary: what the columns of a resource type hold, from the catalog and the registry of metrics.

`columns` lists them for `outreach_frames.fetch`; `snapshots` describes those of its tables with `meaning_of` and
`unit_of_attribute`.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd
import pyarrow as pa

from outreach_frames import catalog
from outreach_frames._fetch.custom_fields import CustomField, custom_fields
from outreach_frames._jsonapi import Layout
from outreach_frames._query import Selection, default_columns
from outreach_frames.catalog import Attribute, Catalog, Relationship, ResourceType, snake
from outreach_frames.client import Client
from outreach_frames.metrics import METRICS

_UNIT_OF_NAME = {
    r"_at$|^.*_datetime$": "UTC instant",
    r"(^|_)count$|^num_|^number_of_|^followers$|^(bounce|click|open|reply)_count": "count",
    r"_in_days$": "days",
    r"_per_day$": "per day",
    r"_per_week$": "per week",
    r"percentage$": "percent",
    r"^file_size$": "bytes",
}
"""Pattern of a column's name → unit, where the name says it. The vendor gives no unit for most durations."""

_LISTED_VALUES = 8
"""Most documented values that a meaning lists."""

_OPENS = METRICS["open_rate"].caveat
_CLICKS = METRICS["click_rate"].caveat

_NOTES = {
    "call.createdAt": "when it was logged, not when it was made: that is dialed_at",
    "mailing.clickCount": f"clicks on its links {_CLICKS}",
    "mailing.clickedAt": f"the latest click, not the first {_CLICKS}",
    "mailing.openCount": f"opens {_OPENS}",
    "mailing.openedAt": f"the latest open, not the first {_OPENS}",
    "opportunity.amount": "in currency_type: never add across currencies",
    "opportunity.createdAt": "when it was synced; external_created_at is the CRM's",
    "prospect.clickCount": f"clicks since the last touch, not mailings: never the base of a rate {_CLICKS}",
    "prospect.openCount": f"opens since the last touch, not mailings: never the base of a rate {_OPENS}",
    "prospect.replyCount": "replies since the last touch, not mailings: never the base of a rate",
    "sequenceState.sequenceStep": "the current step, not the history",
    "sequenceStep.interval": "seconds in one place of the vendor's documents, minutes in another",
    "mailbox.userId": "the API's attribute; the relationship user has the column user_id",
}
"""What is easily mistaken about an attribute or relationship, by type and API name."""

_COUNTER_ATTRIBUTES = {
    "openCount": f"mailings opened, as the API counts them {_OPENS}",
    "clickCount": f"mailings clicked, as the API counts them {_CLICKS}",
    "deliverCount": "mailings delivered, as the API counts them",
    "replyCount": "mailings answered, as the API counts them",
    "bounceCount": "mailings bounced, as the API counts them",
    "optOutCount": "opt-outs, as the API counts them",
}
"""Counters of sequences, steps, templates and enrollments."""


def columns(resource: str, /, *, client: Client | None = None) -> pd.DataFrame:
    """
    Describe the columns of a resource type: the data dictionary.

    Parameters
    ----------
    resource
        Resource type, singular or plural, snake_case or the API's spelling.
    client
        Connection to an organization, whose labels of custom fields are then read: its labeled fields stand in place
        of the numbered ones, with the columns and types of ``custom="labels"``. Default: nothing is sent.

    Returns
    -------
    columns : DataFrame, one row per column
        ``column``; ``type`` [Arrow's name]; ``unit`` [missing where there is none, or the vendor does not say];
        ``meaning``; ``filterable``, ``sortable`` [whether the API can; a relationship is filtered by id];
        ``fetched``: ``"by default"``, or ``"on request"``: when named in ``fields`` or, for custom fields, with
        ``custom``. The order is that of a frame. Lists of related ids come with ``fetch_tables``, too.

    Raises
    ------
    UnknownNameError
        There is no such resource type; the message names the nearest.
    APIError, TransportError, DocumentError
        The labels cannot be read.

    Examples
    --------
    >>> columns = of.columns("prospects").set_index("column")
    >>> columns.loc["created_at", ["type", "unit", "sortable", "fetched"]].tolist()
    ['timestamp[us, tz=UTC]', 'UTC instant', True, 'by default']
    >>> columns.loc["open_count", "meaning"].partition(": ")[2]
    'opens since the last touch, not mailings: never the base of a rate (machine opens included).'
    >>> of.columns("prospcts")
    Traceback (most recent call last):
        ...
    outreach_frames.errors.UnknownNameError: There is no resource 'prospcts'.
    Hint: ...
    """
    api = client.catalog if client else catalog.load()
    kind = api.resource(resource)
    labels = {field.name: field for field in custom_fields(client, kind)} if client else None
    frame = pd.DataFrame([{"column": column, **facts} for column, facts in _column_rows(kind, api, labels)])
    truth = dict.fromkeys(("filterable", "sortable"), "bool[pyarrow]")
    return frame.astype({name: truth.get(str(name), "string[pyarrow]") for name in frame.columns})


def _column_rows(
    kind: ResourceType, api: Catalog, labels: Mapping[str, CustomField] | None
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each column and what is said of it, in the order of a frame; the labeled custom fields where known."""
    schema = Layout(Selection(kind), catalog=api).schema
    default = ["id", *default_columns(kind)]
    for name in dict.fromkeys((*default, *kind.attributes, *kind.relationships)):
        fetched = {"fetched": "by default" if name in default else "on request"}
        attribute, link = kind.attributes.get(name), kind.relationships.get(name)
        if name == "id":
            yield "id", _column_facts(kind, schema.field("id")) | {"filterable": True} | fetched
        if attribute and not attribute.write_only:
            can = {"filterable": attribute.filterable, "sortable": attribute.sortable}
            if labels is None or not attribute.is_custom:
                yield attribute.column, _column_facts(kind, schema.field(attribute.column)) | can | fetched
            elif label := labels.get(name):
                about = {name: {"label": label.label, "name": name}}
                yield label.column, _column_facts(kind, pa.field(name, label.arrow), about) | can | fetched
        if link and link.has_data:
            can = {"filterable": link.filter != ()}
            yield link.id_column, _column_facts(kind, schema.field(link.id_column)) | can | fetched
            if link.type_column:
                yield link.type_column, _column_facts(kind, schema.field(link.type_column)) | fetched


def _column_facts(
    kind: ResourceType, field: pa.Field, labels: Mapping[str, Mapping[str, Any]] | None = None
) -> dict[str, Any]:
    return {
        "type": name_of_type(field.type),
        "unit": unit_of_attribute(field),
        "meaning": meaning_of(field.name, kind, labels or {}),
        "filterable": False,
        "sortable": False,
    }


def name_of_type(dtype: pa.DataType) -> str:
    """Name an Arrow type for people; a pick list by what it holds."""
    return "pick list" if pa.types.is_dictionary(dtype) else str(dtype)


def unit_of_attribute(field: pa.Field) -> str | None:
    """Return the unit of a column by its type and name; ``None`` where there is none, or the vendor does not say."""
    if pa.types.is_timestamp(field.type):
        return "UTC instant"
    if pa.types.is_date(field.type):
        return "day"
    if not (pa.types.is_integer(field.type) or pa.types.is_floating(field.type)):
        return None
    name = field.name.rpartition("__")[2]
    return next((unit for pattern, unit in _UNIT_OF_NAME.items() if re.search(pattern, name)), None)


def meaning_of(column: str, kind: ResourceType, labels: Mapping[str, Mapping[str, Any]]) -> str | None:
    """
    Say what a column holds; ``None`` where the catalog does not have it.

    Parameters
    ----------
    column
        Of a frame of the type, joined ones too.
    kind
        The resource type.
    labels
        Custom fields by column, with their ``label`` and their ``name`` in the API.
    """
    path, _, name = column.rpartition("__")
    targets = [kind]
    for step in path.split("__") if path else ():
        relationship = next((r for each in targets if (r := each.find_relationship(step))), None)
        targets = list(catalog.load().targets(relationship).values()) if relationship else []
    steps = [_spaced(kind.name), *(_spaced(step) for step in path.split("__") if step)]
    whose = "".join(f" of the {each}" for each in reversed(steps))
    if name in labels:
        return f"Custom field {labels[name].get('label')!r} ({labels[name].get('name')}){whose}."
    if name == "id":
        return f"Id{whose}."
    for target in targets:
        for member in {**target.relationships, **target.attributes}.values():
            if isinstance(member, Attribute) and member.column == name:
                return f"{_attribute(member)}{whose}{_column_note(target, member)}{_enumeration(member)}."
            if isinstance(member, Relationship) and name in (member.id_column, member.type_column):
                part = "Type" if name == member.type_column else "Ids" if member.many else "Id"
                return f"{part} of the {_spaced(member.name)}{whose}{_column_note(target, member)}."
    return None


def _attribute(attribute: Attribute) -> str:
    if attribute.is_custom:
        return f"Custom field {attribute.name.removeprefix('custom')}"
    return f"Attribute {attribute.name}"


def _column_note(kind: ResourceType, member: Attribute | Relationship) -> str:
    """Say what is easily mistaken."""
    counter = _COUNTER_ATTRIBUTES.get(member.name) if "deliverCount" in kind.attributes else None
    note = _NOTES.get(f"{kind.name}.{member.name}", counter)
    return f": {note}" if note else ""


def _enumeration(attribute: Attribute) -> str:
    if not attribute.enum or len(attribute.enum) > _LISTED_VALUES:
        return ""
    return f": {', '.join(map(str, attribute.enum))}{' …' if attribute.enum_open else ''}"


def _spaced(name: str) -> str:
    return snake(name).replace("_", " ")
