"""
Extract one table into a version of a snapshot.

A table of several pages is read by ranges of ids, each of them one row group: a range is sorted and written before the
next is asked for, so that memory does not grow with the table.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd
import pyarrow as pa
from tqdm.auto import tqdm

from outreach_frames._fetch import fetch
from outreach_frames._fetch.signatures import Options
from outreach_frames._write_journal import identity_of
from outreach_frames.catalog import ResourceType
from outreach_frames.client import Client
from outreach_frames.errors import QueryError, SnapshotError, UnknownNameError
from outreach_frames.snapshots import parquet
from outreach_frames.snapshots._id_ranges import IdRanges
from outreach_frames.snapshots._manifest import FORMAT, FileFacts, TableFacts
from outreach_frames.snapshots._writing import PartWriter, UnfinishedVersion
from outreach_frames.stats._pandas import TABLES

_ON_REQUEST = {
    "events",  # several for every mailing; only `first_opens` and `suspect_engagement` read them
    "email_addresses",  # nothing but personal data, and a scope of its own; only two options need them
}
DEFAULT_RESOURCES = tuple(name for name in TABLES if name not in _ON_REQUEST)
"""What the statistics read, without what few of them need."""

_OPTIONS = Options.__annotations__.keys() - {"refresh", "progress", "params", "dtypes"}
"""What each table can be taken with; `take_snapshot` has the other two itself."""

_STREAMED = _OPTIONS - {"sort", "limit", "parallel"}
"""Options with which a table can be read by ranges of ids."""

ONE_REQUEST = 1_000
"""Most rows of a table that is read at once [rows]: one page."""


def options_by_table(
    client: Client, resources: Sequence[str] | Mapping[str, Mapping[str, Any]] | None
) -> dict[str, Mapping[str, Any]]:
    """Return the options of each table by its name, every name known."""
    if isinstance(resources, str):
        raise QueryError(f"resources={resources!r} is one string.", hint=f"Write resources=[{resources!r}].")
    named = DEFAULT_RESOURCES if resources is None else resources
    options = named if isinstance(named, Mapping) else {name: {} for name in named}
    if not options:
        raise QueryError("A snapshot needs at least one table.", hint="Leave resources out for the usual ones.")
    tables: dict[str, Mapping[str, Any]] = {}
    for name, chosen in options.items():
        if not isinstance(name, str) or not isinstance(chosen, Mapping):
            raise QueryError(
                "resources names tables by text, and gives the options of each as a mapping.",
                hint='resources=["accounts"], or resources={"accounts": {"limit": 10}}',
            )
        if unknown := sorted(map(str, chosen.keys() - _OPTIONS)):
            raise QueryError(
                f"A snapshot's {name} cannot be taken with {unknown[0]!r}.",
                hint=f"Options: {', '.join(sorted(_OPTIONS))}.",
            )
        table = client.catalog.resource(name).table
        if table in tables:
            raise QueryError(f"resources names {table} twice, in two spellings.", hint="Leave one of them out.")
        tables[table] = chosen
    return tables


def repeatable_options(options: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return options as a manifest can keep them; ``None`` where it cannot."""
    try:
        stored: dict[str, Any] = json.loads(json.dumps(options))
    except TypeError:
        return None
    return stored


def check_repeatable(client: Client, tables: Mapping[str, TableFacts]) -> None:
    """
    Refuse tables of a manifest that cannot be taken again.

    Raises
    ------
    SnapshotError
        A table's options are not what `fetch` takes, or no resource type has its name; the message names the tables.
    """
    lost = [
        name for name, facts in tables.items() if not (_is_table(client, name) and _are_fetch_options(facts.options))
    ]
    if lost:
        raise SnapshotError(
            f"How {', '.join(lost)} was taken cannot be repeated from the manifest.",
            hint="Call take_snapshot with the same resources again.",
        )


def _is_table(client: Client, name: str) -> bool:
    """Whether it is a table's own name, and not another spelling of a resource type."""
    try:
        return client.catalog.resource(name).table == name
    except UnknownNameError:
        return False


def _are_fetch_options(options: Any) -> bool:
    try:
        msgspec.convert(options, Options)
    except msgspec.ValidationError:
        return False
    return isinstance(options, dict) and not options.keys() - _OPTIONS


def catalog_digest(kind: ResourceType) -> str:
    """Name what the catalog says of a type, so that another edition has another name."""
    return hashlib.sha256(msgspec.json.encode(kind, order="deterministic")).hexdigest()


def version_request(
    client: Client, tables: Mapping[str, Mapping[str, Any]], base: Path | None = None
) -> list[Any] | None:
    """Describe what a version is to hold, so that an interrupted attempt at the same can be told."""
    options = {name: repeatable_options(chosen) for name, chosen in tables.items()}
    if None in options.values():
        return None
    digests = [catalog_digest(client.catalog.resource(name)) for name in tables]
    return [FORMAT, client.base_url, options, digests, base.name if base else None]


def note_organization(client: Client, version: UnfinishedVersion) -> None:
    """Drop finished files of another organization; where the API names none, those of another token."""
    version.organization = identity_of(client).organization


def check_keep(keep: int | None) -> None:
    """Raise `QueryError` for a number of versions that leaves none."""
    if isinstance(keep, bool) or not isinstance(keep, int | None):
        raise QueryError(f"keep takes a whole number, not a {type(keep).__name__}.")
    if keep is not None and keep < 1:
        raise QueryError(f"keep={keep} would remove the new version too.", hint="Keep at least one, or leave it out.")


def take_table(
    client: Client,
    table: str,
    options: Mapping[str, Any],
    version: UnfinishedVersion,
    *,
    refresh: bool = True,
    progress: bool | None = None,
) -> None:
    """
    Extract one table into a version; finished files of an earlier attempt are not asked for again.

    Raises
    ------
    OutreachError
        As in `fetch`.
    """
    kind = client.catalog.resource(table)
    if not (refresh and is_streamed(kind, options)):
        whole = fetch(client, table, refresh=refresh, progress=progress, dtypes="arrow", **options)
        _write_whole(kind, whole, options, version)
        return
    head = fetch(client, table, limit=ONE_REQUEST, refresh=True, progress=False, dtypes="arrow", **options)
    if len(head) < ONE_REQUEST and not version.parts(table):
        _write_whole(kind, head, options, version)
        return
    if version.organization is None:
        note_organization(client, version)
    rows = parquet.table_of(head)
    schema, as_of = rows.schema, head_time(head)
    source = IdRanges(client, table, options)
    finished = version.parts(table)
    after = finished[-1].last_id if finished else None
    with PartWriter(version, table, schema) as out, tqdm(desc=table, unit=" rows", disable=progress is False) as bar:
        bar.update(sum(facts.rows for facts in finished))
        for low, high in source.ranges(after + 1 if isinstance(after, int) else None):
            rows = source.read(low, high, schema)
            out.write(rows, as_of)
            bar.update(rows.num_rows)
        version.add_table(table, table_facts(kind, options, schema, out.finish(), as_of))


def _write_whole(
    kind: ResourceType, frame: pd.DataFrame, options: Mapping[str, Any], version: UnfinishedVersion
) -> None:
    rows = parquet.table_of(frame)
    as_of = head_time(frame)
    with PartWriter(version, kind.table, rows.schema) as out:
        out.write(rows, as_of)
        version.add_table(kind.table, table_facts(kind, options, rows.schema, out.finish(), as_of))


def table_facts(
    kind: ResourceType, options: Mapping[str, Any], schema: pa.Schema, files: list[FileFacts], as_of: datetime
) -> TableFacts:
    """Describe a finished table, which is as old as its oldest file."""
    return TableFacts(
        rows=sum(facts.rows for facts in files),
        as_of=min((facts.watermark for facts in files if facts.watermark is not None), default=as_of),
        options=repeatable_options(options),
        columns={field.name: str(field.type) for field in schema},
        catalog=catalog_digest(kind),
        files=files,
    )


def column_changes(before: TableFacts, after: TableFacts) -> dict[str, list[str]]:
    """Return the columns of a table that are new, lost or of another type than in the version before."""
    old, new = before.columns, after.columns
    return {
        "new": [column for column in new if column not in old],
        "lost": [column for column in old if column not in new],
        "retyped": [column for column in new if column in old and old[column] != new[column]],
    }


def listed_changes(changes: Mapping[str, Sequence[str]]) -> str:
    """Say which columns changed."""
    listed = "; ".join(f"{word}: {', '.join(columns)}" for word, columns in changes.items() if columns)
    return listed or "in another order"


def head_time(frame: pd.DataFrame) -> datetime:
    """Return when a frame was extracted (aware, UTC), by the server's clock."""
    return datetime.fromisoformat(frame.attrs["outreach_frames"]["as_of"])


def is_streamed(kind: ResourceType, options: Mapping[str, Any]) -> bool:
    """Whether a table can be read by ranges of ids."""
    filters = options.get("filter") or {}
    return (
        kind.id_type == "integer"
        and not {name for name, value in options.items() if value is not None} - _STREAMED
        and options.get("fields") != "*"
        and options.get("custom") in (None, False, True)  # pick lists take their categories from all rows
        and isinstance(filters, Mapping)
        and not any(str(name).partition(".")[0] == "id" for name in filters)
    )
