"""
The health of mailboxes: whether they send, and whether they still see what comes back.

A mailbox that no longer synchronises goes on sending, but its replies and bounces are never detected: its rates fall
for no reason that lies in the mail. Look here before at any rate.
"""

from typing import Any

import numpy as np
import pandas as pd

from outreach_frames.stats._calendar import HOUR
from outreach_frames.stats._call import Call
from outreach_frames.stats._instants import Instant
from outreach_frames.stats._small import flags, floats, keep, read, read_deliveries, texts, write
from outreach_frames.stats.traps import BlindMailboxWarning, warn

_TIMES = ("last_send_at", "last_sync_at", "blind_since")

_RESULT = {
    "mailbox_id": "int64[pyarrow]",
    "email": "string[pyarrow]",
    "send_ok": "bool[pyarrow]",
    "sync_ok": "bool[pyarrow]",
    **dict.fromkeys(_TIMES, "int64[pyarrow]"),
    "sent": "int64[pyarrow]",
    "sent_while_blind": "int64[pyarrow]",
    "sending_days": "int64[pyarrow]",
    "capacity_used_p95": "double[pyarrow]",
    "reasons": "string[pyarrow]",
}


def mailbox_health(
    mailboxes: pd.DataFrame,
    mailings: pd.DataFrame,
    *,
    stale_h: float = 24,
    tz: str = "UTC",
    as_of: Instant | None = None,
) -> pd.DataFrame:
    """
    Tell for each mailbox whether it sends and synchronises, and since when it is blind.

    Parameters
    ----------
    mailboxes
        ``id``, ``send_disabled``, ``sync_disabled``, ``send_errored_at``, ``send_success_at``, ``sync_errored_at``,
        ``sync_success_at``, ``max_mailings_per_day``; ``email`` if known.
    mailings
        ``id``, ``mailbox_id``, ``delivered_at``, ``bounced_at``, ``replied_at``.
    stale_h
        Time without a successful synchronisation after which a mailbox counts as blind [h].
    tz
        IANA zone in which a day of sending begins and ends.
    as_of
        When the data were extracted; default: the frames' own record.

    Returns
    -------
    health : DataFrame, one row for each mailbox, sorted by ``mailbox_id``
        ``mailbox_id``, ``email``; ``send_ok``: sending is on and did not fail after its last success; ``sync_ok``:
        likewise, and that success is at most ``stale_h`` old (both missing where nothing is recorded);
        ``last_send_at``: last success or last mailing sent; ``last_sync_at``; ``blind_since``: where ``sync_ok`` is
        false, the last success, else the first mailing sent; ``sent`` and ``sent_while_blind`` [mailings];
        ``sending_days`` [days]; ``capacity_used_p95``: 95th percentile over those days of mailings sent /
        ``max_mailings_per_day`` (missing without days or limit); ``reasons`` (text, missing where all is well).

    Raises
    ------
    MissingColumnError
        A column is absent.
    DataError
        ``as_of`` is unknown, a wrong dtype, an id that occurs twice.

    Warns
    -----
    BlindMailboxWarning
        Some mailboxes do not synchronise.

    Notes
    -----
    Not counted: mailings that never left, and those of mailboxes not listed. The API keeps only the latest success and
    failure: earlier gaps cannot be seen. Source: this project's metric dictionary, parts 1.4 (T18) and 2.8.
    """
    call = Call("mailbox_health", stale_h=stale_h, tz=tz)
    attempts = [f"{way}_{outcome}_at" for way in ("send", "sync") for outcome in ("errored", "success")]
    columns = ["id", "send_disabled", "sync_disabled", *attempts, "max_mailings_per_day"]
    boxes = read(call, "mailboxes", mailboxes, columns, optional=["email"])
    mail = read_deliveries(call, mailings, ["mailbox_id"])
    now = call.instant(as_of)
    mail = keep(call, mail, "mailing never sent", mail["sent_at"].notna() & (mail["sent_at"] <= now))
    mail = keep(call, mail, "mailing of a mailbox that is not listed", mail["mailbox_id"].isin(boxes["id"]))

    health = boxes.rename(columns={"id": "mailbox_id"})
    health = health.merge(_sending(mail), on="mailbox_id", how="left", validate="1:1").fillna({"sent": 0})
    succeeded, sent = health["send_success_at"], health["last_sent"]
    health["last_send_at"] = succeeded.where(succeeded > sent, sent).fillna(succeeded)
    health["last_sync_at"] = health["sync_success_at"]
    off = {way: health[f"{way}_disabled"].fillna(value=False) for way in ("send", "sync")}
    failed = {way: _failed(health, way) for way in ("send", "sync")}
    stale = (health["last_sync_at"] < now - int(stale_h * HOUR)).fillna(value=False)
    health["send_ok"] = _well(health["last_send_at"], off["send"] | failed["send"])
    health["sync_ok"] = _well(health["last_sync_at"], off["sync"] | failed["sync"] | stale)
    blind = ~health["sync_ok"].fillna(value=True)
    health["blind_since"] = health["last_sync_at"].fillna(health["first_sent"]).where(blind)
    health = health.merge(_unseen(mail, health), on="mailbox_id", how="left", validate="1:1")
    health = health.merge(_capacity(mail, health, tz), on="mailbox_id", how="left", validate="1:1")
    health = health.fillna({"sent_while_blind": 0, "sending_days": 0})
    reasons = {
        "sending is switched off": off["send"],
        "the last attempt to send failed": failed["send"],
        "synchronisation is switched off": off["sync"],
        "the last synchronisation failed": failed["sync"],
        f"no synchronisation for more than {stale_h:g} h": stale,
        "the daily limit is used up on busy days": health["capacity_used_p95"] >= 1,
    }
    health["reasons"] = texts(reasons, len(health))
    result = write(call, health[list(_RESULT)].astype(_RESULT), sort=["mailbox_id"], instants=_TIMES)
    what = "Mailboxes that do not synchronise, so that replies and bounces go unseen"
    warn(BlindMailboxWarning, what, health["mailbox_id"][flags(blind)])
    return result


def _sending(mail: pd.DataFrame) -> pd.DataFrame:
    grouped = mail.groupby("mailbox_id", as_index=False)
    return grouped.agg(sent=("sent_at", "size"), first_sent=("sent_at", "min"), last_sent=("sent_at", "max"))


def _failed(health: pd.DataFrame, way: str) -> "pd.Series[Any]":
    """Tell where the last failure is later than the last success, or there was no success."""
    errored, succeeded = health[f"{way}_errored_at"], health[f"last_{way}_at"]
    return (errored.notna() & succeeded.isna()) | (errored > succeeded).fillna(value=False)


def _well(last: "pd.Series[Any]", trouble: "pd.Series[Any]") -> "pd.Series[Any]":
    return (~trouble).where(trouble | last.notna()).astype("bool[pyarrow]")


def _unseen(mail: pd.DataFrame, health: pd.DataFrame) -> pd.DataFrame:
    """Count the mailings sent since each mailbox went blind."""
    blind = mail.merge(health[["mailbox_id", "blind_since"]], on="mailbox_id", validate="m:1")
    blind = blind[flags(blind["sent_at"] >= blind["blind_since"])]
    return blind.groupby("mailbox_id", as_index=False).agg(sent_while_blind=("sent_at", "size"))


def _capacity(mail: pd.DataFrame, health: pd.DataFrame, tz: str) -> pd.DataFrame:
    """Divide each day's mailings by the daily limit, and take the 95th percentile over days with mail."""
    instants = pd.to_datetime(mail["sent_at"].to_numpy(), unit="us", utc=True)
    days = mail.assign(day=instants.tz_convert(tz).date)
    daily = days.groupby(["mailbox_id", "day"], as_index=False).agg(sent=("sent_at", "size"))
    daily = daily.merge(health[["mailbox_id", "max_mailings_per_day"]], on="mailbox_id", validate="m:1")
    limit = floats(daily["max_mailings_per_day"])
    daily["used"] = floats(daily["sent"]) / np.where(limit > 0, limit, np.nan)
    grouped = daily.groupby("mailbox_id")
    used = pd.DataFrame({"capacity_used_p95": grouped["used"].quantile(0.95), "sending_days": grouped.size()})
    return used.reset_index()
