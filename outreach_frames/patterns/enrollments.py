"""Enroll prospects in sequences: one, or many after a check of each."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, overload

import pandas as pd

from outreach_frames._request_documents import RecordId, checked_id, is_missing
from outreach_frames._write_rows import Row, planned_rows
from outreach_frames._write_selection import select_rows
from outreach_frames.bulk import write_rows
from outreach_frames.client import Client
from outreach_frames.errors import QueryError
from outreach_frames.patterns._enrollment_checks import Refusal, refusals, rules_of
from outreach_frames.patterns._records import Records, ids_of, is_one


@overload
def enroll(
    client: Client,
    /,
    prospect: RecordId,
    sequence: RecordId,
    mailbox: RecordId,
    *,
    confirm: Literal[True] | None = None,
    **values: Any,
) -> pd.Series: ...
@overload
def enroll(
    client: Client,
    /,
    prospect: RecordId,
    sequence: RecordId,
    mailbox: RecordId,
    *,
    confirm: Literal[False],
    **values: Any,
) -> pd.DataFrame: ...
@overload
def enroll(
    client: Client,
    /,
    prospect: Records,
    sequence: RecordId,
    mailbox: RecordId | None = None,
    *,
    confirm: bool | None = None,
    journal: str | Path | None = None,
    progress: bool | None = None,
    **values: Any,
) -> pd.DataFrame: ...
def enroll(
    client: Client,
    /,
    prospect: RecordId | Records,
    sequence: RecordId,
    mailbox: RecordId | None = None,
    *,
    confirm: bool | None = None,
    journal: str | Path | None = None,
    progress: bool | None = None,
    **values: Any,
) -> pd.Series | pd.DataFrame:
    """
    Put prospects into a sequence; its automation begins at the first step.

    Parameters
    ----------
    client
        Connection to an organization.
    prospect
        One prospect: its id, or its row of a frame. Many: ids, or a frame with the column ``id``.
    sequence, mailbox
        Ids, or rows of frames. The mailbox is the one that mails are sent from; without it a frame of many prospects
        has the column ``mailbox_id``.
    confirm
        Enroll. ``False``: only check, and tell what would be done. Default: one prospect is enrolled, many are only
        checked.
    journal, progress
        For many: as in `write_frame`.
    **values
        Further attributes and relationships of the sequence state.

    Returns
    -------
    sequence_state : Series
        For one: the enrollment, ``state`` ``"active"``.
    result : DataFrame, shape (n_prospects, 6)
        For many, and for one with ``confirm=False``: as in `write_frame`, one row for each prospect. ``"refused"``: the
        ``reason`` tells what is in the way: the prospect has opted out, is active in the sequence already (``id`` is
        that enrollment) or was in it, has no deliverable address, is active in another sequence or was contacted too
        recently for the ruleset, is not there, or is in an earlier row too; the mailbox is missing or does not send;
        the sequence is not enabled or has no steps. Refused rows are not sent. Limits on how many prospects a sequence
        takes a day are not checked.

    Raises
    ------
    ValidationError
        For one: the prospect is already active in the sequence, has opted out or has no deliverable address, or the
        sequence is disabled.
    QueryError
        A value is no id, or there is no mailbox at all; nothing was sent.
    OutreachError
        As `Client.create` and `write_frame`. A call for many that is repeated goes on where it stopped, and enrolls
        nobody again.

    Notes
    -----
    Calls: ``POST /sequenceStates`` for each prospect. For a check, never answered from the cache: ``GET`` of the
    sequence, its ruleset and steps, of mailboxes, and with a filter for all prospects of prospects, ``emailAddresses``,
    ``sequenceStates`` and the rulesets of their other sequences.

    Examples
    --------
    >>> prospect = org.create("prospects", first_name="Ada", emails=["ada@example.com"])
    >>> patterns.enroll(org, prospect, sequence=1, mailbox=1)["state"]
    'active'
    >>> people = [org.create("prospects", emails=[f"{name}@example.com"]) for name in ("jo", "bo")]
    >>> patterns.enroll(org, [prospect, *people], sequence=1, mailbox=1)["status"].tolist()
    ['refused', 'would create', 'would create']
    >>> patterns.enroll(org, [prospect, *people], sequence=1, mailbox=1, confirm=True)["status"].tolist()
    ['refused', 'created', 'created']
    """
    kind = client.catalog.resource("sequence_states")
    number = checked_id(client.catalog.resource("sequences"), sequence)
    ids = ids_of(client.catalog.resource("prospects"), prospect)
    boxes = _mailboxes_of_users(client, prospect, mailbox, len(ids))
    if is_one(prospect) and confirm is not False:
        return client.create(kind.name, prospect=ids.iloc[0], sequence=number, mailbox=boxes[0], **values)
    columns: Mapping[str, Any] = {"prospect": ids.tolist(), "sequence": [number] * len(ids), "mailbox": boxes}
    frame = pd.DataFrame(
        {name: pd.Series(column, index=ids.index, dtype=object) for name, column in columns.items()}
        | {name: pd.Series([value] * len(ids), index=ids.index, dtype=object) for name, value in values.items()}
    )
    chosen = select_rows(kind, frame, mode="create", key=None, clear=(), changed_from=None)
    rules = rules_of(client, number)

    def plan() -> list[Row]:
        checked = refusals(client, rules, ids.tolist(), boxes)
        return [
            _checked_prospects(row, each)
            for row, each in zip(planned_rows(client, kind, chosen, None), checked, strict=True)
        ]

    return write_rows(
        client,
        kind,
        frame,
        chosen,
        plan,
        finds_created=not rules.permits_duplicates,
        confirm=bool(confirm),
        journal=journal,
        progress=progress,
    )


def _mailboxes_of_users(client: Client, prospect: Any, mailbox: RecordId | None, n: int) -> list[int | str | None]:
    """Return the mailbox of each prospect."""
    kind = client.catalog.resource("mailboxes")
    if mailbox is not None:
        return [checked_id(kind, mailbox)] * n
    if not isinstance(prospect, pd.DataFrame) or "mailbox_id" not in prospect:
        raise QueryError("There is no mailbox to send from.", hint="Pass mailbox=…, or a frame with 'mailbox_id'.")
    values = prospect["mailbox_id"].tolist()
    return [None if value is None or is_missing(value) else checked_id(kind, value) for value in values]


def _checked_prospects(row: Row, refusal: Refusal | None) -> Row:
    if refusal is None:
        return row
    if refusal.existing is None:
        return replace(row, problem=row.problem or refusal.reason)
    return replace(row, existing=refusal.existing, why_existing=refusal.reason)
