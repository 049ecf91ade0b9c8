"""
Tables attached to a result, and what the result was made of, in words.

They are kept in ``attrs`` as lists by column name, which JSON can hold: a frame there would break ``to_parquet`` and
the comparison of attributes that `pandas.concat` makes.
"""

from typing import Any

import pandas as pd
import pyarrow as pa

from outreach_frames.errors import DataError
from outreach_frames.metrics import DEFINITIONS
from outreach_frames.stats._statistic import record_of


def attach(result: pd.DataFrame, name: str, table: pd.DataFrame) -> None:
    """Keep a table of numbers, text and flags in the attributes of a result."""
    result.attrs[name] = {
        str(column): [_or_none(value) for value in table[column].tolist()] for column in table.columns
    }


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

    Examples
    --------
    >>> tests = stats.ab_test(mailings, sequence_templates=sequence_templates)
    >>> pairs = stats.attached(tests, "pairs")
    >>> pairs.columns.tolist()
    ['step_id', 'template_1', 'template_2', 'diff', 'diff_lo', 'diff_hi', 'p_better', 'expected_loss',
    'p_always_valid']
    """
    columns = result.attrs.get(name)
    if not isinstance(columns, dict) or not all(isinstance(values, list) for values in columns.values()):
        tables = [
            str(key) for key, table in result.attrs.items() if key != "outreach_frames" and isinstance(table, dict)
        ]
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


def _or_none(value: Any) -> Any:
    return None if pd.isna(value) else value


def explain(frame: Any) -> None:
    """
    Print how a result was made: function, parameters, rows left out and why, what was assumed of rows, definitions.

    Parameters
    ----------
    frame
        A result of this package, in pandas or PyArrow. Other kinds of frame have no place for the record.

    Raises
    ------
    DataError
        The frame carries no record.

    Examples
    --------
    >>> stats.explain(stats.failures(mailings, by=None))
    failures (outreach_frames ...)
    Parameters: by=[], ci=0.95, cluster='auto'
    ...
    Left out:
      137: mailing neither sent nor failed
    ...
    """
    print(explanation(frame))  # noqa: T201  to print is what it is for


def explanation(frame: Any) -> str:
    """Return the text that `explain` prints."""
    record = record_of(frame)
    if "function" not in record:
        raise DataError(
            "This frame carries no record of a statistic.",
            hint="Pass a result of outreach_frames.stats in pandas or PyArrow; merging and grouping drop the record.",
        )
    columns = getattr(frame, "column_names", None) or list(frame.columns)
    meant = {name: DEFINITIONS.get(f"{record['function']}.{name}", DEFINITIONS.get(name)) for name in columns}
    defined = [f"  {name} = {definition}" for name, definition in meant.items() if definition]
    lines = [
        f"{record['function']} (outreach_frames {record['version']})",
        *_facts(record),
        *(["Definitions:", *defined] if defined else []),
    ]
    return "\n".join(lines)


def _facts(record: dict[str, Any]) -> list[str]:
    parameters = ", ".join(f"{name}={value!r}" for name, value in record["parameters"].items())
    rows = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in record["rows_in"].items())
    dropped, assumed = (
        [f"  {count:,}: {what}" for what, count in record.get(part, {}).items()] for part in ("dropped", "assumed")
    )
    return [
        *([f"Parameters: {parameters}"] if parameters else []),
        *([f"As of: {record['as_of']}"] if record["as_of"] else []),
        *([f"Proxy: {record['proxy']}"] if record.get("proxy") else []),
        *([f"Rows in: {rows}"] if rows else []),
        *(["Left out:", *dropped] if dropped else ["Left out: nothing"]),
        *(["Assumed:", *assumed] if assumed else []),
        *_clusters(record.get("clusters", {})),
    ]


def _clusters(noted: dict[str, dict[str, Any]]) -> list[str]:
    """Say of each rate what belongs together, and how many independent trials that is worth."""
    texts = [
        f"  {rate}: by {each['cluster']}, {each['n']:,} trials are worth {each['effective_n']:,.0f} independent ones "
        f"(design effect {each['design_effect']:.2f})"
        for rate, each in noted.items()
    ]
    return ["Intervals allow for trials that belong together:", *texts] if texts else []
