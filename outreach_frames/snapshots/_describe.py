"""What a version holds: the meaning of its columns, and how it differs from another version."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from outreach_frames import catalog
from outreach_frames._dictionary import meaning_of, name_of_type, unit_of_attribute
from outreach_frames.errors import QueryError
from outreach_frames.snapshots import _sql, parquet


def column_dictionary(table: str, files: Sequence[Path], attrs: Mapping[str, Any]) -> pd.DataFrame:
    """Describe the columns of a table; see `Snapshot.columns`."""
    schema = pq.read_schema(files[0])
    kind = catalog.load().resource(table)
    labels = attrs.get("outreach_frames", {}).get("custom_fields", {})
    missing = _missing_values(files, schema)
    rows = sum(pq.read_metadata(file).num_rows for file in files)
    return pd.DataFrame(
        {
            "column": pd.array(schema.names, "string[pyarrow]"),
            "type": pd.array([name_of_type(field.type) for field in schema], "string[pyarrow]"),
            "unit": pd.array([unit_of_attribute(field) for field in schema], "string[pyarrow]"),
            "meaning": pd.array([meaning_of(name, kind, labels) for name in schema.names], "string[pyarrow]"),
            "missing": pd.array([missing[name] / rows if rows else None for name in schema.names], "double[pyarrow]"),
        }
    )


def _missing_values(files: Sequence[Path], schema: pa.Schema) -> dict[str, int]:
    """Count the missing values of each column, from the files' metadata where they have it."""
    counts: dict[str, int | None] = dict.fromkeys(schema.names, 0)
    for file in files:
        about = pq.read_metadata(file)
        for place in range(about.num_columns):
            path = about.schema.column(place).path
            for number in range(about.num_row_groups):
                facts = about.row_group(number).column(place).statistics
                before = counts.get(path)
                if before is not None and facts is not None and facts.has_null_count:
                    counts[path] = before + facts.null_count
                else:  # a list, of which the metadata count the items
                    counts[path.partition(".")[0]] = None
    unknown = [name for name in schema.names if counts[name] is None]
    dataset = parquet.dataset(files)
    for name in unknown:
        batches = dataset.to_batches(columns=[name])
        counts[name] = sum(batch.column(0).null_count for batch in batches)
    return {name: counts[name] or 0 for name in schema.names}


def differences(table: str, old: Sequence[Path], new: Sequence[Path]) -> pd.DataFrame:
    """
    Compare the rows of two sets of files by their ids; see `Snapshot.diff`.

    Parameters
    ----------
    table
        Name of the table.
    old, new
        The files that only one of the versions has; an id is in at most one of each.
    """
    if not old or not new:
        ids = [pq.read_table(str(file), columns=["id"], partitioning=None)["id"] for file in old or new]
        change, values = ("removed" if old else "added"), [id_ for part in ids for id_ in part.to_pylist()]
        return _change_table(table, values, [change] * len(values), [[] for _ in values])
    before, after = parquet.dataset(old), parquet.dataset(new)
    columns = [name for name in after.schema.names if name in before.schema.names and name != "id"]
    tests = [
        f"old.{name} is distinct from new.{name}"
        if before.schema.field(column).type == after.schema.field(column).type
        else f"old.{name}::varchar is distinct from new.{name}::varchar"
        for column in columns
        for name in [_sql_name(column)]
    ]
    names = ", ".join("'{}'".format(column.replace("'", "''")) for column in columns)
    query = f"""
        with pair as (
            select coalesce(old.id, new.id) as id,
                case when old.id is null then 'added' when new.id is null then 'removed' else 'changed' end as change,
                list_where([{names}]::varchar[], [{", ".join(tests)}]::boolean[]) as columns
            from old full join new on old.id = new.id
        )
        select id, change, case when change = 'changed' then columns else []::varchar[] end as columns
        from pair where change <> 'changed' or len(columns) > 0 order by id
    """  # noqa: S608  of names that are quoted
    rows = _sql.run_query(query, {"old": before, "new": after})
    return _change_table(table, rows["id"], rows["change"], rows["columns"])


def _change_table(table: str, ids: Any, changes: Any, columns: Any) -> pd.DataFrame:
    strings = pd.ArrowDtype(pa.string())
    ids = pd.Series(list(ids), dtype=strings if any(isinstance(id_, str) for id_ in ids) else "int64[pyarrow]")
    return pd.DataFrame(
        {
            "table": pd.Series([table] * len(ids), dtype=strings),
            "id": ids,
            "change": pd.Series(list(changes), dtype=strings),
            "columns": pd.Series([list(names) for names in columns], dtype=pd.ArrowDtype(pa.list_(pa.string()))),
        }
    )


def _sql_name(name: str) -> str:
    return '"{}"'.format(name.replace('"', '""'))


def check_tables(tables: Sequence[str] | None, all_tables: Sequence[str]) -> None:
    """Raise `QueryError` for a table that neither version has."""
    if isinstance(tables, str):
        raise QueryError(f"tables={tables!r} is one string.", hint=f"Write tables=[{tables!r}].")
    if missing := [name for name in tables or () if name not in all_tables]:
        raise QueryError(f"Neither version has a table {missing[0]!r}.", hint=f"Tables: {', '.join(all_tables)}.")
