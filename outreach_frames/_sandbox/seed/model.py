"""
What the organization's figures are drawn from, so that a statistic can be held against the truth.

A message sent in sequence *s* at step *k* with variant *v*, to a person of propensity *q*, by a sender of skill *u*,
at local weekday *d* and hour *h*, is answered with probability ::

    reply(s) · decay(k) · lift(v) · weekday(d) · hour(h) · skill(u) · q

The weekday and hour effects average one over the times at which automatic mail leaves; propensities are gamma
distributed with mean one. Opt-outs, complaints, bounces, opens and clicks are drawn independently of each other with
the rates named in `Model`. An answer, an opt-out or a bounce ends the enrollment.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from outreach_frames._sandbox.seed.clock import Floats, Ints

AUTO_EMAIL, MANUAL_EMAIL, CALL, TASK = range(4)
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
        Weight with which the step deals enrollments to this variant.
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
class Step:
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
        Fixed day of a date sequence [days before `as_of`; negative lies ahead].
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
    steps: tuple[Step, ...]
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
        Skill of users, dealt out in this order and begun again.
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
        Share of manual steps that nobody ever does.
    deleted
        Share of mailings deleted later: the counters keep them, the rows are gone.
    """

    sequences: tuple[SequencePlan, ...]
    weekday_effect: tuple[float, ...] = (0.9, 1.15, 1.1, 1.05, 0.8, 0.6, 0.6)
    weekday_share: tuple[float, ...] = (0.28, 0.28, 0.15, 0.14, 0.14, 0.005, 0.005)
    hour_effect: tuple[float, ...] = (
        *(0.55,) * 7, 0.95, 1.2, 1.3, 1.2, 1.05, 0.8, 0.85, 1.0, 0.95, 0.85, 0.7, *(0.55,) * 6,
    )  # fmt: skip
    send_hours: tuple[float, ...] = (
        *(0.0,) * 7,
        2.0,
        10.0,
        16.0,
        15.0,
        12.0,
        6.0,
        9.0,
        11.0,
        10.0,
        7.0,
        2.0,
        *(0.0,) * 6,
    )
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

    def weekday_factor(self) -> Floats:
        """Seven factors on the reply probability, averaging one over `weekday_share`."""
        return _averaging_one(self.weekday_effect, self.weekday_share)

    def hour_factor(self) -> Floats:
        """Twenty-four factors on the reply probability, averaging one over `send_hours`."""
        return _averaging_one(self.hour_effect, self.send_hours)

    def skill(self, users: Ints) -> Floats:
        """Skill of the users with these ids."""
        dealt: Floats = np.asarray(self.sender_effect)[(users - 1) % len(self.sender_effect)]
        return dealt


def _averaging_one(effect: tuple[float, ...], share: tuple[float, ...]) -> Floats:
    raw, weights = np.asarray(effect), np.asarray(share)
    factor: Floats = raw * (weights.sum() / (raw @ weights))
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
        lowers the observed later steps a little: who answers readily has left.
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
