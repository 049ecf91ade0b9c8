"""
The parameters that the organization is drawn from, so that a statistic can be compared with the truth.

A message sent in sequence *s* at step *k* with variant *v*, to a person of propensity *q*, by a sender of skill *u*,
at local weekday *d* and hour *h*, is answered with probability ::

    reply(s) · decay(k) · lift(v) · weekday(d) · hour(h) · skill(u) · q

The weekday and hour effects average one over the times at which automatic mail leaves. Propensities are gamma
distributed with mean one. Opt-outs, complaints, bounces, opens and clicks are drawn independently of each other with
the rates in `Model`. An answer, an opt-out or a bounce ends the enrollment.

The twelve sequences of `MODEL` differ on purpose. A fast lane for inbound requests is answered three times as often as
cold outreach. One sequence does not track opens, one continues after a reply, one was deactivated, one is a copy of
another, one sends no mail, one has calendar dates instead of intervals, and one is transactional: it may write to
people who opted out.
"""

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

_FloatArray: TypeAlias = NDArray[np.float64]
_IntArray: TypeAlias = NDArray[np.int64]

STEP_AUTO_EMAIL, STEP_MANUAL_EMAIL, STEP_CALL, STEP_TASK = range(4)
STEP_TYPES = ("auto_email", "manual_email", "call", "task")


@dataclass(frozen=True, slots=True)
class Variant:
    """
    One message of a step; several make an A/B test.

    Attributes
    ----------
    template
        Name of the template; the same name on two steps is the same template.
    lift
        Factor on the reply probability.
    share
        Weight of this variant among those of the step.
    from_day, until_day
        When it was switched on and off [days before `as_of`]; `None` is with the sequence, and never.
    """

    template: str
    subject: str
    lift: float = 1.0
    share: float = 1.0
    from_day: float | None = None
    until_day: float | None = None
    is_reply: bool = False


@dataclass(frozen=True, slots=True)
class StepPlan:
    """
    One step of a sequence.

    Attributes
    ----------
    kind
        Position in `STEP_TYPES`.
    wait_days
        Time since the step before [days].
    decay
        Factor on the sequence's reply rate.
    date_day
        Fixed day of a date sequence [days before `as_of`; negative is in the future].
    autoskip_days
        A task left undone this long is skipped [days]; `None` is never.
    """

    kind: int
    wait_days: float
    decay: float = 1.0
    variants: tuple[Variant, ...] = ()
    date_day: float | None = None
    autoskip_days: float | None = None
    task_type: str = "sequence_step_task"
    note: str | None = None


@dataclass(frozen=True, slots=True)
class SequencePlan:
    """
    A sequence and its true rates.

    Attributes
    ----------
    reply
        Probability that a first message is answered, average person, sender and slot.
    opened
        Probability that a person (no machine) opens a delivered message.
    clicked
        Probability that a person who opened follows a link.
    opt_out
        Probability that a delivered message is unsubscribed from.
    positive
        Share of classified replies that are positive.
    weight
        Share of the enrollments, relative to the other sequences.
    start_day, until_day, closed_day
        First and last day of enrollment, and deactivation [days before `as_of`].
    """

    name: str
    description: str
    reply: float
    steps: tuple[StepPlan, ...]
    tags: tuple[str, ...] = ()
    opened: float = 0.40
    clicked: float = 0.10
    opt_out: float = 0.007
    positive: float = 0.35
    weight: float = 1.0
    start_day: float = 200.0
    until_day: float = 0.0
    closed_day: float | None = None
    dated: bool = False
    share_type: str = "shared"
    transactional: bool = False
    finish_on_reply: bool = True
    track_opens: bool = True
    track_links: bool = True
    throttled: bool = False
    copy_of: int | None = None


@dataclass(frozen=True, slots=True)
class Model:
    """
    Every parameter of the simulation that a statistic could estimate.

    Attributes
    ----------
    weekday_effect, hour_effect
        Factors on the reply probability by local weekday (Monday first) and local hour; use `weekday_factor` and
        `hour_factor`, which average one over `weekday_share` and `send_hours`.
    send_hours
        Weights of the local hour at which automatic mail leaves.
    sender_effect
        Skill of users, in this order and repeated.
    propensity_shape
        Shape of the gamma distribution of people's propensity to answer; its variance is one over the shape.
    reply_delay_h, reply_delay_spread
        Median [hours] and log standard deviation of the time to an answer.
    bad_address
        Share of prospects whose address does not exist.
    stray_bounce, poor_mailbox_bounce
        Chance that mail to a good address bounces, from a sound mailbox and from the one with a bad reputation.
    spam
        Chance that a delivered message is marked as spam.
    away
        Chance that a delivered message is met by an out-of-office notice, `away_holiday` times that around New Year.
    away_counts
        Share of those notices that are counted as replies.
    proxy_share, proxy_opens
        Share of prospects whose mail is opened by a privacy proxy within seconds, and the share of their mail it opens.
    scanner_share, scanner_clicks
        Share of accounts whose gateway follows every link on arrival, and the share of mail it treats so.
    failure
        Chance that a message cannot be sent because a variable is missing.
    single_reply
        Chance that one-off mail is answered.
    connect, connect_hour_effect
        Chance that a dialed call is answered, and its factor by local hour of the person called.
    task_neglect
        Share of manual steps that are never done.
    deleted
        Share of mailings deleted later: counters still count them, but they have no rows.
    """

    sequences: tuple[SequencePlan, ...]
    weekday_effect: tuple[float, ...] = (0.9, 1.15, 1.1, 1.05, 0.8, 0.6, 0.6)
    weekday_share: tuple[float, ...] = (0.28, 0.28, 0.15, 0.14, 0.14, 0.005, 0.005)
    hour_effect: tuple[float, ...] = (
        *(0.55,) * 7, 0.95, 1.2, 1.3, 1.2, 1.05, 0.8, 0.85, 1.0, 0.95, 0.85, 0.7, *(0.55,) * 6,
    )  # fmt: skip
    send_hours: tuple[float, ...] = (
        *(0.0,) * 7, 2.0, 10.0, 16.0, 15.0, 12.0, 6.0, 9.0, 11.0, 10.0, 7.0, 2.0, *(0.0,) * 6,
    )  # fmt: skip
    sender_effect: tuple[float, ...] = (1.0, 1.35, 0.8, 1.1, 0.65, 1.2, 0.95, 1.0, 0.9, 1.05)
    propensity_shape: float = 3.0
    reply_delay_h: float = 6.0
    reply_delay_spread: float = 1.5
    bad_address: float = 0.02
    stray_bounce: float = 0.006
    poor_mailbox_bounce: float = 0.07
    spam: float = 0.0005
    away: float = 0.012
    away_holiday: float = 5.0
    away_counts: float = 0.15
    proxy_share: float = 0.2
    proxy_opens: float = 0.85
    scanner_share: float = 0.06
    scanner_clicks: float = 0.9
    failure: float = 0.006
    single_reply: float = 0.11
    connect: float = 0.10
    connect_hour_effect: tuple[float, ...] = (
        *(0.4,) * 8, 1.1, 1.2, 1.25, 1.1, 0.7, 0.7, 0.9, 1.0, 1.3, 1.2, *(0.6,) * 6,
    )  # fmt: skip
    task_neglect: float = 0.06
    deleted: float = 0.003

    def weekday_factor(self) -> _FloatArray:
        """Seven factors on the reply probability, averaging one over `weekday_share`."""
        return _averaging_one(self.weekday_effect, self.weekday_share)

    def hour_factor(self) -> _FloatArray:
        """Twenty-four factors on the reply probability, averaging one over `send_hours`."""
        return _averaging_one(self.hour_effect, self.send_hours)

    def skill(self, users: _IntArray) -> _FloatArray:
        """Skill of the users with these ids."""
        skills: _FloatArray = np.asarray(self.sender_effect)[(users - 1) % len(self.sender_effect)]
        return skills


def _averaging_one(effect: tuple[float, ...], share: tuple[float, ...]) -> _FloatArray:
    raw, weights = np.asarray(effect), np.asarray(share)
    factor: _FloatArray = raw * (weights.sum() / (raw @ weights))
    return factor


def true_rates(model: Model) -> list[dict[str, Any]]:
    """
    List the true probabilities behind every message a sequence can send.

    Parameters
    ----------
    model
        The parameters, usually `MODEL`.

    Returns
    -------
    rates : list of dict
        One row per variant with ``sequence_id, sequence, order, sequence_step_id, sequence_template_id, template_id``
        as `organization` numbers them, and the probabilities ``reply`` (an average person, sender and slot),
        ``opt_out``, ``human_open`` and ``human_click`` (of a delivered message). Selection among those still enrolled
        lowers the observed rates of later steps a little, because people who reply readily have left.
    """
    rows: list[dict[str, Any]] = []
    templates: dict[str, int] = {}
    step_id = 0
    for sequence_id, plan in enumerate(model.sequences, start=1):
        for order, step in enumerate(plan.steps, start=1):
            step_id += 1
            rows += [
                {
                    "sequence_id": sequence_id,
                    "sequence": plan.name,
                    "order": order,
                    "sequence_step_id": step_id,
                    "template_id": templates.setdefault(variant.template, len(templates) + 1),
                    "reply": plan.reply * step.decay * variant.lift,
                    "opt_out": plan.opt_out,
                    "human_open": plan.opened,
                    "human_click": plan.opened * plan.clicked,
                }
                for variant in step.variants
            ]
    return [row | {"sequence_template_id": number} for number, row in enumerate(rows, start=1)]


_LINKEDIN_CONNECT = "sequence_step_linkedin_send_connection_request"
_LINKEDIN_VIEW = "sequence_step_linkedin_view_profile"


def _call_step(wait_days: float, note: str) -> StepPlan:
    return StepPlan(STEP_CALL, wait_days, task_type="sequence_step_call", note=note)


def _mail_step(
    wait_days: float, decay: float, *variants: Variant, manual: bool = False, date_day: float | None = None
) -> StepPlan:
    return StepPlan(
        STEP_MANUAL_EMAIL if manual else STEP_AUTO_EMAIL,
        wait_days,
        decay,
        variants,
        date_day=date_day,
        task_type="sequence_step_email",
    )


def _engineering(suffix: str) -> tuple[StepPlan, ...]:
    """Steps of the cold outbound sequence; its copy has the same steps with its own templates."""
    return (
        _mail_step(
            0,
            1.0,
            Variant(f"VP Eng 1 – build times{suffix}", "Build times at {company}"),
            Variant(f"VP Eng 1 – short question{suffix}", "A short question, {first_name}", lift=1.4),
        ),
        _mail_step(3, 0.8, Variant(f"VP Eng 2 – follow-up{suffix}", "Re: Build times at {company}", is_reply=True)),
        _call_step(2, "Ask how long a release takes today."),
        _mail_step(
            2,
            0.65,
            Variant(f"VP Eng 3 – customer story{suffix}", "How a team of forty halved its queue"),
            Variant(f"VP Eng 3 – numbers{suffix}", "Three numbers about {company}", from_day=75),
        ),
        StepPlan(STEP_TASK, 3, autoskip_days=4, task_type=_LINKEDIN_CONNECT, note="Connect with a personal line."),
        _mail_step(4, 0.45, Variant(f"VP Eng 4 – closing the loop{suffix}", "Shall I close the loop?")),
    )


_SEQUENCES = (
    SequencePlan(
        "Outbound – VP Engineering (cold)",
        "Cold outreach to engineering leaders, mail first, one call.",
        reply=0.055,
        steps=_engineering(""),
        tags=("outbound", "engineering", "tier 1"),
        weight=2.2,
    ),
    SequencePlan(
        "Outbound – Operations leaders",
        "Cold outreach to operations, longer and slower.",
        reply=0.038,
        steps=(
            _mail_step(
                0,
                1.0,
                Variant("Ops 1 – handovers", "Handovers at {company}"),
                Variant("Ops 1 – checklist", "A checklist for {company}"),
            ),
            _mail_step(4, 0.85, Variant("Ops 2 – follow-up", "Re: Handovers at {company}", is_reply=True)),
            _mail_step(
                5,
                0.7,
                Variant("Ops 3 – cost of waiting", "What waiting costs", share=0.7),
                Variant("Ops 3 – calculator", "A small calculator", share=0.3),
            ),
            _call_step(3, "Ask who owns the handover."),
            _mail_step(4, 0.5, Variant("Break-up note", "Last note from me, {first_name}")),
        ),
        tags=("outbound", "operations"),
        opened=0.36,
        opt_out=0.009,
        positive=0.28,
        weight=2.0,
    ),
    SequencePlan(
        "Inbound demo request – fast lane",
        "Somebody asked for a demonstration: call within the hour.",
        reply=0.14,
        steps=(
            _call_step(0, "Call within the hour."),
            _mail_step(0.05, 1.0, Variant("Inbound 1 – three slots", "Three slots for your demo, {first_name}")),
            _mail_step(
                1, 0.7, Variant("Inbound 2 – still keen?", "Re: Three slots for your demo", is_reply=True), manual=True
            ),
            _mail_step(3, 0.4, Variant("Inbound 3 – recording", "A six-minute recording instead")),
        ),
        tags=("inbound", "demo"),
        opened=0.58,
        clicked=0.22,
        opt_out=0.003,
        positive=0.6,
        weight=1.0,
    ),
    SequencePlan(
        "Webinar follow-up",
        "For those who came, and those who only signed up.",
        reply=0.07,
        steps=(
            _mail_step(
                0.5,
                1.0,
                Variant("Webinar 1 – slides", "The slides you asked for"),
                Variant("Webinar 1 – recording", "The recording, {first_name}", lift=1.15),
            ),
            _mail_step(3, 0.7, Variant("Webinar 2 – one question", "One question after the webinar"), manual=True),
            _mail_step(5, 0.5, Variant("Break-up note", "Last note from me, {first_name}")),
        ),
        tags=("marketing", "webinar"),
        opened=0.5,
        clicked=0.28,
        weight=1.1,
        start_day=150,
    ),
    SequencePlan(
        "Spring roadshow invitation",
        "Invitations on fixed days before the event.",
        reply=0.05,
        steps=(
            _mail_step(0, 1.0, Variant("Roadshow 1 – save the date", "Save the date: spring roadshow"), date_day=63),
            _mail_step(0, 0.8, Variant("Roadshow 2 – agenda", "The agenda for {company}"), date_day=42),
            _mail_step(0, 0.7, Variant("Roadshow 3 – last seats", "Last seats, {first_name}"), date_day=21),
            _mail_step(0, 0.5, Variant("Roadshow 4 – see you there", "See you there"), date_day=-7),
        ),
        tags=("event", "marketing"),
        opened=0.44,
        clicked=0.18,
        weight=0.7,
        start_day=96,
        until_day=45,
        dated=True,
    ),
    SequencePlan(
        "Closed-lost revival",
        "Deals lost six months ago. Deactivated: replaced by the renewal play.",
        reply=0.03,
        steps=(
            _mail_step(0, 1.0, Variant("Revival 1 – what changed", "What changed since we spoke")),
            _mail_step(6, 0.7, Variant("Revival 2 – new pricing", "New pricing for {company}")),
            _mail_step(8, 0.5, Variant("Revival 3 – last try", "One last try")),
        ),
        tags=("closed-lost",),
        opened=0.33,
        opt_out=0.013,
        positive=0.2,
        weight=0.8,
        until_day=38,
        closed_day=36,
    ),
    SequencePlan(
        "Renewal – 90 days out",
        "Service notices to customers whose contract ends.",
        reply=0.10,
        steps=(
            _mail_step(0, 1.0, Variant("Renewal 1 – your contract", "Your contract ends in ninety days")),
            _call_step(7, "Agree on the renewal date."),
            _mail_step(7, 0.7, Variant("Renewal 2 – options", "Your options, {first_name}"), manual=True),
        ),
        tags=("customer", "renewal"),
        opened=0.62,
        opt_out=0.002,
        positive=0.5,
        weight=0.7,
        transactional=True,
        share_type="read_only",
    ),
    SequencePlan(
        "Partner introductions",
        "Warm introductions from partners, written by hand.",
        reply=0.10,
        steps=(
            _mail_step(0, 1.0, Variant("Partner 1 – introduction", "Introduction to {company}"), manual=True),
            _mail_step(4, 0.75, Variant("Partner 2 – agenda", "Half an hour next week?"), manual=True),
            StepPlan(STEP_TASK, 3, autoskip_days=5, task_type=_LINKEDIN_VIEW, note="Look at the profile."),
            _mail_step(3, 0.5, Variant("Partner 3 – thank you", "Thank you, either way")),
        ),
        tags=("partner", "tier 1"),
        opened=0.52,
        opt_out=0.003,
        positive=0.5,
        weight=0.6,
    ),
    SequencePlan(
        "Nurture – monthly insight",
        "One article a month; goes on when somebody answers.",
        reply=0.022,
        steps=(
            _mail_step(0, 1.0, Variant("Insight – October", "Insight: planning the quarter")),
            _mail_step(28, 0.95, Variant("Insight – November", "Insight: what buyers ask first")),
            _mail_step(28, 0.9, Variant("Insight – December", "Insight: a quiet week, used well")),
            _mail_step(28, 0.9, Variant("Insight – January", "Insight: fewer tools, more calls")),
        ),
        tags=("nurture", "marketing"),
        opened=0.3,
        clicked=0.2,
        opt_out=0.012,
        positive=0.3,
        weight=0.9,
        finish_on_reply=False,
    ),
    SequencePlan(
        "Security & compliance buyers",
        "No tracking, by their own request; throttled.",
        reply=0.04,
        steps=(
            _mail_step(0, 1.0, Variant("Security 1 – audit trail", "Audit trails at {company}")),
            _mail_step(5, 0.8, Variant("Security 2 – questionnaire", "Your questionnaire, filled in")),
            _mail_step(6, 0.6, Variant("Security 3 – reference call", "A reference call?"), manual=True),
        ),
        tags=("outbound", "security"),
        opt_out=0.006,
        weight=0.9,
        track_opens=False,
        track_links=False,
        throttled=True,
    ),
    SequencePlan(
        "Outbound – VP Engineering (cold) (copy)",
        "Copied for the new team; its counters began at nothing.",
        reply=0.055,
        steps=_engineering(" (copy)"),
        tags=("outbound", "engineering"),
        weight=0.8,
        start_day=70,
        copy_of=1,
        share_type="private",
    ),
    SequencePlan(
        "Call blitz – dormant accounts",
        "Calls and visits only, no mail.",
        reply=0.0,
        steps=(
            _call_step(0, "Find out who took over."),
            _call_step(3, "Try the switchboard."),
            StepPlan(STEP_TASK, 4, task_type="sequence_step_task", note="Send a hand-written card."),
        ),
        tags=("calls", "dormant"),
        weight=0.5,
        start_day=120,
    ),
)

MODEL = Model(_SEQUENCES)
"""The parameters `organization` uses."""
