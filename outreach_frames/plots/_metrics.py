"""What each rate is called, what it counts and how far it can be trusted, in the words that stand in a picture."""

from dataclasses import dataclass

from outreach_frames.plots._style import BOUNCE, CLICK, FAILURE, NONE, OPEN, OPT_OUT, REPLY, VOLUME, Mark

MACHINE_OPENS = "(machine opens included)"
_MACHINE_CLICKS = "(machine clicks included)"


@dataclass(frozen=True, slots=True)
class Metric:
    """
    A rate in words.

    Attributes
    ----------
    title
        What it is called.
    trials
        What its denominator counts, in the singular.
    definition
        Numerator ÷ denominator.
    mark
        Colour, marker, hatch and dashes of its meaning.
    caveat
        Set for metrics of low trust; stands in the axis title.
    """

    title: str
    trials: str
    definition: str
    mark: Mark
    caveat: str = ""

    @property
    def axis(self) -> str:
        """The axis title: the name, with the caveat of a metric of low trust."""
        return f"{self.title} {self.caveat}".strip()


_METRICS = {
    "delivery_rate": Metric("Delivery rate", "sent mailing", "mailings delivered ÷ mailings sent", VOLUME),
    "bounce_rate": Metric("Bounce rate", "sent mailing", "mailings bounced ÷ mailings sent", BOUNCE),
    "failure_rate": Metric("Failure rate", "attempted mailing", "mailings failed ÷ (failed + sent)", FAILURE),
    "spam_rate": Metric(
        "Spam complaint rate", "delivered mailing", "mailings marked as spam ÷ mailings delivered; a floor", FAILURE
    ),
    "open_rate": Metric(
        "Open rate", "tracked mailing", "mailings opened ÷ mailings delivered with open tracking", OPEN, MACHINE_OPENS
    ),
    "click_rate": Metric(
        "Click rate",
        "tracked mailing",
        "mailings clicked ÷ mailings delivered with link tracking",
        CLICK,
        _MACHINE_CLICKS,
    ),
    "click_to_open_rate": Metric(
        "Click-to-open rate", "opened mailing", "opened mailings clicked ÷ mailings opened", CLICK, MACHINE_OPENS
    ),
    "reply_rate": Metric("Reply rate", "delivered mailing", "mailings replied to ÷ mailings delivered", REPLY),
    "enrolment_reply_rate": Metric(
        "Enrolment reply rate",
        "reached enrolment",
        "enrolments that replied ÷ enrolments with a delivered mailing",
        REPLY,
    ),
    "prospect_reply_rate": Metric(
        "Prospect reply rate", "reached prospect", "prospects who replied ÷ prospects with a delivered mailing", REPLY
    ),
    "opt_out_rate": Metric(
        "Opt-out rate",
        "delivered mailing",
        "mailings unsubscribed from ÷ mailings delivered; link opt-outs only",
        OPT_OUT,
    ),
    "prospect_opt_out_rate": Metric(
        "Prospect opt-out rate",
        "contacted prospect",
        "prospects opted out after first contact ÷ prospects contacted",
        OPT_OUT,
    ),
    "positive_reply_rate": Metric(
        "Positive reply rate", "delivered mailing", "positive replies ÷ mailings delivered, from counters", REPLY
    ),
    "positive_reply_share": Metric(
        "Positive share of replies", "classified reply", "positive ÷ all classified replies, from counters", REPLY
    ),
    "connect_rate": Metric("Connect rate", "dialled call", "outbound calls answered ÷ outbound calls dialled", CLICK),
}


def metric(name: str) -> Metric:
    """Look a rate up by its column name, or that without ``_rate``; an unknown one is described by its name."""
    plain = name.removesuffix("_rate").replace("_", " ").capitalize()
    return (
        _METRICS.get(name) or _METRICS.get(f"{name}_rate") or Metric(f"{plain} rate", "trial", f"column {name}", NONE)
    )
