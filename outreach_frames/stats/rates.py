"""
Engagement: what was sent, arrived, and was opened, clicked, answered or opted out of.

Rates count mailings (each at most once), people or enrolments, never events: the sum of opens over deliveries can
exceed 100 %.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import narwhals as nw
from narwhals.typing import IntoFrameT

from outreach_frames.errors import DataError
from outreach_frames.stats._calendar import PERIODS, with_local, with_periods
from outreach_frames.stats._call import Call, Instant, to_micros
from outreach_frames.stats._engines import column_names, join, small_table
from outreach_frames.stats._tally import (
    MEDIAN,
    RATES,
    count_distinct,
    engagement_columns,
    engagement_parts,
    stack,
    with_missing,
)
from outreach_frames.stats._touches import CALL_COLUMNS, outbound_calls
from outreach_frames.stats.flags import ENGAGEMENT, with_flags
from outreach_frames.stats.intervals import with_rates

CLOSED_STATES = ("finished", "opted_out")
"""States that end an enrolment; Outreach's interface treats every other one as active."""


def engagement(
    mailings: IntoFrameT,
    *,
    by: str | Sequence[str] | None = None,
    include_unsequenced: bool = False,
    bounce_policy: str = "reply_wins",
    ci: float = 0.95,
    method: str = "wilson",
    tz: str = "UTC",
    as_of: Instant | None = None,
) -> IntoFrameT:
    """
    Count mailings and their outcomes, with rates and intervals, over all mail or by group.

    ``delivery_rate`` = delivered / sent; ``bounce_rate`` = bounced / sent; ``open_rate`` = opened / delivered with open
    tracking; ``click_rate`` = clicked / delivered with click tracking; ``click_to_open_rate`` = opened and clicked /
    opened with click tracking; ``reply_rate`` = replied / delivered; ``opt_out_rate`` = opted out by link / delivered;
    ``prospect_reply_rate`` = people who replied / people with a delivered mailing; ``enrolment_reply_rate`` =
    enrolments with a reply / enrolments with a delivered mailing.

    Parameters
    ----------
    mailings
        One row per mailing: the columns of `mailing_flags` without ``marked_as_spam_at``, and ``prospect_id``,
        ``sequence_state_id``.
    by
        Columns to group by. Besides columns: ``"day"``, ``"week"`` (ISO, its Monday) and ``"month"`` of sending, which
        leave out what was never sent; ``"origin"``, that is ``"sequence"`` or the ``mailing_type`` of other mail.
    include_unsequenced
        Keep rows whose key is missing, such as one-off mail by ``sequence_id``, as a group of their own. Without
        ``by``, all mail counts.
    bounce_policy
        See `mailing_flags`.
    ci
        Confidence level of the intervals.
    method
        ``"wilson"``: score interval without continuity correction.
    tz
        IANA zone of calendar groups.
    as_of
        When the data were extracted; kept in the record only.

    Returns
    -------
    engagement : frame of the caller's kind, one row per group, sorted by key
        Keys; counts ``mailings, sent, bounced, delivered, open_base, opened, click_base, clicked, replied, opted_out,
        opens_total, clicks_total, opened_clicked, prospects_replied, enrolments_replied``; each rate with ``_n``,
        ``_lo``, ``_hi`` (fractions; missing where the denominator is 0); ``hours_to_reply_median`` [h], over replied
        mailings with a delivery time. Without ``by`` there is always one row.

    Raises
    ------
    MissingColumnError
        A column is absent.
    DataError
        A wrong dtype, an id that occurs twice, an unknown policy, method or zone.

    Notes
    -----
    Not counted: scheduled and failed mail in any rate; mail to nobody known in people; one-off mail in enrolments;
    manual opt-outs in ``opt_out_rate``. Opens and clicks include machines. Interval: Wilson (1927), see `intervals`.
    Definitions: this project's metric dictionary, parts 1.3, 2.1 and 2.2.
    """
    _check_method(method)
    keys = _keys(by)
    call = Call(
        "engagement", by=keys, include_unsequenced=include_unsequenced, bounce_policy=bounce_policy, ci=ci, tz=tz
    )
    frame, days = _read_keyed(call, mailings, keys, bounce_policy, tz)
    call.look(as_of)
    if not include_unsequenced:
        for key in keys:
            frame = call.drop(frame, f"{key} missing", ~nw.col(key).is_null())
    if keys:
        parts = engagement_parts(frame, keys)
    else:
        one = frame.select(everything=(nw.len() * 0).cast(nw.Int64))  # a row, even where there is no mail
        parts = [one, *engagement_parts(frame.with_columns(everything=nw.lit(0, dtype=nw.Int64)), ["everything"])]
    table = with_rates(stack(parts, keys or ["everything"], medians=[MEDIAN]), RATES, ci=ci)
    result: IntoFrameT = call.write(
        table.select(*keys, *engagement_columns()),
        sort=keys,
        days=days,
        instants=[key for key in keys if key.endswith("_at")],
    )
    return result


def sequence_engagement(
    mailings: IntoFrameT,
    sequences: IntoFrameT,
    *,
    sequence_states: IntoFrameT | None = None,
    calls: IntoFrameT | None = None,
    alias: Mapping[int, int] | None = None,
    since: Instant | None = None,
    until: Instant | None = None,
    bounce_policy: str = "reply_wins",
    ci: float = 0.95,
    as_of: Instant | None = None,
) -> IntoFrameT:
    """
    Measure engagement by sequence; sequences without mail stay, with missing rates.

    The rates are those of `engagement`; ``enrolment_reply_rate`` is the headline, since adding steps does not lower it.

    Parameters
    ----------
    mailings
        As for `engagement`, with ``sequence_id``.
    sequences
        ``id`` and ``name``: the sequences to report on. Mail of others, and one-off mail, is left out and counted.
    sequence_states
        Enrolments: ``id``, ``sequence_id``, ``state``.
    calls
        ``id``, ``sequence_id``, ``prospect_id``, ``direction``, ``dialed_at``, ``answered_at``, ``completed_at``.
    alias
        Sequence id → id of the sequence to count it under, to pool copies, whose counters start empty.
    since, until
        Mail sent, and calls made, at or after ``since`` and before ``until``. The time of sending is ``delivered_at``,
        else ``bounced_at``, else ``replied_at``, so that bounces stay in; with either, unsent mail is left out.
    bounce_policy, ci
        See `engagement`.
    as_of
        When the data were extracted; kept in the record only.

    Returns
    -------
    engagement : frame of the caller's kind, one row per sequence, sorted by ``sequence_id``
        ``sequence_id``, ``name``, the columns of `engagement`, ``enrolments`` and ``open_enrolments`` (neither
        finished nor opted out; of all time, whatever ``since``), ``contacted_any`` [people with a delivered mailing or
        an outbound call of the sequence]. The last three are missing where their frame was not given.

    Raises
    ------
    MissingColumnError
        A column is absent.
    DataError
        A wrong dtype, an id that occurs twice, frames of two kinds.

    Notes
    -----
    Interval: Wilson. Definitions: this project's metric dictionary, parts 2.2 and 3.
    """
    call = Call("sequence_engagement", alias=alias, since=since, until=until, bounce_policy=bounce_policy, ci=ci)
    columns = ["id", "sequence_id", "sequence_state_id", "prospect_id", *ENGAGEMENT]
    mail = with_flags(call.read("mailings", mailings, columns), bounce_policy)
    listed = call.read("sequences", sequences, ["id", "name"]).select("name", sequence_id=nw.col("id"))
    listed = call.drop(listed, "sequence counted under its alias", ~nw.col("sequence_id").is_in(list(alias or {})))
    call.look(as_of)

    mail = call.drop(mail, "mailing of no sequence", ~nw.col("sequence_id").is_null())
    mail = _listed_only(call, _aliased(mail, alias), listed, "mailing of a sequence that is not listed")
    mail = _sent_between(call, mail, "sent_at", since, until)
    key = ["sequence_id"]
    parts = [listed.select("sequence_id"), *engagement_parts(mail, key)]
    if sequence_states is not None:
        states = call.read("sequence_states", sequence_states, ["id", "sequence_id", "state"])
        parts.append(_enrolments(_listed_only(call, _aliased(states, alias), listed, "enrolment in another sequence")))
    if calls is not None:
        called = outbound_calls(call.read("calls", calls, ["sequence_id", *CALL_COLUMNS]))
        called = _sent_between(call, _aliased(called, alias), "called_at", since, until)
        called = join(called, listed.select("sequence_id"), "sequence_id", how="semi")
        emailed = mail.filter(nw.col("is_delivered"))
        met = nw.concat([frame.select("sequence_id", "prospect_id") for frame in (emailed, called)], how="vertical")
        parts.append(count_distinct(met, key, "prospect_id", "contacted_any"))
    table = join(with_rates(stack(parts, key, medians=[MEDIAN]), RATES, ci=ci), listed, "sequence_id")
    extra = ["enrolments", "open_enrolments", "contacted_any"]
    table = with_missing(table, extra, like="mailings")
    result: IntoFrameT = call.write(table.select("sequence_id", "name", *engagement_columns(), *extra), sort=key)
    return result


def _check_method(method: str) -> None:
    if method != "wilson":
        raise DataError(f"There is no interval method {method!r}.", hint='Use "wilson".')


def _keys(by: str | Sequence[str] | None) -> list[str]:
    return [by] if isinstance(by, str) else list(by or ())


def _read_keyed(
    call: Call, mailings: Any, keys: Sequence[str], bounce_policy: str, tz: str
) -> tuple[nw.LazyFrame[Any], list[str]]:
    """Read mailings with flags and keys; also tell which keys are days."""
    columns = ["id", "prospect_id", "sequence_state_id", *ENGAGEMENT]
    present = set(column_names(mailings)) if keys else set()
    computed = [key for key in keys if key in {*PERIODS, "origin"} and key not in present]
    if "origin" in computed:
        columns += ["sequence_id", "mailing_type"]
    frame = with_flags(
        call.read("mailings", mailings, [*columns, *(k for k in keys if k not in computed)]), bounce_policy
    )
    if "origin" in computed:
        other = nw.col("mailing_type").fill_null("single")
        frame = frame.with_columns(
            origin=nw.when(nw.col("sequence_id").is_null()).then(other).otherwise(nw.lit("sequence"))
        )
    days = [key for key in computed if key in PERIODS]
    if days:
        frame = call.drop(frame, "mailing never sent", nw.col("is_sent"))
        frame = with_local(frame, "sent_at", zones=[tz])
        frame = with_periods(frame, days)
    return frame, days


def _aliased(frame: nw.LazyFrame[Any], alias: Mapping[int, int] | None) -> nw.LazyFrame[Any]:
    if not alias:
        return frame
    table = small_table(frame, {"sequence_id": list(alias), "counted_under": list(alias.values())})
    joined = join(frame, table, "sequence_id")
    return joined.with_columns(sequence_id=nw.coalesce("counted_under", "sequence_id")).drop("counted_under")


def _listed_only(call: Call, frame: nw.LazyFrame[Any], listed: nw.LazyFrame[Any], reason: str) -> nw.LazyFrame[Any]:
    marked = join(frame, listed.select("sequence_id", is_listed=nw.col("sequence_id")), "sequence_id")
    return call.drop(marked, reason, ~nw.col("is_listed").is_null()).drop("is_listed")


def _sent_between(
    call: Call, frame: nw.LazyFrame[Any], instant: str, since: Instant | None, until: Instant | None
) -> nw.LazyFrame[Any]:
    if since is not None:
        frame = call.drop(frame, "before since, or never sent", (nw.col(instant) >= to_micros(since)).fill_null(False))
    if until is not None:
        frame = call.drop(
            frame, "not before until, or never sent", (nw.col(instant) < to_micros(until)).fill_null(False)
        )
    return frame


def _enrolments(states: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    closed = nw.col("state").is_in(CLOSED_STATES).fill_null(False)
    counted = states.with_columns(enrolments=closed.cast(nw.Int64) * 0 + 1, open_enrolments=1 - closed.cast(nw.Int64))
    return counted.group_by("sequence_id").agg(nw.col("enrolments").sum(), nw.col("open_enrolments").sum())
