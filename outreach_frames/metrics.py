"""
How each rate is spoken of.

A sentence about a rate takes its words from the rate's own entry, so that a click is never called a reply.
"""

from typing import NamedTuple


class Metric(NamedTuple):
    """
    The words of a rate.

    Attributes
    ----------
    group
        What a group does at the rate, with places for ``{who}`` and ``{rate}``.
    thing
        What one mail or person does at the rate: "is answered at".
    share
        What the rate is the share of.
    more
        What a variant does compared with another at a lower rate.
    sides
        Which side of the others is worth telling.
    """

    group: str
    thing: str
    share: str
    more: str
    sides: tuple[str, ...] = ("above",)


BOTH = ("above", "below")

METRICS = {
    "reply_rate": Metric(
        "Of the mail of {who}, {rate} is answered", "is answered at", "mails answered", "earns more replies than", BOTH
    ),
    "enrollment_reply_rate": Metric(
        "Of the enrollments in {who}, {rate} reply",
        "replies at",
        "enrollments that replied",
        "earns more replies than",
        BOTH,
    ),
    "enrollment_reply_rate_14d": Metric(
        "Of the enrollments in {who}, {rate} reply within 14 days",
        "replies within 14 days at",
        "enrollments that replied within 14 days",
        "earns more replies than",
        BOTH,
    ),
    "prospect_reply_rate": Metric(
        "Of the people emailed in {who}, {rate} reply",
        "replies at",
        "people who replied",
        "earns more replies than",
        BOTH,
    ),
    "meeting_rate": Metric(
        "Of the enrollments contacted in {who}, {rate} lead to a meeting",
        "leads to a meeting at",
        "enrollments that led to a meeting",
        "leads to more meetings than",
        BOTH,
    ),
    "connect_rate": Metric(
        "Of the calls of {who}, {rate} are answered", "is answered at", "calls answered", "reaches more people than"
    ),
    "open_rate": Metric(
        "Of the mail of {who}, {rate} is opened", "is opened at", "mails opened", "is opened more often than", BOTH
    ),
    "click_rate": Metric(
        "Of the mail of {who}, {rate} is clicked", "is clicked at", "mails clicked", "is clicked more often than", BOTH
    ),
    "click_to_open_rate": Metric(
        "Of the opened mail of {who}, {rate} is clicked",
        "is clicked once opened at",
        "opened mails clicked",
        "is clicked more often than",
        BOTH,
    ),
    "delivery_rate": Metric(
        "Of the mail of {who}, {rate} is delivered",
        "is delivered at",
        "mails delivered",
        "is delivered more often than",
        ("below",),
    ),
    "bounce_rate": Metric(
        "Of the mail of {who}, {rate} bounces", "bounces at", "mails bounced", "bounces more often than"
    ),
    "enrollment_bounce_rate": Metric(
        "Of the enrollments in {who}, {rate} have a bounce",
        "bounces at",
        "enrollments with a bounce",
        "bounces more often than",
    ),
    "spam_rate": Metric(
        "Of the mail of {who}, {rate} is marked as spam",
        "is marked as spam at",
        "mails marked as spam",
        "is marked as spam more often than",
    ),
    "failure_rate": Metric(
        "{who} fails to send {rate} of its mail", "fails at", "mails failed", "fails more often than"
    ),
    "opt_out_rate": Metric(
        "Of the mail of {who}, {rate} is unsubscribed from",
        "is unsubscribed from at",
        "mails unsubscribed from",
        "is unsubscribed from more often than",
    ),
    "prospect_unsubscribe_rate": Metric(
        "Of the people emailed in {who}, {rate} unsubscribe",
        "unsubscribes at",
        "people who unsubscribed",
        "is unsubscribed from more often than",
    ),
    "prospect_opt_out_rate_14d": Metric(
        "Of the people contacted in {who}, {rate} opt out within 14 days",
        "opts out within 14 days at",
        "people who opted out within 14 days",
        "loses more people than",
    ),
    "stuck_rate": Metric(
        "Of the running enrollments in {who}, {rate} are stuck",
        "is stuck at",
        "running enrollments that are stuck",
        "is stuck more often than",
    ),
    "task_backlog": Metric(
        "Of the tasks of {who} that were due, {rate} are still open",
        "is still open at",
        "tasks still open",
        "is left open more often than",
    ),
}
"""By the rate's column."""
