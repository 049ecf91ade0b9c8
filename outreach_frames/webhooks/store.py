"""Store deliveries in an SQLite file that survives a crash, and read them back as a frame."""

import hashlib
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pandas as pd
import pyarrow as pa

from outreach_frames import catalog
from outreach_frames._files import open_sqlite
from outreach_frames._jsonapi import Layout, concat, to_frame
from outreach_frames._query import Selection
from outreach_frames._warnings import warn
from outreach_frames.catalog import ResourceType
from outreach_frames.errors import DocumentError, OutreachDataWarning
from outreach_frames.webhooks.deliveries import Delivery, parse

_DELIVERY_COLUMNS = pa.schema(
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
        ("repeats", pa.int64()),
        ("body", pa.binary()),
    ]
)

_WAIT_S = 2.0
"""How long a delivery waits for its turn, and then for another program's lock; the vendor gives 5 s for an answer."""

_VALUE_PARTS = ("attributes", "relationships")
"""Members of a resource that hold its values."""


class DeliveryStore:
    """
    The file that a receiver writes.

    Parameters
    ----------
    path
        The file; made, readable for its owner only, if it is not there.

    Notes
    -----
    A delivery is on the disk when `add` returns, or else it raises. The same delivery is kept once, however often it is
    sent, and the repeats are counted. The file is opened when it is first needed.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None

    def open(self) -> None:
        """
        Open the file, to see whether it can be written.

        Raises
        ------
        OSError, DocumentError
            It cannot, or there is a file that is no store of deliveries.
        """
        with self._turn():
            self._opened()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._lock.acquire(timeout=_WAIT_S):
            raise TimeoutError
        try:
            yield
        finally:
            self._lock.release()

    def _opened(self) -> sqlite3.Connection:
        """Open the file if it is not open; again where it was removed or replaced."""
        if self._connection is not None and _file_of(self._path) == self._file:
            return self._connection
        self.close()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with ExitStack() as on_failure, as_store(self._path):
            connection = open_sqlite(
                self._path, timeout=_WAIT_S, pragmas=["pragma journal_mode = wal", "pragma synchronous = full"]
            )
            on_failure.callback(connection.close)
            connection.execute("begin immediate")
            connection.execute(
                "create table if not exists delivery (number integer primary key,"
                " digest text not null unique, received_at text not null, body blob not null)"
            )
            for name in _LATER_COLUMNS.keys() - _table_columns(connection):
                connection.execute(f"alter table delivery add column {name} {_LATER_COLUMNS[name]}")
            connection.execute("create unique index if not exists delivery_identity on delivery (identity)")
            connection.execute("commit")
            on_failure.pop_all()
        self._connection, self._file = connection, _file_of(self._path)
        return connection

    def add(self, body: bytes, *, identity: str | None = None) -> bool:
        """
        Keep a body; return whether it is new.

        Parameters
        ----------
        body
            The bytes as they came; the same bytes are the same delivery.
        identity
            See `deliveries.identity`; the same one is the same delivery too.

        Raises
        ------
        sqlite3.Error, OSError, DocumentError
            It could not be kept: the disk is full, the file is locked, or is no store any more.
        """
        digest = hashlib.sha256(body).hexdigest()
        with self._turn():
            connection = self._opened()
            added = connection.execute(
                "insert or ignore into delivery (digest, received_at, body, identity) values (?, ?, ?, ?)",
                (digest, datetime.now(UTC).isoformat(), body, identity),
            )
            if added.rowcount == 1:
                return True
            connection.execute(
                "update delivery set repeats = repeats + 1 where digest = ? or identity = ?", (digest, identity)
            )
            return False

    def close(self) -> None:
        """Close the file; it is opened again when it is needed."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


_LATER_COLUMNS = {"repeats": "integer not null default 0", "identity": "text"}
"""Columns that stores of version 0.1 lack."""


def _table_columns(connection: sqlite3.Connection) -> set[str]:
    return {row[1] for row in connection.execute("pragma table_info(delivery)")}


def _file_of(path: Path) -> tuple[int, int] | None:
    """Tell one file from another at the same path; ``None`` where there is none."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


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
        [JSON text], ``repeats`` [times that the same delivery came again], ``body`` [bytes, only of signed deliveries
        that are no payload; they have nothing else]. With ``resource`` the columns of `fetch` for that type stand in
        place of the JSON text; what a delivery did not carry, because it did not change, is missing; a mailing's own
        ``delivered_at`` is ``delivered_at_attribute``. Values that do not fit their columns are missing there too, and
        stand under the API's names in ``misfits`` [JSON text, missing where all fit].

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
        Some deliveries are no payload, or hold values that do not fit; it counts them.

    Examples
    --------
    >>> from starlette.testclient import TestClient
    >>> store = folder / "deliveries.sqlite"
    >>> with TestClient(of.webhooks.receiver(store, secret="a secret")) as client:
    ...     response = client.post("/", content=b"{}")  # not signed, so not stored

    >>> response.status_code, len(of.webhooks.read(store))
    (401, 0)
    """
    if not Path(store).is_file():
        raise FileNotFoundError(f"There is no store of deliveries at {Path(store).name}.")
    kind = None if resource is None else catalog.load().resource(resource)
    with (
        as_store(Path(store)),
        closing(open_sqlite(Path(store), read_only=True)) as connection,
    ):
        repeats = "repeats" if "repeats" in _table_columns(connection) else "0"
        rows = connection.execute(f"select received_at, {repeats}, body from delivery order by number").fetchall()  # noqa: S608  one of two words
    deliveries = [_Stored(datetime.fromisoformat(at), again, body, _parsed_delivery(body)) for at, again, body in rows]
    if unread := sum(stored.delivery is None for stored in deliveries):
        warn(
            f"{unread} of {len(deliveries)} deliveries are no webhook payload; "
            + ("their bytes stand in the column body." if kind is None else "they belong to no resource type."),
            OutreachDataWarning,
        )
    if kind is None:
        return to_frame(_about_rows(deliveries), _DELIVERY_COLUMNS)
    deliveries = [each for each in deliveries if each.delivery and each.delivery.resource["type"] == kind.name]
    table, misfits_of = typed_values(kind, [each.delivery.resource for each in deliveries if each.delivery])
    about = to_frame(_about_rows(deliveries), _DELIVERY_COLUMNS).drop(
        columns=["attributes", "relationships", "before", "body"]
    )
    values = to_frame(table, table.schema)
    values = values.rename(columns={name: f"{name}_attribute" for name in about})
    misfits = pd.Series(misfits_of, dtype=pd.ArrowDtype(pa.string()), name="misfits")
    if count := misfits.count():
        warn(
            f"{count} of {len(misfits)} deliveries on {kind.table} hold values that do not fit their columns; these "
            "are missing there and stand in the column misfits.",
            OutreachDataWarning,
        )
    return pd.concat([about, values, misfits], axis="columns")


def typed_values(
    kind: ResourceType, resources: Sequence[Mapping[str, Any]], names: tuple[str, ...] | None = None
) -> tuple[pa.Table, list[str | None]]:
    """
    Read the values that deliveries carried as typed columns, one row for each resource.

    Parameters
    ----------
    names
        API names of the attributes and relationships to read; ``None``: all.

    Returns
    -------
    values, misfits
        What a resource does not hold is missing in the table, and so is what does not fit its column, which is named
        in JSON text; ``None`` where all fits.
    """
    layout = Layout(Selection(kind, names), catalog=catalog.load(), anonymous=True, strict=True)
    pages = list(_layout_pages(layout, resources))
    return concat([batch for batch, _ in pages], layout.schema), [misfit for _, each in pages for misfit in each]


_FOR_NOW = ("SQLITE_BUSY", "SQLITE_FULL", "SQLITE_IOERR", "SQLITE_READONLY", "SQLITE_CANTOPEN")


@contextmanager
def as_store(path: Path) -> Iterator[None]:
    """Turn what SQLite says of a file that is no store, or cannot be opened, into a typed error."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        reason = getattr(error, "sqlite_errorname", type(error).__name__)
        if reason.startswith(_FOR_NOW):
            raise DocumentError(
                f"The store of deliveries {path.name} cannot be used now ({reason}).",
                hint="Look for a program that holds the file, for room on its disk, and for its permissions.",
            ) from error
        raise DocumentError(
            f"{path.name} is no store of deliveries that can be read ({reason}).", hint="Give a receiver's own file."
        ) from error


def _layout_pages(
    layout: Layout, resources: Sequence[Mapping[str, Any]]
) -> Iterator[tuple[pa.RecordBatch, list[str | None]]]:
    """Read resources together, and by halves down to those that do not fit; with what of each did not."""
    try:
        batch = layout.page(msgspec.json.encode({"data": resources})).batch
    except DocumentError as error:
        if len(resources) > 1:
            half = len(resources) // 2
            yield from _layout_pages(layout, resources[:half])
            yield from _layout_pages(layout, resources[half:])
        else:
            yield _without_misfits(layout, resources[0], error)
    else:
        yield batch, [None] * len(resources)


def _without_misfits(
    layout: Layout, resource: Mapping[str, Any], error: DocumentError
) -> tuple[pa.RecordBatch, list[str | None]]:
    """Read a resource without the values that do not fit; return those too."""
    rest = {**resource, **{part: dict(resource[part]) for part in _VALUE_PARTS}}
    misfits: dict[str, Any] = {}
    while misfit := _taken_out(rest, error.attribute):
        misfits |= misfit
        try:
            return layout.page(msgspec.json.encode({"data": rest})).batch, [_json(misfits)]
        except DocumentError as another:
            error = another
    raise error


def _taken_out(rest: dict[str, Any], name: str | None) -> dict[str, Any]:
    """Take the member of a name out of a resource, or all its members if it has none of that name."""
    for part in _VALUE_PARTS:
        if name in rest[part]:
            return {str(name): rest[part].pop(name)}
    if name == "id" and "id" in rest:
        return {"id": rest.pop("id")}
    everything = {each: value for part in _VALUE_PARTS for each, value in rest[part].items()}
    rest |= {part: {} for part in _VALUE_PARTS}
    return everything


class _Stored(NamedTuple):
    received_at: datetime
    repeats: int
    body: bytes
    delivery: Delivery | None


def _parsed_delivery(body: bytes) -> Delivery | None:
    try:
        return parse(body)
    except DocumentError:
        return None


def _about_rows(deliveries: Sequence[_Stored]) -> pa.Table:
    """Tabulate deliveries whatever their type; those that are no payload have their bytes."""
    return pa.Table.from_pylist([_row(stored) for stored in deliveries], schema=_DELIVERY_COLUMNS)


def _row(stored: _Stored) -> dict[str, object]:
    row: dict[str, object] = {"received_at": stored.received_at, "repeats": stored.repeats}
    delivery = stored.delivery
    if delivery is None:
        return row | {"body": stored.body}
    return row | {
        "delivered_at": delivery.delivered_at,
        "event": delivery.event,
        "resource_type": delivery.resource["type"],
        "resource_id": str(delivery.resource["id"]),
        "actor_type": _text(delivery.actor.get("type")),
        "actor_id": _text(delivery.actor.get("id")),
        "attributes": _json(delivery.resource["attributes"]),
        "relationships": _json(delivery.resource["relationships"]),
        "before": _json(dict(delivery.before)) if delivery.before else None,
    }


def _text(value: object) -> str | None:
    return value if value is None or isinstance(value, str) else _json(value)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
