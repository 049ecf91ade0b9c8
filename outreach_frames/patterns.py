"""
The patterns of the vendor's guide, one function each, in its order and its words.

Each docstring says which calls it makes. What these functions return are records (`pandas.Series`) and frames as
everywhere in this package; what they raise is what the client's verbs raise.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pandas as pd

from outreach_frames.client import Client
from outreach_frames.documents import ref, resource_document
from outreach_frames.errors import BadRequestError, IncompleteError, OutreachError, QueryError
from outreach_frames.reading import fetch

__all__ = [
    "AccountWithProspects",
    "SequenceWithSteps",
    "add_account",
    "create_sequence",
    "delivery_statistics",
    "enroll",
    "finish",
    "invite_user",
    "log_call",
    "open_tasks",
    "pause",
    "recent_events",
    "resume",
    "save_snippet",
    "save_template",
    "subscribe",
    "unsubscribe",
]

Values = Mapping[str, Any]
Record = int | str | pd.Series

UNKNOWN_ID = 1
"""Stands for an id that only the API can give, while values are checked before the first request."""


@dataclass
class _Creations:
    """Creates records that belong together, and remembers them for the error that tells what was done."""

    client: Client
    created: list[tuple[str, int | str]] = field(default_factory=list)

    def create(self, resource: str, **values: Any) -> pd.Series:
        """Create one record; if that fails after others were created, say which."""
        try:
            record = self.client.create(resource, **values)
        except OutreachError as error:
            if not self.created:
                raise
            done = ", ".join(f"{kind} {number}" for kind, number in self.created)
            raise IncompleteError(
                f"Creating {resource} failed after these were created: {done}.",
                created=self.created,
                hint="Delete them or finish by hand; .__cause__ says what failed.",
            ) from error
        self.created.append((resource, record["id"]))
        return record


def _check(client: Client, resource: str, **values: Any) -> None:
    """Raise what creating a record would raise before its request is sent."""
    kind = client.catalogue.resource(resource)
    kind.require("create")
    resource_document(kind, values)


def _frame(records: Sequence[pd.Series]) -> pd.DataFrame:
    return pd.DataFrame(list(records)).convert_dtypes(dtype_backend="pyarrow").reset_index(drop=True)


class AccountWithProspects(NamedTuple):
    """What `add_account` created."""

    account: pd.Series
    prospects: pd.DataFrame


def add_account(client: Client, /, *, prospects: Iterable[Values] = (), **account: Any) -> AccountWithProspects:
    """
    Add an account and the prospects found in it.

    Parameters
    ----------
    client
        Connection to an organisation.
    prospects
        Attributes and relationships of each prospect; ``account`` is filled in.
    **account
        Attributes and relationships of the account.

    Returns
    -------
    created : AccountWithProspects
        ``account`` and ``prospects``, the latter with one row for each.

    Raises
    ------
    UnknownNameError, QueryError
        A value that the API would not take; nothing was sent.
    IncompleteError
        A prospect was refused; ``created`` lists what was created before.

    Notes
    -----
    Calls: ``POST /accounts``, then ``POST /prospects`` for each prospect, since an account's prospects can only be
    written from the prospect.
    """
    people = [dict(prospect) for prospect in prospects]
    _check(client, "accounts", **account)
    for person in people:
        _check(client, "prospects", account=UNKNOWN_ID, **person)
    making = _Creations(client)
    company = making.create("accounts", **account)
    return AccountWithProspects(
        company, _frame([making.create("prospects", account=company["id"], **person) for person in people])
    )


class SequenceWithSteps(NamedTuple):
    """What `create_sequence` created."""

    sequence: pd.Series
    steps: pd.DataFrame
    templates: pd.DataFrame
    sequence_templates: pd.DataFrame
    ruleset: pd.Series | None


def create_sequence(
    client: Client, /, *, steps: Sequence[Values], ruleset: Record | Values | None = None, **sequence: Any
) -> SequenceWithSteps:
    """
    Create a sequence with its steps, their templates and its ruleset.

    Parameters
    ----------
    client
        Connection to an organisation.
    steps
        Attributes of each step, in order: ``step_type`` (``"auto_email"``, ``"manual_email"``, ``"call"``,
        ``"task"``), and ``interval`` for an interval sequence or ``date`` for a date one. The guide gives intervals in
        minutes (2880 for two days), the schema in seconds: the value is passed on as it is.
        ``template``: an existing template's id or row, or the attributes of a new one (without ``name`` it stays out
        of the lists).
    ruleset
        An existing ruleset's id or row, or the attributes of a new one. ``permit_duplicate_prospects`` is
        ``"onlyIfActive"`` in the guide, ``"only_if_inactive"`` in the schema: either is passed on.
    **sequence
        Attributes and relationships of the sequence: ``name``, ``description``, ``sequence_type`` (``"interval"`` or
        ``"date"``) …

    Returns
    -------
    created : SequenceWithSteps
        ``sequence``; ``steps``, ``templates`` and ``sequence_templates`` with a row for each created; ``ruleset``,
        ``None`` where none was created.

    Raises
    ------
    UnknownNameError, QueryError
        A value that the API would not take, or a step without what its sequence type needs; nothing was sent.
    IncompleteError
        The API refused a part; ``created`` lists what was created before.

    Notes
    -----
    Calls: ``POST /rulesets``, ``POST /sequences``, and for each step ``POST /sequenceSteps``, ``POST /templates``,
    ``POST /sequenceTemplates``; only those that are needed.
    """
    planned = [_planned_step(client, step, sequence.get("sequence_type")) for step in steps]
    new_ruleset = dict(ruleset) if isinstance(ruleset, Mapping) else None
    if new_ruleset is not None:
        _check(client, "rulesets", **new_ruleset)
    _check(client, "sequences", **sequence)
    making = _Creations(client)
    rules = None if new_ruleset is None else making.create("rulesets", **new_ruleset)
    chosen = rules if rules is not None else ruleset
    head = making.create("sequences", **sequence, **({} if chosen is None else {"ruleset": chosen}))
    created: dict[str, list[pd.Series]] = {"steps": [], "templates": [], "sequence_templates": []}
    for step, template in planned:
        row = making.create("sequence_steps", sequence=head, **step)
        created["steps"].append(row)
        if template is None:
            continue
        if isinstance(template, Mapping):
            template = making.create("templates", **template)  # noqa: PLW2901  from here on it is a record
            created["templates"].append(template)
        joined = making.create("sequence_templates", sequence_step=row, template=template)
        created["sequence_templates"].append(joined)
    return SequenceWithSteps(head, ruleset=rules, **{name: _frame(rows) for name, rows in created.items()})


def _planned_step(client: Client, step: Values, sequence_type: Any) -> tuple[dict[str, Any], Any]:
    """Check one step, and part it from its template."""
    values = dict(step)
    template = values.pop("template", None)
    needed = "date" if sequence_type == "date" else "interval"
    if needed not in values:
        raise QueryError(f"A step of {sequence_type or 'an interval'} sequence needs {needed!r}.")
    _check(client, "sequence_steps", sequence=UNKNOWN_ID, **values)
    if isinstance(template, Mapping):
        _check(client, "templates", **template)
    return values, template


def save_snippet(client: Client, /, *, name: str, body_html: str, **values: Any) -> pd.Series:
    """
    Save a snippet: a passage of HTML under a name.

    Returns
    -------
    snippet : Series

    Raises
    ------
    OutreachError
        As `Client.create`.

    Notes
    -----
    Calls: ``POST /snippets``.
    """
    return client.create("snippets", name=name, body_html=body_html, **values)


def save_template(client: Client, /, *, body_html: str, **values: Any) -> pd.Series:
    """
    Save a template: subject and body of a mail. Without ``name`` it stays out of the lists.

    Returns
    -------
    template : Series

    Raises
    ------
    OutreachError
        As `Client.create`.

    Notes
    -----
    Calls: ``POST /templates``.
    """
    return client.create("templates", body_html=body_html, **values)


def enroll(client: Client, /, prospect: Record, sequence: Record, mailbox: Record, **values: Any) -> pd.Series:
    """
    Put a prospect into a sequence; its automation begins at the first step.

    Parameters
    ----------
    client
        Connection to an organisation.
    prospect, sequence, mailbox
        Ids, or rows of frames. The mailbox is the one that mails are sent from.
    **values
        Further attributes and relationships of the sequence state.

    Returns
    -------
    sequence_state : Series
        The enrolment, ``state`` ``"active"``.

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
    """
    return client.create("sequence_states", prospect=prospect, sequence=sequence, mailbox=mailbox, **values)


def finish(client: Client, /, sequence_state: Record) -> pd.Series:
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
    """
    return client.act("sequence_states", _id(sequence_state), "finish")


def pause(client: Client, /, sequence_state: Record) -> pd.Series:
    """
    Pause an active enrolment.

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
    """
    return client.act("sequence_states", _id(sequence_state), "pause")


def resume(client: Client, /, sequence_state: Record) -> pd.Series:
    """
    Resume a paused enrolment.

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
    """
    return client.act("sequence_states", _id(sequence_state), "resume")


def open_tasks(client: Client, /, owner: Record, **options: Any) -> pd.DataFrame:
    """
    Discover the tasks that a user can act on now, each with its prospect.

    Parameters
    ----------
    client
        Connection to an organisation.
    owner
        The user: an id or a row of a frame.
    **options
        As in `fetch`; ``filter`` is added to the two of this pattern.

    Returns
    -------
    tasks : DataFrame, shape (n_tasks, n_columns)
        ``action`` says what to do; ``note``; ``prospect__…`` whom with.

    Raises
    ------
    OutreachError
        As in `fetch`.

    Notes
    -----
    Calls: ``GET /tasks?filter[state]=incomplete&filter[owner][id]=…&include=prospect``.
    """
    wanted = {"state": "incomplete", "owner": _id(owner), **(options.pop("filter", None) or {})}
    return fetch(client, "tasks", filter=wanted, **{"include": "prospect", "refresh": True, **options})


def log_call(
    client: Client,
    /,
    prospect: Record,
    user: Record,
    *,
    direction: str,
    outcome: str,
    task: Record | None = None,
    complete_task: bool = False,
    **values: Any,
) -> pd.Series:
    """
    Log a call made outside Outreach.

    Parameters
    ----------
    client
        Connection to an organisation.
    prospect, user
        Who was called and who called: ids or rows of frames.
    direction
        ``"inbound"`` or ``"outbound"``.
    outcome
        ``"completed"`` or ``"no_answer"`` in the guide, ``"Answered"`` or ``"Not Answered"`` in the schema; passed on
        as it is.
    task
        The open call task that this call belongs to.
    complete_task
        Complete that task too; otherwise it stays as it is.
    **values
        Further attributes and relationships: ``answered_at``, ``completed_at``, ``note`` …

    Returns
    -------
    call : Series

    Raises
    ------
    QueryError
        ``complete_task`` without ``task``.
    OutreachError
        As `Client.create`.

    Notes
    -----
    Calls: ``POST /calls``, with ``meta.complete`` on the task where it is to be completed.
    """
    if complete_task and task is None:
        raise QueryError("complete_task=True needs the task.", hint="Pass task=….")
    if task is not None:
        values["task"] = ref(_id(task), complete=True) if complete_task else task
    return client.create("calls", prospect=prospect, user=user, direction=direction, outcome=outcome, **values)


def recent_events(client: Client, /, limit: int = 1_000, **options: Any) -> pd.DataFrame:
    """
    Download the latest events, newest first.

    Parameters
    ----------
    client
        Connection to an organisation.
    limit
        How many [events].
    **options
        As in `fetch`.

    Returns
    -------
    events : DataFrame, shape (n_events, n_columns)
        Always asked for anew, never from the cache.

    Raises
    ------
    OutreachError
        As in `fetch`.

    Notes
    -----
    Calls: ``GET /events?sort=-updatedAt``, as in the guide; where the API refuses that, since its contract has no such
    attribute, ``GET /events?sort=-createdAt``. Events do not change, so the two orders are the same.
    """
    options = {"limit": limit, "refresh": True, **options}
    try:
        return fetch(client, "events", **{"sort": "-updated_at", **options})
    except BadRequestError:
        return fetch(client, "events", **{**options, "sort": "-created_at"})


DELIVERY_COUNTS = ("deliver", "open", "click", "reply", "bounce", "opt_out", "failure", "schedule")


def delivery_statistics(client: Client, resource: str = "prospects", /, **options: Any) -> pd.DataFrame:
    """
    Collect the delivery counters that the API keeps on a resource type.

    Parameters
    ----------
    client
        Connection to an organisation.
    resource
        A type with counters: prospects, sequences, sequence states, sequence steps, sequence templates, templates or
        mailings.
    **options
        As in `fetch`.

    Returns
    -------
    counters : DataFrame, shape (n_records, n_counters + 1)
        ``id`` and the type's counters. On prospects and mailings they count *events* (on prospects: since the last
        touch), not mailings; `stats.engagement` computes rates from mailings.

    Raises
    ------
    QueryError
        The type has no counters.
    OutreachError
        As in `fetch`.

    Notes
    -----
    Calls: ``GET /<resource>?fields[<type>]=clickCount,openCount,replyCount…``.
    """
    kind = client.catalogue.resource(resource)
    counters = [f"{name}_count" for name in DELIVERY_COUNTS]
    fields = [a.column for a in kind.attributes.values() if a.column in counters]
    if not fields:
        raise QueryError(f"{kind.table} have no delivery counters.")
    return fetch(client, kind.table, **{"fields": fields, **options})


def subscribe(
    client: Client, /, url: str, *, resource: str = "*", action: str = "*", secret: str | None = None, **values: Any
) -> pd.Series:
    """
    Have Outreach call a URL when something happens.

    Parameters
    ----------
    client
        Connection to an organisation.
    url
        Where deliveries go (https).
    resource, action
        Of what, and what, such as ``"mailing"`` and ``"replied"``; ``"*"`` for all.
    secret
        Key that deliveries are signed with; see `webhooks.verify`.
    **values
        Further attributes, such as ``payload_version=2``.

    Returns
    -------
    webhook : Series

    Raises
    ------
    OutreachError
        As `Client.create`.

    Notes
    -----
    Calls: ``POST /webhooks``.
    """
    values |= {"url": url, "resource": resource, "action": action}
    if secret is not None:
        values["secret"] = secret
    return client.create("webhooks", **values)


def unsubscribe(client: Client, /, webhook: Record) -> None:
    """
    Remove a webhook.

    Raises
    ------
    OutreachError
        As `Client.delete`.

    Notes
    -----
    Calls: ``DELETE /webhooks/{id}``.
    """
    client.delete("webhooks", _id(webhook))


def invite_user(client: Client, /, *, email: str, send_invite: bool = True, **values: Any) -> pd.Series:
    """
    Create a user, who gets an invitation by mail unless ``send_invite`` is false.

    Parameters
    ----------
    client
        Connection to an organisation.
    email
        The user's address.
    send_invite
        Whether the invitation is sent.
    **values
        Further attributes and relationships: ``first_name``, ``last_name`` …

    Returns
    -------
    user : Series

    Raises
    ------
    OutreachError
        As `Client.create`.

    Notes
    -----
    Calls: ``POST /users``, with ``meta.sendInvite`` false where no invitation is wanted.
    """
    meta = None if send_invite else {"send_invite": False}
    return client.create("users", meta=meta, email=email, **values)


def _id(record: Record) -> int | str:
    return record["id"] if isinstance(record, pd.Series) else record
