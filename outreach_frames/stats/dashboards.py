"""
Outreach's dashboard against the rates: it counts the same rows, but divides by other numbers.

Each step of `dashboard_comparison` changes one thing.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import pandas as pd
import pyarrow as pa

from outreach_frames.metrics import RATES
from outreach_frames.stats._aggregate import MATURE_D, MEDIAN, engagement_parts, grouping, note_unknown, stack
from outreach_frames.stats._backends import wrap
from outreach_frames.stats._pandas import Flags, flags, frame_of_rows, read, read_mailings, table, write
from outreach_frames.stats._statistic import StatContext
from outreach_frames.stats._timestamps import Instant
from outreach_frames.stats.replies import with_automatic

START = "as Outreach's dashboard counts"
"""The first step toward a rate of ours."""

_CONTACTED, _REPLIED = "num_contacted_prospects", "num_replied_prospects"

_RECONCILIATION_RESULT = {
    "metric": pa.string(),
    "step": pa.string(),
    "grain": pa.string(),
    "numerator": pa.int64(),
    "denominator": pa.int64(),
    "rate": pa.float64(),
    "meaning": pa.string(),
}


_Fraction = tuple[int | None, int | None]
"""Numerator and denominator, where they are known."""


class _Step(NamedTuple):
    """A figure on the way: its name, what is counted, numerator and denominator, and what it changes."""

    name: str
    grain: str
    numerator: int | None
    denominator: int | None
    meaning: str


def dashboard_comparison(
    mailings: pd.DataFrame,
    *,
    sequences: pd.DataFrame | None = None,
    sequence_states: pd.DataFrame | None = None,
    bounce_policy: str = "reply_wins",
    as_of: Instant | None = None,
) -> pd.DataFrame:
    """
    Explain the difference between the rates of Outreach's dashboard and those of `engagement`, one change at a time.

    `reconcile_counters` can find that all of Outreach's counters agree with the mailings while the rates differ: the
    counters count the same mail, but Outreach divides by other numbers. It divides per mail, where a reply rate here is
    per enrollment or per person; it keeps mail in the base whose opens are not tracked, or that bounced after delivery;
    and it looks at sequences only, where an open rate here is that of all mail.

    Parameters
    ----------
    mailings
        As for `engagement`. Mail with an enrollment, or with a ``sequence_id`` where the frame has one, is that of
        sequences; other mail is one-off.
    sequences
        ``num_contacted_prospects``, ``num_replied_prospects``: Outreach's own counters of people, summed.
    sequence_states
        Enrollments: ``id``, ``state``; they tell which answers look automatic.
    bounce_policy
        See `mailing_flags`.
    as_of
        When the data were extracted; default: what the frames' records say, else the latest event in ``mailings``.

    Returns
    -------
    comparison : DataFrame, one row for each step, in order
        ``metric`` (the rate of ours that the steps lead to: ``open_rate``, ``enrollment_reply_rate``,
        ``enrollment_reply_rate_strict``, ``enrollment_reply_rate_14d``, ``prospect_reply_rate``), ``step``, ``grain``
        (what is counted: "mailing", "enrollment", "prospect in a sequence", "prospect"), ``numerator``,
        ``denominator``,
        ``rate`` (after the step; a fraction), ``meaning`` (a sentence that tells what the step changes). The last row
        of a metric is `engagement`'s own rate over all mail; that of ``enrollment_reply_rate_strict`` is
        `sequence_engagement`'s, over all sequences. The counts of a step are missing where the frame or column that
        tells them was not given, and a rate over nothing is missing.

    Raises
    ------
    MissingColumnError
        A column of mailings or sequence_states is absent.
    DataError
        A wrong dtype, an id that occurs twice, something else than a pandas frame.

    Notes
    -----
    The first rows are as Outreach's help describes its reports; their printed formulas were not seen word for word. The
    figures of mail are made of the mailings by the counters' definitions (delivered: ``delivered_at`` is set; opened:
    ``opened_at`` or ``open_count``; replied: ``replied_at``), so that they equal the counters' where
    `reconcile_counters` says so; they exceed 1 where more mail was answered than has a time of delivery. Whether
    Outreach sets ``replied_at`` at an automatic answer is not known: whatever sets it is a reply in both, until
    ``enrollment_reply_rate_strict``. Running enrollments are in both, until ``enrollment_reply_rate_14d``. Definitions:
    `outreach_frames.metrics`.

    Examples
    --------
    >>> bridge = stats.dashboard_comparison(mailings, sequences=sequences)
    >>> opens = bridge[bridge["metric"] == "open_rate"]
    >>> opens[["step", "numerator", "denominator"]].to_dict("records")
    [{'step': "as Outreach's dashboard counts", 'numerator': 994, 'denominator': 2064},
    {'step': 'tracked mail only', 'numerator': 994, 'denominator': 1899},
    {'step': 'late bounces', 'numerator': 994, 'denominator': 1879},
    {'step': 'one-off mail', 'numerator': 1078, 'denominator': 1993}]
    """
    call = StatContext("dashboard_comparison", bounce_policy=bounce_policy)
    columns = ["prospect_id", "sequence_state_id"]
    mail = read_mailings(call, mailings, columns, optional=["sequence_id"], bounce_policy=bounce_policy)
    contacted = _counters(call, sequences)
    if sequence_states is not None:
        states = read(call, "sequence_states", sequence_states, ["id", "state"])
        mail = table(with_automatic(wrap(mail), wrap(states)))
    call.optional_instant(as_of)
    note_unknown(call, wrap(mail))
    counted, ours = _Mail(mail, knows_sequences="sequence_id" in mailings.columns), _ours(mail, call.as_of)
    steps = {"open_rate": _opens(counted, ours), **_replies(counted, ours)}
    steps["prospect_reply_rate"] = _people_steps(counted, ours, contacted)
    rows = [_step_row(metric, step) for metric, chain in steps.items() for step in chain]
    return write(call, frame_of_rows(rows, _RECONCILIATION_RESULT))


def _counters(call: StatContext, sequences: pd.DataFrame | None) -> _Fraction:
    """Sum Outreach's counters of people who replied and were contacted, over the sequences that have both."""
    if sequences is None:
        return None, None
    counters = read(call, "sequences", sequences, ["id"], optional=[_REPLIED, _CONTACTED])
    complete = counters[[_REPLIED, _CONTACTED]].dropna()
    return (int(complete[_REPLIED].sum()), int(complete[_CONTACTED].sum())) if len(complete) else (None, None)


def _ours(mail: pd.DataFrame, as_of: str | None) -> dict[str, _Fraction]:
    """Count numerator and denominator of each rate of `engagement`, over all mail."""
    frame, keys, parts = grouping(wrap(mail), [])
    counts = table(stack([*parts, *engagement_parts(frame, keys, as_of=as_of)], keys, medians=[MEDIAN])).iloc[0]
    return {metric: (int(counts[part]), int(counts[base])) for metric, (part, base) in RATES.items()}


class _Mail:
    """Mailings with their flags, and ways to count those of sequences."""

    def __init__(self, mail: pd.DataFrame, *, knows_sequences: bool) -> None:
        self.frame = mail
        self.knows_sequences = knows_sequences
        self.sequenced = self.has("sequence_state_id") | self.has("sequence_id")
        self.delivered, self.arrived = self.has("delivered_at"), flags(mail["is_delivered"])
        self.replied, self.answered = self.has("replied_at"), flags(mail["is_replied"])

    def has(self, column: str) -> Flags:
        """Tell which mailings have a value."""
        return flags(self.frame[column].notna())

    def mails(self, numerator: Flags, denominator: Flags) -> _Fraction:
        """Count mails of sequences."""
        return int((self.sequenced & numerator).sum()), int((self.sequenced & denominator).sum())

    def distinct(self, who: list[str], numerator: Flags, denominator: Flags) -> _Fraction:
        """Count distinct people or enrollments, those not known left out."""
        successes, base = (
            len(self.frame.loc[chosen, who].dropna().drop_duplicates()) for chosen in (numerator, denominator)
        )
        return successes, base

    def people_by_sequence(self, numerator: Flags, denominator: Flags) -> _Fraction:
        """Count people once in each sequence."""
        if not self.knows_sequences:
            return None, None
        return self.distinct(["prospect_id", "sequence_id"], numerator, denominator)

    def late_bounces(self, within: Flags | None = None) -> str:
        """Tell what changes where bounces are taken out of what was delivered, among some of the mails."""
        counted = self.sequenced if within is None else self.sequenced & within
        removed, come = counted & self.delivered & ~self.arrived, counted & self.arrived & ~self.delivered
        added = f", and adds answered mail without a time of delivery ({_mails(come)})" if come.any() else ""
        return (
            f"Takes out mail that bounced after delivery ({_mails(removed)}){added}. "
            "Opens and answers count only of mail that arrived."
        )

    def one_off(self, within: Flags | None = None) -> str:
        """Tell what changes where mail outside of sequences counts, among some of the mails."""
        come = self.arrived & ~self.sequenced if within is None else self.arrived & ~self.sequenced & within
        return f"Adds mail outside of sequences ({_mails(come)})."


def _opens(mail: _Mail, ours: Mapping[str, _Fraction]) -> list[_Step]:
    opened = mail.has("opened_at") | flags(mail.frame["opens_total"] > 0)
    tracked = flags(mail.frame["track_opens"].fillna(value=True))
    of_tracked = mail.mails(flags(mail.frame["is_opened"]), flags(mail.frame["is_open_tracked"]))
    return [
        _Step(
            START,
            "mailing",
            *mail.mails(opened, mail.delivered),
            "As Outreach's help describes it: mails of sequences opened / delivered. Opens by machines count, here and "
            "in the steps that follow.",
        ),
        _Step(
            "tracked mail only",
            "mailing",
            *mail.mails(opened & tracked, mail.delivered & tracked),
            f"Leaves out mail whose opens are not tracked ({_mails(mail.sequenced & mail.delivered & ~tracked)}): "
            "whether it was opened is not known.",
        ),
        _Step("late bounces", "mailing", *of_tracked, mail.late_bounces(tracked)),
        _Step("one-off mail", "mailing", *ours["open_rate"], mail.one_off(tracked)),
    ]


def _replies(mail: _Mail, ours: Mapping[str, _Fraction]) -> dict[str, list[_Step]]:
    per_enrollment, in_time = ours["enrollment_reply_rate"], ours["enrollment_reply_rate_14d"]
    reached = _Step("enrollment_reply_rate", "enrollment", *per_enrollment, "As above.")
    return {
        "enrollment_reply_rate": [
            _Step(
                START,
                "mailing",
                *mail.mails(mail.replied, mail.delivered),
                "As Outreach's help describes it: mails of sequences answered / delivered. What Outreach took for a "
                "reply counts, automatic answers too; so do running enrollments.",
            ),
            _Step("late bounces", "mailing", *mail.mails(mail.answered, mail.arrived), mail.late_bounces()),
            _Step(
                "each enrollment once",
                "enrollment",
                *per_enrollment,
                "Counts enrollments instead of mails: one that got five mails and answered one is one reply of one.",
            ),
        ],
        "enrollment_reply_rate_strict": [reached, _strict_step(mail)],
        "enrollment_reply_rate_14d": [
            reached,
            _Step(
                "running enrollments",
                "enrollment",
                *in_time,
                f"Leaves out enrollments that have not had {MATURE_D} days since their first mail "
                f"({_difference(per_enrollment, in_time):,}; a curve over time, as of reply_within, uses them too), "
                "and answers that took longer, so that new sequences can be compared with old ones.",
            ),
        ],
    }


def _strict_step(mail: _Mail) -> _Step:
    """Leave out automatic replies, where the enrollments show them."""
    counts: _Fraction = (None, None)
    text = ""
    if "is_automatic" in mail.frame.columns:
        automatic = flags(mail.frame["is_automatic"])
        counts = mail.distinct(["sequence_state_id"], mail.answered & ~automatic, mail.arrived)
        text = f" ({_mails(automatic)})"
    meaning = f"Does not take an answer to a paused enrollment within five minutes of delivery for a reply{text}."
    return _Step("automatic replies", "enrollment", *counts, meaning)


def _people_steps(mail: _Mail, ours: Mapping[str, _Fraction], contacted: _Fraction) -> list[_Step]:
    in_sequences = mail.distinct(["prospect_id"], mail.sequenced & mail.answered, mail.sequenced & mail.arrived)
    return [
        _Step(
            START,
            "prospect in a sequence",
            *contacted,
            "As Outreach's help describes it: people replied / contacted, by the sequences' own counters.",
        ),
        _Step(
            "mails at hand",
            "prospect in a sequence",
            *mail.people_by_sequence(mail.replied, mail.delivered),
            "Counts people by these mails: the counters also hold people reached by call only, and mail that is no "
            "longer there.",
        ),
        _Step(
            "late bounces",
            "prospect in a sequence",
            *mail.people_by_sequence(mail.answered, mail.arrived),
            mail.late_bounces(),
        ),
        _Step("each person once", "prospect", *in_sequences, "Counts a person in several sequences once."),
        _Step("one-off mail", "prospect", *ours["prospect_reply_rate"], mail.one_off()),
    ]


def _difference(before: _Fraction, after: _Fraction) -> int:
    return (before[1] or 0) - (after[1] or 0)


def _mails(chosen: Flags) -> str:
    count = int(chosen.sum())
    return f"{count:,} mail{'' if count == 1 else 's'}"


def _step_row(metric: str, step: _Step) -> dict[str, Any]:
    rate = None if step.numerator is None or not step.denominator else step.numerator / step.denominator
    record = {"numerator": step.numerator, "denominator": step.denominator, "rate": rate, "meaning": step.meaning}
    return {"metric": metric, "step": step.name, "grain": step.grain, **record}
