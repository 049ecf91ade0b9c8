"""
Name custom fields by their labels, and type their values as the organization declared them.

The API sends custom fields as numbered text (``custom12``); what each means stands at ``GET /types``.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any, Literal, TypeAlias

import msgspec
import pandas as pd
import pyarrow as pa

from outreach_frames._http import UNREADABLE, Response
from outreach_frames._jsonapi import dates, number_of, rows_off_midnight, to_frame, truth_of
from outreach_frames._jsonapi.structs import NoErrors
from outreach_frames._warnings import warn
from outreach_frames.catalog import ResourceType
from outreach_frames.client import Client
from outreach_frames.errors import DocumentError, OutreachDataWarning

Custom: TypeAlias = bool | Literal["labels"]

_MAX_IDS = 5
"""How many records with unreadable values a warning names."""

_TYPED_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
"""What people type where a number is due: ``+5`` and ``007``, which JSON does not have."""


class _Validation(msgspec.Struct):
    type: str | None = None
    label: str | None = None
    definition: list[Any] | str | int | float | bool | dict[str, Any] | None = None


class _TypeMeta(msgspec.Struct):
    validations: dict[str, _Validation] = {}


class _Type(msgspec.Struct):
    type: str
    meta: _TypeMeta = msgspec.field(default_factory=_TypeMeta)


class _Types(msgspec.Struct):
    data: list[_Type]
    errors: NoErrors = None


_types = msgspec.json.Decoder(_Types)


@dataclass(frozen=True)
class CustomField:
    """
    One custom field of an organization.

    Attributes
    ----------
    name
        The API's name (``custom12``).
    column
        Its column: the label in snake_case.
    label
        As the organization calls it.
    type
        As declared: ``numerical``, ``date``, ``inclusion`` …
    definition
        Options of a pick list, or the code of a currency.
    """

    name: str
    column: str
    label: str
    type: str
    definition: Any = None

    @property
    def options(self) -> list[str]:
        """What a pick list offers."""
        return [str(option) for option in self.definition] if isinstance(self.definition, list) else []

    @property
    def arrow(self) -> pa.DataType:
        """Arrow type of the column."""
        return _FIELD_TYPES[self.type][0] if self.type in _FIELD_TYPES else pa.string()

    def read(self, text: str) -> Any:
        """
        Read one value.

        Raises
        ------
        ValueError
            It is not of the declared type.
        """
        return _FIELD_TYPES[self.type][1](text.strip(), self.options) if self.type in _FIELD_TYPES else text


def custom_fields(client: Client, kind: ResourceType, *, refresh: bool = False) -> list[CustomField]:
    """
    Return the custom fields that the organization has labeled on a resource type, in the API's order.

    A label that is another column's name, or several fields' label, has the API's name behind it:
    ``name_custom12``.

    Raises
    ------
    DocumentError
        The answer is not what ``GET /types`` is documented to give.
    APIError, TransportError
        The API failed.
    """
    numbered = [attribute.name for attribute in kind.attributes.values() if attribute.is_custom]
    if not numbered:
        return []
    _, types = client.read("/types", (), _read_types, refresh=refresh)
    validations = {entry.type.casefold(): entry.meta.validations for entry in types.data}
    declared = validations.get(kind.name.casefold(), {})
    labels = {name: declared[name].label or name for name in numbered if name in declared}
    columns = _column_names(labels, kind)
    return [
        CustomField(
            name=name,
            column=columns[name],
            label=label,
            type=declared[name].type or "string",
            definition=declared[name].definition,
        )
        for name, label in labels.items()
    ]


def _read_types(response: Response) -> _Types:
    try:
        return _types.decode(response.body)
    except UNREADABLE:
        raise DocumentError(
            "The labels of custom fields cannot be read.", hint="custom=True fetches the fields without their labels."
        ) from None


def _column_names(labels: Mapping[str, str], kind: ResourceType) -> dict[str, str]:
    slugs = {name: re.sub(r"[\W_]+", "_", label).strip("_").lower() or name for name, label in labels.items()}
    columns = [column for r in kind.relationships.values() for column in (r.id_column, r.type_column)]
    columns += [attribute.column for attribute in kind.attributes.values() if not attribute.is_custom]
    taken = Counter(["id", "meta", *columns, *slugs.values()])
    longer = {name: slug if taken[slug] == 1 else f"{slug}_{name}" for name, slug in slugs.items()}
    again = Counter(longer.values())
    return {name: column if again[column] == 1 else name for name, column in longer.items()}


def resolve_clashes(fields: Iterable[CustomField], names: Sequence[str]) -> list[CustomField]:
    """Return the fields that are among columns, under names that no other of the columns has."""
    return [
        replace(field, column=f"{field.column}_{field.name}") if field.column in {*names} - {field.name} else field
        for field in fields
        if field.name in names
    ]


def labeled(table: pa.Table, fields: Iterable[CustomField]) -> pa.Table:
    """
    Return rows with their custom fields named and typed; values that are not of the type are missing.

    Parameters
    ----------
    table
        With an ``id`` and the custom fields as text, under the API's names.
    fields
        From `settled`.

    Warns
    -----
    OutreachDataWarning
        Values are not of the declared type, or dates have a time of day that is midnight in no time zone; it says how
        many, and in which records.
    """
    by_name = {field.name: field for field in fields}
    columns: dict[str, Any] = {}
    misfits, as_written = [], []
    for name in table.column_names:
        if name not in by_name:
            columns[name] = table[name]
            continue
        field = by_name[name]
        texts = table[name].to_pylist()
        columns[field.column], wrong = _typed_values(texts, field)
        misfits += [_listed_misfits(field, table["id"].take(pa.array(wrong)).to_pylist())] if wrong else []
        off = _off_midnight(texts, field)
        as_written += [_listed_misfits(field, table["id"].take(pa.array(off)).to_pylist())] if off else []
    if misfits:
        warn(
            f"Values that are not of their field's type are missing here: {'; '.join(misfits)}. "
            "custom=True gives them as text.",
            OutreachDataWarning,
        )
    if as_written:
        warn(
            f"Dates with a time of day that is midnight in no time zone are kept as written: {'; '.join(as_written)}.",
            OutreachDataWarning,
        )
    return pa.table(columns)


def labeled_frame(table: pa.Table, fields: Iterable[CustomField]) -> pd.DataFrame:
    """Return the same as a frame, pick lists as pandas categories; ``attrs`` tell what each column is."""
    fields = resolve_clashes(fields, table.column_names)
    table = labeled(table, fields)
    frame = to_frame(table, table.schema)
    for field in fields:
        if pa.types.is_dictionary(field.arrow):
            frame[field.column] = table[field.column].to_pandas()
    about = {f.column: {"name": f.name, "label": f.label, "type": f.type, "definition": f.definition} for f in fields}
    frame.attrs["outreach_frames"] = {"custom_fields": about} if about else {}
    return frame


def _typed_values(texts: Sequence[str | None], field: CustomField) -> tuple[pa.Array, list[int]]:
    """Return the column and the rows whose values are not of its type; empty text is no value but of text."""
    if field.arrow == pa.date32():
        with suppress(ValueError):
            return dates(_days(texts)), []
    values, wrong = [], []
    for row, text in enumerate(texts):
        value = None
        if text is not None and (text or field.arrow == pa.string()):
            try:
                value = field.read(text)
            except ValueError:
                wrong.append(row)
        values.append(value)
    if not pa.types.is_dictionary(field.arrow):
        return pa.array(values, field.arrow), wrong
    options = list(dict.fromkeys([*field.options, *(value for value in values if value is not None)]))
    codes = {option: code for code, option in enumerate(options)}
    indices = pa.array([None if value is None else codes[value] for value in values], pa.int32())
    return pa.DictionaryArray.from_arrays(indices, pa.array(options, pa.string())), wrong


def _days(texts: Sequence[str | None]) -> pa.Array:
    return pa.array([text or None for text in texts], pa.string())


def _off_midnight(texts: Sequence[str | None], field: CustomField) -> list[int]:
    """Return the rows of dates that are kept as written; none where the column could not be read as a whole."""
    with suppress(ValueError):
        return rows_off_midnight(_days(texts)) if field.arrow == pa.date32() else []
    return []


def _listed_misfits(field: CustomField, ids: Sequence[Any]) -> str:
    numbers = ", ".join(map(str, ids[:_MAX_IDS])) + (" …" if len(ids) > _MAX_IDS else "")
    return f"{len(ids)} of {field.column} ({field.name}, {field.type}), in id {numbers}"


def _read_number(text: str, _: Sequence[str]) -> float:
    return number_of(text, written=_TYPED_NUMBER)


def _read_truth(text: str, _: Sequence[str]) -> bool:
    return truth_of(text.lower())


def _read_custom_date(text: str, _: Sequence[str]) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        day: date = dates(pa.array([datetime.fromisoformat(text).isoformat()]))[0].as_py()
        return day


def _read_custom_instant(text: str, _: Sequence[str]) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _read_choice(text: str, _: Sequence[str]) -> str:
    return text


def _read_choices(text: str, options: Sequence[str]) -> list[str]:
    """Split several choices, which the vendor does not say how to write; what cannot be told apart stays one."""
    if text.startswith("["):
        with suppress(msgspec.DecodeError, RecursionError):
            return msgspec.json.decode(text, type=list[str])
    parted = [[part.strip() for part in text.split(separator)] for separator in (";", ",")]
    return next((parts for parts in parted if text not in options and set(parts) <= set(options)), [text])


_FIELD_TYPES: dict[str, tuple[pa.DataType, Callable[[str, Sequence[str]], Any]]] = {
    "boolean": (pa.bool_(), _read_truth),
    "currency": (pa.float64(), _read_number),
    "date": (pa.date32(), _read_custom_date),
    "date_time": (pa.timestamp("us", "UTC"), _read_custom_instant),
    "inclusion": (pa.dictionary(pa.int32(), pa.string()), _read_choice),
    "multi_inclusion": (pa.list_(pa.string()), _read_choices),
    "numerical": (pa.float64(), _read_number),
    "percentage": (pa.float64(), _read_number),
}
"""Arrow type and reader of the declared types; the others (``phone_number``, ``string``, ``url``) are text."""
