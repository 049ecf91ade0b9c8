"""
Outreach organisations as pandas DataFrames.

>>> import outreach_frames as of
>>> with of.sandbox(prospects=50) as org:
...     mailings = of.fetch_mailings(org, include={"sequence": ["name"]})
...     rates = of.stats.engagement(mailings, by="sequence_id")

Connect with `sandbox` (an embedded organisation) or `connect` (a live one); fetch with `fetch` and the
``fetch_<plural>`` functions; count with `stats`; draw with `plots`; keep with `take_snapshot`.

Names are loaded when first used, so that ``import outreach_frames`` costs next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from outreach_frames import compliance, errors, findings, patterns, plots, stats, webhooks, widgets
    from outreach_frames.bulk import write_frame
    from outreach_frames.client import Client
    from outreach_frames.connections import connect, connect_jsonapi, connect_server, sandbox
    from outreach_frames.documents import ref
    from outreach_frames.fetchers import (
        fetch_accounts,
        fetch_calls,
        fetch_compliance_requests,
        fetch_events,
        fetch_mailboxes,
        fetch_mailings,
        fetch_opportunities,
        fetch_personas,
        fetch_prospects,
        fetch_rulesets,
        fetch_sequence_states,
        fetch_sequence_steps,
        fetch_sequence_templates,
        fetch_sequences,
        fetch_snippets,
        fetch_stages,
        fetch_tasks,
        fetch_teams,
        fetch_templates,
        fetch_users,
        fetch_webhooks,
    )
    from outreach_frames.frames import count, fetch, fetch_batches, fetch_one
    from outreach_frames.jsonapi import read_jsonapi
    from outreach_frames.query import NOT_NULL, between
    from outreach_frames.showing import show
    from outreach_frames.snapshots import Snapshot, open_snapshot, take_snapshot
    from outreach_frames.tables import fetch_tables

__version__ = "0.1.0"

_HOMES = {
    "write_frame": "bulk",
    "Client": "client",
    "NOT_NULL": "query",
    "Snapshot": "snapshots",
    "between": "query",
    "connect": "connections",
    "connect_jsonapi": "connections",
    "connect_server": "connections",
    "count": "frames",
    "fetch": "frames",
    "fetch_batches": "frames",
    "fetch_tables": "tables",
    "fetch_one": "frames",
    "fetch_accounts": "fetchers",
    "fetch_calls": "fetchers",
    "fetch_compliance_requests": "fetchers",
    "fetch_events": "fetchers",
    "fetch_mailboxes": "fetchers",
    "fetch_mailings": "fetchers",
    "fetch_opportunities": "fetchers",
    "fetch_personas": "fetchers",
    "fetch_prospects": "fetchers",
    "fetch_rulesets": "fetchers",
    "fetch_sequence_states": "fetchers",
    "fetch_sequence_steps": "fetchers",
    "fetch_sequence_templates": "fetchers",
    "fetch_sequences": "fetchers",
    "fetch_snippets": "fetchers",
    "fetch_stages": "fetchers",
    "fetch_tasks": "fetchers",
    "fetch_teams": "fetchers",
    "fetch_templates": "fetchers",
    "fetch_users": "fetchers",
    "fetch_webhooks": "fetchers",
    "open_snapshot": "snapshots",
    "read_jsonapi": "jsonapi",
    "ref": "documents",
    "sandbox": "connections",
    "show": "showing",
    "take_snapshot": "snapshots",
}
_MODULES = ("compliance", "errors", "findings", "patterns", "plots", "stats", "webhooks", "widgets")

__all__ = [
    "NOT_NULL",
    "Client",
    "Snapshot",
    "between",
    "compliance",
    "connect",
    "connect_jsonapi",
    "connect_server",
    "count",
    "errors",
    "fetch",
    "fetch_accounts",
    "fetch_batches",
    "fetch_calls",
    "fetch_compliance_requests",
    "fetch_events",
    "fetch_mailboxes",
    "fetch_mailings",
    "fetch_one",
    "fetch_opportunities",
    "fetch_personas",
    "fetch_prospects",
    "fetch_rulesets",
    "fetch_sequence_states",
    "fetch_sequence_steps",
    "fetch_sequence_templates",
    "fetch_sequences",
    "fetch_snippets",
    "fetch_stages",
    "fetch_tables",
    "fetch_tasks",
    "fetch_teams",
    "fetch_templates",
    "fetch_users",
    "fetch_webhooks",
    "findings",
    "open_snapshot",
    "patterns",
    "plots",
    "read_jsonapi",
    "ref",
    "sandbox",
    "show",
    "stats",
    "take_snapshot",
    "webhooks",
    "widgets",
    "write_frame",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
