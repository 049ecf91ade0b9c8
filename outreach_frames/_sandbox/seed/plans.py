"""
The twelve sequences of the invented organization, with their true rates, and the template copied between them.

They differ on purpose: a fast lane for inbound requests answers three times as often as cold outreach; one sequence
does not track opens, one goes on after a reply, one was deactivated, one is a copy of another, one sends no mail, one
keeps calendar dates instead of intervals, and one is transactional (it may write to people who opted out).
"""

from outreach_frames._sandbox.seed.model import AUTO_EMAIL, CALL, MANUAL_EMAIL, TASK, Model, SequencePlan, Step, Variant

_LINKEDIN_CONNECT = "sequence_step_linkedin_send_connection_request"
_LINKEDIN_VIEW = "sequence_step_linkedin_view_profile"


def _call(wait_days: float, note: str) -> Step:
    return Step(CALL, wait_days, task_type="sequence_step_call", note=note)


def _mail(
    wait_days: float, decay: float, *variants: Variant, manual: bool = False, date_day: float | None = None
) -> Step:
    return Step(
        MANUAL_EMAIL if manual else AUTO_EMAIL,
        wait_days,
        decay,
        variants,
        date_day=date_day,
        task_type="sequence_step_email",
    )


def _engineering(suffix: str) -> tuple[Step, ...]:
    """Steps of the cold outbound sequence; its copy has the same ones with templates of its own."""
    return (
        _mail(
            0,
            1.0,
            Variant(f"VP Eng 1 – build times{suffix}", "Build times at {company}"),
            Variant(f"VP Eng 1 – short question{suffix}", "A short question, {first_name}", lift=1.4),
        ),
        _mail(3, 0.8, Variant(f"VP Eng 2 – follow-up{suffix}", "Re: Build times at {company}", is_reply=True)),
        _call(2, "Ask how long a release takes today."),
        _mail(
            2,
            0.65,
            Variant(f"VP Eng 3 – customer story{suffix}", "How a team of forty halved its queue"),
            Variant(f"VP Eng 3 – numbers{suffix}", "Three numbers about {company}", from_day=75),
        ),
        Step(TASK, 3, autoskip_days=4, task_type=_LINKEDIN_CONNECT, note="Connect with a personal line."),
        _mail(4, 0.45, Variant(f"VP Eng 4 – closing the loop{suffix}", "Shall I close the loop?")),
    )


SEQUENCES = (
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
            _mail(
                0,
                1.0,
                Variant("Ops 1 – handovers", "Handovers at {company}"),
                Variant("Ops 1 – checklist", "A checklist for {company}"),
            ),
            _mail(4, 0.85, Variant("Ops 2 – follow-up", "Re: Handovers at {company}", is_reply=True)),
            _mail(
                5,
                0.7,
                Variant("Ops 3 – cost of waiting", "What waiting costs", share=0.7),
                Variant("Ops 3 – calculator", "A small calculator", share=0.3),
            ),
            _call(3, "Ask who owns the handover."),
            _mail(4, 0.5, Variant("Break-up note", "Last note from me, {first_name}")),
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
            _call(0, "Call within the hour."),
            _mail(0.05, 1.0, Variant("Inbound 1 – three slots", "Three slots for your demo, {first_name}")),
            _mail(
                1, 0.7, Variant("Inbound 2 – still keen?", "Re: Three slots for your demo", is_reply=True), manual=True
            ),
            _mail(3, 0.4, Variant("Inbound 3 – recording", "A six-minute recording instead")),
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
            _mail(
                0.5,
                1.0,
                Variant("Webinar 1 – slides", "The slides you asked for"),
                Variant("Webinar 1 – recording", "The recording, {first_name}", lift=1.15),
            ),
            _mail(3, 0.7, Variant("Webinar 2 – one question", "One question after the webinar"), manual=True),
            _mail(5, 0.5, Variant("Break-up note", "Last note from me, {first_name}")),
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
            _mail(0, 1.0, Variant("Roadshow 1 – save the date", "Save the date: spring roadshow"), date_day=63),
            _mail(0, 0.8, Variant("Roadshow 2 – agenda", "The agenda for {company}"), date_day=42),
            _mail(0, 0.7, Variant("Roadshow 3 – last seats", "Last seats, {first_name}"), date_day=21),
            _mail(0, 0.5, Variant("Roadshow 4 – see you there", "See you there"), date_day=-7),
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
            _mail(0, 1.0, Variant("Revival 1 – what changed", "What changed since we spoke")),
            _mail(6, 0.7, Variant("Revival 2 – new pricing", "New pricing for {company}")),
            _mail(8, 0.5, Variant("Revival 3 – last try", "One last try")),
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
            _mail(0, 1.0, Variant("Renewal 1 – your contract", "Your contract ends in ninety days")),
            _call(7, "Agree on the renewal date."),
            _mail(7, 0.7, Variant("Renewal 2 – options", "Your options, {first_name}"), manual=True),
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
            _mail(0, 1.0, Variant("Partner 1 – introduction", "Introduction to {company}"), manual=True),
            _mail(4, 0.75, Variant("Partner 2 – agenda", "Half an hour next week?"), manual=True),
            Step(TASK, 3, autoskip_days=5, task_type=_LINKEDIN_VIEW, note="Look at the profile."),
            _mail(3, 0.5, Variant("Partner 3 – thank you", "Thank you, either way")),
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
            _mail(0, 1.0, Variant("Insight – October", "Insight: planning the quarter")),
            _mail(28, 0.95, Variant("Insight – November", "Insight: what buyers ask first")),
            _mail(28, 0.9, Variant("Insight – December", "Insight: a quiet week, used well")),
            _mail(28, 0.9, Variant("Insight – January", "Insight: fewer tools, more calls")),
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
            _mail(0, 1.0, Variant("Security 1 – audit trail", "Audit trails at {company}")),
            _mail(5, 0.8, Variant("Security 2 – questionnaire", "Your questionnaire, filled in")),
            _mail(6, 0.6, Variant("Security 3 – reference call", "A reference call?"), manual=True),
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
            _call(0, "Find out who took over."),
            _call(3, "Try the switchboard."),
            Step(TASK, 4, task_type="sequence_step_task", note="Send a hand-written card."),
        ),
        tags=("calls", "dormant"),
        weight=0.5,
        start_day=120,
    ),
)

MODEL = Model(SEQUENCES)
"""The parameters `organization` uses."""
