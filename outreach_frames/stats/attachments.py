"""
Second tables that travel with a result, such as the pairwise comparisons of a test.

They are kept in ``attrs`` as lists by column name, which JSON can hold: a frame there would break ``to_parquet`` and
the comparison of attributes that `pandas.concat` makes.
"""

from typing import Any

import pandas as pd
import pyarrow as pa

from outreach_frames.errors import DataError


def attach(result: pd.DataFrame, name: str, table: pd.DataFrame) -> None:
    """Keep a table of numbers, text and flags in the attributes of a result."""
    result.attrs[name] = {str(column): [_plain(value) for value in table[column].tolist()] for column in table.columns}


def attached(result: pd.DataFrame, name: str) -> pd.DataFrame:
    """
    Return a table that came with a result.

    Parameters
    ----------
    result
        What a statistic returned.
    name
        ``"pairs"`` for `ab_test`, ``"summary"`` for `pipeline_attribution`.

    Returns
    -------
    table : DataFrame
        Arrow-backed, in the order it was made.

    Raises
    ------
    DataError
        The result carries no such table.
    """
    columns = result.attrs.get(name)
    if not isinstance(columns, dict) or not all(isinstance(values, list) for values in columns.values()):
        tables = [str(key) for key, kept in result.attrs.items() if key != "outreach_frames" and isinstance(kept, dict)]
        raise DataError(
            f"This frame carries no table {name!r}.",
            hint=f"It carries: {', '.join(tables)}." if tables else "Merging and grouping drop what a result carries.",
        )
    arrow = pa.table(columns)
    typed = [
        pa.field(field.name, pa.float64() if pa.types.is_null(field.type) else field.type) for field in arrow.schema
    ]
    frame: pd.DataFrame = arrow.cast(pa.schema(typed)).to_pandas(types_mapper=pd.ArrowDtype)
    return frame


def _plain(value: Any) -> Any:
    return None if pd.isna(value) else value
