"""Cohorts: whether enrolments of later weeks do better, once they have had the same time."""

import warnings
from typing import Any

import narwhals as nw
import pandas as pd
from narwhals.typing import IntoFrameT

from outreach_frames.errors import DataError
from outreach_frames.stats._calendar import DAY, with_local, with_periods
from outreach_frames.stats._call import Call, Instant
from outreach_frames.stats._engines import join, tidied
from outreach_frames.stats.attachments import attach
from outreach_frames.stats.flags import SENDING
from outreach_frames.stats.intervals import with_rates
from outreach_frames.stats.survival import first_events
from outreach_frames.stats.traps import ImmatureCohortWarning

_EVENT_AT = {"reply": "reply_at", "opt_out": "opt_out_at", "bounce": "bounce_at", "contact": "contact_at"}
_WEEK = 7 * DAY


def cohort_matrix(
    sequence_states: IntoFrameT,
    mailings: IntoFrameT,
    *,
    event: str = "reply",
    freq: str = "W-MON",
    weeks: int = 8,
    tz: str = "UTC",
    bounce_policy: str = "reply_wins",
    ci: float = 0.95,
    as_of: Instant | None = None,
) -> IntoFrameT:
    """
    Follow enrolments by the week they were created in.

    A cohort is an ISO week of ``created_at``. ``rate`` in week k = enrolments with a first event less than 7(k + 1)
    days after their creation / **all** enrolments of the cohort; it is cumulative.

    Parameters
    ----------
    sequence_states
        Enrolments: ``id``, ``created_at``.
    mailings
        ``id``, ``sequence_state_id``, ``delivered_at``, ``bounced_at``, ``replied_at``, ``unsubscribed_at``.
    event
        ``"reply"``, ``"opt_out"`` (by link), ``"bounce"`` or ``"contact"`` (first delivered mailing).
    freq
        ``"W-MON"``: weeks that begin on Monday.
    weeks
        How many weeks to follow [weeks].
    tz
        IANA zone of the weeks.
    bounce_policy
        See `mailing_flags`.
    ci
        Confidence level.
    as_of
        When the data were extracted; default: what the frames' records say. Later events and enrolments are not seen.

    Returns
    -------
    cohorts : frame of the caller's kind, one row per cohort and week, sorted
        ``cohort_week`` (its Monday), ``week`` (k, from 0), ``enrolments``, ``events``, ``rate`` with ``_n``, ``_lo``,
        ``_hi``, ``mature``. A cell is mature when even the youngest enrolment has had its 7(k + 1) days at ``as_of``;
        an immature one has its count so far, and no rate. In pandas, `attached` gives the ``"wide"`` table of rates.

    Raises
    ------
    MissingColumnError
        A column is absent.
    DataError
        ``as_of`` is unknown or later than the extraction; an unknown event, frequency or zone; no weeks.

    Warns
    -----
    ImmatureCohortWarning
        No cohort has had even its first week.

    Notes
    -----
    Left out and counted: enrolments without ``created_at`` or created after ``as_of``. Interval: Wilson. Definition:
    this project's metric dictionary, part 2.9.
    """
    if event not in _EVENT_AT or freq != "W-MON" or weeks < 1:
        raise DataError(
            f"There are no cohorts of event {event!r} by {freq!r} over {weeks} weeks.",
            hint=f'Events are {", ".join(_EVENT_AT)}; freq is "W-MON"; weeks is at least 1.',
        )
    call = Call("cohort_matrix", event=event, freq=freq, weeks=weeks, tz=tz, bounce_policy=bounce_policy, ci=ci)
    states = call.read("sequence_states", sequence_states, ["id", "created_at"])
    mail = call.read("mailings", mailings, ["id", "sequence_state_id", *SENDING, "unsubscribed_at"])
    now = call.instant(as_of)

    states = call.drop(states, "enrolment without created_at", ~nw.col("created_at").is_null())
    states = call.drop(states, "enrolment created after as_of", nw.col("created_at") <= now)
    states = with_periods(with_local(states, "created_at", zones=[tz]), ["week"])
    enrolled = mail.filter(~nw.col("sequence_state_id").is_null())
    firsts = first_events(enrolled, now, bounce_policy).rename({"sequence_state_id": "id"})
    cells = _cells(join(states, firsts, "id"), _EVENT_AT[event], weeks, now)
    table = with_rates(cells, {"rate": ("events", "enrolments")}, ci=ci).with_columns(
        nw.when(nw.col("mature")).then(nw.col(name)).alias(name) for name in ("rate", "rate_lo", "rate_hi")
    )
    keys = ["cohort_week", "week"]
    columns = [*keys, "enrolments", "events", "rate", "rate_n", "rate_lo", "rate_hi", "mature"]
    result: IntoFrameT = call.write(tidied(table).select(*columns), sort=keys, days=["cohort_week"])
    if isinstance(result, pd.DataFrame):
        _finish(result)
    return result


def _cells(enrolments: nw.LazyFrame[Any], event_at: str, weeks: int, now: int) -> nw.LazyFrame[Any]:
    """Count by cohort and week; each week is a column first, so that the rows are gone through once."""
    waited = (nw.col(event_at) - nw.col("created_at")).fill_null(now)
    counted = enrolments.with_columns(
        *((waited < _WEEK * (week + 1)).cast(nw.Int64).alias(f"events_{week}") for week in range(weeks)),
        enrolments=nw.col("created_at") * 0 + 1,
    )
    cohorts = counted.group_by("week").agg(
        *(nw.col(f"events_{week}").sum() for week in range(weeks)),
        nw.col("enrolments").sum(),
        nw.col("created_at").max(),
    )
    return nw.concat(
        [
            cohorts.select(
                "enrolments",
                cohort_week=nw.col("week"),
                week=nw.col("week") * 0 + week,
                events=nw.col(f"events_{week}"),
                mature=nw.col("created_at") + _WEEK * (week + 1) <= now,
            )
            for week in range(weeks)
        ],
        how="vertical",
    )


def _finish(result: pd.DataFrame) -> None:
    """Attach the wide table, and warn where it has nothing in it."""
    wide = result.pivot_table(index="cohort_week", columns="week", values="rate", dropna=False, observed=False)
    flat = wide.rename(columns=str).reset_index()
    attach(result, "wide", flat.assign(cohort_week=[day.isoformat() for day in flat["cohort_week"]]))
    if len(result) and not result["mature"].any():
        cohorts = result["cohort_week"].nunique()
        message = f"All {cohorts} cohort(s) are younger than a week; no rate can be given yet."
        warnings.warn(ImmatureCohortWarning(message), stacklevel=3)
