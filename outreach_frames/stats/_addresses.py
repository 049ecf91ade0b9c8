"""Domains of addresses, and who is a colleague by theirs."""

from typing import Any

import narwhals as nw

from outreach_frames.stats._backends import join
from outreach_frames.stats._statistic import StatContext


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
    known = addresses.filter(~nw.col("prospect_id").is_null() & ~nw.col("email").is_null())
    first = known.group_by("prospect_id").agg(nw.col("id").min())
    return join(first, known.select("id", recipient_domain=domain_of("email")), "id").drop("id")


def external_only(call: StatContext, mail: nw.LazyFrame[Any], email_addresses: Any) -> nw.LazyFrame[Any]:
    """
    Leave out mail to `colleagues`, and count it.

    Mail to nobody known stays: its recipient's address is not in mailings.

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
    known = addresses.filter(~nw.col("prospect_id").is_null() & ~nw.col("email").is_null())
    own = mail.filter(~nw.col("mailbox_address").is_null()).with_columns(domain=domain_of("mailbox_address"))
    own = own.group_by("domain").agg(mailings=nw.col("id").count())
    inside = join(known.with_columns(domain=domain_of("email")), own, "domain", how="inner")
    return inside.group_by("prospect_id").agg(nw.col("mailings").max()).select("prospect_id")
