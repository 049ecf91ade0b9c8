"""Enroll prospects in sequences; finish, pause and resume them."""

from typing import Any

import pandas as pd

from outreach_frames._request_documents import RecordId
from outreach_frames.client import Client
from outreach_frames.patterns._creations import identified


def enroll(client: Client, /, prospect: RecordId, sequence: RecordId, mailbox: RecordId, **values: Any) -> pd.Series:
    """
    Put a prospect into a sequence; its automation begins at the first step.

    Parameters
    ----------
    client
        Connection to an organization.
    prospect, sequence, mailbox
        Ids, or rows of frames. The mailbox is the one that mails are sent from.
    **values
        Further attributes and relationships of the sequence state.

    Returns
    -------
    sequence_state : Series
        The enrollment, ``state`` ``"active"``.

    Raises
    ------
    ValidationError
        The prospect is already active in the sequence, has opted out or has no deliverable address, or the sequence is
        disabled.
    OutreachError
        As `Client.create`.

    Notes
    -----
    Calls: ``POST /sequenceStates``.

    Examples
    --------
    >>> prospect = org.create("prospects", first_name="Ada", emails=["ada@example.com"])
    >>> patterns.enroll(org, prospect, sequence=1, mailbox=1)["state"]
    'active'
    """
    return client.create(
        "sequence_states",
        prospect=identified(client, "prospects", prospect),
        sequence=identified(client, "sequences", sequence),
        mailbox=identified(client, "mailboxes", mailbox),
        **values,
    )


def finish(client: Client, /, sequence_state: RecordId) -> pd.Series:
    """
    Finish a prospect in a sequence.

    Returns
    -------
    sequence_state : Series
        As it is now.

    Raises
    ------
    ValidationError
        It is not in a state that can be finished.
    OutreachError
        As `Client.act`.

    Notes
    -----
    Calls: ``POST /sequenceStates/{id}/actions/finish``.

    Examples
    --------
    >>> states = of.fetch_sequence_states(org, filter={"state": "active"}, limit=1)
    >>> patterns.finish(org, states.iloc[0])["state"]
    'finished'
    """
    return client.act("sequence_states", sequence_state, "finish")


def pause(client: Client, /, sequence_state: RecordId) -> pd.Series:
    """
    Pause an active enrollment.

    Returns
    -------
    sequence_state : Series
        As it is now.

    Raises
    ------
    ValidationError
        It is not active.
    OutreachError
        As `Client.act`.

    Notes
    -----
    Calls: ``POST /sequenceStates/{id}/actions/pause``.

    Examples
    --------
    >>> states = of.fetch_sequence_states(org, filter={"state": "active"}, limit=1)
    >>> patterns.pause(org, states.iloc[0])["state"]
    'paused'
    """
    return client.act("sequence_states", sequence_state, "pause")


def resume(client: Client, /, sequence_state: RecordId) -> pd.Series:
    """
    Resume a paused enrollment.

    Returns
    -------
    sequence_state : Series
        As it is now.

    Raises
    ------
    ValidationError
        It is not paused.
    OutreachError
        As `Client.act`.

    Notes
    -----
    Calls: ``POST /sequenceStates/{id}/actions/resume``.

    Examples
    --------
    >>> states = of.fetch_sequence_states(org, filter={"state": "active"}, limit=1)
    >>> paused = patterns.pause(org, states.iloc[0])
    >>> patterns.resume(org, paused)["state"]
    'active'
    """
    return client.act("sequence_states", sequence_state, "resume")
