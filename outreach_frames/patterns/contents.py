"""Create accounts with prospects, sequences with steps, snippets and templates."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pandas as pd

from outreach_frames._request_documents import RecordId, checked_id, resource_document
from outreach_frames.client import Client
from outreach_frames.errors import IncompleteError, OutreachError, QueryError

_Values = Mapping[str, Any]
"""Attributes and relationships of a record to be."""

_UNKNOWN_ID = 1
"""Stands for an id that only the API can give, while values are checked before the first request."""


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


def add_account(client: Client, /, *, prospects: Iterable[_Values] = (), **account: Any) -> AccountWithProspects:
    """
    Add an account with its prospects.

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
    _check_creation(client, "accounts", **account)
    for person in people:
        _check_creation(client, "prospects", account=_UNKNOWN_ID, **person)
    creations = _Creations(client)
    company = creations.create("accounts", **account)
    return AccountWithProspects(
        company, _frame_of_series([creations.create("prospects", account=company["id"], **person) for person in people])
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
    client: Client, /, *, steps: Sequence[_Values], ruleset: RecordId | _Values | None = None, **sequence: Any
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
        _check_creation(client, "rulesets", **new_ruleset)
    elif ruleset is not None and not isinstance(ruleset, Mapping):
        checked_id(client.catalog.resource("rulesets"), ruleset)
    _check_creation(client, "sequences", **sequence)
    creations = _Creations(client)
    rules = None if new_ruleset is None else creations.create("rulesets", **new_ruleset)
    chosen = rules if rules is not None else ruleset
    head = creations.create("sequences", **sequence, **({} if chosen is None else {"ruleset": chosen}))
    created: dict[str, list[pd.Series]] = {"steps": [], "templates": [], "sequence_templates": []}
    for step, template in planned:
        row = creations.create("sequence_steps", sequence=head, **step)
        created["steps"].append(row)
        if template is None:
            continue
        if isinstance(template, Mapping):
            template = creations.create("templates", **template)  # noqa: PLW2901  from here on it is a record
            created["templates"].append(template)
        joined = creations.create("sequence_templates", sequence_step=row, template=template)
        created["sequence_templates"].append(joined)
    return SequenceWithSteps(head, ruleset=rules, **{name: _frame_of_series(rows) for name, rows in created.items()})


def _planned_step(client: Client, step: _Values, sequence_type: Any) -> tuple[dict[str, Any], Any]:
    """Check one step, and part it from its template."""
    values = dict(step)
    template = values.pop("template", None)
    needed = "date" if sequence_type == "date" else "interval"
    if needed not in values:
        raise QueryError(f"A step of {sequence_type or 'an interval'} sequence needs {needed!r}.")
    _check_creation(client, "sequence_steps", sequence=_UNKNOWN_ID, **values)
    if isinstance(template, Mapping):
        _check_creation(client, "templates", **template)
    elif template is not None:
        checked_id(client.catalog.resource("templates"), template)
    return values, template


def save_snippet(client: Client, /, *, name: str, body_html: str, **values: Any) -> pd.Series:
    """
    Save a snippet: a passage of HTML under a name.

    Parameters
    ----------
    client
        Connection to an organization.
    name, body_html
        Its name and its HTML.
    **values
        Further attributes and relationships.

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
    Save a template: subject and body of a mail.

    Parameters
    ----------
    client
        Connection to an organization.
    body_html
        The body as HTML.
    **values
        Further attributes and relationships: ``name`` (without it the template stays out of the lists), ``subject`` …

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


def _check_creation(client: Client, resource: str, **values: Any) -> None:
    """Raise what creating a record would raise before its request is sent."""
    kind = client.catalog.resource(resource)
    kind.require("create")
    resource_document(kind, values)


def _frame_of_series(records: Sequence[pd.Series]) -> pd.DataFrame:
    """Put records into a frame, one row each."""
    return pd.DataFrame(list(records)).convert_dtypes(dtype_backend="pyarrow").reset_index(drop=True)
