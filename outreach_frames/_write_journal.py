"""
The journal of a bulk write: which rows were sent, and what became of them.

Outreach has no idempotency key, so a row is noted as under way before it is sent and as done after the answer. A row
that is under way when a new run begins may or may not have been carried out: only a look at the organization can tell.
The journal holds digests, ids and times, never a value of a row. It belongs to the organization and the user that it
was begun for, and to one call at a time: its lock file stands in the same folder.
"""

import hashlib
import sqlite3
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec
from filelock import Timeout
from platformdirs import user_state_path

from outreach_frames._files import PRIVATE_FOLDER, compact_sqlite, file_lock, open_sqlite
from outreach_frames.client import Client
from outreach_frames.errors import (
    BadRequestError,
    CacheMissError,
    DocumentError,
    JournalError,
    NotFoundError,
    OriginError,
    PermissionDeniedError,
    QueryError,
    TransportError,
)

State = Literal["under way", "created", "updated"]

_SCHEMA_SQL = """
    create table if not exists entry (digest text primary key, state text not null, id text, updated_at text);
    create table if not exists owner (organization text not null, user text not null);
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """
    What became of one row.

    Attributes
    ----------
    state
        ``"under way"``: sent, or about to be, with no answer noted.
    id
        The record, as text; ``None`` where it is not known.
    updated_at
        When the record had last changed after the row was written, as text; ``None`` where it is not known, and where
        another row has been sent to the record since.
    """

    state: State
    id: str | None = None
    updated_at: str | None = None


@dataclass(frozen=True, slots=True)
class Owner:
    """Whom a journal belongs to: fingerprints of an organization and a user."""

    organization: str
    user: str


class Journal:
    """
    One journal file.

    Parameters
    ----------
    path
        The file; made, readable for its owner only, if it is not there.

    Raises
    ------
    QueryError
        The file is something else.
    JournalError
        It cannot be read or written; so do the methods.

    Notes
    -----
    Every note is on the disk when `note` returns.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with _errors_of(path):
            path.parent.mkdir(parents=True, exist_ok=True, mode=PRIVATE_FOLDER)
            with self._connection() as connection:
                connection.executescript(_SCHEMA_SQL)
                columns = {name for (name,) in connection.execute("select name from pragma_table_info('entry')")}
                if "updated_at" not in columns:  # a journal of an earlier version
                    connection.execute("alter table entry add column updated_at text")

    def owner(self) -> Owner | None:
        """Return the owner; ``None`` for a new journal, and for one of a version that did not store it."""
        with self._connection() as connection:
            row = connection.execute("select organization, user from owner").fetchone()
            return row and Owner(*row)

    def belong_to(self, owner: Owner) -> None:
        """Store the owner."""
        with self._connection() as connection:
            connection.execute("insert into owner values (?, ?)", (owner.organization, owner.user))

    def entries(self) -> Mapping[str, Entry]:
        """Return what is noted, by the digest of the row."""
        with self._connection() as connection:
            rows = connection.execute("select digest, state, id, updated_at from entry")
            return {digest: Entry(*rest) for digest, *rest in rows}

    def note(self, digest: str, entry: Entry) -> None:
        """Note what became of a row; earlier rows of the same record no longer tell how it was left."""
        with self._connection() as connection:
            if entry.id is not None:
                connection.execute(
                    "update entry set updated_at = null where id = ? and digest <> ?", (entry.id, digest)
                )
            connection.execute(
                "insert or replace into entry values (?, ?, ?, ?)", (digest, entry.state, entry.id, entry.updated_at)
            )

    def forget(self, digest: str) -> None:
        """Note that a row was certainly not carried out."""
        with self._connection() as connection:
            connection.execute("delete from entry where digest = ?", (digest,))

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        with _errors_of(self.path):
            opened = open_sqlite(self.path, autocommit=False, pragmas=["pragma synchronous = full"])
            with closing(opened) as connection, connection:
                yield connection


def journal_folder() -> Path:
    """Return the folder of journals that no caller named: in the user's state folder."""
    return Path(user_state_path("outreach_frames")) / "journals"


def erase_ids(path: Path, ids: Collection[str], *, organization: str | None, dry_run: bool) -> int:
    """
    Take ids of records out of a journal that is there, and return how many entries have one.

    The entries stay, by their digests: without them the same call would create the records again. A journal does not
    tell the types of its records, so that an entry of another type with the same number loses its id too.

    Parameters
    ----------
    ids
        Ids as text.
    organization
        Fingerprint of the organization that they are of; a journal of another one is left alone. ``None``: not known.
    dry_run
        Change nothing.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    QueryError
        The file is something else, or a call is writing with it.
    JournalError
        It cannot be read or written.
    """
    if not path.is_file():
        raise FileNotFoundError(f"There is no journal at {path.name}.")
    with (
        alone(path, f"A call is writing with the journal {path.name}."),
        _errors_of(path),
        closing(open_sqlite(path, read_only=dry_run)) as connection,
    ):
        tables = {name for (name,) in connection.execute("select name from sqlite_master")}
        if "entry" not in tables:
            raise QueryError(f"{path.name} is no journal of a bulk write.", hint="Name one.")
        owners = connection.execute("select organization from owner").fetchall() if "owner" in tables else []
        places = ", ".join("?" * len(ids))
        is_other = organization is not None and bool(owners) and (organization,) not in owners
        query = f"select count(*) from entry where id in ({places})"  # noqa: S608  question marks
        count = 0 if is_other else int(connection.execute(query, [*ids]).fetchone()[0])
        if not dry_run:
            if count:
                connection.execute(f"update entry set id = null where id in ({places})", [*ids])  # noqa: S608
            compact_sqlite(connection)
    return count


@contextmanager
def alone(path: Path, message: str) -> Iterator[None]:
    """
    Hold the lock beside a path; its folder is made if it is not there.

    Raises
    ------
    QueryError
        Another process or thread holds it; `message` says what that one does.
    JournalError
        The file cannot be made.
    """
    with _errors_of(path):
        lock = file_lock(path, timeout=0)
        path.parent.mkdir(parents=True, exist_ok=True, mode=PRIVATE_FOLDER)
        try:
            lock.acquire()
        except Timeout:
            raise QueryError(message, hint="Wait until it has ended.") from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _errors_of(path: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_NOTADB:
            raise QueryError(
                f"{path.name} is no journal of a bulk write.", hint="Name another file, or one that does not exist."
            ) from error
        why = getattr(error, "sqlite_errorname", None) or getattr(error, "strerror", None) or type(error).__name__
        raise JournalError(
            f"The journal {path.name} cannot be read or written ({why}).",
            hint="Look at the disk and the folder; the same call then goes on.",
        ) from error


_UNNAMED = (BadRequestError, DocumentError, NotFoundError, OriginError, PermissionDeniedError, msgspec.DecodeError)
"""How an API answers that has no root document, or only one for people."""


@dataclass(frozen=True, slots=True)
class Identity:
    """
    The organization and the user that a connection writes as.

    Attributes
    ----------
    organization, user
        Fingerprints. Where the API does not name the organization or the user, that of the connection's own account
        stands in: the same for a sign-in that renews its token and for an installed app, another for another token.
    is_named
        Whether the API names the organization.
    """

    organization: str
    user: str
    is_named: bool


def identity_of(client: Client) -> Identity:
    """
    Ask the API for the organization and the user of a connection.

    Raises
    ------
    AuthError
        The token is refused.
    APIError, TransportError
        The API failed.

    Notes
    -----
    Calls: ``GET /``, never from the cache. It describes app, token and organization; the vendor does not publish its
    form, so the names are looked for in ``meta`` and among the relationships.
    """
    named = _root(client)
    organization, user = _named_id(named, "org", "organization"), _named_id(named, "user")
    host, account = urlsplit(client.base_url).netloc, client.session.owner
    return Identity(
        organization=_digest_of(host, "account", account) if organization is None else _digest_of(host, organization),
        # Ids of users are told apart within an organization only.
        user=_digest_of("account", account) if organization is None or user is None else _digest_of(user),
        is_named=organization is not None,
    )


def _root(client: Client) -> Mapping[str, Any]:
    """Return what the root document names; nothing where the API has none."""
    try:
        answer = client.session.get(client.base_url, store=False)
        document = _mapping(msgspec.json.decode(answer.body))
    except CacheMissError:
        raise TransportError(
            "The connection is offline: nothing is written.", hint="Connect with offline=False."
        ) from None
    except _UNNAMED:
        return {}
    return _mapping(_mapping(document.get("data")).get("relationships")) | _mapping(document.get("meta"))


def _named_id(named: Mapping[str, Any], *names: str) -> str | None:
    for name in names:
        member = _mapping(named.get(name))
        id_ = _mapping(member.get("data") or member).get("id")
        if isinstance(id_, (int, str)) and str(id_):
            return str(id_)
    return None


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _digest_of(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]
