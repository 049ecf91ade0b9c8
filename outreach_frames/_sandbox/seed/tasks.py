"""Tasks and calls: what people did by hand, or have still to do."""

import numpy as np

from outreach_frames._sandbox.seed.journeys import Journeys
from outreach_frames._sandbox.seed.model import CALL, MANUAL_EMAIL
from outreach_frames._sandbox.seed.people import Cast
from outreach_frames._sandbox.seed.responses import OPEN
from outreach_frames._sandbox.seed.simulation import (
    DAY,
    HOUR,
    Flags,
    Floats,
    Ints,
    Simulation,
    Table,
    concatenated,
    happens,
    hour,
    next_slot,
    taken,
)

ACTIONS = ("email", "call", "action_item", "in_person")
TASK_TYPES = (
    "sequence_step_email", "sequence_step_call", "sequence_step_task", "sequence_step_linkedin_send_connection_request",
    "sequence_step_linkedin_view_profile", "follow_up", "no_reply", "manual", "sequence_open", "touch",
)  # fmt: skip
DISPOSITIONS = (
    ("Meeting booked", True), ("Interested – call back", True), ("Not interested", True), ("Wrong person", True),
    ("No answer", False), ("Left voicemail", False), ("Busy", False),
)  # fmt: skip
MEETING, CALL_BACK, DECLINED, WRONG_PERSON, NO_ANSWER, VOICEMAIL, BUSY = range(7)
_OFTEN = 4
_EXTRA_DONE = 0.75
_OUTBOUND_SHARE = 0.06
_INBOUND_SHARE = 0.012
_LOGGED_ELSEWHERE = 0.15


def tasks(setting: Simulation, cast: Cast, journeys: Journeys, mailings: Table, engaged: Table) -> Table:
    """
    Gather sequence tasks and those people, replies and repeated opens gave rise to.

    Returns
    -------
    tasks : Table
        ``enrollment, step, mailing, prospect, sequence, user`` (positions, -1 without), ``action, type`` (positions in
        `ACTIONS` and `TASK_TYPES`), ``created, due, done`` [UTC seconds], ``skipped``, and for call steps
        ``answered, ends``.
    """
    rng = setting.random("work")
    step, rows = journeys.tasks["step"], journeys.tasks["enrollment"]
    enrolled, programme = journeys.enrollments, setting.programme
    kinds = programme.kind[step]
    types = np.array([TASK_TYPES.index(planned.task_type) for planned in programme.steps])
    from_steps = journeys.tasks | {
        "mailing": _written_for(mailings, rows, step, steps=len(programme.steps)),
        "prospect": enrolled["prospect"][rows],
        "sequence": enrolled["sequence"][rows],
        "user": enrolled["user"][rows],
        "action": np.select([kinds == MANUAL_EMAIL, kinds == CALL], [0, 1], 2),
        "type": types[step],
    }
    from_steps["skipped"] = from_steps["skipped"] & ~np.isnan(from_steps["done"])
    parts = [from_steps, *_follow_ups(setting, cast, mailings, engaged, rng)]
    table = concatenated([{name: part[name] for name in from_steps} for part in parts])
    return taken(table, np.argsort(table["created"], kind="stable"))


def _written_for(mailings: Table, enrollment: Ints, step: Ints, *, steps: int) -> Ints:
    """The message of a manual e-mail step, -1 for other tasks."""
    place = np.full((int(max(enrollment.max(initial=0), mailings["enrollment"].max(initial=0))) + 1) * steps, -1)
    inside = np.flatnonzero(mailings["enrollment"] >= 0)
    place[mailings["enrollment"][inside] * steps + mailings["step"][inside]] = inside
    found: Ints = place[enrollment * steps + step]
    return found


def _follow_ups(
    setting: Simulation, cast: Cast, mailings: Table, engaged: Table, rng: np.random.Generator
) -> list[Table]:
    """Tasks after replies, after silence, after repeated opens, and those users set themselves."""
    known = mailings["prospect"] >= 0
    replied = np.flatnonzero(known & ~np.isnan(mailings["replied"]) & happens(0.35, len(known), rng))
    silent = np.isnan(mailings["replied"]) & (mailings["sent"] < setting.before(3)) & (mailings["sequence"] < 0)
    chased = np.flatnonzero(known & silent & happens(0.3, len(known), rng))
    opens = np.bincount(engaged["mailing"][engaged["what"] == OPEN], minlength=len(known))
    old = (mailings["sent"] < setting.before(4)) & (mailings["sequence"] >= 0)
    keen = np.flatnonzero(known & old & (opens >= _OFTEN))
    size = max(4, len(cast.prospects.first) // 30)
    someone = rng.integers(0, len(cast.prospects.first), size)
    begun = np.fmax(cast.prospects.created[someone], setting.start)
    begun = begun + rng.random(size) * (setting.as_of - begun)
    owner = cast.prospects.owner[someone]
    own = {"mailing": np.full(size, -1), "prospect": someone, "user": owner, "created": begun}
    return [
        _extra(setting, _about(mailings, replied, mailings["replied"][replied]), "follow_up", rng),
        _extra(setting, _about(mailings, chased, mailings["sent"][chased] + 3 * DAY), "no_reply", rng),
        _extra(setting, _about(mailings, keen, mailings["sent"][keen] + 3.5 * DAY), "sequence_open", rng),
        _extra(setting, own, "manual", rng),
        _extra(setting, taken(own, np.arange(min(3, size))), "touch", rng),
    ]


def _about(mailings: Table, rows: Ints, created: Floats) -> Table:
    return {"mailing": rows, "prospect": mailings["prospect"][rows], "user": mailings["user"][rows], "created": created}


def _extra(setting: Simulation, occasion: Table, type_: str, rng: np.random.Generator) -> Table:
    """Tasks of one type outside sequences; three in four get done, most of them about when due."""
    created, size = occasion["created"], len(occasion["created"])
    due = np.floor(created + rng.integers(0, 4, size) * DAY + 6 * HOUR)
    done = np.where(happens(_EXTRA_DONE, size, rng), due + rng.normal(-0.1, 0.8, size) * DAY, np.nan)
    action = {"follow_up": 0, "no_reply": 0, "sequence_open": 1}.get(type_)
    none, no = np.full(size, -1), np.zeros(size, dtype=bool)
    return occasion | {
        "enrollment": none,
        "step": none,
        "sequence": none,
        "action": rng.integers(1, 4, size) if action is None else np.full(size, action),
        "type": np.full(size, TASK_TYPES.index(type_)),
        "created": np.floor(created),
        "due": due,
        "done": setting.until_now(np.floor(np.maximum(done, created + 600))),
        "skipped": no,
        "answered": no,
        "ends": no,
    }


def calls(setting: Simulation, cast: Cast, work: Table) -> Table:
    """
    Gather the calls of call steps, calls outside sequences, and calls that came in.

    Returns
    -------
    calls : Table
        ``task, enrollment, step, sequence, prospect, user`` (-1 without), ``inbound, answered, ends, elsewhere``
        (logged from another telephone system), ``disposition``, ``dialed, picked_up, completed, created`` [UTC
        seconds].
    """
    rng = setting.random("calls")
    made = np.flatnonzero((work["action"] == 1) & ~np.isnan(work["done"]) & ~work["skipped"] & (work["step"] >= 0))
    planned = {
        name: work[name][made] for name in ("enrollment", "step", "sequence", "prospect", "user", "answered", "ends")
    }
    planned |= {"task": made, "dialed": work["done"][made] - 1, "inbound": np.zeros(len(made), dtype=bool)}
    table = concatenated([planned, _unplanned(setting, cast, planned, rng)])
    size = len(table["dialed"])
    talk = np.where(table["answered"], rng.gamma(1.6, 130, size) + 12, rng.uniform(8, 40, size))
    rings = rng.uniform(4, 20, size)
    elsewhere = happens(_LOGGED_ELSEWHERE, size, rng)
    completed = np.floor(table["dialed"] + rings + talk)
    logged = np.where(elsewhere, completed + rng.uniform(1, 20, size) * HOUR, completed + 30)
    table |= {
        "elsewhere": elsewhere,
        "picked_up": np.where(table["answered"], np.floor(table["dialed"] + rings), np.nan),
        "completed": np.minimum(completed, setting.as_of),
        "created": np.minimum(np.floor(logged), setting.as_of),
        "disposition": _dispositions(table["answered"], table["ends"], rng),
    }
    return taken(table, np.argsort(table["created"], kind="stable"))


def _unplanned(setting: Simulation, cast: Cast, like: Table, rng: np.random.Generator) -> Table:
    """Calls without a task: some users just dial, and some prospects call back."""
    count = len(cast.prospects.first)
    size = max(4, round(count * (_OUTBOUND_SHARE + _INBOUND_SHARE)))
    prospect = rng.integers(0, count, size)
    user = cast.prospects.owner[prospect]
    begun = np.fmax(cast.prospects.created[prospect], setting.start)
    ready = begun + rng.random(size) * np.maximum(setting.as_of - begun - 4 * DAY, 0)
    hours = np.asarray(setting.model.send_hours)
    dialed = next_slot(
        ready, cast.users.zone[user], setting.zones, rng, hours=hours, weekends=np.zeros(size, dtype=bool)
    )
    dialed = np.minimum(dialed, setting.as_of - HOUR)
    inbound = happens(_INBOUND_SHARE / (_OUTBOUND_SHARE + _INBOUND_SHARE), size, rng)
    local = setting.zones.to_local(dialed, cast.prospects.zone[prospect])
    chance = setting.model.connect * np.asarray(setting.model.connect_hour_effect)[hour(local)]
    answered = happens(np.where(inbound, 0.7, chance), size, rng)
    none = np.full(size, -1)
    row = {"prospect": prospect, "user": user, "answered": answered, "dialed": dialed, "inbound": inbound}
    return (
        row | {name: none for name in like if name not in row and name != "ends"} | {"ends": np.zeros(size, dtype=bool)}
    )


def _dispositions(answered: Flags, ends: Flags, rng: np.random.Generator) -> Ints:
    """How each call went; one that ends a sequence booked a meeting or was told no."""
    size = len(answered)
    talked = np.where(
        ends, rng.choice([0, 2, 3], size, p=[0.6, 0.3, 0.1]), rng.choice([1, 2, 3], size, p=[0.6, 0.25, 0.15])
    )
    return np.where(answered, talked, rng.choice([4, 5, 6], size, p=[0.55, 0.35, 0.1]))
