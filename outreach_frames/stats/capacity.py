"""How much of its daily limit each mailbox used."""

import narwhals as nw
from narwhals.typing import IntoFrameT

from outreach_frames.stats._calendar import with_local, with_periods
from outreach_frames.stats._call import Call
from outreach_frames.stats._engines import join
from outreach_frames.stats._instants import Instant
from outreach_frames.stats.flags import SENDING, tell_placing, with_delivery


def send_capacity(
    mailboxes: IntoFrameT, mailings: IntoFrameT, *, tz: str = "UTC", as_of: Instant | None = None
) -> IntoFrameT:
    """
    Divide what each mailbox sent on a day by its daily limit.

    ``send_capacity_used`` = mailings sent that day / ``max_mailings_per_day``.

    Parameters
    ----------
    mailboxes
        ``id``, ``max_mailings_per_day``: the mailboxes to report on.
    mailings
        ``id``, ``mailbox_id``, ``delivered_at``, ``bounced_at``, ``replied_at``.
    tz
        IANA zone in which a day begins and ends.
    as_of
        When the data were extracted; kept in the record only.

    Returns
    -------
    capacity : frame of the caller's kind, one row per mailbox and day on which it sent, sorted
        ``mailbox_id``, ``day``, ``sent`` [mailings], ``max_mailings_per_day`` [mailings],
        ``send_capacity_used`` (above 1 where more was sent than is allowed now; missing without a limit above 0).

    Raises
    ------
    MissingColumnError
        A column is absent.
    DataError
        A wrong dtype, an id that occurs twice in memory, frames of two kinds, an unknown zone.

    Notes
    -----
    A share of a limit and no rate of trials: it has no interval. Left out and counted: mail never sent, and that of
    mailboxes not listed. The limit is that of now; the API keeps no earlier ones. `mailbox_health` gives the 95th
    percentile of the days. Definition: this project's metric dictionary, part 2.8.
    """
    call = Call("send_capacity", tz=tz)
    boxes = call.read("mailboxes", mailboxes, ["id", "max_mailings_per_day"]).rename({"id": "mailbox_id"})
    mail = with_delivery(call.read("mailings", mailings, ["id", "mailbox_id", *SENDING]))
    call.look(as_of)
    mail = call.drop(mail, "mailing never sent", nw.col("is_sent"))
    marked = join(mail, boxes.with_columns(is_listed=nw.col("mailbox_id")), "mailbox_id")
    mail = call.drop(marked, "mailing of a mailbox not listed", ~nw.col("is_listed").is_null())
    tell_placing(call, mail)
    placed = with_periods(with_local(mail, "sent_at", zones=[tz]), ["day"])
    daily = placed.group_by("mailbox_id", "day").agg(
        nw.col("id").count().alias("sent"), nw.col("max_mailings_per_day").max()
    )
    limit = nw.when(nw.col("max_mailings_per_day") > 0).then(nw.col("max_mailings_per_day").cast(nw.Float64))
    used = daily.with_columns(send_capacity_used=nw.col("sent").cast(nw.Float64) / limit)
    columns = ["mailbox_id", "day", "sent", "max_mailings_per_day", "send_capacity_used"]
    result: IntoFrameT = call.write(used.select(*columns), sort=["mailbox_id", "day"], days=["day"])
    return result
