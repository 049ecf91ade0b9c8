"""Create accounts with prospects, sequences with steps, snippets and templates."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from outreach_frames._request_documents import RecordId
from outreach_frames.client import Client
from outreach_frames.errors import QueryError
from outreach_frames.patterns._creations import UNKNOWN_ID, Creations, Values, check_creation, frame_of, identified


class AccountWithProspects(NamedTuple):
    """
    What `add_account` created.

    Examples
    --------
    >>> created = patterns.add_account(org, name="Example Ltd", prospects=[{"first_name": "Ada"}])
    >>> created.account["name"], len(created.prospects)
    ('Example Ltd', 1)
    """

    account: pd.Series
    prospects: pd.DataFrame


def add_account(client: Client, /, *, prospects: Iterable[Values] = (), **account: Any) -> AccountWithProspects:
    """
    Add an account and the prospects found in it.

    Parameters
    ----------
    client
        Connection to an organization.
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

    Examples
    --------
    >>> people = [{"first_name": "Ada"}, {"first_name": "Jo"}]
    >>> account, prospects = patterns.add_account(org, name="Example Ltd", prospects=people)
    >>> prospects["first_name"].tolist()
    ['Ada', 'Jo']
    """
    people = [dict(prospect) for prospect in prospects]
    check_creation(client, "accounts", **account)
    for person in people:
        check_creation(client, "prospects", account=UNKNOWN_ID, **person)
    making = Creations(client)
    company = making.create("accounts", **account)
    return AccountWithProspects(
        company, frame_of([making.create("prospects", account=company["id"], **person) for person in people])
    )


class SequenceWithSteps(NamedTuple):
    """
    What `create_sequence` created.

    Examples
    --------
    >>> call = {"step_type": "call", "interval": 0}
    >>> created = patterns.create_sequence(org, name="Hello", sequence_type="interval", steps=[call])
    >>> created.sequence["name"], len(created.steps), len(created.templates)
    ('Hello', 1, 0)
    """

    sequence: pd.Series
    steps: pd.DataFrame
    templates: pd.DataFrame
    sequence_templates: pd.DataFrame
    ruleset: pd.Series | None


def create_sequence(
    client: Client, /, *, steps: Sequence[Values], ruleset: RecordId | Values | None = None, **sequence: Any
) -> SequenceWithSteps:
    """
    Create a sequence with its steps, their templates and its ruleset.

    Parameters
    ----------
    client
        Connection to an organization.
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

    Examples
    --------
    >>> template = {"subject": "Hello", "body_html": "<p>Hello</p>"}
    >>> mail = {"step_type": "auto_email", "interval": 0, "template": template}
    >>> call = {"step_type": "call", "interval": 2880}
    >>> created = patterns.create_sequence(org, name="Hello", sequence_type="interval", steps=[mail, call])
    >>> len(created.steps), len(created.templates)
    (2, 1)
    """
    planned = [_planned_step(client, step, sequence.get("sequence_type")) for step in steps]
    new_ruleset = dict(ruleset) if isinstance(ruleset, Mapping) else None
    if new_ruleset is not None:
        check_creation(client, "rulesets", **new_ruleset)
    elif ruleset is not None and not isinstance(ruleset, Mapping):
        identified(client, "rulesets", ruleset)
    check_creation(client, "sequences", **sequence)
    making = Creations(client)
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
    return SequenceWithSteps(head, ruleset=rules, **{name: frame_of(rows) for name, rows in created.items()})


def _planned_step(client: Client, step: Values, sequence_type: Any) -> tuple[dict[str, Any], Any]:
    """Check one step, and part it from its template."""
    values = dict(step)
    template = values.pop("template", None)
    needed = "date" if sequence_type == "date" else "interval"
    if needed not in values:
        raise QueryError(f"A step of {sequence_type or 'an interval'} sequence needs {needed!r}.")
    check_creation(client, "sequence_steps", sequence=UNKNOWN_ID, **values)
    if isinstance(template, Mapping):
        check_creation(client, "templates", **template)
    elif template is not None:
        identified(client, "templates", template)
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

    Examples
    --------
    >>> patterns.save_snippet(org, name="Greeting", body_html="<p>Hello</p>")["name"]
    'Greeting'
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

    Examples
    --------
    >>> patterns.save_template(org, name="First mail", subject="Hello", body_html="<p>Hello</p>")["subject"]
    'Hello'
    """
    return client.create("templates", body_html=body_html, **values)
