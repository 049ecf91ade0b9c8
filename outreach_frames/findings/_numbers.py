"""The first lines of a report: whose it is, the headline reply rate, and a period against the one before."""

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import pandas as pd

from outreach_frames._format import MISSING, SPACE, count, day, percent, percent_range
from outreach_frames.findings._finding import Rate, records
from outreach_frames.stats import attached, compare_periods, engagement, trend
from outreach_frames.stats.flags import SENDING
from outreach_frames.stats.intervals import difference_of

HEADLINE_RATE = "enrollment_reply_rate_14d"
"""The one reply rate that a report begins with: it is fair to new sequences, and to a period that ended just now."""

_ANSWER_D = 14
"""Days that an enrollment has had before it counts in the headline."""

_ROWS = {
    HEADLINE_RATE: f"Reply rate: enrollments that answered within {_ANSWER_D} days",
    "meetings": "Meetings: calls that led to one",
    "delivered": "Mails delivered",
    "bounce_rate": "Bounce rate, of the mails sent",
    "opt_out_rate": "Opt-outs by the link, of the mails delivered",
}


def head_of(tables: Mapping[str, pd.DataFrame], *, organization: str | None, as_of: pd.Timestamp) -> str:
    """
    Write whose report it is, and which mail it counts, as HTML.

    Parameters
    ----------
    tables
        Mailings; users or mailboxes tell the organization by the domain that most of them have.
    organization
        Its name; default: that domain.
    as_of
        When the data were extracted.
    """
    sent = tables["mailings"]["delivered_at"].dropna()
    period = f"Mail delivered {day(sent.min())} to {day(sent.max())}" if len(sent) else "No mail was delivered"
    whose = organization or _domain(tables)
    name = f"<strong>{escape(whose)}</strong> · " if whose else ""
    reading = (
        "In brackets after a percentage: a range that holds the true rate in 95 of 100 cases, and n, the number of "
        "cases. A difference is named only where chance is unlikely to explain it, among all comparisons here."
    )
    return (
        f'<p class="outreach-head">{name}{period}. Extracted {day(as_of)}, {as_of:%H:%M}{SPACE}UTC.</p>'
        f'<p class="outreach-note">{reading}</p>'
    )


def _domain(tables: Mapping[str, pd.DataFrame]) -> str:
    """Return the domain of most users' addresses, or else of most mailboxes'."""
    for name in ("users", "mailboxes"):
        if name in tables and "email" in tables[name].columns:
            domains = tables[name]["email"].astype("object").str.extract(r"@([^@\s]+)$", expand=False).dropna()
            if len(domains):
                return str(domains.mode().iloc[0])
    return ""


def with_begin(mailings: pd.DataFrame) -> pd.DataFrame:
    """Add when the enrollment of each mailing began: its first mailing sent; missing outside of sequences."""
    sent_at = mailings[SENDING[0]]
    for name in SENDING[1:]:
        sent_at = sent_at.fillna(mailings[name])
    return mailings.assign(enrollment_began_at=sent_at.groupby(mailings["sequence_state_id"]).transform("min"))


def change_of_headline(mailings: pd.DataFrame, *, as_of: pd.Timestamp, days: int) -> pd.DataFrame:
    """Compare the headline of the enrollments whose days to answer ended in the latest period and in the one before."""
    end, length = as_of - pd.Timedelta(days=_ANSWER_D), pd.Timedelta(days=days)
    return compare_periods(
        with_begin(mailings),
        statistic=engagement,
        a=(end - 2 * length, end - length),
        b=(end - length, end),
        by="sequence_id",
        metric=HEADLINE_RATE,
        on="enrollment_began_at",
        as_of=as_of,
    )


def numbers_of(
    mailings: pd.DataFrame, change: pd.DataFrame, *, calls: pd.DataFrame | None, as_of: pd.Timestamp, days: int
) -> pd.DataFrame:
    """
    Write the headline, meetings and mail of all data, of the latest period and of the one before.

    Parameters
    ----------
    mailings
        As of `engagement`.
    change
        The result of `change_of_headline`.
    calls
        As of `meetings`; without them, or where none says that it led to a meeting, meetings are left out.
    as_of
        When the data were extracted; the latest period ends then.
    days
        Length of a period [d].
    """
    length = pd.Timedelta(days=days)
    bounds: dict[str, dict[str, Any]] = {
        "whole": {},
        "now": {"since": as_of - length},
        "before": {"since": as_of - 2 * length, "until": as_of - length},
    }
    mail = {span: engagement(mailings, as_of=as_of, **part).iloc[0] for span, part in bounds.items()}
    (total,) = records(attached(change, "total"))
    headline = [_rate_of(mail["whole"], HEADLINE_RATE), _rate_of(total, "rate_b"), _rate_of(total, "rate_a")]
    rates = {name: [_rate_of(row, name) for row in mail.values()] for name in ("bounce_rate", "opt_out_rate")}
    counts = {"delivered": [int(row["delivered"]) for row in mail.values()]}
    if calls is not None and any(held := _meetings(mailings, calls, as_of, length)):
        counts["meetings"] = held
    cells = {name: _cells_of_rates(three) for name, three in ({HEADLINE_RATE: headline} | rates).items()}
    cells |= {name: [*map(count, three), _signed(three[1] - three[2])] for name, three in counts.items()}
    rows = [[label, *cells[name]] for name, label in _ROWS.items() if name in cells]
    return pd.DataFrame(rows, columns=["number", *bounds, "change"], dtype="str")


def _meetings(mailings: pd.DataFrame, calls: pd.DataFrame, as_of: pd.Timestamp, length: pd.Timedelta) -> list[int]:
    """Count the calls that led to a meeting: in all, in the latest period and in the one before."""
    by_day = trend(mailings, calls=calls, metric="meetings", by="day")
    held = by_day["meetings"].astype("int64")
    at = pd.to_datetime(by_day["day"].astype("str"), utc=True)
    now, before = at >= as_of - length, (at >= as_of - 2 * length) & (at < as_of - length)
    return [int(held.sum()), int(held[now].sum()), int(held[before].sum())]


def _rate_of(row: Any, name: str) -> Rate:
    ends = [row[f"{name}{end}"] for end in ("", "_lo", "_hi", "_n")]
    return Rate(*(math.nan if pd.isna(each) else float(each) for each in ends))


def _cells_of_rates(rates: Sequence[Rate]) -> list[str]:
    """Write rates of all data, now and before, with equal decimals, and the difference between the last two."""
    texts = [
        MISSING
        if pd.isna(each.value)
        else f"{percent(each.value)} ({percent_range(each.low, each.high)}, n{SPACE}={SPACE}{count(each.n)})"
        for each in rates
    ]
    if any(pd.isna(each.value) for each in rates[1:]):
        return [*texts, MISSING]
    change, low, high = difference_of(rates[1][:3], rates[2][:3])
    return [*texts, f"{_decimal(change)} points ({_decimal(low)} to {_decimal(high)})"]


def _decimal(difference: float) -> str:
    """Write a difference in points with one decimal, also 0."""
    return f"{100 * difference:+.1f}".replace("-", "−").replace("+0.0", "0.0").replace("−0.0", "0.0")


def _signed(difference: int) -> str:
    return f"{difference:+,}".replace("-", "−") if difference else "0"
