"""Deliveries on disk: an SQLite file that survives a crash, and the frame read back from it."""

import hashlib
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd
import pyarrow as pa

from outreach_frames import catalogue
from outreach_frames._warn import warn
from outreach_frames.errors import DocumentError, OutreachDataWarning
from outreach_frames.jsonapi import Layout, to_frame
from outreach_frames.webhooks.deliveries import Delivery, parse

SCHEMA = pa.schema(
    [
        ("received_at", pa.timestamp("us", "UTC")),
        ("delivered_at", pa.timestamp("us", "UTC")),
        ("event", pa.string()),
        ("resource_type", pa.string()),
        ("resource_id", pa.string()),
        ("actor_type", pa.string()),
        ("actor_id", pa.string()),
        ("attributes", pa.string()),
        ("relationships", pa.string()),
        ("before", pa.string()),
    ]
)

PARTS = ("attributes", "relationships")
"""Members of a resource that hold its values."""


class DeliveryStore:
    """
    The file that a receiver writes.

    Parameters
    ----------
    path
        The file; made, readable for its owner only, if it is not there.

    Raises
    ------
    DocumentError
        There is a file, and it is no store of deliveries.

    Notes
    -----
    A delivery is on the disk when `add` returns. The same body is kept once, however often it is sent.
    """

    def __init__(self, path: str | Path) -> None:
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=30)
        with ExitStack() as on_failure, _as_store(path):
            on_failure.callback(self._connection.close)
            self._connection.execute("pragma journal_mode = wal")
            self._connection.execute("pragma synchronous = full")
            self._connection.execute(
                "create table if not exists delivery (number integer primary key,"
                " digest text not null unique, received_at text not null, body blob not null)"
            )
            on_failure.pop_all()

    def add(self, body: bytes) -> bool:
        """Keep a body; return whether it is new."""
        row = (hashlib.sha256(body).hexdigest(), datetime.now(UTC).isoformat(), body)
        with self._lock:
            cursor = self._connection.execute(
                "insert or ignore into delivery (digest, received_at, body) values (?, ?, ?)", row
            )
            return cursor.rowcount == 1

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


def read(store: str | Path, *, resource: str | None = None) -> pd.DataFrame:
    """
    Read the deliveries that a receiver has stored, in the order of their arrival.

    Parameters
    ----------
    store
        The receiver's file.
    resource
        Keep deliveries on this resource type only, and give their attributes and relationships as typed columns.

    Returns
    -------
    deliveries : DataFrame, shape (n_deliveries, n_columns)
        ``received_at``, ``delivered_at`` [UTC instants], ``event``, ``resource_type``, ``resource_id`` [text],
        ``actor_type``, ``actor_id`` [missing in payload version 1], ``attributes``, ``relationships``, ``before``
        [JSON text]. With ``resource`` the columns of `fetch` for that type stand in place of the JSON text; what a
        delivery did not carry, because it did not change, is missing; a mailing's own ``delivered_at`` is
        ``delivered_at_attribute``. Values that do not fit their columns are
        missing there too, and stand under the API's names in ``misfits`` [JSON text, missing where all fit].

    Raises
    ------
    FileNotFoundError
        There is no such file.
    DocumentError
        The file is no store of deliveries.
    UnknownNameError
        There is no such resource type.

    Warns
    -----
    OutreachDataWarning
        Some deliveries hold values that do not fit; it counts them.
    """
    if not Path(store).is_file():
        raise FileNotFoundError(f"There is no store of deliveries at {Path(store).name}.")
    kind = None if resource is None else catalogue.load().resource(resource)
    with (
        _as_store(Path(store)),
        closing(sqlite3.connect(f"{Path(store).resolve().as_uri()}?mode=ro", uri=True)) as connection,
    ):
        rows = connection.execute("select received_at, body from delivery order by number").fetchall()
    deliveries = [(datetime.fromisoformat(at), parse(body)) for at, body in rows]
    if kind is not None:
        deliveries = [(at, d) for at, d in deliveries if d.resource["type"] == kind.name]
    table = pa.Table.from_pylist([_row(at, delivery) for at, delivery in deliveries], schema=SCHEMA)
    if kind is None:
        return to_frame(table, SCHEMA)
    layout = Layout(kind, catalogue=catalogue.load(), anonymous=True, strict=True)
    pages = list(_pages(layout, [delivery.resource for _, delivery in deliveries]))
    about = to_frame(table, SCHEMA).drop(columns=["attributes", "relationships", "before"])
    values = to_frame([batch for batch, _ in pages], layout.schema)
    values = values.rename(columns={name: f"{name}_attribute" for name in about})
    misfits = pd.Series([told for _, each in pages for told in each], dtype=pd.ArrowDtype(pa.string()), name="misfits")
    if count := misfits.count():
        warn(
            f"{count} of {len(misfits)} deliveries on {kind.table} hold values that do not fit their columns; these "
            "are missing there and stand in the column misfits.",
            OutreachDataWarning,
        )
    return pd.concat([about, values, misfits], axis="columns")


@contextmanager
def _as_store(path: Path) -> Iterator[None]:
    """Turn what SQLite says of a file that is no store, or cannot be opened, into a typed error."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        reason = getattr(error, "sqlite_errorname", type(error).__name__)
        raise DocumentError(
            f"{path.name} is no store of deliveries that can be read ({reason}).", hint="Give a receiver's own file."
        ) from error


def _pages(layout: Layout, resources: Sequence[Mapping[str, Any]]) -> Iterator[tuple[pa.RecordBatch, list[str | None]]]:
    """Read resources together, and by halves down to those that do not fit; with what of each did not."""
    try:
        batch = layout.page(msgspec.json.encode({"data": resources})).batch
    except DocumentError as error:
        if len(resources) > 1:
            half = len(resources) // 2
            yield from _pages(layout, resources[:half])
            yield from _pages(layout, resources[half:])
        else:
            yield _without_misfits(layout, resources[0], error)
    else:
        yield batch, [None] * len(resources)


def _without_misfits(
    layout: Layout, resource: Mapping[str, Any], error: DocumentError
) -> tuple[pa.RecordBatch, list[str | None]]:
    """Read a resource without the values that do not fit; return those too."""
    kept = {**resource, **{part: dict(resource[part]) for part in PARTS}}
    misfits: dict[str, Any] = {}
    while found := _taken_out(kept, error.attribute):
        misfits |= found
        try:
            return layout.page(msgspec.json.encode({"data": kept})).batch, [_json(misfits)]
        except DocumentError as another:
            error = another
    raise error


def _taken_out(kept: dict[str, Any], name: str | None) -> dict[str, Any]:
    """Take the member of a name out of a resource, or all its members if it has none of that name."""
    for part in PARTS:
        if name in kept[part]:
            return {str(name): kept[part].pop(name)}
    if name == "id" and "id" in kept:
        return {"id": kept.pop("id")}
    everything = {each: value for part in PARTS for each, value in kept[part].items()}
    kept |= {part: {} for part in PARTS}
    return everything


def _row(received_at: datetime, delivery: Delivery) -> dict[str, object]:
    actor = delivery.actor
    return {
        "received_at": received_at,
        "delivered_at": delivery.delivered_at,
        "event": delivery.event,
        "resource_type": delivery.resource["type"],
        "resource_id": str(delivery.resource["id"]),
        "actor_type": _text(actor.get("type")),
        "actor_id": _text(actor.get("id")),
        "attributes": _json(delivery.resource["attributes"]),
        "relationships": _json(delivery.resource["relationships"]),
        "before": _json(dict(delivery.before)) if delivery.before else None,
    }


def _text(value: object) -> str | None:
    return value if value is None or isinstance(value, str) else _json(value)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
