"""
Trends: a rate, or the number of meetings, by day, week, month or quarter.

The latest periods are not finished: replies to what was sent in them are still to come. They are marked, so that nobody
reads them as a fall.
"""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
from scipy.stats import chi2

from outreach_frames.errors import DataError
from outreach_frames.metrics import RATES
from outreach_frames.stats._aggregate import MATURE_D
from outreach_frames.stats._pandas import float_column
from outreach_frames.stats._period_words import local_micros
from outreach_frames.stats._statistic import StatContext, record_of
from outreach_frames.stats._timestamps import DAY, PERIODS, Instant, with_local, with_periods
from outreach_frames.stats._validation import choice, words
from outreach_frames.stats.calls import MEETING_WORDS, read_calls
from outreach_frames.stats.engagement_rates import engagement
from outreach_frames.stats.power import whole_column

_MEETINGS = "meetings"
_PERIOD_OF = {"day": "D", "week": "W-SUN", "month": "M", "quarter": "Q-DEC"}


def trend(
    mailings: pd.DataFrame,
    *,
    calls: pd.DataFrame | None = None,
    call_dispositions: pd.DataFrame | None = None,
    metric: str = "reply_rate",
    by: str = "week",
    mature_d: float = MATURE_D,
    meeting_words: str | Sequence[str] = MEETING_WORDS,
    tz: str = "UTC",
    bounce_policy: str = "reply_wins",
    ci: float = 0.95,
    cluster: str | None = "auto",
    as_of: Instant | None = None,
) -> pd.DataFrame:
    """
    Follow a rate of `engagement`, or the number of meetings, from period to period.

    Parameters
    ----------
    mailings
        As for `engagement`.
    calls, call_dispositions
        For ``"meetings"``: as for the function `meetings`.
    metric
        A rate of `engagement`; or ``"meetings"``, calls that led to a meeting, by the time of the call.
    by
        ``"day"``, ``"week"`` (from Monday), ``"month"`` or ``"quarter"`` of sending, or of the call.
    mature_d
        A period is mature when so much time has passed since its end [d], in which nearly all replies come. Meetings
        need none: their periods are mature at their end.
    meeting_words
        A disposition or tag that contains one of these, in upper or lower case, is a meeting's.
    tz
        IANA zone of the periods.
    bounce_policy, cluster
        See `engagement`.
    ci
        Confidence level.
    as_of
        When the data were extracted; default: what the frame's record says.

    Returns
    -------
    trend : DataFrame, one row per period from the first to the last with data, in order
        The period by its first day; the metric with ``_n`` (denominator; none for meetings), ``_lo``, ``_hi``, missing
        without trials; ``mature``. A period without mail has a row; one
        without a meeting has 0.

    Raises
    ------
    MissingColumnError
        A column listed above is absent.
    DataError
        An unknown metric or period; calls are not given where they are needed; nobody knows when the data were
        extracted.

    Notes
    -----
    A rate is that of what was sent in a period, whenever the answer came. Interval of rates: Wilson's with the design
    effect of clusters, as in `engagement`; of meetings: the exact one of a Poisson count (F. Garwood, Biometrika 28
    (1936) 437–442), which takes meetings as independent.

    Examples
    --------
    >>> weeks = stats.trend(mailings, by="month")
    >>> weeks[["month", "reply_rate_n", "mature"]].tail(2).astype(str).to_dict("records")
    [{'month': '2026-02-01', 'reply_rate_n': '486', 'mature': 'True'},
    {'month': '2026-03-01', 'reply_rate_n': '426', 'mature': 'False'}]
    """
    choice("period", by, PERIODS)
    choice("metric of a trend", metric, [*RATES, _MEETINGS])
    call = StatContext(
        "trend", metric=metric, by=by, mature_d=mature_d, tz=tz, bounce_policy=bounce_policy, ci=ci, cluster=cluster
    )
    options: dict[str, Any] = {"tz": tz, "as_of": as_of}
    if metric == _MEETINGS:
        counted = _meetings(call, calls, call_dispositions, words("meeting_words", meeting_words))
    else:
        rates = engagement(mailings, by=by, bounce_policy=bounce_policy, ci=ci, cluster=cluster, **options)
        record = record_of(rates)
        call.rows_in |= record["rows_in"]
        call.dropped |= record["dropped"]
        call.assumed |= record["assumed"]
        call.clusters |= {name: note for name, note in record.get("clusters", {}).items() if name == metric}
        counted = rates[[by, *(f"{metric}{end}" for end in ("", "_n", "_lo", "_hi"))]]
    source = calls if metric == _MEETINGS else mailings
    call._extracted += [] if (extracted := record_of(source).get("as_of")) is None else [extracted]  # noqa: SLF001
    now = call.instant(as_of)
    table = _without_gaps(counted, by)
    wait = 0 if metric == _MEETINGS else int(mature_d * DAY)
    ends = [local_micros((period + 1).start_time, tz) + wait for period in _periods(table[by], by)]
    if metric == _MEETINGS:
        table = _with_counts(table, ci)
    return call.finish(table.assign(mature=pd.array([end <= now for end in ends], dtype="bool[pyarrow]")))


def _meetings(call: StatContext, calls: Any, call_dispositions: Any, sought: Sequence[str]) -> pd.DataFrame:
    """Count the calls that led to a meeting, by period; periods with calls and no meeting have 0."""
    if calls is None:
        raise DataError(
            "A trend of meetings needs calls.", hint='Pass calls=, or a snapshot: trend(snapshot, metric="meetings").'
        )
    by, tz = str(call.parameters["by"]), str(call.parameters["tz"])
    read = read_calls(call, calls, call_dispositions, sought)
    read = read.with_columns(called_at=nw.coalesce("dialed_at", "answered_at", "completed_at"))
    read = call.drop(read, "call without a time", ~nw.col("called_at").is_null())
    placed = with_periods(with_local(read, "called_at", zones=[tz]), [by])
    counts = call.table(placed.select(by, nw.col("is_meeting").cast(nw.Int64))).groupby(by)["is_meeting"].sum()
    first_days = [date(1970, 1, 1) + timedelta(days=int(day)) for day in counts.index]
    return pd.DataFrame({by: first_days, _MEETINGS: counts.to_numpy(dtype=np.int64)})


def _periods(first_days: "pd.Series[Any]", by: str) -> list[pd.Period]:
    return [pd.Period(day, freq=_PERIOD_OF[by]) for day in first_days]


def with_cut_periods(trend: pd.DataFrame, bounds: tuple[int | None, int | None], tz: str) -> pd.DataFrame:
    """Mark the periods of a trend that reach beyond bounds [µs since 1970] as not mature: a part of each is missing."""
    since, until = bounds
    by = str(trend.columns[0])
    ends = [
        (local_micros(each.start_time, tz), local_micros((each + 1).start_time, tz)) for each in _periods(trend[by], by)
    ]
    whole = [(since is None or low >= since) and (until is None or high <= until) for low, high in ends]
    return trend.assign(mature=trend["mature"] & pd.array(whole, dtype="bool[pyarrow]"))


def _without_gaps(counted: pd.DataFrame, by: str) -> pd.DataFrame:
    """Add the periods in which nothing happened."""
    present = _periods(counted[by], by)
    if not present:
        return counted
    whole = pd.period_range(min(present), max(present), freq=_PERIOD_OF[by])
    table = counted.set_index(pd.PeriodIndex(present)).reindex(whole).reset_index(drop=True)
    table[by] = pd.array([period.start_time.date() for period in whole], dtype="date32[pyarrow]")
    count = next(name for name in table.columns if name == _MEETINGS or name.endswith("_n"))
    table[count] = whole_column(table[count].fillna(0).to_numpy(dtype=np.float64))
    return table


def _with_counts(table: pd.DataFrame, ci: float) -> pd.DataFrame:
    """Add Garwood's interval of each count."""
    x, tail = table[_MEETINGS].to_numpy(dtype=np.float64), (1 - ci) / 2
    low, high = chi2.ppf(tail, 2 * np.maximum(x, 1)) / 2 * (x > 0), chi2.ppf(1 - tail, 2 * (x + 1)) / 2
    ends = {f"{_MEETINGS}_lo": low, f"{_MEETINGS}_hi": high}
    return table.assign(**{name: float_column(np.asarray(end)) for name, end in ends.items()})
