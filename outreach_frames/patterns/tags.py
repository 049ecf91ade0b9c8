"""Add tags to records and remove them, beside those that others set."""

from collections.abc import Callable, Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from outreach_frames._request_documents import RecordId
from outreach_frames._write_conflicts import current_records, id_text
from outreach_frames.bulk import RESULT_COLUMNS, with_counts, write_frame
from outreach_frames.client import Client
from outreach_frames.errors import QueryError
from outreach_frames.patterns._records import Records, ids_of

_MAX_ATTEMPTS = 4
"""How often a record is read and written whose tags others change meanwhile."""


def add_tags(
    client: Client,
    /,
    resource: str,
    records: RecordId | Records,
    tags: str | Iterable[str],
    *,
    confirm: bool = False,
    progress: bool | None = None,
) -> pd.DataFrame:
    """
    Add tags to records; those that they have stay.

    Parameters
    ----------
    client
        Connection to an organization.
    resource
        Resource type with tags: prospects, accounts, opportunities, sequences, templates, snippets.
    records
        Ids, or a frame with the column ``id``.
    tags
        One or several. They are compared exactly, case included.
    confirm
        Write. Otherwise the result tells what would be done.
    progress
        As in `write_frame`.

    Returns
    -------
    result : DataFrame, shape (n_records, 6)
        As in `write_frame`, one row for each record. Records whose tags are as they should be are ``"unchanged"``.

    Raises
    ------
    QueryError, UnknownNameError
        A value is no id or no tag, or the type has no tags or none that can be written; nothing was sent.
    OutreachError
        As in `write_frame`. The same call goes on from there.

    Notes
    -----
    Calls: ``GET /<resource>?filter[id]=…``, never answered from the cache, and ``PATCH /<resource>/{id}`` for each
    record that changes. Tags are read once more just before they are written, and a record whose tags somebody changed
    in between is read again.

    Examples
    --------
    >>> result = patterns.add_tags(org, "prospects", [1, 2], "Q3 campaign", confirm=True)
    >>> result["status"].tolist()
    ['updated', 'updated']
    >>> patterns.add_tags(org, "prospects", [1, 2, 3], "Q3 campaign")["status"].tolist()
    ['unchanged', 'unchanged', 'would update']
    """

    def change(present: list[str], names: list[str]) -> list[str]:
        return [*present, *(name for name in names if name not in present)]

    return _with_changed_tags(client, resource, records, tags, change, confirm=confirm, progress=progress)


def remove_tags(
    client: Client,
    /,
    resource: str,
    records: RecordId | Records,
    tags: str | Iterable[str],
    *,
    confirm: bool = False,
    progress: bool | None = None,
) -> pd.DataFrame:
    """
    Remove tags from records; all others stay.

    Parameters
    ----------
    client, resource, records, tags, confirm, progress
        As in `add_tags`.

    Returns
    -------
    result : DataFrame, shape (n_records, 6)
        As in `add_tags`.

    Raises
    ------
    OutreachError
        As in `add_tags`.

    Notes
    -----
    Calls: as in `add_tags`.

    Examples
    --------
    >>> added = patterns.add_tags(org, "prospects", [1], ["Q3 campaign", "VIP"], confirm=True)
    >>> patterns.remove_tags(org, "prospects", [1, 2], "Q3 campaign", confirm=True)["status"].tolist()
    ['updated', 'unchanged']
    """

    def change(present: list[str], names: list[str]) -> list[str]:
        return [name for name in present if name not in names]

    return _with_changed_tags(client, resource, records, tags, change, confirm=confirm, progress=progress)


def _with_changed_tags(
    client: Client,
    resource: str,
    records: RecordId | Records,
    tags: str | Iterable[str],
    change: Callable[[list[str], list[str]], list[str]],
    *,
    confirm: bool,
    progress: bool | None,
) -> pd.DataFrame:
    kind = client.catalog.resource(resource)
    kind.attribute("tags")
    kind.require("update")
    names = _checked_tags(tags)
    ids = ids_of(kind, records)
    ids = ids[~ids.map(id_text).duplicated().to_numpy()]
    result = pd.DataFrame(index=range(len(ids)), columns=RESULT_COLUMNS, dtype="string[pyarrow]")
    places = [*range(len(ids))]
    for _ in range(_MAX_ATTEMPTS if confirm else 1):
        records_now = current_records(client, kind, ids.iloc[places].tolist(), ["tags"])
        tagged = [records_now.get(id_text(ids.iloc[place])) for place in places]
        absent = [place for place, record in zip(places, tagged, strict=True) if record is None]
        result.loc[absent, ["status", "reason"]] = ["refused", "there is no such record"]
        there = [(place, _listed_tags(record["tags"])) for place, record in zip(places, tagged, strict=True) if record]
        before = pd.DataFrame({"id": ids.iloc[[place for place, _ in there]].tolist(), "tags": [t for _, t in there]})
        after = before.assign(tags=pd.Series([change(tags, names) for _, tags in there], dtype=object))
        with TemporaryDirectory() as folder:
            outcomes = write_frame(
                client,
                kind.table,
                after,
                changed_from=before,
                on_conflict="merge",
                confirm=confirm,
                # The journal of one attempt: the next one reads the tags again.
                journal=Path(folder) / "journal",
                progress=progress,
            )
        result.loc[[place for place, _ in there]] = outcomes.to_numpy()
        places = [place for place in places if result.loc[place, "status"] == "conflict"]
        if not places:
            break
    return with_counts(result.set_axis(ids.index, axis="index"), kind)


def _checked_tags(tags: str | Iterable[str]) -> list[str]:
    names = [tags] if isinstance(tags, str) else [*tags]
    if not names or not all(isinstance(name, str) and name.strip() for name in names):
        raise QueryError("A tag is a text that is not empty.", hint='Pass one, or several: ["VIP", "Q3 campaign"].')
    return [*dict.fromkeys(names)]


def _listed_tags(tags: Any) -> list[str]:
    return [*tags] if isinstance(tags, Iterable) else []
