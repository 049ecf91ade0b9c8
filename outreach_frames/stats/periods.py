"""
Comparison of two periods: whether a rate changed, or only the mix of what was counted.

If a sequence that answers often was used more, the total rises although no sequence got better. The change of the total
is split exactly into the effect of the rates and that of the mix.

Notes
-----
E. M. Kitagawa, "Components of a difference between two rates", JASA 50 (1955) 1168–1194. With a group's shares w and
rates r in the two periods: rate effect (r₂ − r₁)(w₁ + w₂)/2, mix effect (w₂ − w₁)(r₁ + r₂)/2. Rates in the latter are
taken relative to the mean of the two totals. That changes no sum, as the changes of the shares add up to 0, and tells
who moved the total: a group that grew helps only if it is better than the whole.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import partial, reduce
from typing import Any

import numpy as np
import pandas as pd

from outreach_frames._frame_kinds import pandas_from
from outreach_frames.errors import DataError
from outreach_frames.stats._aggregate import MATURE_D
from outreach_frames.stats._pandas import Flags, flags, float_column, floats, frame_in_utc, naive_columns, read, write
from outreach_frames.stats._period_words import span_of
from outreach_frames.stats._statistic import StatContext, extraction, record_of
from outreach_frames.stats._timestamps import DAY, Instant, to_iso, to_micros
from outreach_frames.stats._validation import column as column_name, columns, text
from outreach_frames.stats.flags import SENDING
from outreach_frames.stats.intervals import difference_of, score_interval, wilson
from outreach_frames.stats.power import whole_column
from outreach_frames.stats.provenance import attach

Period = tuple[Instant, Instant] | pd.Period | str
"""From (included) and until (not included), a calendar period, pandas' or its text, or words such as "last_month"."""

_FUNCTIONS = "engagement, failures, call_outcomes, task_completion"

_COLUMNS = [
    *(f"rate_{name}{end}" for name in ("a", "b") for end in ("", "_n", "_lo", "_hi")),
    "share_a",
    "share_b",
    "diff",
    "diff_lo",
    "diff_hi",
    "rate_effect",
    "mix_effect",
]


def compare_periods(
    frame: pd.DataFrame,
    *,
    statistic: Callable[..., pd.DataFrame],
    a: Period,
    b: Period,
    by: str | Sequence[str],
    metric: str = "reply_rate",
    on: str | None = None,
    mature_d: float = MATURE_D,
    tz: str = "UTC",
    ci: float = 0.95,
    as_of: Instant | None = None,
    **parameters: Any,
) -> pd.DataFrame:
    """
    Compare a rate by group in two periods, and split the change of the total into rate and mix.

    Parameters
    ----------
    frame
        Rows to count, such as mailings or calls.
    statistic
        A function that takes the frame and ``by`` and returns ``metric`` with its ``_n``, such as `engagement`.
    a, b
        The two periods, the earlier one first: from (included) and until (not included); or a calendar month, quarter
        or year, such as ``"2026-01"``, ``"2026-Q1"``, ``"2026"`` or a pandas ``Period``; or ``"last_month"``,
        ``"this_quarter"`` and the like, as seen when the data were extracted.
    by
        Columns to group by.
    metric
        The rate.
    on
        Column of instants that places a row in a period; default: ``delivered_at``, else ``bounced_at``, else
        ``replied_at``, that is, when a mailing was sent.
    mature_d
        Rows younger than this are left out, since what follows from them has not had its time [d]; 0 keeps all.
    tz
        IANA zone of calendar periods, and of instants without a zone; passed on to the statistic where it has one.
    ci
        Confidence level.
    as_of
        When the data were extracted; default: what the frame's record says, else the latest instant in it.
    **parameters
        Passed on to the statistic.

    Returns
    -------
    comparison : DataFrame, one row for each group of either period, sorted by key
        Keys; their names where the frame has them (``sequence__name`` for ``sequence_id``); ``rate_a``, ``rate_a_n``,
        ``rate_a_lo``, ``rate_a_hi`` and the same of ``b``; ``share_a``, ``share_b`` of the denominators; ``diff`` =
        b − a, ``diff_lo``, ``diff_hi``; ``rate_effect`` and ``mix_effect`` on the total. Rates are missing in a period
        without trials; a group that is new or gone has no rate effect.
        ``attrs["total"]`` (see `attached`): one row with the same columns for all groups together; there ``diff`` =
        ``rate_effect`` + ``mix_effect``.

    Raises
    ------
    MissingColumnError
        The column of instants is absent.
    DataError
        Periods that are empty or overlap; a function that cannot be called with the frame and ``by`` alone, such as
        `sequence_engagement`; a result of it that lacks the metric or a key.

    Notes
    -----
    The total is over the groups' denominators; where groups overlap (people in two sequences), it counts them in each.
    Left out and counted: rows in neither period, without an instant or too young, and what the function leaves out.
    Intervals of the groups' rates are the function's own, those of the total Wilson's with the same design effect;
    differences are bounded by Newcombe's hybrid of both.
    Source: see the module's notes.

    Examples
    --------
    >>> months = {"a": "2026-01", "b": "2026-02"}
    >>> change = stats.compare_periods(mailings, statistic=stats.engagement, by="sequence_id", **months)
    >>> change[["rate_a", "rate_b", "diff", "diff_lo", "diff_hi"]].head(1).round(3).to_dict("records")
    [{'rate_a': 0.025, 'rate_b': 0.036, 'diff': 0.011, 'diff_lo': -0.061, 'diff_hi': 0.085}]
    >>> change[["rate_effect", "mix_effect"]].sum().round(3).to_dict()
    {'rate_effect': -0.003, 'mix_effect': 0.005}
    """
    if not callable(statistic):
        raise DataError(f"compare_periods needs a statistic, not {statistic!r}.", hint="Pass stats.engagement.")
    keys, on = _group_keys(by), None if on is None else column_name("on", on)
    called = getattr(statistic, "__name__", "function")
    now = partial(extraction, frame, as_of, needed_for="compare_periods")
    spans = {name: span_of(f"Period {name}", period, tz=tz, now=now) for name, period in (("a", a), ("b", b))}
    spans_text = {name: list(map(to_iso, span)) for name, span in spans.items()}
    by_keys = keys if keys[1:] else keys[0]
    call = StatContext(
        "compare_periods", **spans_text, by=by_keys, metric=metric, on=on, mature_d=mature_d, tz=tz, ci=ci, **parameters
    )
    call.parameters["statistic"] = called
    text("metric", metric)
    if tz != "UTC" and "tz" in inspect.signature(statistic).parameters:
        parameters = {"tz": tz, **parameters}
    _refuse_uncallable(statistic, called, parameters)
    if spans["a"][1] > spans["b"][0]:
        ends, begins = to_iso(spans["a"][1]), to_iso(spans["b"][0])
        raise DataError(
            f"Period a ends at {ends}, after period b begins ({begins}).",
            hint="Pass the earlier period as a; the two must not overlap.",
        )
    frame = pandas_from(frame)
    within = _placed(call, frame, spans, on=on, mature_d=mature_d, as_of=as_of)
    by_group, aware = partial(statistic, by=by_keys, **parameters), frame_in_utc(frame)  # said once
    results = {name: by_group(aware[within[name]]) for name in spans}
    for result in results.values():
        for noted, own in (("dropped", call.dropped), ("assumed", call.assumed)):
            for reason, rows in record_of(result).get(noted, {}).items():
                own[reason] = own.get(reason, 0) + rows
    parts = {name: _period_counts(result, keys, metric, name, ci=ci) for name, result in results.items()}
    both = parts["a"].merge(parts["b"], on=keys, how="outer", validate="1:1").sort_values(keys, ignore_index=True)
    counts = [f"{kind}_{name}" for kind in ("x", "n") for name in spans]
    both = both.fillna(dict.fromkeys(counts, 0))
    effect = _design_effect(call, results, metric)
    groups = _compare_counts(both).assign(**_change_effects(both))
    total = _compare_counts(_totals(both[counts], effect, ci)).assign(
        **{name: groups[name].sum(min_count=1) for name in ("rate_effect", "mix_effect")}
    )
    named = _names(frame, both[keys])
    compared = write(call, pd.concat([both[keys], named, groups[_COLUMNS]], axis="columns"))
    attach(compared, "total", total[_COLUMNS])
    return compared


def _group_keys(by: str | Sequence[str]) -> list[str]:
    keys = columns("by", by)
    if not keys:
        raise DataError("compare_periods needs a column to group by.", hint='Write by="sequence_id".')
    return keys


def _refuse_uncallable(function: Callable[..., Any], called: str, parameters: dict[str, Any]) -> None:
    """Raise `DataError` where a statistic takes no frame with ``by``, or needs more than it will be given."""
    try:
        inspect.signature(function).bind("frame", by="key", **parameters)
    except TypeError as error:
        raise DataError(
            f"compare_periods calls {called}(frame, by=...), which it cannot be: {error}.",
            hint=f"Pass a statistic of one frame with by, such as {_FUNCTIONS}; other frames of it by their names.",
        ) from error


def _names(frame: pd.DataFrame, keys: pd.DataFrame) -> pd.DataFrame:
    """Take the names of ids that the frame has, such as ``sequence__name`` of ``sequence_id``."""
    named = {}
    for key in keys.columns:
        name = f"{key.removesuffix('_id')}__name"
        if key.endswith("_id") and {key, name} <= set(frame.columns) and name not in keys.columns:
            present = frame[[key, name]].dropna().drop_duplicates(key).set_index(key)[name]
            named[name] = keys[key].map(present).astype("string[pyarrow]")
    return pd.DataFrame(named, index=keys.index)


def _placed(
    call: StatContext,
    frame: pd.DataFrame,
    spans: dict[str, tuple[int, int]],
    *,
    on: str | None,
    mature_d: float,
    as_of: Instant | None,
) -> dict[str, Flags]:
    """Mark the rows of each period that are old enough, and note how many lie in none or are too young."""
    columns, keys = (list(SENDING), []) if on is None else ([], [on])
    also_naive = naive_columns(frame) if isinstance(frame, pd.DataFrame) else []
    instants = read(call, record_of(frame).get("resource", "mailings"), frame, columns, keys=keys, optional=also_naive)
    when = reduce(lambda earlier, later: earlier.fillna(later), (instants[name] for name in (*columns, *keys)))
    call.optional_instant(as_of)
    within = {name: flags((when >= start) & (when < end)) for name, (start, end) in spans.items()}
    outside = int((~np.logical_or.reduce(list(within.values()))).sum())
    if outside:
        call.dropped["row in neither period"] = outside
    latest = when.max() if call.as_of is None else to_micros(call.as_of)
    young = flags(when > (0 if pd.isna(latest) else latest) - int(mature_d * DAY))
    early = int(sum((period & young).sum() for period in within.values()))
    if mature_d and early:
        call.dropped[f"row younger than {mature_d:g} days"] = early
        within = {name: period & ~young for name, period in within.items()}
    return within


def _period_counts(rates: pd.DataFrame, keys: list[str], metric: str, name: str, *, ci: float) -> pd.DataFrame:
    """Take successes and trials of a period by group; the successes follow from the rate."""
    for needed in (*keys, metric, f"{metric}_n"):
        if needed not in rates.columns:
            raise DataError(
                f"The function's result has no column {needed!r}.", hint="Choose a metric that it returns, by a key."
            )
    trials = floats(rates[f"{metric}_n"])
    successes = np.rint(np.nan_to_num(floats(rates[metric]) * trials))
    bounds = (f"{metric}_lo", f"{metric}_hi")
    if set(bounds) <= set(rates.columns):
        lo, hi = (floats(rates[bound]) for bound in bounds)
    else:
        lo, hi = (
            floats(column)
            for _, column in wilson(successes.astype(np.int64), trials.astype(np.int64), ci=ci)[["lo", "hi"]].items()
        )
    ends = {f"lo_{name}": lo, f"hi_{name}": hi}
    return rates[keys].assign(**{f"x_{name}": successes, f"n_{name}": trials}, **ends)


def _design_effect(call: StatContext, results: Mapping[str, pd.DataFrame], metric: str) -> float:
    """Take the larger design effect of the two periods, and note it; 1 where trials are independent."""
    noted = [record_of(result).get("clusters", {}).get(metric) for result in results.values()]
    present = [each for each in noted if each is not None]
    if not present:
        return 1.0
    effect, n = max(float(each["design_effect"]) for each in present), sum(each["n"] for each in present)
    note = {"cluster": present[0]["cluster"], "design_effect": effect, "n": n, "effective_n": n / effect}
    call.clusters[metric] = note
    return effect


def _totals(counts: pd.DataFrame, effect: float, ci: float) -> pd.DataFrame:
    """Add up all groups, and bound the rates of the sums."""
    totals = pd.DataFrame([counts.sum()])
    for name in ("a", "b"):
        _, lo, hi = score_interval(totals[f"x_{name}"].item() / effect, totals[f"n_{name}"].item() / effect, ci=ci)
        totals[f"lo_{name}"], totals[f"hi_{name}"] = lo, hi
    return totals


def _compare_counts(counts: pd.DataFrame) -> pd.DataFrame:
    """Compute the rates of both periods, the shares of the trials, and the differences, row by row."""
    compared, rates = pd.DataFrame(index=counts.index), {}
    for name in ("a", "b"):
        x, n = (floats(counts[f"{kind}_{name}"]) for kind in ("x", "n"))
        rates[name] = np.divide(x, n, out=np.full(len(n), np.nan), where=n > 0)
        compared[f"rate_{name}"], compared[f"rate_{name}_n"] = float_column(rates[name]), whole_column(n)
        compared[f"rate_{name}_lo"], compared[f"rate_{name}_hi"] = (
            float_column(floats(counts[f"{end}_{name}"])) for end in ("lo", "hi")
        )
        compared[f"share_{name}"] = float_column(n / n.sum() if n.sum() else np.full(len(n), np.nan))
    ends = {name: (floats(counts[f"lo_{name}"]), floats(counts[f"hi_{name}"])) for name in ("a", "b")}
    differences = [
        difference_of(second, first)
        for first, second in zip(
            zip(rates["a"], *ends["a"], strict=True), zip(rates["b"], *ends["b"], strict=True), strict=True
        )
    ]
    for place, name in enumerate(("diff", "diff_lo", "diff_hi")):
        compared[name] = float_column(np.array([difference[place] for difference in differences], dtype=np.float64))
    return compared


def _change_effects(counts: pd.DataFrame) -> dict[str, "pd.Series[Any]"]:
    """Split the change of the total; missing where a period has no trials at all."""
    x, n = (np.stack([floats(counts[f"{kind}_{name}"]) for name in ("a", "b")]) for kind in ("x", "n"))
    whole = n.sum(axis=1, keepdims=True)
    if not whole.all():
        nothing = float_column(np.full(len(counts), np.nan))
        return {"rate_effect": nothing, "mix_effect": nothing}
    shares = n / whole
    rates = x / np.where(n > 0, n, 1)
    rates = np.where(n > 0, rates, rates[::-1])  # new or gone: its one rate stands for both periods
    middle = (x.sum(axis=1) / whole[:, 0]).mean()
    rate_effect = (rates[1] - rates[0]) * shares.mean(axis=0)
    mix_effect = (shares[1] - shares[0]) * (rates.mean(axis=0) - middle)
    return {"rate_effect": float_column(rate_effect), "mix_effect": float_column(mix_effect)}
