"""How long mail waits after the time it was scheduled for."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pyarrow as pa

from outreach_frames.stats._calendar import HOUR
from outreach_frames.stats._call import Call
from outreach_frames.stats._instants import Instant
from outreach_frames.stats._parameters import columns
from outreach_frames.stats._resampling import RESAMPLES, bootstrap_bounds
from outreach_frames.stats._small import floats, groups_of, keep, keyed, read_deliveries, table_of, write

_RESULT = {"mailings": pa.int64(), "schedule_lag_h": pa.float64(), "schedule_lag_n": pa.int64()}
_RESULT |= {"schedule_lag_lo": pa.float64(), "schedule_lag_hi": pa.float64()}


def schedule_lag(
    mailings: pd.DataFrame,
    *,
    by: str | Sequence[str] | None = "mailbox_id",
    ci: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
    as_of: Instant | None = None,
) -> pd.DataFrame:
    """
    Measure how long after its time mail was delivered, by mailbox or any other columns.

    ``schedule_lag_h`` = median of ``delivered_at`` − ``scheduled_at``. A lag that grows speaks of throttling, or of a
    mailbox in trouble.

    Parameters
    ----------
    mailings
        ``id``, ``scheduled_at``, ``delivered_at``, ``bounced_at``, ``replied_at``, and the columns of ``by``.
    by
        Columns to group by; ``None`` for one row.
    ci
        Confidence level.
    resamples
        Draws of the bootstrap.
    seed
        Of the draws.
    as_of
        When the data were extracted; kept in the record only.

    Returns
    -------
    lags : DataFrame, one row for each group, sorted by key
        Keys; ``mailings`` [delivered]; ``schedule_lag_h`` [h, missing without a mailing that has both times];
        ``schedule_lag_n`` [mailings with both], ``schedule_lag_lo`` and ``schedule_lag_hi`` [h, missing with fewer than
        two of them].

    Raises
    ------
    MissingColumnError
        A column is absent.
    DataError
        A wrong dtype or an id that occurs twice.

    Notes
    -----
    Left out and counted: mail not delivered, and rows whose key is missing. Mail delivered before its time has a
    negative lag. Interval: percentile bootstrap, see `_resampling`. Definition: this project's metric dictionary, part
    2.1.
    """
    keys = columns("by", by)
    call = Call("schedule_lag", by=keys, ci=ci, resamples=resamples, seed=seed)
    mail = read_deliveries(call, mailings, ["scheduled_at"], keys=keys)
    call.look(as_of)
    mail = keyed(call, keep(call, mail, "mailing not delivered", mail["is_delivered"]), keys)
    rows = []
    for values, group in groups_of(mail, keys):
        lags = floats(group["delivered_at"] - group["scheduled_at"]) / HOUR
        lags = lags[~np.isnan(lags)]
        lo, hi = bootstrap_bounds(lags, np.median, ci=ci, resamples=resamples, seed=seed)
        median = float(np.median(lags)) if lags.size else None
        rows.append((*values, len(group), median, lags.size, lo, hi))
    return write(call, table_of(mail, keys, rows, _RESULT), sort=keys, instants=[k for k in keys if k.endswith("_at")])
