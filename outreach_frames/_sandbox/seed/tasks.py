"""Tasks and calls."""

import numpy as np

from outreach_frames._sandbox.seed.journeys import Journeys
from outreach_frames._sandbox.seed.model import STEP_CALL, STEP_MANUAL_EMAIL
from outreach_frames._sandbox.seed.people import Cast
from outreach_frames._sandbox.seed.responses import OPEN_EVENT
from outreach_frames._sandbox.seed.simulation import (
    DAY_S,
    HOUR_S,
    BoolArray,
    FloatArray,
    IntArray,
    Simulation,
    Table,
    concat_tables,
    happens,
    hour,
    next_slot,
    take_rows,
)

ACTION_NAMES = ("email", "call", "action_item", "in_person")
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


def tasks(simulation: Simulation, cast: Cast, journeys: Journeys, mailings: Table, engaged: Table) -> Table:
    """
    Collect the tasks of sequences, and those after replies, repeated opens and by hand.

    Returns
    -------
    tasks : Table
        ``enrollment, step, mailing, prospect, sequence, user`` (positions, -1 without), ``action, type`` (positions in
        `ACTIONS` and `TASK_TYPES`), ``created, due, done`` [UTC seconds], ``skipped``, and for call steps
        ``answered, ends``.
    """
    rng = simulation.random("work")
    step, rows = journeys.tasks["step"], journeys.tasks["enrollment"]
    enrolled, sequences = journeys.enrollments, simulation.sequences
    kinds = sequences.kind[step]
    types = np.array([TASK_TYPES.index(planned.task_type) for planned in sequences.steps])
    from_steps = journeys.tasks | {
        "mailing": _task_mailing(mailings, rows, step, steps=len(sequences.steps)),
        "prospect": enrolled["prospect"][rows],
        "sequence": enrolled["sequence"][rows],
        "user": enrolled["user"][rows],
        "action": np.select([kinds == STEP_MANUAL_EMAIL, kinds == STEP_CALL], [0, 1], 2),
        "type": types[step],
    }
    from_steps["skipped"] = from_steps["skipped"] & ~np.isnan(from_steps["done"])
    parts = [from_steps, *_follow_ups(simulation, cast, mailings, engaged, rng)]
    table = concat_tables([{name: part[name] for name in from_steps} for part in parts])
    return take_rows(table, np.argsort(table["created"], kind="stable"))


def _task_mailing(mailings: Table, enrollment: IntArray, step: IntArray, *, steps: int) -> IntArray:
    """The message of a manual e-mail step, -1 for other tasks."""
    place = np.full((int(max(enrollment.max(initial=0), mailings["enrollment"].max(initial=0))) + 1) * steps, -1)
    inside = np.flatnonzero(mailings["enrollment"] >= 0)
    place[mailings["enrollment"][inside] * steps + mailings["step"][inside]] = inside
    positions: IntArray = place[enrollment * steps + step]
    return positions


def _follow_ups(
    simulation: Simulation, cast: Cast, mailings: Table, engaged: Table, rng: np.random.Generator
) -> list[Table]:
    """Return tasks after replies, without replies, after repeated opens, and by hand."""
    has_prospect = mailings["prospect"] >= 0
    replied = np.flatnonzero(has_prospect & ~np.isnan(mailings["replied"]) & happens(0.35, len(has_prospect), rng))
    silent = np.isnan(mailings["replied"]) & (mailings["sent"] < simulation.before(3)) & (mailings["sequence"] < 0)
    chased = np.flatnonzero(has_prospect & silent & happens(0.3, len(has_prospect), rng))
    opens = np.bincount(engaged["mailing"][engaged["what"] == OPEN_EVENT], minlength=len(has_prospect))
    old = (mailings["sent"] < simulation.before(4)) & (mailings["sequence"] >= 0)
    keen = np.flatnonzero(has_prospect & old & (opens >= _OFTEN))
    size = max(4, len(cast.prospects.first) // 30)
    prospect = rng.integers(0, len(cast.prospects.first), size)
    begun = np.fmax(cast.prospects.created[prospect], simulation.start)
    begun = begun + rng.random(size) * (simulation.as_of - begun)
    owner = cast.prospects.owner[prospect]
    own = {"mailing": np.full(size, -1), "prospect": prospect, "user": owner, "created": begun}
    return [
        _extra(simulation, _occasions(mailings, replied, mailings["replied"][replied]), "follow_up", rng),
        _extra(simulation, _occasions(mailings, chased, mailings["sent"][chased] + 3 * DAY_S), "no_reply", rng),
        _extra(simulation, _occasions(mailings, keen, mailings["sent"][keen] + 3.5 * DAY_S), "sequence_open", rng),
        _extra(simulation, own, "manual", rng),
        _extra(simulation, take_rows(own, np.arange(min(3, size))), "touch", rng),
    ]


def _occasions(mailings: Table, rows: IntArray, created: FloatArray) -> Table:
    return {"mailing": rows, "prospect": mailings["prospect"][rows], "user": mailings["user"][rows], "created": created}


def _extra(simulation: Simulation, occasion: Table, type_: str, rng: np.random.Generator) -> Table:
    """Return tasks of one type outside sequences; three in four are done, most of them about when due."""
    created, size = occasion["created"], len(occasion["created"])
    due = np.floor(created + rng.integers(0, 4, size) * DAY_S + 6 * HOUR_S)
    done = np.where(happens(_EXTRA_DONE, size, rng), due + rng.normal(-0.1, 0.8, size) * DAY_S, np.nan)
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
        "done": simulation.until_now(np.floor(np.maximum(done, created + 600))),
        "skipped": no,
        "answered": no,
        "ends": no,
    }


def calls(simulation: Simulation, cast: Cast, work: Table) -> Table:
    """
    Collect the calls of call steps, calls outside sequences, and inbound calls.

    Returns
    -------
    calls : Table
        ``task, enrollment, step, sequence, prospect, user`` (-1 without), ``inbound, answered, ends, elsewhere``
        (logged from another telephone system), ``disposition``, ``dialed, picked_up, completed, created`` [UTC
        seconds].
    """
    rng = simulation.random("calls")
    from_tasks = np.flatnonzero(
        (work["action"] == 1) & ~np.isnan(work["done"]) & ~work["skipped"] & (work["step"] >= 0)
    )
    planned = {
        name: work[name][from_tasks]
        for name in ("enrollment", "step", "sequence", "prospect", "user", "answered", "ends")
    }
    planned |= {
        "task": from_tasks,
        "dialed": work["done"][from_tasks] - 1,
        "inbound": np.zeros(len(from_tasks), dtype=bool),
    }
    table = concat_tables([planned, _unplanned(simulation, cast, planned, rng)])
    size = len(table["dialed"])
    talk = np.where(table["answered"], rng.gamma(1.6, 130, size) + 12, rng.uniform(8, 40, size))
    rings = rng.uniform(4, 20, size)
    elsewhere = happens(_LOGGED_ELSEWHERE, size, rng)
    completed = np.floor(table["dialed"] + rings + talk)
    logged = np.where(elsewhere, completed + rng.uniform(1, 20, size) * HOUR_S, completed + 30)
    table |= {
        "elsewhere": elsewhere,
        "picked_up": np.where(table["answered"], np.floor(table["dialed"] + rings), np.nan),
        "completed": np.minimum(completed, simulation.as_of),
        "created": np.minimum(np.floor(logged), simulation.as_of),
        "disposition": _dispositions(table["answered"], table["ends"], rng),
    }
    return take_rows(table, np.argsort(table["created"], kind="stable"))


def _unplanned(simulation: Simulation, cast: Cast, like: Table, rng: np.random.Generator) -> Table:
    """Draw calls without a task, outbound and inbound."""
    count = len(cast.prospects.first)
    size = max(4, round(count * (_OUTBOUND_SHARE + _INBOUND_SHARE)))
    prospect = rng.integers(0, count, size)
    user = cast.prospects.owner[prospect]
    begun = np.fmax(cast.prospects.created[prospect], simulation.start)
    ready = begun + rng.random(size) * np.maximum(simulation.as_of - begun - 4 * DAY_S, 0)
    hours = np.asarray(simulation.model.send_hours)
    dialed = next_slot(
        ready, cast.users.zone[user], simulation.zones, rng, hours=hours, weekends=np.zeros(size, dtype=bool)
    )
    dialed = np.minimum(dialed, simulation.as_of - HOUR_S)
    inbound = happens(_INBOUND_SHARE / (_OUTBOUND_SHARE + _INBOUND_SHARE), size, rng)
    local = simulation.zones.to_local(dialed, cast.prospects.zone[prospect])
    chance = simulation.model.connect * np.asarray(simulation.model.connect_hour_effect)[hour(local)]
    answered = happens(np.where(inbound, 0.7, chance), size, rng)
    none = np.full(size, -1)
    row = {"prospect": prospect, "user": user, "answered": answered, "dialed": dialed, "inbound": inbound}
    return (
        row | {name: none for name in like if name not in row and name != "ends"} | {"ends": np.zeros(size, dtype=bool)}
    )


def _dispositions(answered: BoolArray, ends: BoolArray, rng: np.random.Generator) -> IntArray:
    """Disposition of each call; one that ends a sequence booked a meeting or was declined."""
    size = len(answered)
    talked = np.where(
        ends, rng.choice([0, 2, 3], size, p=[0.6, 0.3, 0.1]), rng.choice([1, 2, 3], size, p=[0.6, 0.25, 0.15])
    )
    return np.where(answered, talked, rng.choice([4, 5, 6], size, p=[0.55, 0.35, 0.1]))
