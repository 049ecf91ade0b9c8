"""Deliveries on disk: an SQLite file that survives a crash, and the frame read back from it."""

import hashlib
import sqlite3
import threading
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pandas as pd
import pyarrow as pa

from outreach_frames import catalogue
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


class DeliveryStore:
    """
    The file that a receiver writes.

    Parameters
    ----------
    path
        The file; made, readable for its owner only, if it is not there.

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
        self._connection.execute("pragma journal_mode = wal")
        self._connection.execute("pragma synchronous = full")
        self._connection.execute(
            "create table if not exists delivery"
            " (number integer primary key, digest text not null unique, received_at text not null, body blob not null)"
        )

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
        delivery did not carry, because it did not change, is missing.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    UnknownNameError
        There is no such resource type.
    """
    if not Path(store).is_file():
        raise FileNotFoundError(f"There is no store of deliveries at {Path(store).name}.")
    kind = None if resource is None else catalogue.load().resource(resource)
    with closing(sqlite3.connect(f"{Path(store).resolve().as_uri()}?mode=ro", uri=True)) as connection:
        rows = connection.execute("select received_at, body from delivery order by number").fetchall()
    deliveries = [(datetime.fromisoformat(at), parse(body)) for at, body in rows]
    if kind is not None:
        deliveries = [(at, d) for at, d in deliveries if d.resource["type"] == kind.name]
    table = pa.Table.from_pylist([_row(at, delivery) for at, delivery in deliveries], schema=SCHEMA)
    if kind is None:
        return to_frame(table, SCHEMA)
    layout = Layout(kind, catalogue=catalogue.load())
    page = layout.page(msgspec.json.encode({"data": [delivery.resource for _, delivery in deliveries]}))
    about = to_frame(table, SCHEMA).drop(columns=["attributes", "relationships", "before"])
    return pd.concat([about, to_frame([page.batch], layout.schema)], axis="columns")


def _row(received_at: datetime, delivery: Delivery) -> dict[str, object]:
    actor = delivery.actor
    return {
        "received_at": received_at,
        "delivered_at": delivery.delivered_at,
        "event": delivery.event,
        "resource_type": delivery.resource["type"],
        "resource_id": str(delivery.resource["id"]),
        "actor_type": actor.get("type"),
        "actor_id": None if actor.get("id") is None else str(actor["id"]),
        "attributes": _json(delivery.resource["attributes"]),
        "relationships": _json(delivery.resource["relationships"]),
        "before": _json(dict(delivery.before)) if delivery.before else None,
    }


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
