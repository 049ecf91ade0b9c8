"""
Tables of a source: what a statistic reads where it is given a snapshot or a connection in place of frames.

This module does no I/O and knows no source: `Snapshot` and `Client` register what reads them where they are defined.
"""

from collections.abc import Iterable, Mapping
from functools import singledispatch
from typing import Protocol

import pandas as pd

from outreach_frames.errors import DataError
from outreach_frames.stats.flags import SENDING


class TableReader(Protocol):
    """Reads columns of a source's tables."""

    def columns(self, name: str) -> list[str]:
        """List the columns of a table; none where the source has no such table."""

    def read(self, name: str, columns: list[str]) -> pd.DataFrame:
        """Read columns of a table, all of which exist, with the record of when it was extracted."""


@singledispatch
def table_reader_of(source: object) -> TableReader | None:  # noqa: ARG001  what is dispatched on
    """Return what reads the tables of a source; ``None`` for anything that is no source, such as a frame."""
    return None


class _Frames:
    """Frames by the names of their tables."""

    def __init__(self, frames: Mapping[str, pd.DataFrame]) -> None:
        self._frames = frames

    def columns(self, name: str) -> list[str]:
        if name not in self._frames:
            return []
        if not isinstance(self._frames[name], pd.DataFrame):
            kind = type(self._frames[name]).__name__
            raise DataError(f"The table {name!r} is a {kind}, not a pandas frame.", hint="Pass what fetch() returns.")
        return list(self._frames[name].columns)

    def read(self, name: str, columns: list[str]) -> pd.DataFrame:
        return self._frames[name][columns]


@table_reader_of.register
def _of_frames(source: Mapping) -> TableReader:  # type: ignore[type-arg]  # dispatch needs the plain class
    return _Frames(source)


CALLING = ("dialed_at", "answered_at", "completed_at")

PLACED_BY: Mapping[str, tuple[str, ...]] = {
    "mailings": SENDING,
    "calls": CALLING,
    "tasks": ("completed_at", "due_at"),
    "sequence_states": ("created_at",),
    "opportunities": ("created_at",),
}
"""By table, the instants of which the first that is not missing places a record in a period."""

_COUNTER_COLUMNS = tuple(
    f"{kind}_count"
    for kind in (
        *("schedule", "deliver", "open", "click", "reply", "positive_reply", "neutral_reply", "negative_reply"),
        *("bounce", "failure", "opt_out"),
    )
)
_LINK_COLUMNS = (
    *("account_id", "mailbox_id", "opportunity_id", "prospect_id", "sequence_id", "sequence_state_id"),
    *("sequence_step_id", "template_id", "user_id", "owner_id"),
)

COLUMNS: Mapping[str, frozenset[str]] = {
    name: frozenset(("id", "name", *_LINK_COLUMNS, *columns))
    for name, columns in {
        "accounts": ("domain", "industry", "named"),
        "call_dispositions": (),
        "calls": (*CALLING, "created_at", "direction", "outcome", "tags", "call_disposition_id", "task_id"),
        "email_addresses": ("email", "status"),
        "events": ("created_at", "event_at", "mailing_id", "call_id", "request_proxied"),
        "mailboxes": (
            *("email", "send_disabled", "sync_disabled", "send_errored_at", "send_success_at", "sync_errored_at"),
            *("sync_success_at", "max_mailings_per_day", "max_mailings_per_week", "send_threshold", "send_period"),
        ),
        "mailings": (
            *(*SENDING, "unsubscribed_at", "opened_at", "open_count", "clicked_at", "click_count", "track_opens"),
            *("track_links", "marked_as_spam_at", "created_at", "scheduled_at", "state", "mailing_type", "task_id"),
            *("error_reason", "retry_count", "mailbox_address", "notify_thread_status", "follow_up_sequence_id"),
        ),
        "opportunities": (
            *("amount", "amount_precise", "close_date", "created_at", "currency_type", "external_created_at"),
            *("forecast_category", "probability", "trashed_at", "opportunity_stage_id", "primary_prospect_id"),
        ),
        "opportunity_prospect_roles": ("primary", "role"),
        "opportunity_stages": ("order", "is_closed"),
        "personas": (),
        "prospects": (
            *("opted_out", "opted_out_at", "time_zone", "time_zone_iana", "time_zone_inferred", "persona_id"),
            *("created_at", "open_count", "click_count", "reply_count", "stage_id"),
        ),
        "sequence_states": (
            *("state", "created_at", "active_at", "state_changed_at", "replied_at", "call_completed_at"),
            *("pause_reason", "error_reason", *_COUNTER_COLUMNS),
        ),
        "sequence_steps": ("order", "step_type", "interval", "display_name", "created_at", *_COUNTER_COLUMNS),
        "sequence_templates": ("enabled", "enabled_at", "is_reply", "created_at", *_COUNTER_COLUMNS),
        "sequences": (
            *("duration_in_days", "throttle_max_adds_per_day", "transactional", "num_contacted_prospects"),
            *("num_replied_prospects", "enabled", "created_at", *_COUNTER_COLUMNS),
        ),
        "tasks": (
            *("action", "task_type", "state", "due_at", "scheduled_at", "completed_at", "created_at"),
            *("completer_id", "mailing_id", "call_id"),
        ),
        "teams": (),
        "templates": ("stats_target_id", "updated_at", "subject", "archived_at", *_COUNTER_COLUMNS),
        "users": ("email", "time_zone", "teams_ids", "locked"),
    }.items()
}
"""By table, the columns that any statistic reads; ``tests/stats/test_sources.py`` keeps the list complete."""


def read_table(source: TableReader, name: str, keys: Iterable[str] = ()) -> pd.DataFrame | None:
    """
    Read what the statistics use of a table, and columns that the caller groups by; ``None`` where there is none.

    Parameters
    ----------
    source
        See `table_reader_of`.
    name
        Table, such as ``"mailings"``.
    keys
        Further columns, where the table has them.
    """
    used = COLUMNS.get(name, frozenset()).union(keys)
    present = [column for column in source.columns(name) if column in used]
    return source.read(name, present) if present else None
