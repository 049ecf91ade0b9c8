"""
Flags of a mailing from which every statistic is counted, touches other than mail, and mail to colleagues.

Timestamps decide and ``state`` does not: it holds a single, latest value, and a bounced message that was answered
shows only one of the two.
"""

from typing import Any

import narwhals as nw
from narwhals.typing import IntoFrameT

from outreach_frames.errors import ContradictoryFlagsWarning
from outreach_frames.stats._backends import join
from outreach_frames.stats._statistic import StatContext, warn_of_rows

CALL_COLUMNS = ("id", "prospect_id", "direction", "dialed_at", "answered_at", "completed_at")
TASK_COLUMNS = ("id", "prospect_id", "action", "completed_at")

_CONVERSATIONS = ("completed", "answered")
"""The guide's word and the attribute description's word for a call that was answered."""


def outbound_calls(calls: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """
    Keep the outbound calls that were dialed, and add ``called_at``.

    The time of a call is ``dialed_at``, else ``answered_at``, else ``completed_at``; never ``created_at``, which is the
    time of logging.
    """
    dialed = calls.with_columns(called_at=nw.coalesce("dialed_at", "answered_at", "completed_at"))
    outbound = nw.col("direction").str.to_lowercase() == "outbound"
    return dialed.filter(outbound.fill_null(False) & ~nw.col("called_at").is_null())


def note_call_placing(call: StatContext, calls: nw.LazyFrame[Any]) -> None:
    """Note the calls of `outbound_calls` without a time of dialing, where they are placed by ``called_at``."""
    undialed = nw.col("dialed_at").is_null()
    call.assume(calls, "call without a time of dialing, placed at that of its answer or end", undialed)


def with_conversation(calls: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Add ``is_conversation``: the outcome says answered; where it says nothing, ``answered_at`` is set."""
    answered = nw.col("outcome").str.to_lowercase().is_in(_CONVERSATIONS).fill_null(False)
    silent = nw.col("outcome").is_null() & ~nw.col("answered_at").is_null()
    return calls.with_columns(is_conversation=answered | silent)


def other_tasks(tasks: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Keep the completed tasks that are neither an email nor a call, which count themselves."""
    elsewhere = nw.col("action").is_in(["email", "call"]).fill_null(False)
    return tasks.filter(~elsewhere & ~nw.col("completed_at").is_null())


ENROLLMENT = "sequence_state_id"

SENDING = ("delivered_at", "bounced_at", "replied_at")
"""Timestamps that prove that a message left."""

ENGAGEMENT = (
    *SENDING,
    "unsubscribed_at",
    "opened_at",
    "open_count",
    "track_opens",
    "clicked_at",
    "click_count",
    "track_links",
)
"""What the engagement flags are made of."""

FLAGS = (
    "is_sent",
    "is_bounced",
    "is_delivered",
    "is_open_tracked",
    "is_click_tracked",
    "is_opened",
    "is_clicked",
    "is_replied",
    "is_opted_out",
    "is_spam",
)


def mailing_flags(mailings: IntoFrameT, *, bounce_policy: str = "reply_wins") -> IntoFrameT:
    """
    Work out the flags of each mailing.

    ``is_sent``: any of ``delivered_at``, ``bounced_at``, ``replied_at`` is set. ``is_bounced``: ``bounced_at`` is set
    and ``replied_at`` is not. ``is_delivered``: sent and not bounced, so that sent = delivered + bounced.
    ``is_open_tracked`` and ``is_click_tracked``: delivered, and tracking was not switched off (unknown counts as
    tracked). ``is_opened`` and ``is_clicked``: tracked, and a count above 0 or a time. ``is_replied``,
    ``is_opted_out`` and ``is_spam``: delivered, and the time is set.

    Parameters
    ----------
    mailings
        One row per mailing: ``id``, ``delivered_at``, ``bounced_at``, ``replied_at``, ``unsubscribed_at``,
        ``marked_as_spam_at``, ``opened_at``, ``open_count``, ``clicked_at``, ``click_count``, ``track_opens``,
        ``track_links``.
    bounce_policy
        ``"reply_wins"``: an answer proves arrival, so an answered bounce is no bounce. ``"bounce_wins"``: every
        ``bounced_at`` is a bounce.

    Returns
    -------
    flags : frame of the caller's kind, shape (n_mailings, 13)
        ``id``, the ten flags, ``opens_total`` and ``clicks_total`` [events, machine ones included, 0 where nothing was
        counted, whatever the flags]. Same rows and, in pandas, same index.

    Raises
    ------
    MissingColumnError
        A column listed above is absent.
    DataError
        A column has the wrong dtype, an id occurs twice in memory, or the policy does not exist.

    Warns
    -----
    ContradictoryFlagsWarning
        Mailings bounced and were answered. Only here, where the flags are the result: the rates treat them by policy.

    Notes
    -----
    ``opened_at`` and ``clicked_at`` are the most recent events in the API, not the first. Source: attribute
    descriptions of the Outreach API v2; the rule for bounces is this project's decision.

    Examples
    --------
    >>> flags = stats.mailing_flags(mailings)
    >>> len(flags) == len(mailings)
    True
    >>> flags[["is_sent", "is_bounced", "is_delivered", "is_replied"]].sum().to_dict()
    {'is_sent': 2212, 'is_bounced': 43, 'is_delivered': 2169, 'is_replied': 106}
    """
    call = StatContext("mailing_flags", bounce_policy=bounce_policy)
    frame = call.read("mailings", mailings, ["id", *ENGAGEMENT, "marked_as_spam_at"])
    frame = with_flags(frame, bounce_policy).with_columns(is_spam=_is_set("marked_as_spam_at") & nw.col("is_delivered"))
    if call.in_memory:
        both = call.table(frame.filter(_is_set("bounced_at") & _is_set("replied_at")).select("id"))
        warn_of_rows(
            ContradictoryFlagsWarning, f"Mailings that bounced and were answered ({bounce_policy})", both["id"]
        )
    result: IntoFrameT = call.write(frame.select("id", *FLAGS, "opens_total", "clicks_total"), keep_index=True)
    return result


def with_flags(mailings: nw.LazyFrame[Any], bounce_policy: str = "reply_wins") -> nw.LazyFrame[Any]:
    """Add the flags that `ENGAGEMENT` columns allow (all but ``is_spam``), ``opens_total`` and ``clicks_total``."""
    opens, clicks = nw.col("open_count").fill_null(0), nw.col("click_count").fill_null(0)
    delivered = nw.col("is_delivered")
    return (
        with_delivery(mailings, bounce_policy)
        .with_columns(
            opens_total=opens,
            clicks_total=clicks,
            is_open_tracked=delivered & nw.col("track_opens").fill_null(True),
            is_click_tracked=delivered & nw.col("track_links").fill_null(True),
            is_replied=delivered & _is_set("replied_at"),
            is_opted_out=delivered & _is_set("unsubscribed_at"),
        )
        .with_columns(
            is_opened=nw.col("is_open_tracked") & ((nw.col("opens_total") > 0) | _is_set("opened_at")),
            is_clicked=nw.col("is_click_tracked") & ((nw.col("clicks_total") > 0) | _is_set("clicked_at")),
        )
    )


def with_delivery(mailings: nw.LazyFrame[Any], bounce_policy: str = "reply_wins") -> nw.LazyFrame[Any]:
    """Add ``is_sent``, ``is_bounced``, ``is_delivered`` and ``sent_at``, from the three `SENDING` columns."""
    bounced = _is_set("bounced_at")
    if bounce_policy == "reply_wins":
        bounced &= ~_is_set("replied_at")
    return mailings.with_columns(
        is_sent=_is_set("delivered_at") | _is_set("bounced_at") | _is_set("replied_at"),
        is_bounced=bounced,
        sent_at=nw.coalesce(*SENDING),
    ).with_columns(is_delivered=nw.col("is_sent") & ~nw.col("is_bounced"))


def note_placing(call: StatContext, mail: nw.LazyFrame[Any]) -> None:
    """Note the sent mailings whose ``sent_at`` is not the time of delivery, where they are placed by it."""
    elsewhere = nw.col("is_sent") & nw.col("delivered_at").is_null()
    call.assume(mail, "mailing without a time of delivery, placed at that of its bounce or reply", elsewhere)


def with_failure(mailings: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Add ``is_failed`` to mailings with their delivery flags: the state says so, and nothing says that it left."""
    return mailings.with_columns(is_failed=(nw.col("state") == "failed").fill_null(False) & ~nw.col("is_sent"))


def _is_set(column: str) -> nw.Expr:
    return ~nw.col(column).is_null()


def domain_of(column: str) -> nw.Expr:
    """Return what stands after the last @ of an address, in lower case."""
    return nw.col(column).str.replace_all(".*@", "").str.to_lowercase()


def first_domains(addresses: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """
    Return ``prospect_id`` and ``recipient_domain``: that of each prospect's first address.

    Which address a mailing went to, mailings do not tell.

    Parameters
    ----------
    addresses
        ``id``, ``prospect_id``, ``email``.
    """
    complete = addresses.filter(~nw.col("prospect_id").is_null() & ~nw.col("email").is_null())
    first = complete.group_by("prospect_id").agg(nw.col("id").min())
    return join(first, complete.select("id", recipient_domain=domain_of("email")), "id").drop("id")


def external_only(call: StatContext, mail: nw.LazyFrame[Any], email_addresses: Any) -> nw.LazyFrame[Any]:
    """
    Leave out mail to `colleagues`, and count it.

    Mail without a prospect stays: its recipient's address is not in mailings.

    Parameters
    ----------
    call
        The statistic's.
    mail
        ``id``, ``prospect_id`` and ``mailbox_address``.
    email_addresses
        The caller's frame: ``prospect_id``, ``email``.
    """
    read = call.read("email_addresses", email_addresses, ["prospect_id", "email"])
    marked = join(mail, colleagues(mail, read).with_columns(is_colleague=nw.col("prospect_id")), "prospect_id")
    return call.drop(marked, "mailing to a colleague", nw.col("is_colleague").is_null()).drop("is_colleague")


def colleagues(mail: nw.LazyFrame[Any], addresses: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """
    List the ``prospect_id`` of the colleagues among the people written to: the one definition.

    A colleague has an address (``prospect_id``, ``email``) on the domain of any mailbox that the mail was written from
    (``id``, ``mailbox_address``).
    """
    complete = addresses.filter(~nw.col("prospect_id").is_null() & ~nw.col("email").is_null())
    own = mail.filter(~nw.col("mailbox_address").is_null()).with_columns(domain=domain_of("mailbox_address"))
    own = own.group_by("domain").agg(mailings=nw.col("id").count())
    inside = join(complete.with_columns(domain=domain_of("email")), own, "domain", how="inner")
    return inside.group_by("prospect_id").agg(nw.col("mailings").max()).select("prospect_id")
