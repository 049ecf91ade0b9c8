"""
What it took to be answered: hours from the mail to its answer, touches from the first to the answered one.

Both are about those who answered. How long a reply takes, those who have not answered counted in, is another question;
see `time_to_event`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from outreach_frames.stats._calendar import HOUR
from outreach_frames.stats._call import Call
from outreach_frames.stats._engines import wrap
from outreach_frames.stats._instants import Instant
from outreach_frames.stats._parameters import columns
from outreach_frames.stats._resampling import RESAMPLES, bootstrap_bounds, quantile_bounds
from outreach_frames.stats._small import (
    Floats,
    flags,
    floats,
    groups_of,
    keep,
    keyed,
    read,
    read_deliveries,
    table,
    table_of,
    write,
)
from outreach_frames.stats._touches import outbound_calls

QUARTILES = {"p25": 0.25, "p50": 0.5, "p75": 0.75}

_HOURS = [f"hours_to_reply_{name}{end}" for name in QUARTILES for end in ("", "_lo", "_hi")]
_RESULT = {
    "hours_to_reply_n": pa.int64(),
    **dict.fromkeys(_HOURS, pa.float64()),
    "touches_to_reply": pa.float64(),
    "touches_to_reply_n": pa.int64(),
    "touches_to_reply_lo": pa.float64(),
    "touches_to_reply_hi": pa.float64(),
}
_ENROLMENT = "sequence_state_id"


def reply_effort(
    mailings: pd.DataFrame,
    calls: pd.DataFrame | None = None,
    *,
    by: str | Sequence[str] | None = None,
    bounce_policy: str = "reply_wins",
    ci: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
    as_of: Instant | None = None,
) -> pd.DataFrame:
    """
    Measure the hours from mail to its answer, and the touches that an enrolment's first answer took.

    ``hours_to_reply`` = ``replied_at`` − ``delivered_at`` of replied mailings: its quartiles. ``touches_to_reply`` =
    mean number of delivered mailings (and outbound calls) up to the first reply, of enrolments that replied.

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
    as_of
        When the data were extracted; kept in the record only.

    Returns
    -------
    effort : DataFrame, one row for each group, sorted by key
        Keys; ``hours_to_reply_n`` [replied mailings with a delivery time]; ``hours_to_reply_p25``, ``…_p50``,
        ``…_p75`` [h], each with ``_lo`` and ``_hi`` (missing where there are too few for a bound);
        ``touches_to_reply`` [touches] with ``_n`` [enrolments that replied], ``_lo``, ``_hi`` (missing with fewer than
        two). Groups without a reply stay.

    Raises
    ------
    MissingColumnError
        A column is absent.
    DataError
        A wrong dtype or an id that occurs twice.

    Notes
    -----
    Only among those who replied: not how long a reply takes, nor how many touches make one. Touches of one enrolment
    only, and those at the very time of the reply count. Left out and counted: mail not delivered, and rows whose key is
    missing; one-off mail has hours and no touches. Intervals: order statistics for the quartiles, percentile bootstrap
    for the mean; see `_resampling`. Definition: this project's metric dictionary, part 2.2.
    """
    keys = columns("by", by)
    call = Call("reply_effort", by=keys, bounce_policy=bounce_policy, ci=ci, resamples=resamples, seed=seed)
    mail = read_deliveries(call, mailings, [_ENROLMENT], keys=keys, bounce_policy=bounce_policy)
    called = None if calls is None else _called(call, calls)
    call.look(as_of)
    mail = keyed(call, keep(call, mail, "mailing not delivered", mail["is_delivered"]), keys)
    rows = []
    for values, group in groups_of(mail, keys):
        hours = hours_to_reply(group)
        quartiles = [float(np.quantile(hours, share)) if hours.size else None for share in QUARTILES.values()]
        bounds = [quantile_bounds(hours, share, ci=ci) for share in QUARTILES.values()]
        touches = _touches_to_reply(group, called)
        told = [value for quartile, pair in zip(quartiles, bounds, strict=True) for value in (quartile, *pair)]
        mean = float(touches.mean()) if touches.size else None
        around = bootstrap_bounds(touches, np.mean, ci=ci, resamples=resamples, seed=seed)
        rows.append((*values, hours.size, *told, mean, touches.size, *around))
    return write(call, table_of(mail, keys, rows, _RESULT), sort=keys, instants=[k for k in keys if k.endswith("_at")])


def hours_to_reply(delivered: pd.DataFrame) -> Floats:
    """Return the hours from delivery to reply of the delivered mailings that have both times."""
    hours = floats(delivered["replied_at"] - delivered["delivered_at"]) / HOUR
    return hours[~np.isnan(hours)]


def _called(call: Call, calls: pd.DataFrame) -> pd.DataFrame:
    needed = ["id", _ENROLMENT, "direction", "dialed_at", "answered_at", "completed_at"]
    dialled = table(outbound_calls(wrap(read(call, "calls", calls, needed))))
    return dialled[[_ENROLMENT, "called_at"]].rename(columns={"called_at": "sent_at"})


def _touches_to_reply(delivered: pd.DataFrame, called: pd.DataFrame | None) -> Floats:
    """Count the touches of each enrolment that replied, up to its first reply."""
    first: pd.Series[Any] = delivered.groupby(_ENROLMENT)["replied_at"].min().dropna()
    touches = delivered[[_ENROLMENT, "sent_at"]]
    if called is not None:
        touches = pd.concat([touches, called], ignore_index=True)
    reply = touches[_ENROLMENT].map(first)
    before = touches[flags(touches["sent_at"] <= reply.astype("int64[pyarrow]"))]
    return floats(before.groupby(_ENROLMENT).size())
