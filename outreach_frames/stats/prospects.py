"""Engagement by prospect, and prospects who are in several sequences at once."""

from collections.abc import Sequence
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
from narwhals.typing import IntoFrameT

from outreach_frames.stats._aggregate import count_distinct, stack
from outreach_frames.stats._backends import join, small_table
from outreach_frames.stats._pandas import Ints, keep, read, read_deliveries, write
from outreach_frames.stats._statistic import StatContext
from outreach_frames.stats._timestamps import DAY, ZONE_NAME_STEPS, Instant, zones_by_key
from outreach_frames.stats.enrollments import CLOSED_STATES
from outreach_frames.stats.flags import (
    CALL_COLUMNS,
    ENGAGEMENT,
    TASK_COLUMNS,
    external_only,
    other_tasks,
    outbound_calls,
    with_flags,
)
from outreach_frames.stats.opt_outs import is_opted_out

ZONE_COLUMNS = ("time_zone_iana", "time_zone_inferred", "time_zone")
"""Where a person's time zone may stand, the most trustworthy first; the last is free text."""

_FLAGS_COUNTED = {"delivered": "is_delivered", "opened": "is_opened", "clicked": "is_clicked", "replied": "is_replied"}
_WHO = ["prospect_id"]
_UNZONED = nw.col("tz_source") == "default"


def prospect_engagement(
    mailings: IntoFrameT,
    *,
    prospects: IntoFrameT,
    calls: IntoFrameT | None = None,
    tasks: IntoFrameT | None = None,
    default_tz: str = "UTC",
    bounce_policy: str = "reply_wins",
    email_addresses: IntoFrameT | None = None,
) -> IntoFrameT:
    """
    Measure engagement by person; people without mail stay.

    Parameters
    ----------
    mailings
        As for `engagement`, with ``sequence_id``.
    prospects
        ``id``, ``opted_out``, ``opted_out_at``, ``time_zone_iana``, ``time_zone_inferred``, ``time_zone``: the people
        to report on. Mail to others, and to no prospect, is left out and counted.
    calls
        ``id``, ``prospect_id``, ``direction``, ``dialed_at``, ``answered_at``, ``completed_at``; outbound ones are
        touches.
    tasks
        ``id``, ``prospect_id``, ``action``, ``completed_at``; completed ones that are neither email nor call are
        touches.
    default_tz
        IANA zone of people without one; names of Ruby on Rails and Windows are understood, in any case.
    bounce_policy
        See `mailing_flags`.
    email_addresses
        E-mail addresses: leave out mail to colleagues, who stay as people without it; see `engagement`.

    Returns
    -------
    engagement : frame of the caller's kind, one row per prospect, sorted by ``prospect_id``
        ``prospect_id``; ``enrollments`` and ``sequences`` [distinct, among the mailings]; mailings ``delivered``,
        ``opened``, ``clicked``, ``replied``; ``first_touch_at``, ``last_touch_at`` (delivered mail, and calls and tasks
        where given), ``first_reply_at``; ``touches_to_reply`` [delivered mailings and calls up to the first reply,
        missing without one]; ``opted_out`` (not who is opted in again); ``opt_out_source``, ``link`` (a mailing says
        so), ``manual`` or missing;
        ``tz`` and ``tz_source`` (the column it comes from, or ``default``).

    Raises
    ------
    MissingColumnError
        A column listed above is absent.
    DataError
        A column of another dtype, an id that occurs twice in memory, frames of two kinds, an unknown default zone.

    Notes
    -----
    The counters on prospects are not used: they restart at the last touch.

    Examples
    --------
    >>> people = stats.prospect_engagement(mailings, prospects=prospects, calls=calls)
    >>> people[["prospect_id", "delivered", "replied", "touches_to_reply"]].head(1).to_dict("records")
    [{'prospect_id': 1, 'delivered': 1, 'replied': 1, 'touches_to_reply': 1}]
    >>> people["tz_source"].value_counts().to_dict()
    {'time_zone_iana': 500, 'time_zone_inferred': 140, 'default': 131, 'time_zone': 29}
    """
    call = StatContext("prospect_engagement", default_tz=default_tz, bounce_policy=bounce_policy)
    call.parameters["email_addresses"] = email_addresses is not None
    own = [] if email_addresses is None else ["mailbox_address"]
    columns = ["id", "prospect_id", "sequence_id", "sequence_state_id", *ENGAGEMENT, *own]
    people = call.read("prospects", prospects, ["id", "opted_out", "opted_out_at", *ZONE_COLUMNS])
    people = people.rename({"id": "prospect_id"})
    mail = with_flags(call.read("mailings", mailings, columns), bounce_policy)
    channels = []
    if calls is not None:
        called = outbound_calls(call.read("calls", calls, CALL_COLUMNS))
        channels.append(called.select("prospect_id", touched_at=nw.col("called_at"), to_reply=nw.lit(True)))
    if tasks is not None:
        done = other_tasks(call.read("tasks", tasks, TASK_COLUMNS))
        channels.append(done.select("prospect_id", touched_at=nw.col("completed_at"), to_reply=nw.lit(False)))

    if email_addresses is not None:
        mail = external_only(call, mail, email_addresses)
    mail = call.drop(mail, "mailing without a prospect", ~nw.col("prospect_id").is_null())
    listed = people.select("prospect_id", is_listed=nw.col("prospect_id"))
    mail = call.drop(join(mail, listed, _WHO), "mailing to a prospect not listed", ~nw.col("is_listed").is_null())
    delivered = mail.filter(nw.col("is_delivered"))
    mailed = delivered.select("prospect_id", touched_at=nw.col("sent_at"), to_reply=nw.lit(True))
    touches = nw.concat([mailed, *channels], how="vertical")

    parts = [people.select("prospect_id"), *_mail_parts(mail)]
    table = join(join(stack(parts, _WHO), people, _WHO), _touch_summary(touches, mail), _WHO)
    table = table.with_columns(touches_to_reply=nw.when(~nw.col("first_reply_at").is_null()).then(nw.col("before")))
    zoned = with_zone(table, default_tz)
    call.assume(zoned, f"person without a known time zone, given default_tz ({default_tz})", _UNZONED)
    result: IntoFrameT = call.write(
        _with_opt_out(zoned).select(
            "prospect_id",
            "enrollments",
            "sequences",
            *_FLAGS_COUNTED,
            "first_touch_at",
            "last_touch_at",
            "first_reply_at",
            "touches_to_reply",
            "opted_out",
            "opt_out_source",
            "tz",
            "tz_source",
        ),
        sort=_WHO,
        instants=["first_touch_at", "last_touch_at", "first_reply_at"],
    )
    return result


def with_zone(people: nw.LazyFrame[Any], default_tz: str, columns: Sequence[str] = ZONE_COLUMNS) -> nw.LazyFrame[Any]:
    """
    Add the zone of the first column that names one.

    ``tz`` is its IANA name, else the default; ``tz_source`` the column, else ``default``; ``tz_written`` the name as it
    stands there, missing where it is the IANA name or there is none.
    """
    names = small_table(people, {"zone_key": list(zones_by_key()), "zone": list(zones_by_key().values())})
    zone, source, written = nw.lit(default_tz), nw.lit("default"), nw.lit(None, dtype=nw.String)
    for column in reversed(columns):
        key = nw.col(column).str.to_lowercase()
        for pattern, replacement in ZONE_NAME_STEPS:
            key = key.str.replace_all(pattern, replacement)
        zone_name = f"{column}_found"
        people = join(people.with_columns(zone_key=key), names.rename({"zone": zone_name}), "zone_key").drop("zone_key")
        has_zone = ~nw.col(zone_name).is_null()
        zone = nw.when(has_zone).then(nw.col(zone_name)).otherwise(zone)
        source = nw.when(has_zone).then(nw.lit(column)).otherwise(source)
        other = nw.when(nw.col(zone_name) != nw.col(column)).then(nw.col(column))
        written = nw.when(has_zone).then(other).otherwise(written)
    added = people.with_columns(tz=zone, tz_source=source, tz_written=written)
    return added.drop(*(f"{column}_found" for column in columns))


def _mail_parts(mail: nw.LazyFrame[Any]) -> list[nw.LazyFrame[Any]]:
    counted = mail.with_columns(
        *(nw.col(flag).cast(nw.Int64).alias(name) for name, flag in _FLAGS_COUNTED.items()),
        by_link=(~nw.col("unsubscribed_at").is_null()).cast(nw.Int64),
    )
    return [
        counted.group_by(*_WHO).agg(nw.col(name).sum() for name in (*_FLAGS_COUNTED, "by_link")),
        count_distinct(mail, _WHO, "sequence_state_id", "enrollments"),
        count_distinct(mail, _WHO, "sequence_id", "sequences"),
    ]


def _touch_summary(touches: nw.LazyFrame[Any], mail: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Find first and last touch and first reply, and count the touches up to that reply."""
    replied = mail.filter(nw.col("is_replied")).group_by(*_WHO).agg(first_reply_at=nw.col("replied_at").min())
    table = join(touches.filter(~nw.col("prospect_id").is_null()), replied, _WHO)
    before = (nw.col("touched_at") <= nw.col("first_reply_at")).fill_null(False) & nw.col("to_reply")
    return (
        table.with_columns(before=before.cast(nw.Int64), last_touch_at=nw.col("touched_at"))
        .group_by(*_WHO)
        .agg(
            nw.col("touched_at").min().alias("first_touch_at"),
            nw.col("last_touch_at").max(),
            nw.col("first_reply_at").min(),
            nw.col("before").sum(),
        )
    )


def _with_opt_out(table: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    by_link = nw.col("by_link") > 0
    opted_out = is_opted_out(noticed=by_link | ~nw.col("opted_out_at").is_null())
    way = nw.when(by_link).then(nw.lit("link")).otherwise(nw.lit("manual"))
    return table.with_columns(opted_out=opted_out, opt_out_source=nw.when(opted_out).then(way))


_PROSPECT_RESULT = {
    "prospect_id": "int64[pyarrow]",
    "enrollments": "int64[pyarrow]",
    "open_enrollments": "int64[pyarrow]",
    "open_sequences": "int64[pyarrow]",
    "touches": "int64[pyarrow]",
    "max_touches": "int64[pyarrow]",
    "busiest_until": "int64[pyarrow]",
    "over_limit": "bool[pyarrow]",
}


def overlaps(
    mailings: pd.DataFrame,
    *,
    sequence_states: pd.DataFrame,
    window_d: float = 7,
    max_mailings: int = 4,
    bounce_policy: str = "reply_wins",
    as_of: Instant | None = None,
) -> pd.DataFrame:
    """
    Count each person's open enrollments, and the most mailings they got within any few days.

    Parameters
    ----------
    mailings
        ``id``, ``prospect_id``, ``delivered_at``, ``bounced_at``, ``replied_at``; one-off mail counts too.
    sequence_states
        Enrollments: ``id``, ``prospect_id``, ``sequence_id``, ``state``.
    window_d
        Length of the window [d].
    max_mailings
        Mailings in a window that are still acceptable [mailings]; practice, not law.
    bounce_policy
        See `mailing_flags`.
    as_of
        Mail delivered after it is left out; default: the frames' own record, else none.

    Returns
    -------
    overlaps : DataFrame, one row for each prospect with an enrollment or a delivered mailing, sorted by ``prospect_id``
        ``prospect_id``; ``enrollments``, ``open_enrollments``, ``open_sequences`` [distinct sequences among the open
        ones]; ``touches`` [delivered mailings]; ``max_touches``: the most in any window, which is open at its start
        and closed at its end; ``busiest_until``: the end of the first such window [UTC, missing without mail];
        ``over_limit``.

    Raises
    ------
    MissingColumnError
        A column listed above is absent.
    DataError
        A window that is not above 0, a wrong dtype, an id that occurs twice.

    Notes
    -----
    An enrollment is open unless finished or opted out, as in Outreach's interface. Not counted: mail without a
    prospect, calls and tasks, mailings without a delivery time. Prospects with two or more ``open_enrollments``,
    divided by those with one or more, are the overlap rate.

    Examples
    --------
    >>> people = stats.overlaps(mailings, sequence_states=sequence_states, window_d=7, max_mailings=4)
    >>> int((people["open_sequences"] > 1).sum()), int(people["over_limit"].sum())
    (14, 1)
    >>> people["max_touches"].max()
    5
    """
    call = StatContext("overlaps", window_d=window_d, max_mailings=max_mailings, bounce_policy=bounce_policy)
    states = read(call, "sequence_states", sequence_states, ["id", "prospect_id", "sequence_id", "state"])
    mail = read_deliveries(call, mailings, ["prospect_id"], bounce_policy=bounce_policy)
    until = call.optional_instant(as_of)
    states = keep(call, states, "enrollment without a prospect", states["prospect_id"].notna())
    mail = keep(call, mail, "mailing not delivered", mail["is_delivered"] & mail["delivered_at"].notna())
    mail = keep(call, mail, "mailing without a prospect", mail["prospect_id"].notna())
    if until is not None:
        mail = keep(call, mail, "delivered after as_of", mail["delivered_at"] <= until)

    people = _enrolled(states).merge(_touched_by_anyone(mail, window_d), on="prospect_id", how="outer", validate="1:1")
    counts = ["enrollments", "open_enrollments", "open_sequences", "touches", "max_touches"]
    people = people.fillna(dict.fromkeys(counts, 0))
    people["over_limit"] = people["max_touches"] > max_mailings
    return write(
        call, people[list(_PROSPECT_RESULT)].astype(_PROSPECT_RESULT), sort=["prospect_id"], instants=["busiest_until"]
    )


def _enrolled(states: pd.DataFrame) -> pd.DataFrame:
    is_open = ~states["state"].isin(CLOSED_STATES)
    grouped = states.assign(is_open=is_open, open_in=states["sequence_id"].where(is_open)).groupby("prospect_id")
    counted = grouped.agg(
        enrollments=("id", "size"), open_enrollments=("is_open", "sum"), open_sequences=("open_in", "nunique")
    )
    return counted.reset_index()


def _touched_by_anyone(mail: pd.DataFrame, window_d: float) -> pd.DataFrame:
    """Count each person's deliveries, and those in their busiest window."""
    ordered = mail.sort_values(["prospect_id", "delivered_at", "id"], ignore_index=True)
    people, instants = (ordered[name].to_numpy(dtype=np.int64) for name in ("prospect_id", "delivered_at"))
    ordered["max_touches"] = _within_window(people, instants, int(window_d * DAY))
    busiest = ordered.sort_values(["prospect_id", "max_touches"], ascending=[True, False], kind="stable")
    busiest = busiest.drop_duplicates("prospect_id").rename(columns={"delivered_at": "busiest_until"})
    touches = mail.groupby("prospect_id", as_index=False).agg(touches=("id", "size"))
    return touches.merge(busiest[["prospect_id", "max_touches", "busiest_until"]], on="prospect_id", validate="1:1")


def _within_window(people: Ints, instants: Ints, window: int) -> Ints:
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
