"""
Kinds of frames that callers get and give: pandas, backed by Arrow or NumPy, polars and PyArrow.

Inside, frames are Arrow-backed pandas frames. `FrameKind.of` converts one to the kind that the caller asks for;
`pandas_from` converts a frame of polars or PyArrow to pandas.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

import numpy as np
import pandas as pd
import pyarrow as pa

from outreach_frames.errors import QueryError

if TYPE_CHECKING:
    import polars as pl

Dtypes: TypeAlias = Literal["arrow", "numpy"]
"""What backs the columns of pandas frames."""

Library: TypeAlias = Literal["pandas", "polars", "pyarrow"]
"""Whose frames a caller wants."""

RECORD = "outreach_frames"
"""Where a frame keeps its record: the key of pandas ``attrs`` and of a PyArrow schema's metadata."""

_NUMPY_TYPES: Mapping[pa.DataType, Any] = {
    pa.int64(): pd.Int64Dtype(),
    pa.float64(): pd.Float64Dtype(),
    pa.bool_(): pd.BooleanDtype(),
    pa.string(): pd.StringDtype(na_value=np.nan),
}
"""Arrow type → pandas' own; instants and days become ``datetime64``, lists objects."""


def check_dtypes(dtypes: str | None) -> None:
    """Raise `QueryError` for a backing that there is not."""
    if dtypes is not None and dtypes not in get_args(Dtypes):
        raise QueryError(f"There is no dtypes={dtypes!r}.", hint='Choose "arrow" or "numpy".')


@dataclass(frozen=True)
class FrameKind:
    """
    The kind of frame that a caller asks for.

    Attributes
    ----------
    library
        Whose frame it is.
    dtypes
        What backs a pandas frame.
    """

    library: Library = "pandas"
    dtypes: Dtypes = "arrow"

    @classmethod
    def chosen(cls, as_: Library, dtypes: Dtypes | None, default: Dtypes = "arrow") -> "FrameKind":
        """
        Return the kind that the arguments of a call name, before anything is fetched or read for it.

        Raises
        ------
        QueryError
            There is no such kind, polars is not installed, or ``dtypes`` is set for frames that are not of pandas.
        """
        check_dtypes(dtypes)
        if as_ not in get_args(Library):
            raise QueryError(f"There is no as_={as_!r}.", hint='Choose "pandas", "polars" or "pyarrow".')
        if as_ != "pandas" and dtypes is not None:
            raise QueryError(f"dtypes={dtypes!r} is for frames of pandas.", hint="Leave dtypes or as_ out.")
        if as_ == "polars" and find_spec("polars") is None:
            raise QueryError("polars is not installed.", hint="Install it: pip install polars.")
        return cls(as_, dtypes or default)

    def of(self, frame: pd.DataFrame) -> Any:
        """Return an Arrow-backed frame of pandas as this kind, with its record where the kind has a place for one."""
        if self.library == "pandas" and self.dtypes == "arrow":
            return frame
        table = pa.table({name: _arrow_array(frame[name]) for name in frame.columns})
        if self.library == "pandas":
            days = [pa.field(f.name, pa.timestamp("us")) if pa.types.is_date(f.type) else f for f in table.schema]
            converted: pd.DataFrame = table.cast(pa.schema(days)).to_pandas(types_mapper=_NUMPY_TYPES.get)
            for name in frame.columns[[isinstance(dtype, pd.CategoricalDtype) for dtype in frame.dtypes]]:
                converted[name] = frame[name]
            converted.attrs.update(frame.attrs)
            return converted
        return _polars(table) if self.library == "polars" else with_record(table, frame.attrs.get(RECORD))

    def of_batch(self, batch: pa.RecordBatch) -> Any:
        """Return a page of rows as this kind; for PyArrow it is one already."""
        if self.library == "pyarrow":
            return batch
        table = pa.Table.from_batches([batch])
        return _polars(table) if self.library == "polars" else self.of(_arrow_backed(table))


def with_record(table: pa.Table, record: Mapping[str, Any] | None) -> pa.Table:
    """Return a table whose schema's metadata hold a record, as JSON."""
    if not record:
        return table
    metadata = {**(table.schema.metadata or {}), RECORD.encode(): json.dumps(record).encode()}
    return table.replace_schema_metadata(metadata)


def record_of_table(table: pa.Table) -> dict[str, Any]:
    """Read the record in the metadata of a table's schema; empty where there is none."""
    return dict(json.loads((table.schema.metadata or {}).get(RECORD.encode(), b"{}")))


def pandas_from(frame: Any) -> Any:
    """
    Return a frame of polars or PyArrow as an Arrow-backed one of pandas; anything else as it is.

    Parameters
    ----------
    frame
        What a caller gave where a frame is due; a lazy one of polars is not collected.
    """
    if isinstance(frame, pa.RecordBatch):
        frame = pa.Table.from_batches([frame])
    if isinstance(frame, pa.Table):
        converted = _arrow_backed(frame)
        if record := record_of_table(frame):
            converted.attrs[RECORD] = record
        return converted
    is_polars = type(frame).__module__.partition(".")[0] == "polars" and type(frame).__name__ == "DataFrame"
    return _arrow_backed(frame.to_arrow()) if is_polars else frame


def _polars(table: pa.Table) -> "pl.DataFrame":
    import polars as pl  # noqa: PLC0415  only those who ask for it have it

    return pl.DataFrame(pl.from_arrow(table))


def _arrow_backed(table: pa.Table) -> pd.DataFrame:
    """Return a table as pandas; long strings, which polars and others write, as strings, and categories as pandas'."""
    columns = {}
    for name, values in zip(table.column_names, table.columns, strict=True):
        if pa.types.is_dictionary(values.type):
            columns[name] = values.to_pandas()
            continue
        columns[name] = pd.Series(pd.arrays.ArrowExtensionArray(values.cast(_plain_type(values.type))), copy=False)
    return pd.DataFrame(columns, copy=False)


def _plain_type(dtype: pa.DataType) -> pa.DataType:
    if pa.types.is_large_string(dtype) or pa.types.is_string_view(dtype):
        return pa.string()
    if pa.types.is_list(dtype) or pa.types.is_large_list(dtype):
        return pa.list_(_plain_type(dtype.value_type))
    return dtype


def _arrow_array(column: "pd.Series[Any]") -> Any:
    """Return the Arrow array behind a column."""
    return column.array.__arrow_array__() if isinstance(column.dtype, pd.ArrowDtype) else pa.array(column)
