"""
Replies: which step earned them, automatic ones, the effort they took, and their sentiment.

Both are about those who answered. How long a reply takes, those who have not answered counted in, is another question;
see `time_to_event`.
"""

from collections.abc import Sequence
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
import pyarrow as pa
from narwhals.typing import IntoFrameT

from outreach_frames._renamed import with_old_positions
from outreach_frames.errors import DataError
from outreach_frames.stats._backends import join, wrap
from outreach_frames.stats._estimators import RESAMPLES, bootstrap_bounds, quantile_bounds
from outreach_frames.stats._pandas import (
    Floats,
    flags,
    floats,
    groups_of,
    keep,
    keyed,
    keyed_rows,
    read,
    read_deliveries,
    read_mailings,
    table,
    write,
)
from outreach_frames.stats._statistic import StatContext, record_of
from outreach_frames.stats._timestamps import HOUR
from outreach_frames.stats._validation import choice, columns
from outreach_frames.stats.flags import ENROLLMENT, SENDING, outbound_calls, with_delivery
from outreach_frames.stats.intervals import with_rates

AUTOMATIC_REPLY = HOUR // 12
"""An answer to a paused enrollment that came within this time of delivery is suspected to be a machine's [µs]."""


def reply_attribution(mailings: pd.DataFrame, *, bounce_policy: str = "reply_wins") -> pd.DataFrame:
    """
    Credit each reply to a step, by three rules.

    ``direct_step``: the step of the mailing that was answered. ``last_touch_step``: of the enrollment's latest mailing
    delivered before the reply. ``first_touch_step``: of its earliest one.

    Parameters
    ----------
    mailings
        As for `mailing_flags` without ``marked_as_spam_at``, and ``sequence_state_id``, ``sequence_step_id``.
    bounce_policy
        See `mailing_flags`.

    Returns
    -------
    credits : DataFrame, one row for each replied mailing of an enrollment, sorted by ``mailing_id``
        ``mailing_id``, ``direct_step``, ``last_touch_step``, ``first_touch_step``, ``agree`` (whether all three are the
        same). A step is missing where the mailing has none, or no delivery time lies before the reply.

    Raises
    ------
    MissingColumnError
        A column listed above is absent.
    DataError
        A wrong dtype or an id that occurs twice.

    Notes
    -----
    Mailings delivered at the very instant of the reply count as before it; at equal times the higher id is the later
    one. Not counted: replies to one-off mail, calls and tasks.

    Examples
    --------
    >>> steps = stats.reply_attribution(mailings)
    >>> steps[["direct_step", "last_touch_step", "first_touch_step"]].head(1).to_dict("records")
    [{'direct_step': 1, 'last_touch_step': 1, 'first_touch_step': 1}]
    >>> int(steps["agree"].sum()), len(steps)
    (37, 91)
    """
    call = StatContext("reply_attribution", bounce_policy=bounce_policy)
    columns = ["sequence_state_id", "sequence_step_id"]
    mail = read_mailings(call, mailings, columns, bounce_policy=bounce_policy)
    replies = mail.loc[mail["is_replied"], ["id", "replied_at", *columns]]
    replies = keep(call, replies, "reply to one-off mail", replies["sequence_state_id"].notna())
    touches = mail.loc[mail["is_delivered"], ["id", "delivered_at", *columns]].dropna(subset="sequence_state_id")

    before = replies.merge(touches, on="sequence_state_id", suffixes=("", "_touch"), validate="m:m")
    before = before[before["delivered_at"] <= before["replied_at"]].sort_values(["delivered_at", "id_touch"])
    ends = before.drop_duplicates("id", keep="first"), before.drop_duplicates("id", keep="last")
    first, last = (end.set_index("id")["sequence_step_id_touch"] for end in ends)
    direct = replies["sequence_step_id"]
    result = pd.DataFrame({"mailing_id": replies["id"], "direct_step": direct})
    result["last_touch_step"] = replies["id"].map(last).astype(direct.dtype)
    result["first_touch_step"] = replies["id"].map(first).astype(direct.dtype)
    same = (direct == result["last_touch_step"]) & (direct == result["first_touch_step"])
    result["agree"] = same.fillna(value=False)
    return write(call, result, sort=["mailing_id"])


@with_old_positions("sequence_states")
def automatic_replies(
    mailings: IntoFrameT,
    *,
    sequence_states: IntoFrameT,
    bounce_policy: str = "reply_wins",
) -> IntoFrameT:
    """
    List the replies that look automatic: to a paused enrollment, within five minutes of delivery.

    Parameters
    ----------
    mailings
        ``id``, ``sequence_state_id``, ``delivered_at``, ``bounced_at``, ``replied_at``.
    sequence_states
        Enrollments: ``id``, ``state``.
    bounce_policy
        See `mailing_flags`.

    Returns
    -------
    replies : frame of the caller's kind, one row for each such mailing, sorted by ``mailing_id``
        ``mailing_id``, ``sequence_state_id``, ``delivered_at``, ``replied_at`` [UTC].

    Raises
    ------
    MissingColumnError
        A column listed above is absent.
    DataError
        A column of another dtype, an id that occurs twice in memory, frames of two kinds.

    Notes
    -----
    Outreach pauses an enrollment when it takes an answer for an out-of-office one; whether such answers set
    ``replied_at`` is unknown. `sequence_engagement` tells how far they could matter.

    Examples
    --------
    >>> automatic = stats.automatic_replies(mailings, sequence_states=sequence_states)
    >>> len(automatic)
    2
    >>> (automatic["replied_at"] - automatic["delivered_at"]).dt.total_seconds().tolist()
    [45.0, 21.0]
    """
    call = StatContext("automatic_replies", bounce_policy=bounce_policy)
    mail = with_delivery(call.read("mailings", mailings, ["id", "sequence_state_id", *SENDING]), bounce_policy)
    states = call.read("sequence_states", sequence_states, ["id", "state"])
    replied = mail.with_columns(is_replied=nw.col("is_delivered") & ~nw.col("replied_at").is_null())
    automatic = with_automatic(replied, states).filter(nw.col("is_automatic"))
    columns = ["sequence_state_id", "delivered_at", "replied_at"]
    result: IntoFrameT = call.write(
        automatic.select(nw.col("id").alias("mailing_id"), *columns), sort=["mailing_id"], instants=columns[1:]
    )
    return result


def with_automatic(mail: nw.LazyFrame[Any], states: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """
    Add ``is_automatic`` to mailings: the one definition.

    Parameters
    ----------
    mail
        ``is_replied``, ``sequence_state_id``, ``delivered_at``, ``replied_at``.
    states
        Enrollments: ``id``, ``state``.
    """
    paused = states.filter((nw.col("state") == "paused").fill_null(False))
    paused = paused.select(sequence_state_id=nw.col("id"), paused=nw.col("id"))
    fast = (nw.col("replied_at") - nw.col("delivered_at") <= AUTOMATIC_REPLY).fill_null(False)
    joined = join(mail, paused, "sequence_state_id")
    return joined.with_columns(is_automatic=nw.col("is_replied") & fast & ~nw.col("paused").is_null())


QUARTILES = {"p25": 0.25, "p50": 0.5, "p75": 0.75}

_HOURS = [f"hours_to_reply_{name}{end}" for name in QUARTILES for end in ("", "_lo", "_hi")]
_REPLY_RESULT = {
    "hours_to_reply_n": pa.int64(),
    **dict.fromkeys(_HOURS, pa.float64()),
    "touches_to_reply": pa.float64(),
    "touches_to_reply_n": pa.int64(),
    "touches_to_reply_lo": pa.float64(),
    "touches_to_reply_hi": pa.float64(),
}


@with_old_positions("calls")
def reply_effort(
    mailings: pd.DataFrame,
    *,
    calls: pd.DataFrame | None = None,
    by: str | Sequence[str] | None = None,
    bounce_policy: str = "reply_wins",
    ci: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> pd.DataFrame:
    """
    Measure the hours from mail to its answer, and the touches that an enrollment's first answer took.

    ``hours_to_reply`` = ``replied_at`` − ``delivered_at`` of replied mailings: its quartiles. ``touches_to_reply`` =
    mean number of delivered mailings (and outbound calls) up to the first reply, of enrollments that replied.

    Parameters
    ----------
    mailings
        ``id``, ``sequence_state_id``, ``delivered_at``, ``bounced_at``, ``replied_at``, and the columns of ``by``.
    calls
        ``id``, ``sequence_state_id``, ``direction``, ``dialed_at``, ``answered_at``, ``completed_at``.
    by
        Columns of the mailings to group by, such as ``"sequence_id"``; ``None`` for one row.
    bounce_policy
        See `mailing_flags`.
    ci
        Confidence level.
    resamples, seed
        Draws of the bootstrap, and their seed.

    Returns
    -------
    effort : DataFrame, one row for each group, sorted by key
        Keys; ``hours_to_reply_n`` [replied mailings with a delivery time]; ``hours_to_reply_p25``, ``…_p50``,
        ``…_p75`` [h], each with ``_lo`` and ``_hi`` (missing where there are too few for a bound);
        ``touches_to_reply`` [touches] with ``_n`` [enrollments that replied], ``_lo``, ``_hi`` (missing with fewer than
        two). Groups without a reply stay.

    Raises
    ------
    MissingColumnError
        A column listed above is absent.
    DataError
        A wrong dtype or an id that occurs twice.

    Notes
    -----
    Only among those who replied: not how long a reply takes, nor how many touches make one. Touches of one enrollment
    only, and those at the very time of the reply count. Left out and counted: mail not delivered, and rows whose key is
    missing; one-off mail has hours and no touches. Intervals: order statistics for the quartiles, percentile bootstrap
    for the mean; see `intervals`. Definitions: `outreach_frames.metrics`.

    Examples
    --------
    >>> effort = stats.reply_effort(mailings, calls=calls, resamples=200)
    >>> effort[["hours_to_reply_p50", "hours_to_reply_n", "touches_to_reply"]].head(1).round(1).to_dict("records")
    [{'hours_to_reply_p50': 6.3, 'hours_to_reply_n': 106, 'touches_to_reply': 2.1}]
    """
    keys = columns("by", by)
    call = StatContext("reply_effort", by=keys, bounce_policy=bounce_policy, ci=ci, resamples=resamples, seed=seed)
    mail = read_deliveries(call, mailings, [ENROLLMENT], keys=keys, bounce_policy=bounce_policy)
    called = None if calls is None else _touches_by_call(call, calls)
    mail = keyed(call, keep(call, mail, "mailing not delivered", mail["is_delivered"]), keys)
    rows = []
    for values, group in groups_of(mail, keys):
        hours = hours_to_reply(group)
        quartiles = [float(np.quantile(hours, share)) if hours.size else None for share in QUARTILES.values()]
        bounds = [quantile_bounds(hours, share, ci=ci) for share in QUARTILES.values()]
        touches = _touches_to_reply(group, called)
        figures = [value for quartile, pair in zip(quartiles, bounds, strict=True) for value in (quartile, *pair)]
        mean = float(touches.mean()) if touches.size else None
        around = bootstrap_bounds(touches, np.mean, ci=ci, resamples=resamples, seed=seed)
        rows.append((*values, hours.size, *figures, mean, touches.size, *around))
    return write(
        call, keyed_rows(mail, keys, rows, _REPLY_RESULT), sort=keys, instants=[k for k in keys if k.endswith("_at")]
    )


def hours_to_reply(delivered: pd.DataFrame) -> Floats:
    """Return the hours from delivery to reply of the delivered mailings that have both times."""
    hours = floats(delivered["replied_at"] - delivered["delivered_at"]) / HOUR
    return hours[~np.isnan(hours)]


def _touches_by_call(call: StatContext, calls: pd.DataFrame) -> pd.DataFrame:
    needed = ["id", ENROLLMENT, "direction", "dialed_at", "answered_at", "completed_at"]
    dialed = table(outbound_calls(wrap(read(call, "calls", calls, needed))))
    return dialed[[ENROLLMENT, "called_at"]].rename(columns={"called_at": "sent_at"})


def _touches_to_reply(delivered: pd.DataFrame, called: pd.DataFrame | None) -> Floats:
    """Count the touches of each enrollment that replied, up to its first reply."""
    first: pd.Series[Any] = delivered.groupby(ENROLLMENT)["replied_at"].min().dropna()
    touches = delivered[[ENROLLMENT, "sent_at"]]
    if called is not None:
        touches = pd.concat([touches, called], ignore_index=True)
    reply = touches[ENROLLMENT].map(first)
    before = touches[flags(touches["sent_at"] <= reply.astype("int64[pyarrow]"))]
    return floats(before.groupby(ENROLLMENT).size())


SENTIMENT_KEYS = {
    "sequences": "sequence_id",
    "sequence_steps": "sequence_step_id",
    "sequence_templates": "sequence_template_id",
    "templates": "template_id",
    "sequence_states": "sequence_state_id",
}
"""Tables whose counters count all messages, and their keys; prospects' counters restart and make no rate."""

_SENTIMENTS = ("positive", "neutral", "negative")
_SENTIMENT_RATES = {
    "positive_reply_share": ("positive", "classified"),
    "positive_reply_rate": ("positive_bounded", "reached"),
}


def reply_sentiment(objects: IntoFrameT, *, resource: str = "sequences", ci: float = 0.95) -> IntoFrameT:
    """
    Compute the share of positive replies, of those classified and of all mail delivered.

    ``positive_reply_share`` = positive / (positive + neutral + negative). ``positive_reply_rate`` = positive /
    ``deliver_count``.

    Parameters
    ----------
    objects
        ``id``, ``positive_reply_count``, ``neutral_reply_count``, ``negative_reply_count``, ``deliver_count``.
    resource
        The table: ``"sequences"``, ``"sequence_steps"``, ``"sequence_templates"`` (variants), ``"templates"`` or
        ``"sequence_states"``. The counters have no period: they count everything up to the extraction.
    ci
        Confidence level.

    Returns
    -------
    sentiment : frame of the caller's kind, one row per object, sorted by key
        Key, such as ``sequence_id``; ``positive``, ``neutral``, ``negative``, ``classified`` [replies], ``delivered``
        [mailings, as counted by Outreach]; ``positive_reply_share`` and ``positive_reply_rate`` with ``_n``, ``_lo``,
        ``_hi``: missing where nothing is classified or delivered, the latter also where the counters contradict each
        other, with more positive replies than deliveries.

    Raises
    ------
    MissingColumnError
        A column listed above is absent.
    DataError
        An unknown ``resource``, or one that does not fit the objects, prospects among them; a wrong dtype, an id that
        occurs twice in memory.

    Notes
    -----
    Trust: medium. Not counted: replies that nobody has classified, which are in neither numerator nor denominator of
    the share; a missing counter counts as 0. Copies of a sequence start with empty counters. Interval: Wilson. Source:
    attribute descriptions of the Outreach API v2.

    Examples
    --------
    >>> sentiment = stats.reply_sentiment(sequences, resource="sequences")
    >>> sentiment[["sequence_id", "positive", "neutral", "negative"]].head(1).to_dict("records")
    [{'sequence_id': 1, 'positive': 8, 'neutral': 7, 'negative': 3}]
    >>> round(sentiment["positive_reply_share"][0], 3)
    0.444
    """
    key = SENTIMENT_KEYS[choice("resource", resource, SENTIMENT_KEYS)]
    recorded = record_of(objects).get("resource", resource)
    if recorded != resource:
        raise DataError(
            f"These are {recorded}, not {resource}.", hint=f"Choose resource= from {', '.join(SENTIMENT_KEYS)}."
        )
    call = StatContext("reply_sentiment", resource=resource, ci=ci)
    counters = [f"{sentiment}_reply_count" for sentiment in _SENTIMENTS]
    read = call.read(resource, objects, ["id", *counters, "deliver_count"]).rename({"id": key})
    renamed = dict(zip(_SENTIMENTS, counters, strict=True)) | {"delivered": "deliver_count"}
    counted = read.with_columns(
        nw.col(counter).fill_null(0).alias(name) for name, counter in renamed.items()
    ).with_columns(classified=nw.col("positive") + nw.col("neutral") + nw.col("negative"))
    table = with_rates(_bounded(counted), _SENTIMENT_RATES, ci=ci)
    rates = [f"{rate}{end}" for rate in _SENTIMENT_RATES for end in ("", "_n", "_lo", "_hi")]
    columns = [key, *_SENTIMENTS, "classified", "delivered", *rates]
    result: IntoFrameT = call.write(table.select(*columns), sort=[key])
    return result


def _bounded(counted: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Take both counts of the rate as nothing where they contradict each other."""
    sound = nw.col("positive") <= nw.col("delivered")
    return counted.with_columns(
        positive_bounded=nw.when(sound).then(nw.col("positive")).otherwise(nw.col("positive") * 0),
        reached=nw.when(sound).then(nw.col("delivered")).otherwise(nw.col("delivered") * 0),
    )
