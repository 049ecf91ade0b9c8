"""
The checks of `data_quality`: one for each trap (``T1`` to ``T30``), and some for contradictions.

Most are a rule about the rows of one table; those that compare tables are functions. Each finds the ids of the rows
concerned; one that needs what is not given is not run, but still listed.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import pandas as pd

from outreach_frames.errors import MissingColumnError
from outreach_frames.stats._aggregate import MATURE_D
from outreach_frames.stats._backends import wrap
from outreach_frames.stats._pandas import flags, floats, table
from outreach_frames.stats._timestamps import DAY, HOUR, iana
from outreach_frames.stats.flags import colleagues
from outreach_frames.stats.opt_outs import with_opt_out_time

CALL_OUTCOMES = ("answered", "not answered", "completed", "no_answer")
OOTO = "ooto"

_SENDING = ["delivered_at", "bounced_at", "replied_at"]
_BOUNCED = ["delivered_at", "bounced_at"]
_ANSWERED = ["bounced_at", "replied_at"]
_EVENT_ORDER = ["delivered_at", "replied_at"]
_CALLED = ["dialed_at", "answered_at", "completed_at"]
_ZONES = ["time_zone_iana", "time_zone_inferred", "time_zone"]


class MissingTableError(LookupError):
    """What a check needs was not given: a table, or ``as_of``."""


class Data(Protocol):
    """The frames, as the checks see them."""

    as_of: int | None

    def table(self, name: str, columns: Sequence[str]) -> pd.DataFrame:
        """Take columns of a table; instants are integers [µs since 1970, UTC]."""

    def result(self, function: str, *tables: str) -> pd.DataFrame:
        """Call a statistic on tables, without its warnings; remembered."""


RowRule = Callable[[pd.DataFrame], "pd.Series[Any]"]
Search = Callable[[Data], tuple["pd.Series[Any]", int]]
"""Returns the ids found, and the rows looked at."""


class Check(NamedTuple):
    """
    A check.

    Attributes
    ----------
    trap
        Number of the trap; 0 for what is none.
    name, resource
        What it is called, and whose ids it finds.
    severity
        If anything is found: "note" (know it), "watch" (figures bend), "act" (repair first).
    search
        How it is done.
    effect
        On the metrics; empty for that of the trap.
    """

    trap: int
    name: str
    resource: str
    severity: str
    search: Search
    effect: str = ""


def _rows_rule(resource: str, columns: Sequence[str], rule: RowRule) -> Search:
    def search(data: Data) -> tuple["pd.Series[Any]", int]:
        rows = data.table(resource, ["id", *columns])
        return rows["id"][flags(rule(rows))], len(rows)

    return search


def _above(column: str, least: int) -> RowRule:
    return lambda rows: rows[column] > least


def _missing(*columns: str) -> RowRule:
    return lambda rows: rows[list(columns)].isna().all(axis=1)


def _all_set(*columns: str) -> RowRule:
    return lambda rows: rows[list(columns)].notna().all(axis=1)


def _counters_since_touch(data: Data) -> tuple["pd.Series[Any]", int]:
    compared = data.result("reconcile_counters", "mailings", "prospects")
    behind = compared[flags(compared["cause"] == "since-last-touch")]
    return behind["prospect_id"].drop_duplicates(), compared["prospect_id"].nunique()


def _counters_above_rows(data: Data) -> tuple["pd.Series[Any]", int]:
    compared = data.result("reconcile_counters", "mailings", "sequences")
    above = compared[flags(compared["cause"] == "rows missing")]
    return above["sequence_id"].drop_duplicates(), compared["sequence_id"].nunique()


def _reenrollments(data: Data) -> tuple["pd.Series[Any]", int]:
    states = data.table("sequence_states", ["id", "prospect_id", "sequence_id", "created_at"]).dropna(
        subset=["prospect_id", "sequence_id"]
    )
    again = states.sort_values(["created_at", "id"]).duplicated(["prospect_id", "sequence_id"])
    return states["id"].loc[again.index[again]].sort_values(), len(states)


def _collisions(data: Data) -> tuple["pd.Series[Any]", int]:
    people = data.result("overlaps", "mailings", "sequence_states")
    people = people[flags(people["open_enrollments"] > 0)]
    return people["prospect_id"][flags(people["open_enrollments"] > 1)], len(people)


def _to_colleagues(data: Data) -> tuple["pd.Series[Any]", int]:
    """Find mail to people with an address on the domain of a mailbox that mail came from."""
    mail = data.table("mailings", ["id", "prospect_id", "mailbox_address"])
    present = data.table("email_addresses", ["id", "prospect_id", "email"])
    inside = table(colleagues(wrap(mail), wrap(present)))["prospect_id"]
    return mail["id"][flags(mail["prospect_id"].isin(inside))], len(mail)


def _disputed_replies(data: Data) -> tuple["pd.Series[Any]", int]:
    credits_ = data.result("reply_attribution", "mailings")
    return credits_["mailing_id"][flags(~credits_["agree"])], len(credits_)


def _two_outcomes(data: Data) -> tuple["pd.Series[Any]", int]:
    mail = data.table("mailings", ["id", "sequence_state_id", "replied_at", "unsubscribed_at"])
    happened = mail[["replied_at", "unsubscribed_at"]].notna()
    enrollments = happened.groupby(mail["sequence_state_id"]).any()
    return enrollments.index.to_series()[flags(enrollments.all(axis=1))], len(enrollments)


def _manual_opt_outs(data: Data) -> tuple["pd.Series[Any]", int]:
    people = table(with_opt_out_time(wrap(data.table("prospects", ["id", "opted_out", "opted_out_at"]))))
    mail = data.table("mailings", ["id", "prospect_id", "unsubscribed_at"])
    left = people[flags(people["opted_out_at"].notna())]
    linked = mail["prospect_id"][flags(mail["unsubscribed_at"].notna())]
    return left["id"][flags(~left["id"].isin(linked.dropna()))], len(left)


def _automatic_replies(data: Data) -> tuple["pd.Series[Any]", int]:
    automatic = data.result("automatic_replies", "mailings", "sequence_states")
    replied = data.table("mailings", ["id", "replied_at"])["replied_at"].notna()
    return automatic["mailing_id"], int(replied.sum())


def _machines(data: Data) -> tuple["pd.Series[Any]", int]:
    try:
        suspects = data.result("suspect_engagement", "mailings", "events")
    except (
        MissingTableError,
        MissingColumnError,
    ):  # without the event log the mailings' own columns tell less, but enough
        suspects = data.result("suspect_engagement", "mailings")
    return suspects["mailing_id"][flags(suspects["suspect_open"] | suspects["suspect_click"])], len(suspects)


def _blind_mailboxes(data: Data) -> tuple["pd.Series[Any]", int]:
    _since(data, 0)
    health = data.result("mailbox_health", "mailings", "mailboxes")
    return health["mailbox_id"][flags(~health["sync_ok"])], len(health)


def _since(data: Data, days: float) -> int:
    if data.as_of is None:
        raise MissingTableError("as_of")
    return data.as_of - int(days * DAY)


def _too_early(data: Data) -> tuple["pd.Series[Any]", int]:
    mail = data.table("mailings", ["id", "delivered_at", "replied_at"])
    young = (mail["delivered_at"] > _since(data, MATURE_D)) & mail["replied_at"].isna()
    return mail["id"][flags(young)], len(mail)


def _from_the_future(data: Data) -> tuple["pd.Series[Any]", int]:
    mail = data.table("mailings", ["id", "delivered_at", "replied_at", "bounced_at"])
    late = (mail[["delivered_at", "replied_at", "bounced_at"]] > _since(data, 0)).any(axis=1)
    return mail["id"][flags(late)], len(mail)


def _first_open_unknown(mail: pd.DataFrame) -> "pd.Series[Any]":
    return (mail["open_count"] > 1) & mail["opened_at"].notna()


def _wrong_order(mail: pd.DataFrame) -> "pd.Series[Any]":
    return mail["replied_at"] < mail["delivered_at"]


def _out_of_office(states: pd.DataFrame) -> "pd.Series[Any]":
    return states["pause_reason"].str.lower().str.startswith(OOTO)


def _unknown_outcome(calls: pd.DataFrame) -> "pd.Series[Any]":
    return calls["outcome"].notna() & ~calls["outcome"].str.lower().isin(CALL_OUTCOMES)


def _no_zone(people: pd.DataFrame) -> "pd.Series[Any]":
    return people[_ZONES].astype(object).map(iana).isna().all(axis=1)


def _unclear_intervals(data: Data) -> tuple["pd.Series[Any]", int]:
    """Compare the sum of a sequence's intervals, read as seconds and as minutes, with its duration."""
    steps = data.table("sequence_steps", ["id", "sequence_id", "interval"])
    plans = data.table("sequences", ["id", "duration_in_days"])
    total = plans["id"].map(steps.groupby("sequence_id")["interval"].sum(min_count=1))
    present = flags((total > 0) & (plans["duration_in_days"] > 0))
    summed, days = (floats(values)[present] for values in (total, plans["duration_in_days"]))
    fits = [abs(summed / per_day - days) <= 1 for per_day in (24 * 60 * 60, 24 * 60)]
    return plans["id"][present][fits[0] == fits[1]], int(present.sum())


def _moved_on(data: Data) -> tuple["pd.Series[Any]", int]:
    mail = data.table("mailings", ["id", "sequence_state_id", "sequence_step_id", "delivered_at"])
    states = data.table("sequence_states", ["id", "sequence_step_id"])
    sent = mail[flags(mail["delivered_at"].notna())].dropna(subset=["sequence_state_id", "sequence_step_id"])
    sent = sent.merge(states, left_on="sequence_state_id", right_on="id", suffixes=("", "_now"), validate="m:1")
    elsewhere = sent[flags(sent["sequence_step_id"] != sent["sequence_step_id_now"])]
    return elsewhere["sequence_state_id"].drop_duplicates().sort_values(), len(states)


def _other_sender(data: Data) -> tuple["pd.Series[Any]", int]:
    mail = data.table("mailings", ["id", "prospect_id", "user_id"])
    people = data.table("prospects", ["id", "owner_id"])
    owner = mail["prospect_id"].map(people.set_index("id")["owner_id"])
    return mail["id"][flags(mail["user_id"] != owner)], len(mail)


def _at_weeks_edge(mail: pd.DataFrame) -> "pd.Series[Any]":
    monday = mail["delivered_at"] + 3 * DAY  # 1970-01-01 was a Thursday
    return (monday + 14 * HOUR) // (7 * DAY) != (monday - 12 * HOUR) // (7 * DAY)


def _other_currency(deals: pd.DataFrame) -> "pd.Series[Any]":
    usual = deals["currency_type"].mode()
    return deals["currency_type"].isna() | ~deals["currency_type"].isin(usual[:1])


def _after_opt_out(data: Data) -> tuple["pd.Series[Any]", int]:
    late = data.result("opt_out_violations", "mailings", "prospects", "sequences")
    return late["mailing_id"], len(data.table("mailings", ["id"]))


CHECKS = (
    Check(1, "prospect_counters_restarted", "prospects", "note", _counters_since_touch),
    Check(2, "opened_again", "mailings", "note", _rows_rule("mailings", ["open_count"], _above("open_count", 1))),
    Check(
        3,
        "first_open_unknown",
        "mailings",
        "note",
        _rows_rule("mailings", ["open_count", "opened_at"], _first_open_unknown),
    ),
    Check(4, "clicked_again", "mailings", "note", _rows_rule("mailings", ["click_count"], _above("click_count", 1))),
    Check(5, "delivered_and_bounced", "mailings", "note", _rows_rule("mailings", _BOUNCED, _all_set(*_BOUNCED))),
    Check(5, "bounced_and_replied", "mailings", "watch", _rows_rule("mailings", _ANSWERED, _all_set(*_ANSWERED))),
    Check(6, "reenrollments", "sequence_states", "note", _reenrollments),
    Check(7, "several_open_enrollments", "prospects", "watch", _collisions),
    Check(
        8,
        "counted_on_another_template",
        "templates",
        "note",
        _rows_rule("templates", ["stats_target_id"], _all_set("stats_target_id")),
    ),
    Check(9, "counters_above_rows", "sequences", "watch", _counters_above_rows),
    Check(
        10,
        "mailing_without_sequence",
        "mailings",
        "note",
        _rows_rule("mailings", ["sequence_id"], _missing("sequence_id")),
    ),
    Check(
        11,
        "mailing_without_prospect",
        "mailings",
        "note",
        _rows_rule("mailings", ["prospect_id"], _missing("prospect_id")),
    ),
    Check(
        11,
        "mail_to_colleagues",
        "mailings",
        "watch",
        _to_colleagues,
        "tests and internal mail count as mail to people: see email_addresses",
    ),
    Check(
        12,
        "open_tracking_off",
        "mailings",
        "note",
        _rows_rule("mailings", ["track_opens"], lambda rows: ~rows["track_opens"]),
    ),
    Check(13, "disputed_replies", "mailings", "note", _disputed_replies),
    Check(14, "reply_and_opt_out", "sequence_states", "note", _two_outcomes),
    Check(15, "manual_opt_outs", "prospects", "watch", _manual_opt_outs),
    Check(16, "automatic_replies", "mailings", "watch", _automatic_replies),
    Check(
        16, "out_of_office", "sequence_states", "note", _rows_rule("sequence_states", ["pause_reason"], _out_of_office)
    ),
    Check(17, "machine_engagement", "mailings", "watch", _machines),
    Check(18, "blind_mailboxes", "mailboxes", "act", _blind_mailboxes),
    Check(19, "too_early_to_answer", "mailings", "note", _too_early),
    Check(20, "no_time_zone", "prospects", "note", _rows_rule("prospects", _ZONES, _no_zone)),
    Check(22, "calls_without_time", "calls", "note", _rows_rule("calls", _CALLED, _missing(*_CALLED))),
    Check(23, "unknown_call_outcome", "calls", "watch", _rows_rule("calls", ["outcome"], _unknown_outcome)),
    Check(24, "unclear_step_interval", "sequences", "watch", _unclear_intervals),
    Check(25, "moved_on", "sequence_states", "note", _moved_on),
    Check(26, "owner_is_not_sender", "mailings", "note", _other_sender),
    Check(28, "at_the_edge_of_a_week", "mailings", "note", _rows_rule("mailings", ["delivered_at"], _at_weeks_edge)),
    Check(
        29,
        "dated_by_sync",
        "opportunities",
        "note",
        _rows_rule("opportunities", ["external_created_at"], _missing("external_created_at")),
    ),
    Check(
        30, "other_currency", "opportunities", "watch", _rows_rule("opportunities", ["currency_type"], _other_currency)
    ),
    Check(30, "without_amount", "opportunities", "note", _rows_rule("opportunities", ["amount"], _missing("amount"))),
    Check(
        0,
        "not_sent",
        "mailings",
        "note",
        _rows_rule("mailings", _SENDING, _missing(*_SENDING)),
        "in no rate: scheduled, failed or skipped",
    ),
    Check(
        0,
        "replied_before_delivered",
        "mailings",
        "watch",
        _rows_rule("mailings", _EVENT_ORDER, _wrong_order),
        "negative hours_to_reply",
    ),
    Check(0, "after_extraction", "mailings", "act", _from_the_future, "as_of is too early, or clocks disagree"),
    Check(
        0,
        "mail_after_opt_out",
        "mailings",
        "act",
        _after_opt_out,
        "bends no metric, but must not happen: see opt_out_violations()",
    ),
)
"""In order of the traps; T21 and T27, about whole tables, are done where the tables are read."""


EFFECTS = {
    1: "prospect counters restart at the last touch and count events: no rate can be made of them",
    2: "opens divided by deliveries would exceed 100 %; rates count each mailing once",
    3: "opened_at is the latest open: times to first open are upper bounds",
    4: "clicks are anyone's, after forwarding too: no sign of one person's interest",
    5: "delivered and bounced at once would count twice; an answer decides, else the bounce",
    6: "reply rates by mailing, enrollment and prospect differ; name the grain",
    7: "a reply stops one sequence only, and which of them earned it is ambiguous",
    8: "a template's numbers are counted on another template, or restart on a copy",
    9: "counters exceed the rows: mailings were deleted or are not visible",
    10: "one-off mail lifts the rates of people and teams, and belongs to no sequence",
    11: "people are undercounted: mail without a prospect counts as mailings only",
    12: "open and click rates leave untracked mailings out of their denominators",
    13: "which step gets the credit for a reply depends on the rule",
    14: "the enrollment has two outcomes; over time the first one counts",
    15: "opt-outs without a link are in no opt_out_rate: it is too low",
    16: "out-of-office answers may count as replies: reply rates are too high",
    17: "open and click rates are too high: machines open and click too",
    18: "replies and bounces go unseen: rates fall without a cause",
    19: "too early to have been answered: the latest weeks look worst",
    20: "no usable time zone: local send times fall back on a default",
    21: "instants without a zone were read as UTC and may be hours off",
    22: "calls without a time of their own are left out; created_at is the time of logging",
    23: "outcomes in another spelling: connect rates miss them",
    24: "step intervals fit neither seconds nor minutes: step spacing is unknown",
    25: "an enrollment's step is where it is now: funnels must come from mailings, calls and tasks",
    26: "owner now is not the sender then: credit by owner shifts afterward",
    27: "rows that came twice would count twice",
    28: "the week depends on the zone: cohorts shift at the edges",
    29: "opportunities dated by their arrival in Outreach: attribution windows shift",
    30: "amounts in several currencies cannot be added, and a missing amount is not 0",
}
"""What each trap does to the metrics, by its number: 5 for ``T5``."""
