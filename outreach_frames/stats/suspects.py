"""
Opens and clicks: when a mail was first opened, and which of them look like a machine's.

No rule can tell for certain. A mailing is suspect only where everything seen of it is, so that one open by a person
clears it; and what comes out is a range of open rates, not a corrected one.
"""

from collections.abc import Sequence
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
from narwhals.typing import IntoFrameT
from scipy.special import gammainc

from outreach_frames._renamed import with_old_positions
from outreach_frames.errors import MachineOpenWarning
from outreach_frames.stats._backends import join, pandas_of, wrap
from outreach_frames.stats._pandas import Flags, Ints, flags, read, read_mailings, texts, write
from outreach_frames.stats._statistic import StatContext, warn_of_rows
from outreach_frames.stats._timestamps import HOUR, SECOND
from outreach_frames.stats._validation import words
from outreach_frames.stats.flags import ENGAGEMENT, first_domains, with_flags
from outreach_frames.stats.intervals import wilson
from outreach_frames.stats.provenance import attach

RATE_FROM, RATE_UNTIL = 10 * SECOND, 70 * SECOND
"""How far before and after a window the rate is looked at [µs]; nearer than that, it is the burst's own."""

CHANCE = 1e-5
"""Chance below which so many recipients in a window are no coincidence at the rate around it."""


def in_burst(at: Ints, who: Ints, group: Ints, *, least: int, window: int) -> Flags:
    """
    Mark the events that share a short window with those of more recipients than chance explains.

    Parameters
    ----------
    at
        When each happened [µs].
    who
        Whose it was; one recipient counts once in a window.
    group
        Which group it belongs to; groups do not see each other.
    least
        Recipients in a window that are suspect at all.
    window
        Its length [µs], at most `RATE_FROM`.

    Returns
    -------
    in_burst
        Whether an event is in a window that `least` recipients or more share, and in which so many would be there by
        chance less often than `CHANCE`: events of a Poisson process at the greater of the rates before and after the
        window, so that a rush which begins or ends is none.

    Notes
    -----
    Every event begins a window; those are all windows that matter, since any other could be moved to begin at its first
    event. Recipients in a window are its events less the pairs of consecutive events of one recipient within it; a pair
    longer than the window is in none, so that the pairs inside are those ended before the window's end less those begun
    before its start.
    """
    order = np.lexsort((at, group))
    moment = _on_one_line(at[order], group[order])
    end = np.searchsorted(moment, moment + window)
    recipients = end - np.arange(len(order)) - _pairs_inside(moment, who[order], end, window)
    many = np.flatnonzero(recipients >= least)
    begun, over = moment[many], moment[many] + window
    before = _between(moment, begun - RATE_UNTIL, begun - RATE_FROM)
    after = _between(moment, over + RATE_FROM, over + RATE_UNTIL)
    expected = np.maximum(before, after) * (window / (RATE_UNTIL - RATE_FROM))
    rare = many[gammainc(recipients[many], expected) < CHANCE]  # the upper tail of a Poisson distribution
    covered = np.bincount(rare, minlength=len(order) + 1) - np.bincount(end[rare], minlength=len(order) + 1)
    marked = np.empty(len(order), dtype=np.bool_)
    marked[order] = np.cumsum(covered)[:-1] > 0
    return marked


def _on_one_line(at: Ints, group: Ints) -> Ints:
    """Put groups, each in order of time, one after the other; gaps are only as long as it takes to see none across."""
    gaps = np.minimum(np.diff(at), 2 * RATE_UNTIL)
    gaps[np.diff(group) != 0] = 2 * RATE_UNTIL
    return np.concatenate((np.zeros(min(len(at), 1), dtype=np.int64), np.cumsum(gaps)))


def _pairs_inside(moment: Ints, who: Ints, end: Ints, window: int) -> Ints:
    """Count in each window the consecutive events of one recipient."""
    places = np.argsort(who, kind="stable")
    first, second = places[:-1], places[1:]
    close = (who[first] == who[second]) & (moment[second] - moment[first] < window)
    ended, begun = (
        np.searchsorted(np.sort(side[close]), at) for side, at in ((second, end), (first, np.arange(len(end))))
    )
    return ended - begun


def _between(moment: Ints, low: Ints, high: Ints) -> Ints:
    """Count the events between instants."""
    return np.searchsorted(moment, high) - np.searchsorted(moment, low)


OPEN_EVENTS = ("message_opened",)
CLICK_EVENTS = ("message_clicked",)

FAST_S = 10

REASONS = {
    "fast": "within seconds of delivery",
    "proxied": "through a proxy",
    "burst": "with other recipients' within a second",
    "unopened": "clicked without an open",
    "together": "clicks at once",
}


@with_old_positions("events")
def suspect_engagement(
    mailings: pd.DataFrame,
    *,
    events: pd.DataFrame | None = None,
    fast_s: float = FAST_S,
    burst_n: int = 5,
    together_s: float = 2,
    email_addresses: pd.DataFrame | None = None,
    open_events: Sequence[str] = OPEN_EVENTS,
    click_events: Sequence[str] = CLICK_EVENTS,
    ci: float = 0.95,
) -> pd.DataFrame:
    """
    Mark the mailings whose opens or clicks look like a machine's, and bound the open rate.

    An open or click is suspect if it came within ``fast_s`` of delivery, or through a proxy; an open also if it came in
    a burst; a click also if the mailing was never opened although opens were tracked, or if another click on it came
    within ``together_s`` before or after. A burst are the opens of at least ``burst_n`` recipients of one domain within
    a second (two where all times are whole seconds), if the rate of that domain's opens in the minutes around brings so
    many together less than once in 100,000 times; without ``email_addresses``, all are taken for one domain's.

    Parameters
    ----------
    mailings
        As for `mailing_flags` without ``marked_as_spam_at``, and ``prospect_id``.
    events
        ``name``, ``event_at``, ``mailing_id``, ``request_proxied``: every open and click with its time.
        For mailings without an event, and without ``events``, the mailing's own columns serve: they hold the latest
        open and click only, which proves them all fast if it is, and is compared with other recipients' if it is the
        only one.
    fast_s
        Time after delivery that leaves no room for reading [s].
    burst_n
        Fewer recipients whose opens come within a second are no burst [recipients].
    together_s
        Time within which a person does not click twice [s].
    email_addresses
        ``id``, ``prospect_id``, ``email``: whose domain is whose; a prospect's first address counts. Recipients without
        one are taken together. Give it where much is opened: among 200,000 opens a day, chance brings five people
        together in most seconds, and a small burst can only be told from it domain by domain.
    open_events, click_events
        Names of the events; the vendor's list is not complete.
    ci
        Confidence level of the bounds of the open rates.

    Returns
    -------
    suspects : DataFrame, one row for each mailing, sorted by ``mailing_id``
        ``mailing_id``, ``suspect_open``, ``suspect_click``, ``reason`` (text, missing where nothing is suspect).
        `attached` gives ``"open_rate_range"`` in one row: ``upper``, the open rate as it stands, and ``lower``, without
        suspect opens, each with ``_lo`` and ``_hi`` (missing without trials), over ``n`` delivered mailings with open
        tracking.

    Raises
    ------
    MissingColumnError
        A column listed above is absent.
    DataError
        A wrong dtype or an id that occurs twice.

    Warns
    -----
    MachineOpenWarning
        Some opens or clicks are suspect.

    Notes
    -----
    Not detected: proxies that load pictures hours later, scanners that click one link or take their time, and bursts
    over several domains where these are known. A picture proxy stands between people too, so ``lower`` may be too low.
    Source: Outreach's help center on inflated opens and scanner clicks.

    Examples
    --------
    >>> suspects = stats.suspect_engagement(mailings, events=events)
    >>> suspects[["suspect_open", "suspect_click"]].sum().to_dict()
    {'suspect_open': 169, 'suspect_click': 30}
    >>> suspects["reason"].value_counts().head(2).to_dict()
    {'within seconds of delivery; through a proxy': 153, 'within seconds of delivery; clicks at once': 21}
    """
    names = {"open": words("open_events", open_events), "click": words("click_events", click_events)}
    call = StatContext("suspect_engagement", fast_s=fast_s, burst_n=burst_n, together_s=together_s, ci=ci)
    call.parameters["by_domain"] = email_addresses is not None
    mail = read_mailings(call, mailings, ["prospect_id"])
    mail["domain"] = _domains(call, mail, email_addresses)
    seen = _latest(mail)
    if events is not None:
        log = read(call, "events", events, ["name", "event_at", "mailing_id", "request_proxied"])
        logged = _logged(log, mail, names)
        seen = pd.concat([logged, _without(seen, logged)], ignore_index=True)

    seen = seen.merge(
        mail[["id", "delivered_at", "prospect_id", "domain"]], left_on="mailing_id", right_on="id", validate="m:1"
    )
    marks = _suspect_marks(seen, mail, fast_s=fast_s, burst_n=burst_n, together_s=together_s)
    result = mail[["id"]].rename(columns={"id": "mailing_id"})
    reasons = dict.fromkeys(REASONS.values(), pd.Series(data=False, index=result.index))
    for kind in ("open", "click"):
        suspect, why = _verdicts(seen, marks, kind)
        result[f"suspect_{kind}"] = result["mailing_id"].isin(suspect).astype("bool[pyarrow]")
        for name, sentence in REASONS.items():
            reasons[sentence] = reasons[sentence] | result["mailing_id"].isin(why.index[why[name]])
    result["reason"] = texts(reasons, len(result))

    suspects = write(call, result, sort=["mailing_id"])
    opened, base = flags(mail["is_opened"]), int(mail["is_open_tracked"].sum())
    machines = flags(result["suspect_open"])
    opens = _range(int(opened.sum()), int((opened & machines).sum()), base, ci)
    attach(suspects, "open_rate_range", pd.DataFrame([opens]))
    either = suspects["suspect_open"] | suspects["suspect_click"]
    _warn_of_suspects(suspects["mailing_id"][either])
    return suspects


def warn_of_machines(mail: pd.DataFrame) -> None:
    """Warn of flagged mailings whose opens or clicks all came within seconds of delivery."""
    early = mail["delivered_at"] + FAST_S * SECOND
    fast = flags(mail["is_opened"] & (mail["opened_at"] <= early)) | flags(
        mail["is_clicked"] & (mail["clicked_at"] <= early)
    )
    _warn_of_suspects(mail["id"][fast])


def _warn_of_suspects(ids: "pd.Series[Any]") -> None:
    warn_of_rows(
        MachineOpenWarning,
        "Opened or clicked as machines do, so that open and click rates are too high",
        ids,
    )


def _domains(call: StatContext, mail: pd.DataFrame, email_addresses: pd.DataFrame | None) -> Ints:
    """Number the domains of the recipients; one number for all that are unknown."""
    if email_addresses is None:
        return np.zeros(len(mail), dtype=np.int64)
    addresses = read(call, "email_addresses", email_addresses, ["id", "prospect_id", "email"])
    listed = pandas_of(first_domains(wrap(addresses))).set_index("prospect_id")["recipient_domain"]
    codes, _ = pd.factorize(mail["prospect_id"].map(listed))
    return codes


def _latest(mail: pd.DataFrame) -> pd.DataFrame:
    """List the latest open and click of each mailing; ``alone`` where there was no other."""
    parts = []
    for kind, at, count in (("open", "opened_at", "opens_total"), ("click", "clicked_at", "clicks_total")):
        happened = mail[flags(mail[f"is_{kind}ed"])]
        part = pd.DataFrame({"mailing_id": happened["id"], "at": happened[at], "alone": happened[count] == 1})
        parts.append(part.assign(kind=kind, proxied=False, logged=False))
    return pd.concat(parts, ignore_index=True)


def _logged(log: pd.DataFrame, mail: pd.DataFrame, names: dict[str, list[str]]) -> pd.DataFrame:
    """List the opens and clicks in the event log, of mailings whose flags confirm them."""
    parts = []
    for kind, event_names in names.items():
        counted = mail["id"][flags(mail[f"is_{kind}ed"])]
        rows = log[flags(log["name"].isin(event_names)) & flags(log["mailing_id"].isin(counted))]
        part = pd.DataFrame(
            {"mailing_id": rows["mailing_id"], "at": rows["event_at"], "proxied": flags(rows["request_proxied"])}
        )
        parts.append(part.assign(kind=kind, alone=True, logged=True))
    return pd.concat(parts, ignore_index=True)


def _without(seen: pd.DataFrame, logged: pd.DataFrame) -> pd.DataFrame:
    listed = pd.MultiIndex.from_frame(logged[["mailing_id", "kind"]])
    return seen[~pd.MultiIndex.from_frame(seen[["mailing_id", "kind"]]).isin(listed)]


def _suspect_marks(
    seen: pd.DataFrame, mail: pd.DataFrame, *, fast_s: float, burst_n: int, together_s: float
) -> dict[str, Flags]:
    """Mark for each open and click the reasons that make it suspect."""
    opened = flags(seen["kind"] == "open")
    never_opened = mail["id"][flags(mail["is_clicked"] & mail["is_open_tracked"] & ~mail["is_opened"])]
    return {
        "fast": flags(seen["at"] - seen["delivered_at"] <= int(fast_s * SECOND)),
        "proxied": flags(seen["proxied"]),
        "burst": flags(seen["alone"]) & _in_burst(seen, opened, burst_n),
        "unopened": ~opened & flags(seen["mailing_id"].isin(never_opened)),
        "together": ~opened & flags(seen["logged"]) & _at_once(seen, int(together_s * SECOND)),
    }


def _in_burst(seen: pd.DataFrame, opened: Flags, burst_n: int) -> Flags:
    """Mark the opens in a burst; missing recipients count by mailing."""
    timed = opened & flags(seen["at"].notna())
    opens = seen[timed]
    recipient = opens["prospect_id"].fillna(-opens["mailing_id"])
    at, who, group = (column.to_numpy(dtype=np.int64) for column in (opens["at"], recipient, opens["domain"]))
    window = SECOND if (at % SECOND).any() else 2 * SECOND  # a burst may be cut in two by rounding
    marked = np.zeros(len(seen), dtype=np.bool_)
    marked[timed] = in_burst(at, who, group, least=burst_n, window=window)
    return marked


def _at_once(seen: pd.DataFrame, within: int) -> Flags:
    """Mark those with another one of the same mailing and kind within a short time."""
    ordered = seen.sort_values(["mailing_id", "kind", "at"])
    near = flags(ordered.groupby(["mailing_id", "kind"])["at"].diff() <= within)
    near[:-1] |= near[1:]
    marked = np.empty(len(seen), dtype=np.bool_)
    marked[ordered.index] = near
    return marked


def _verdicts(seen: pd.DataFrame, marks: dict[str, Flags], kind: str) -> tuple["pd.Index[Any]", pd.DataFrame]:
    """Return the mailings of which everything of a kind is suspect, and the reasons."""
    rows = flags(seen["kind"] == kind)
    marked = pd.DataFrame({name: mark[rows] for name, mark in marks.items()})
    grouped = marked.assign(all=marked.any(axis=1)).groupby(seen["mailing_id"].to_numpy()[rows])
    suspect = grouped["all"].all()
    why = grouped[list(marks)].any()[suspect]
    return suspect[suspect].index, why


def _range(opened: int, machines: int, base: int, ci: float) -> dict[str, float | int | None]:
    rates = wilson([opened - machines, opened], [base, base], ci=ci)
    bounds: dict[str, float | int | None] = {"n": base}
    for row, name in enumerate(("lower", "upper")):
        for end in ("rate", "lo", "hi"):
            value = rates[end].iloc[row]
            bounds[name if end == "rate" else f"{name}_{end}"] = None if pd.isna(value) else float(value)
    return bounds


@with_old_positions("events")
def first_opens(
    mailings: IntoFrameT,
    *,
    events: IntoFrameT | None = None,
    open_events: Sequence[str] = OPEN_EVENTS,
    bounce_policy: str = "reply_wins",
) -> IntoFrameT:
    """
    Date the first open of each opened mailing, and tell whether that date is exact or the latest it can be.

    ``hours_to_open`` = first open − ``delivered_at``. ``opened_at`` is the most recent open, so that it is the first
    one only where exactly one open was counted; otherwise it is an upper bound. The event log has every open.

    Parameters
    ----------
    mailings
        As for `mailing_flags` without ``marked_as_spam_at``.
    events
        ``name``, ``event_at``, ``mailing_id``: the event log.
    open_events
        Names of the events that are opens; the vendor's list is not complete.
    bounce_policy
        See `mailing_flags`.

    Returns
    -------
    opens : frame of the caller's kind, one row per opened mailing, sorted by ``mailing_id``
        ``mailing_id``; ``delivered_at``; ``open_count`` [opens]; ``first_open_at`` (missing where no time is known);
        ``hours_to_open`` [h, missing without both times]; ``first_open_exact``: exactly one open was counted, or the
        event log holds at least as many as were counted; otherwise the first open may have been earlier.

    Raises
    ------
    MissingColumnError
        A column listed above is absent.
    DataError
        A column of another dtype, an id that occurs twice in memory, frames of two kinds.

    Notes
    -----
    Left out and counted: mailings not opened, and what is not tracked. Opens include machines', which come first; see
    `suspect_engagement`. Source: attribute description of ``openedAt`` in the Outreach API v2.

    Examples
    --------
    >>> opens = stats.first_opens(mailings, events=events)
    >>> opens["first_open_exact"].value_counts().to_dict()
    {True: 1078}
    >>> round(opens["hours_to_open"].median(), 1)
    1.1
    """
    names = words("open_events", open_events)
    call = StatContext("first_opens", open_events=names, bounce_policy=bounce_policy)
    mail = with_flags(call.read("mailings", mailings, ["id", *ENGAGEMENT]), bounce_policy)
    log = None if events is None else call.read("events", events, ["name", "event_at", "mailing_id"])
    mail = call.drop(mail, "mailing not opened", nw.col("is_opened")).rename({"id": "mailing_id"})
    exact = (nw.col("opens_total") == 1) & ~nw.col("opened_at").is_null()
    opened = mail.with_columns(first_open_at=nw.col("opened_at"), first_open_exact=exact)
    if log is not None:
        seen = log.filter(nw.col("name").is_in(names).fill_null(False) & ~nw.col("mailing_id").is_null())
        seen = seen.group_by("mailing_id").agg(logged_at=nw.col("event_at").min(), logged=nw.col("event_at").count())
        opened = join(opened, seen, "mailing_id")
        complete = (nw.col("logged") >= nw.col("opens_total")).fill_null(False) & ~nw.col("logged_at").is_null()
        earlier = (nw.col("logged_at") < nw.col("opened_at")).fill_null(False) | nw.col("opened_at").is_null()
        opened = opened.with_columns(
            first_open_at=nw.when(earlier).then(nw.col("logged_at")).otherwise(nw.col("opened_at")),
            first_open_exact=nw.col("first_open_exact") | complete,
        )
    timed = opened.with_columns(
        open_count=nw.col("opens_total"), hours_to_open=(nw.col("first_open_at") - nw.col("delivered_at")) / HOUR
    )
    columns = ["mailing_id", "delivered_at", "open_count", "first_open_at", "hours_to_open", "first_open_exact"]
    result: IntoFrameT = call.write(
        timed.select(*columns), sort=["mailing_id"], instants=["delivered_at", "first_open_at"]
    )
    return result
