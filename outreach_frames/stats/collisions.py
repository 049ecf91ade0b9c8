"""People who are in several sequences at once, or are written to more often than anyone should be."""

import numpy as np
import pandas as pd

from outreach_frames.stats._calendar import DAY
from outreach_frames.stats._call import Call
from outreach_frames.stats._instants import Instant
from outreach_frames.stats._small import Ints, keep, read, read_deliveries, settled, write
from outreach_frames.stats.outcomes import CLOSED_STATES

_RESULT = {
    "prospect_id": "int64[pyarrow]",
    "enrolments": "int64[pyarrow]",
    "open_enrolments": "int64[pyarrow]",
    "open_sequences": "int64[pyarrow]",
    "touches": "int64[pyarrow]",
    "max_touches": "int64[pyarrow]",
    "busiest_until": "int64[pyarrow]",
    "over_limit": "bool[pyarrow]",
}


def overlaps(
    sequence_states: pd.DataFrame,
    mailings: pd.DataFrame,
    *,
    window_d: float = 7,
    limit: int = 4,
    bounce_policy: str = "reply_wins",
    as_of: Instant | None = None,
) -> pd.DataFrame:
    """
    Count each person's open enrolments, and the most mailings they got within any few days.

    Parameters
    ----------
    sequence_states
        Enrolments: ``id``, ``prospect_id``, ``sequence_id``, ``state``.
    mailings
        ``id``, ``prospect_id``, ``delivered_at``, ``bounced_at``, ``replied_at``; one-off mail counts too.
    window_d
        Length of the window [d].
    limit
        Mailings in a window that are still acceptable [mailings]; practice, not law.
    bounce_policy
        See `mailing_flags`.
    as_of
        Mail delivered after it is left out; default: the frames' own record, else none.

    Returns
    -------
    overlaps : DataFrame, one row for each prospect with an enrolment or a delivered mailing, sorted by ``prospect_id``
        ``prospect_id``; ``enrolments``, ``open_enrolments``, ``open_sequences`` [distinct sequences among the open
        ones]; ``touches`` [delivered mailings]; ``max_touches``: the most in any window, which is open at its start
        and closed at its end; ``busiest_until``: the end of the first such window [UTC, missing without mail];
        ``over_limit``.

    Raises
    ------
    MissingColumnError
        A column is absent.
    DataError
        A window that is not above 0, a wrong dtype, an id that occurs twice.

    Notes
    -----
    An enrolment is open unless finished or opted out, as in Outreach's interface. Not counted: mail to nobody known,
    calls and tasks, mailings without a delivery time. Prospects with two or more ``open_enrolments``, divided by those
    with one or more, are the overlap rate. Source: this project's metric dictionary, parts 1.4 (T7) and 2.3.
    """
    call = Call("overlaps", window_d=window_d, limit=limit, bounce_policy=bounce_policy)
    states = read(call, "sequence_states", sequence_states, ["id", "prospect_id", "sequence_id", "state"])
    mail = read_deliveries(call, mailings, ["prospect_id"], bounce_policy=bounce_policy)
    until = settled(call, as_of)
    states = keep(call, states, "enrolment of nobody known", states["prospect_id"].notna())
    mail = keep(call, mail, "mailing not delivered", mail["is_delivered"] & mail["delivered_at"].notna())
    mail = keep(call, mail, "mailing to nobody known", mail["prospect_id"].notna())
    if until is not None:
        mail = keep(call, mail, "delivered after as_of", mail["delivered_at"] <= until)

    people = _enrolled(states).merge(_touched(mail, window_d), on="prospect_id", how="outer", validate="1:1")
    counts = ["enrolments", "open_enrolments", "open_sequences", "touches", "max_touches"]
    people = people.fillna(dict.fromkeys(counts, 0))
    people["over_limit"] = people["max_touches"] > limit
    return write(call, people[list(_RESULT)].astype(_RESULT), sort=["prospect_id"], instants=["busiest_until"])


def _enrolled(states: pd.DataFrame) -> pd.DataFrame:
    is_open = ~states["state"].isin(CLOSED_STATES)
    grouped = states.assign(is_open=is_open, open_in=states["sequence_id"].where(is_open)).groupby("prospect_id")
    counted = grouped.agg(
        enrolments=("id", "size"), open_enrolments=("is_open", "sum"), open_sequences=("open_in", "nunique")
    )
    return counted.reset_index()


def _touched(mail: pd.DataFrame, window_d: float) -> pd.DataFrame:
    """Count each person's deliveries, and those in their busiest window."""
    ordered = mail.sort_values(["prospect_id", "delivered_at", "id"], ignore_index=True)
    people, instants = (ordered[name].to_numpy(dtype=np.int64) for name in ("prospect_id", "delivered_at"))
    ordered["max_touches"] = _within(people, instants, int(window_d * DAY))
    busiest = ordered.sort_values(["prospect_id", "max_touches"], ascending=[True, False], kind="stable")
    busiest = busiest.drop_duplicates("prospect_id").rename(columns={"delivered_at": "busiest_until"})
    touches = mail.groupby("prospect_id", as_index=False).agg(touches=("id", "size"))
    return touches.merge(busiest[["prospect_id", "max_touches", "busiest_until"]], on="prospect_id", validate="1:1")


def _within(people: Ints, instants: Ints, window: int) -> Ints:
    """Count for each row, sorted by person and time, the person's rows in the window that ends with it."""
    counts = np.ones(len(people), dtype=np.int64)
    rows, back = np.arange(len(people)), 1
    while rows.size:
        rows = rows[rows >= back]
        earlier = rows - back
        rows = rows[(people[rows] == people[earlier]) & (instants[rows] - instants[earlier] < window)]
        counts[rows] += 1
        back += 1
    return counts
