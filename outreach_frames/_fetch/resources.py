"""
One fetch function for each resource type that analysts read most; `fetch` reads the others.

All of them take a connection and the options of `fetch`, and raise what it raises.
"""

from typing import Unpack

import pandas as pd

from outreach_frames._fetch.frames import fetch
from outreach_frames._fetch.signatures import Options, resource_function
from outreach_frames.client import Client


@resource_function
def fetch_prospects(client: Client, /, **options: Unpack[Options]) -> pd.DataFrame:
    """
    Fetch prospects: one row per person.

    Source: ``GET /prospects``, Outreach API v2. Options and errors are those of `fetch`.

    Returns
    -------
    prospects : DataFrame, shape (n_prospects, n_columns)
        ``first_name``, ``last_name``, ``title``, ``tags`` [list]; ``opted_out`` [true, false];
        ``touched_at``, ``engaged_at``, ``created_at`` [UTC instants]; ``open_count``, ``click_count``, ``reply_count``
        [events since the last touch, not mailings: never the base of a rate]; ``account_id``, ``owner_id``,
        ``stage_id``.

    Examples
    --------
    >>> prospects = of.fetch_prospects(org, include={"account": ["name"]}, limit=10)
    >>> prospects[["id", "account__name"]].shape
    (10, 2)
    """
    return fetch(client, "prospects", **options)


@resource_function
def fetch_accounts(client: Client, /, **options: Unpack[Options]) -> pd.DataFrame:
    """
    Fetch accounts: one row per company.

    Source: ``GET /accounts``, Outreach API v2. Options and errors are those of `fetch`.

    Returns
    -------
    accounts : DataFrame, shape (n_accounts, n_columns)
        ``name``, ``domain``, ``industry``, ``number_of_employees`` [people]; ``named`` [true, false]; ``touched_at``,
        ``created_at`` [UTC instants]; ``owner_id``.

    Examples
    --------
    >>> of.fetch_accounts(org, fields=["name", "industry"], sort="name").columns.tolist()
    ['id', 'name', 'industry']
    """
    return fetch(client, "accounts", **options)


@resource_function
def fetch_sequences(client: Client, /, **options: Unpack[Options]) -> pd.DataFrame:
    """
    Fetch sequences: one row per sequence.

    Source: ``GET /sequences``, Outreach API v2. Options and errors are those of `fetch`.

    Returns
    -------
    sequences : DataFrame, shape (n_sequences, n_columns)
        ``name``, ``sequence_type``, ``enabled`` [true, false], ``duration_in_days`` [days]; ``deliver_count``,
        ``open_count``, ``reply_count`` … [mailings, as the API counts them]; ``num_contacted_prospects``,
        ``num_replied_prospects`` [prospects]; ``owner_id``, ``ruleset_id``.

    Examples
    --------
    >>> sequences = of.fetch_sequences(org, sort="name", include={"owner": ["email"]})
    >>> len(sequences), "owner__email" in sequences
    (12, True)
    """
    return fetch(client, "sequences", **options)


@resource_function
def fetch_sequence_steps(client: Client, /, **options: Unpack[Options]) -> pd.DataFrame:
    """
    Fetch sequence steps: one row per step of a sequence.

    Source: ``GET /sequenceSteps``, Outreach API v2. Options and errors are those of `fetch`.

    Returns
    -------
    sequence_steps : DataFrame, shape (n_sequence_steps, n_columns)
        ``order`` [1, 2, …], ``step_type``, ``interval`` [the vendor's documents say seconds in one place, minutes in
        another]; counters as in `fetch_sequences`; ``sequence_id``.

    Examples
    --------
    >>> steps = of.fetch_sequence_steps(org, filter={"sequence": 1}, sort="order")
    >>> steps["order"].tolist()
    [1, 2, 3, 4, 5, 6]
    """
    return fetch(client, "sequence_steps", **options)


@resource_function
def fetch_sequence_states(client: Client, /, **options: Unpack[Options]) -> pd.DataFrame:
    """
    Fetch sequence states: one row per enrollment: a prospect put once into a sequence.

    Source: ``GET /sequenceStates``, Outreach API v2. Options and errors are those of `fetch`.

    Returns
    -------
    sequence_states : DataFrame, shape (n_sequence_states, n_columns)
        ``state``, ``created_at``, ``state_changed_at``, ``replied_at`` [UTC instants]; counters [mailings];
        ``prospect_id``, ``sequence_id``, ``sequence_step_id`` [the current step, not the history], ``mailbox_id``.

    Examples
    --------
    >>> states = of.fetch_sequence_states(org, filter={"state": ["active", "paused"]})
    >>> set(states["state"]) <= {"active", "paused"}
    True
    """
    return fetch(client, "sequence_states", **options)


@resource_function
def fetch_sequence_templates(client: Client, /, **options: Unpack[Options]) -> pd.DataFrame:
    """
    Fetch sequence templates: one row per variant of a step: a template in use there.

    Source: ``GET /sequenceTemplates``, Outreach API v2. Options and errors are those of `fetch`.

    Returns
    -------
    sequence_templates : DataFrame, shape (n_sequence_templates, n_columns)
        ``enabled`` [true, false], ``enabled_at`` [UTC instant]; counters as in `fetch_sequences`; ``sequence_step_id``,
        ``template_id``.

    Examples
    --------
    >>> variants = of.fetch_sequence_templates(org, include={"template": ["name"]})
    >>> len(variants), variants["template__name"].nunique()
    (44, 43)
    """
    return fetch(client, "sequence_templates", **options)


@resource_function
def fetch_mailings(client: Client, /, **options: Unpack[Options]) -> pd.DataFrame:
    """
    Fetch mailings: one row per e-mail scheduled, sent or failed.

    Source: ``GET /mailings``, Outreach API v2. Options and errors are those of `fetch`.

    Returns
    -------
    mailings : DataFrame, shape (n_mailings, n_columns)
        ``state``, ``mailing_type``; ``delivered_at``, ``bounced_at``, ``replied_at``, ``unsubscribed_at`` [UTC
        instants, missing until they happen]; ``opened_at``, ``clicked_at`` [UTC instants of the latest, not the first];
        ``open_count``, ``click_count`` [events, machines' included]; ``sequence_id`` [missing for one-off mail],
        ``sequence_state_id``, ``sequence_step_id``, ``template_id``, ``prospect_id``, ``mailbox_id``, ``user_id``.

    Examples
    --------
    >>> mailings = of.fetch_mailings(org, include={"sequence": ["name"], "prospect.account": ["name"]})
    >>> mailings[["sequence__name", "prospect__account__name"]].shape
    (160, 2)
    """
    return fetch(client, "mailings", **options)


@resource_function
def fetch_calls(client: Client, /, **options: Unpack[Options]) -> pd.DataFrame:
    """
    Fetch calls: one row per call.

    Source: ``GET /calls``, Outreach API v2. Options and errors are those of `fetch`.

    Returns
    -------
    calls : DataFrame, shape (n_calls, n_columns)
        ``direction``, ``outcome``; ``dialed_at``, ``answered_at``, ``completed_at`` [UTC instants]; ``created_at``
        [UTC instant of the logging, not of the call]; ``prospect_id``, ``user_id``, ``sequence_id``,
        ``call_disposition_id``.

    Examples
    --------
    >>> calls = of.fetch_calls(org, filter={"outcome": "Answered"}, fields=["direction", "outcome"])
    >>> calls["outcome"].unique().tolist()
    ['Answered']
    """
    return fetch(client, "calls", **options)


@resource_function
def fetch_tasks(client: Client, /, **options: Unpack[Options]) -> pd.DataFrame:
    """
    Fetch tasks: one row per to-do.

    Source: ``GET /tasks``, Outreach API v2. Options and errors are those of `fetch`.

    Returns
    -------
    tasks : DataFrame, shape (n_tasks, n_columns)
        ``action``, ``task_type``, ``state``; ``due_at``, ``completed_at``, ``created_at`` [UTC instants]; ``owner_id``,
        ``prospect_id``, ``sequence_id``; ``subject_id`` with ``subject_type`` (account, opportunity or prospect).

    Examples
    --------
    >>> tasks = of.fetch_tasks(org, filter={"state": "incomplete"}, include={"prospect": ["first_name"]})
    >>> tasks["state"].unique().tolist()
    ['incomplete']
    """
    return fetch(client, "tasks", **options)


@resource_function
def fetch_events(client: Client, /, **options: Unpack[Options]) -> pd.DataFrame:
    """
    Fetch events: one row per logged happening.

    Source: ``GET /events``, Outreach API v2. Options and errors are those of `fetch`.

    Returns
    -------
    events : DataFrame, shape (n_events, n_columns)
        ``name``, ``event_at``, ``created_at`` [UTC instants]; ``payload`` [JSON text]; ``request_proxied`` [true,
        false]; ``prospect_id``, ``mailing_id``, ``user_id``.

    Examples
    --------
    >>> events = of.fetch_events(org, sort="-created_at", limit=5)
    >>> len(events), bool(events["created_at"].is_monotonic_decreasing)
    (5, True)
    """
    return fetch(client, "events", **options)


@resource_function
def fetch_users(client: Client, /, **options: Unpack[Options]) -> pd.DataFrame:
    """
    Fetch users: one row per seat.

    Source: ``GET /users``, Outreach API v2. Options and errors are those of `fetch`.

    Returns
    -------
    users : DataFrame, shape (n_users, n_columns)
        ``name``, ``email``, ``title``, ``locked`` [true, false]; ``created_at`` [UTC instant]; ``role_id``.

    Examples
    --------
    >>> users = of.fetch_users(org, fields=["name", "locked"], filter={"locked": False})
    >>> users.columns.tolist()
    ['id', 'name', 'locked']
    """
    return fetch(client, "users", **options)


@resource_function
def fetch_teams(client: Client, /, **options: Unpack[Options]) -> pd.DataFrame:
    """
    Fetch teams: one row per team.

    Source: ``GET /teams``, Outreach API v2. Options and errors are those of `fetch`.

    Returns
    -------
    teams : DataFrame, shape (n_teams, n_columns)
        ``name``, ``color``; ``created_at`` [UTC instant]; ``creator_id``.

    Examples
    --------
    >>> of.fetch_teams(org, fields=["name"], sort="name")["name"].tolist()
    ['Customer success', 'Leadership', 'Outbound EMEA', 'Outbound North America']
    """
    return fetch(client, "teams", **options)


@resource_function
def fetch_mailboxes(client: Client, /, **options: Unpack[Options]) -> pd.DataFrame:
    """
    Fetch mailboxes: one row per sending address.

    Source: ``GET /mailboxes``, Outreach API v2. Options and errors are those of `fetch`.

    Returns
    -------
    mailboxes : DataFrame, shape (n_mailboxes, n_columns)
        ``email``; ``send_disabled``, ``sync_disabled`` [true, false]; ``send_success_at``, ``sync_success_at`` [UTC
        instants]; ``max_mailings_per_day`` [mailings]; ``user_id``. The API's attribute ``userId`` has the column
        ``user_id_attribute``, since the relationship has the other.

    Examples
    --------
    >>> mailboxes = of.fetch_mailboxes(org, include={"user": ["name"]})
    >>> len(mailboxes), "user__name" in mailboxes
    (5, True)
    """
    return fetch(client, "mailboxes", **options)


@resource_function
def fetch_templates(client: Client, /, **options: Unpack[Options]) -> pd.DataFrame:
    """
    Fetch templates: one row per template.

    Source: ``GET /templates``, Outreach API v2. Options and errors are those of `fetch`.

    Returns
    -------
    templates : DataFrame, shape (n_templates, n_columns)
        ``name``, ``subject``, ``archived`` [true, false], ``last_used_at`` [UTC instant]; counters [mailings];
        ``owner_id``. Bodies come only when named in ``fields``.

    Examples
    --------
    >>> templates = of.fetch_templates(org, fields=["name", "subject"], limit=3)
    >>> templates.columns.tolist()
    ['id', 'name', 'subject']
    """
    return fetch(client, "templates", **options)


@resource_function
def fetch_snippets(client: Client, /, **options: Unpack[Options]) -> pd.DataFrame:
    """
    Fetch snippets: one row per snippet.

    Source: ``GET /snippets``, Outreach API v2. Options and errors are those of `fetch`.

    Returns
    -------
    snippets : DataFrame, shape (n_snippets, n_columns)
        ``name``, ``share_type``, ``created_at`` [UTC instant]; ``owner_id``. Bodies come only when named in ``fields``.

    Examples
    --------
    >>> of.fetch_snippets(org, fields=["name"], sort="name")["name"].tolist()
    ['Dates', 'P.S.', 'Thanks']
    """
    return fetch(client, "snippets", **options)


@resource_function
def fetch_rulesets(client: Client, /, **options: Unpack[Options]) -> pd.DataFrame:
    """
    Fetch rulesets: one row per ruleset.

    Source: ``GET /rulesets``, Outreach API v2. Options and errors are those of `fetch`.

    Returns
    -------
    rulesets : DataFrame, shape (n_rulesets, n_columns)
        ``name``, ``permit_duplicate_prospects``, ``sequence_exclusivity``; ``created_at`` [UTC instant].

    Examples
    --------
    >>> of.fetch_rulesets(org, fields=["name"])["name"].tolist()
    ['Default ruleset', 'Service notices', 'Strict']
    """
    return fetch(client, "rulesets", **options)


@resource_function
def fetch_stages(client: Client, /, **options: Unpack[Options]) -> pd.DataFrame:
    """
    Fetch stages: one row per stage of prospects.

    Source: ``GET /stages``, Outreach API v2. Options and errors are those of `fetch`.

    Returns
    -------
    stages : DataFrame, shape (n_stages, n_columns)
        ``name``, ``order`` [1, 2, …], ``color``; ``created_at`` [UTC instant].

    Examples
    --------
    >>> of.fetch_stages(org, sort="order", limit=3)["name"].tolist()
    ['New', 'Working', 'Replied']
    """
    return fetch(client, "stages", **options)


@resource_function
def fetch_personas(client: Client, /, **options: Unpack[Options]) -> pd.DataFrame:
    """
    Fetch personas: one row per persona.

    Source: ``GET /personas``, Outreach API v2. Options and errors are those of `fetch`.

    Returns
    -------
    personas : DataFrame, shape (n_personas, n_columns)
        ``name``, ``description``; ``created_at`` [UTC instant].

    Examples
    --------
    >>> of.fetch_personas(org, fields=["name"], sort="name")["name"].tolist()
    ['Champion', 'Economic buyer', 'Operations leader', 'Security reviewer', 'Technical decider']
    """
    return fetch(client, "personas", **options)


@resource_function
def fetch_opportunities(client: Client, /, **options: Unpack[Options]) -> pd.DataFrame:
    """
    Fetch opportunities: one row per deal.

    Source: ``GET /opportunities``, Outreach API v2. Options and errors are those of `fetch`.

    Returns
    -------
    opportunities : DataFrame, shape (n_opportunities, n_columns)
        ``name``, ``amount`` [in ``currency_type``: never add across currencies], ``probability`` [percent];
        ``created_at`` [UTC instant of the sync], ``external_created_at`` [UTC instant in the CRM], ``close_date``;
        ``account_id``, ``owner_id``, ``opportunity_stage_id``.

    Examples
    --------
    >>> deals = of.fetch_opportunities(org, include={"opportunity_stage": ["name"]})
    >>> len(deals), "opportunity_stage__name" in deals
    (5, True)
    """
    return fetch(client, "opportunities", **options)


@resource_function
def fetch_webhooks(client: Client, /, **options: Unpack[Options]) -> pd.DataFrame:
    """
    Fetch webhooks: one row per webhook.

    Source: ``GET /webhooks``, Outreach API v2. Options and errors are those of `fetch`.

    Returns
    -------
    webhooks : DataFrame, shape (n_webhooks, n_columns)
        ``resource``, ``action``, ``url``, ``active`` [true, false], ``payload_version``; ``created_at`` [UTC instant].

    Examples
    --------
    >>> webhook = patterns.subscribe(org, "https://example.com/hooks", resource="mailing", action="replied")
    >>> of.fetch_webhooks(org)[["resource", "action"]].iloc[-1].tolist()
    ['mailing', 'replied']
    """
    return fetch(client, "webhooks", **options)


@resource_function
def fetch_compliance_requests(client: Client, /, **options: Unpack[Options]) -> pd.DataFrame:
    """
    Fetch compliance requests: one row per request to erase a person.

    Source: ``GET /complianceRequests``, Outreach API v2. Options and errors are those of `fetch`.

    Returns
    -------
    compliance_requests : DataFrame, shape (n_compliance_requests, n_columns)
        ``state``, ``request_type``, ``object_type``; ``created_at`` [UTC instant].

    Examples
    --------
    >>> of.fetch_compliance_requests(org, filter={"state": "pending"}).shape[0]
    1
    """
    return fetch(client, "compliance_requests", **options)
