from . import (
    compliance as compliance,
    errors as errors,
    findings as findings,
    patterns as patterns,
    plots as plots,
    stats as stats,
    webhooks as webhooks,
    widgets as widgets,
)
from ._dictionary import columns as columns
from ._export import export as export
from ._fetch import (
    count as count,
    fetch as fetch,
    fetch_batches as fetch_batches,
    fetch_one as fetch_one,
    fetch_tables as fetch_tables,
)
from ._fetch.resources import (
    fetch_accounts as fetch_accounts,
    fetch_calls as fetch_calls,
    fetch_compliance_requests as fetch_compliance_requests,
    fetch_events as fetch_events,
    fetch_mailboxes as fetch_mailboxes,
    fetch_mailings as fetch_mailings,
    fetch_opportunities as fetch_opportunities,
    fetch_personas as fetch_personas,
    fetch_prospects as fetch_prospects,
    fetch_rulesets as fetch_rulesets,
    fetch_sequence_states as fetch_sequence_states,
    fetch_sequence_steps as fetch_sequence_steps,
    fetch_sequence_templates as fetch_sequence_templates,
    fetch_sequences as fetch_sequences,
    fetch_snippets as fetch_snippets,
    fetch_stages as fetch_stages,
    fetch_tasks as fetch_tasks,
    fetch_teams as fetch_teams,
    fetch_templates as fetch_templates,
    fetch_users as fetch_users,
    fetch_webhooks as fetch_webhooks,
)
from ._jsonapi import read_jsonapi as read_jsonapi
from ._query import NOT_NULL as NOT_NULL, between as between
from ._request_documents import ref as ref
from ._sandbox import Fault as Fault, Sandbox as Sandbox, SandboxSettings as SandboxSettings
from .bulk import compare_frame as compare_frame, write_frame as write_frame
from .client import Client as Client
from .connections import (
    connect as connect,
    connect_jsonapi as connect_jsonapi,
    connect_server as connect_server,
    sandbox as sandbox,
)
from .display import show as show
from .snapshots import (
    Snapshot as Snapshot,
    open_snapshot as open_snapshot,
    plan_snapshot as plan_snapshot,
    take_snapshot as take_snapshot,
)

__version__: str
