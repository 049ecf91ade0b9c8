"""
Enrollments: who enters which sequence, and each enrollment's steps until it ends.

All enrollments take their first step together, then their second, and so on: a few vectorized rounds instead of one
loop per person. In a round, each enrollment finds the next slot of its schedule, its task is done or forgotten, its
message is sent or fails, and the responses decide whether it takes part in the next round.

The rounds look at one enrollment at a time. `respect_opt_outs` then removes what would have been sent to people who had
opted out elsewhere. A few enrollments continue in spite of that, as in real organizations: a compliance check must find
these messages.
"""

from dataclasses import dataclass, field

import numpy as np

from outreach_frames._sandbox.seed.model import AUTO_EMAIL, CALL, MANUAL_EMAIL
from outreach_frames._sandbox.seed.people import TRAITS, Cast
from outreach_frames._sandbox.seed.responses import respond
from outreach_frames._sandbox.seed.simulation import (
    DAY,
    HOUR,
    WINDOW_DAYS,
    Floats,
    Ints,
    Simulation,
    Table,
    after_weekend,
    concatenated,
    happens,
    hour,
    next_slot,
    taken,
    weekday,
)

_ENROLLED = 0.88
_CONCURRENT = 0.14
_AGAIN = 0.08
_WEEKDAY_WEIGHT = np.array([1.0, 1.15, 1.1, 1.0, 0.7, 0.03, 0.02])
_QUIET = {(12, day) for day in range(22, 32)} | {(1, 1), (1, 2)}
_HOLIDAY_WEIGHT = 0.25
_GROWTH = 0.6


def enrollments(setting: Simulation, cast: Cast) -> Table:
    """
    Enroll most prospects once, some in a second sequence meanwhile and some again in the first.

    Returns
    -------
    enrollments : Table
        ``prospect, sequence, user, mailbox`` (positions), ``created`` [UTC seconds], oldest first. The user is mostly,
        not always, the prospect's owner of today.
    """
    rng = setting.random("enrolments")  # the stream's name is part of what a seed means
    count = len(cast.prospects.first)
    chosen = np.flatnonzero(happens(_ENROLLED, count, rng))
    first = _first_enrollments(setting, cast, chosen if len(chosen) else np.array([0]), rng)
    table = concatenated([first, _concurrent(setting, first, rng), _repeated(setting, first, rng)])
    table["created"] = np.floor(table["created"])
    sender = np.where(happens(0.85, len(table["prospect"]), rng), cast.prospects.owner[table["prospect"]], -1)
    active = len(cast.users.first) - 1
    sender = np.where((sender < 0) | (sender == active), rng.integers(0, active, len(sender)), sender)
    old_mailbox = (sender == 0) & happens(0.3, len(sender), rng)
    table |= {"user": sender, "mailbox": np.where(old_mailbox, len(cast.users.mailbox_user) - 1, sender)}
    return taken(table, np.argsort(table["created"], kind="stable"))


def _first_enrollments(setting: Simulation, cast: Cast, prospect: Ints, rng: np.random.Generator) -> Table:
    programme = setting.programme
    sequence = rng.choice(len(programme.plans), size=len(prospect), p=programme.weight / programme.weight.sum())
    arrived = cast.prospects.created[prospect]
    sequence = np.where(arrived + DAY > programme.until[sequence], 0, sequence)
    earliest = np.maximum(np.maximum(arrived, setting.start), programme.opens[sequence])
    patience = np.where(cast.prospects.bulk[prospect], WINDOW_DAYS, 21.0) * DAY
    latest = np.minimum(earliest + patience, programme.until[sequence])
    created = _on_working_days(setting, earliest, latest, rng)
    zone = cast.users.zone[cast.prospects.owner[prospect]]
    local = np.floor(setting.zones.to_local(created, zone) / DAY) * DAY + rng.uniform(8.5, 18, len(prospect)) * HOUR
    created = np.maximum(setting.zones.to_utc(local, zone), arrived + rng.uniform(300, 3000, len(prospect)))
    created = np.where(created > setting.as_of, setting.as_of - rng.uniform(600, 30_000, len(prospect)), created)
    return {"prospect": prospect, "sequence": sequence, "created": created}


def _on_working_days(setting: Simulation, earliest: Floats, latest: Floats, rng: np.random.Generator) -> Floats:
    """Draw days between two instants: working days above all, fewer around New Year, more toward the end."""
    days = np.arange(setting.start // DAY, setting.as_of // DAY + 1)
    weight = _WEEKDAY_WEIGHT[weekday(days * DAY)] * (1 + _GROWTH * np.linspace(0, 1, len(days)))
    dates = (days * DAY).astype("int64").astype("datetime64[s]").tolist()
    quiet = np.array([(date.month, date.day) in _QUIET for date in dates])
    reached = np.concatenate([[0.0], np.cumsum(weight * np.where(quiet, _HOLIDAY_WEIGHT, 1.0))])
    edges = np.concatenate([days, days[-1:] + 1]) * DAY
    low, high = np.interp(earliest, edges, reached), np.interp(latest, edges, reached)
    drawn: Floats = np.interp(low + rng.random(len(low)) * (high - low), reached, edges)
    return drawn


def _concurrent(setting: Simulation, first: Table, rng: np.random.Generator) -> Table:
    """A second, different sequence within three weeks of the first."""
    programme = setting.programme
    rows = taken(first, happens(_CONCURRENT, len(first["prospect"]), rng))
    size = len(rows["prospect"])
    other = (rows["sequence"] + rng.integers(1, len(programme.plans), size)) % len(programme.plans)
    created = after_weekend(rows["created"] + rng.uniform(0.2, 20, size) * DAY)
    fits = (created < setting.as_of) & (created > programme.opens[other]) & (created < programme.until[other])
    return taken({"prospect": rows["prospect"], "sequence": other, "created": created}, fits)


def _repeated(setting: Simulation, first: Table, rng: np.random.Generator) -> Table:
    """The same sequence once more, two to three months later."""
    rows = taken(first, happens(_AGAIN, len(first["prospect"]), rng))
    created = after_weekend(rows["created"] + rng.uniform(55, 100, len(rows["prospect"])) * DAY)
    fits = created < np.minimum(setting.as_of, setting.programme.until[rows["sequence"]])
    return taken(rows | {"created": created}, fits)


STATES = ("active", "pending", "paused", "finished", "bounced", "opted_out", "failed", "disabled")
ACTIVE, PENDING, PAUSED, FINISHED, BOUNCED, OPTED_OUT, FAILED, DISABLED = range(8)
SENT, SCHEDULED, QUEUED, DRAFTED, NOT_SENT = range(5)
NO_PAUSE, PAUSED_BY_USER, PAUSED_AWAY = -1, 0, 1
MISSING_VARIABLE, MAY_NOT_SEND, NO_LOGIN = range(3)

_USER_PAUSES = 0.012
_STAYS_PAUSED = 0.5
_AWAY_RESUMES = 0.7
_SENT_ON_WEEKENDS = 0.04
_HELD_DAYS = 3.5
_QUEUED = 0.9
_DONE_SOON = 0.6
_VARIABLE_MISSING = 0.7
_ENDS_CALL = 0.35


@dataclass(slots=True)
class Journeys:
    """
    What the simulation knows after the last round.

    Attributes
    ----------
    enrollments
        ``prospect, sequence, user, mailbox, created`` and ``state, changed, step`` (current, -1 before the first),
        ``pause, error`` (-1 without), ``ready`` (since when the next step waits).
    mailings
        One row per message, whether it left or not; see `respond` for what came back.
    tasks
        One row per manual step, call steps with ``answered`` and ``ends``.
    """

    enrollments: Table
    mailings: Table
    tasks: Table


@dataclass(slots=True)
class _Rounds:
    setting: Simulation
    cast: Cast
    enrolled: Table
    rng: np.random.Generator
    response_rng: np.random.Generator
    mailings: list[Table] = field(default_factory=list)
    tasks: list[Table] = field(default_factory=list)

    def leave(self, rows: Ints, state: int | Ints, changed: Floats) -> None:
        """Take enrollments out of the rounds."""
        self.enrolled["moving"][rows] = False
        self.enrolled["state"][rows] = state
        self.enrolled["changed"][rows] = changed


def travel(setting: Simulation, cast: Cast, enrolled: Table) -> Journeys:
    """Run the rounds and settle how every enrollment stands now."""
    size = len(enrolled["prospect"])
    rng = setting.random("journeys")
    waits = setting.programme.throttled[enrolled["sequence"]] & (enrolled["created"] > setting.before(8))
    enrolled = enrolled | {
        "moving": ~waits,
        "state": np.where(waits, PENDING, ACTIVE),
        "changed": enrolled["created"].copy(),
        "ready": enrolled["created"].copy(),
        "stop": np.full(size, np.nan),
        "cause": np.full(size, -1),
        "step": np.full(size, -1),
        "pause": np.full(size, NO_PAUSE),
        "error": np.full(size, -1),
    }
    rounds = _Rounds(setting, cast, enrolled, rng, setting.random("responses"))
    for order in range(setting.programme.step_at.shape[1] + 1):
        _round(rounds, order)
    _settle(enrolled)
    return Journeys(enrolled, concatenated(rounds.mailings), concatenated(rounds.tasks))


def _round(rounds: _Rounds, order: int) -> None:
    """Let everybody still moving take the step with this number, counted from 0."""
    enrolled, programme = rounds.enrolled, rounds.setting.programme
    rows = np.flatnonzero(enrolled["moving"])
    has_step = order < programme.step_at.shape[1]
    step = programme.step_at[enrolled["sequence"][rows], order] if has_step else np.full(len(rows), -1)
    over = rows[step < 0]
    rounds.leave(over, FINISHED, enrolled["ready"][over])
    happens = (step >= 0) & ~(programme.date[step] < enrolled["created"][rows])
    if not happens.any():
        return

    moves = _still_going(rounds, _timed(rounds, {"enrollment": rows[happens], "step": step[happens]}))
    rows, done = moves["enrollment"], moves["done"]
    enrolled["step"][rows] = moves["step"]
    kind = programme.kind[moves["step"]]
    _do_tasks(rounds, taken(moves, kind != AUTO_EMAIL))
    _send(rounds, taken(moves, (kind == AUTO_EMAIL) | (kind == MANUAL_EMAIL) & ~moves["skipped"]))

    ahead = done > rounds.setting.as_of
    waiting = rows[ahead & (enrolled["state"][rows] == ACTIVE)]
    rounds.leave(waiting, ACTIVE, enrolled["created"][waiting])
    walks = rows[~ahead]
    enrolled["ready"][walks] = np.fmax(enrolled["ready"][walks], done[~ahead])
    _pause_by_hand(rounds, walks)


def _timed(rounds: _Rounds, moves: Table) -> Table:
    """
    Add when each step begins (``slot``), is done (``done``, infinity for never), and whether it was ``skipped``.

    Mail keeps business hours by the recipient's clock, work by the sender's; tasks take hours or days, some are
    forgotten, and some steps skip a forgotten task by themselves.
    """
    setting, enrolled, rng = rounds.setting, rounds.enrolled, rounds.rng
    programme, rows, step, size = setting.programme, moves["enrollment"], moves["step"], len(moves["step"])
    automatic = programme.kind[step] == AUTO_EMAIL
    theirs = rounds.cast.prospects.zone[enrolled["prospect"][rows]]
    ours = rounds.cast.users.zone[enrolled["user"][rows]]
    dated = programme.dated[programme.step_sequence[step]]
    ready = np.where(dated, programme.date[step], enrolled["ready"][rows] + programme.wait[step])
    weekends = ~automatic & happens(_SENT_ON_WEEKENDS, size, rng)
    hours = np.asarray(setting.model.send_hours)
    zone = np.where(automatic, theirs, ours)
    slot = next_slot(ready, zone, setting.zones, rng, hours=hours, weekends=weekends)

    quick = happens(_DONE_SOON, size, rng)
    later = rng.integers(1, 5, size) * DAY + rng.uniform(-1, 2, size) * HOUR
    neglected = happens(setting.model.task_neglect, size, rng)
    done = slot + np.where(quick, rng.uniform(0.05, 3, size) * HOUR, later)
    done = np.where(automatic, slot, np.where(neglected, np.inf, done))
    skip = slot + programme.autoskip[step]
    skipped = skip < done
    return moves | {"slot": slot, "done": np.floor(np.where(skipped, skip, done)), "skipped": skipped}


def _still_going(rounds: _Rounds, moves: Table) -> Table:
    """Drop enrollments that ended before the step, and those whose sequence was deactivated before it began."""
    enrolled, rows = rounds.enrolled, moves["enrollment"]
    closed = rounds.setting.programme.closed[enrolled["sequence"][rows]]
    ended = enrolled["stop"][rows] <= moves["done"]
    off = ~ended & (closed < moves["slot"])
    rounds.leave(rows[ended], enrolled["cause"][rows[ended]], enrolled["stop"][rows[ended]])
    rounds.leave(rows[off], DISABLED, closed[off])
    return taken(moves, ~ended & ~off)


def _do_tasks(rounds: _Rounds, moves: Table) -> None:
    """Record the tasks of manual steps, and the outcome of the calls among them."""
    setting, enrolled, rng = rounds.setting, rounds.enrolled, rounds.rng
    rows, done = moves["enrollment"], moves["done"]
    local = setting.zones.to_local(
        np.minimum(done, moves["slot"] + 30 * DAY), rounds.cast.prospects.zone[enrolled["prospect"][rows]]
    )
    chance = setting.model.connect * np.asarray(setting.model.connect_hour_effect)[hour(local)]
    called = (setting.programme.kind[moves["step"]] == CALL) & (done <= setting.as_of) & ~moves["skipped"]
    answered = called & happens(chance, len(rows), rng)
    ends = answered & happens(_ENDS_CALL, len(rows), rng)
    enrolled["stop"][rows[ends]] = np.fmin(enrolled["stop"][rows[ends]], done[ends] + 1)
    enrolled["cause"][rows[ends]] = FINISHED
    rounds.tasks.append(
        {
            "enrollment": rows,
            "step": moves["step"],
            "created": np.floor(np.minimum(enrolled["ready"][rows], setting.as_of)),
            "due": moves["slot"],
            "done": setting.until_now(done),
            "skipped": moves["skipped"],
            "answered": answered,
            "ends": ends,
        }
    )


def _send(rounds: _Rounds, moves: Table) -> None:
    """Send, queue, schedule or fail messages, and note what ends or pauses their enrollments."""
    setting, enrolled, programme, rng = rounds.setting, rounds.enrolled, rounds.setting.programme, rounds.rng
    rows, step, done = moves["enrollment"], moves["step"], moves["done"]
    mailbox, sequence = enrolled["mailbox"][rows], programme.step_sequence[step]
    status, error = _fates(rounds, moves)
    variant = programme.deal_variants(step, np.minimum(done, setting.as_of), rng)
    created = np.floor(np.minimum(enrolled["ready"][rows], setting.as_of))
    mail = {
        "enrollment": rows,
        "prospect": enrolled["prospect"][rows],
        "sequence": sequence,
        "step": step,
        "variant": variant,
        "template": programme.template[variant],
        "mailbox": mailbox,
        "user": enrolled["user"][rows],
        "created": created,
        "scheduled": np.maximum(_scheduled(moves, status, mailbox, rng), created),
        "status": status,
        "attempted": np.where((status == SENT) | (status == NOT_SENT), done, np.nan),
        "error": error,
        "sent": np.where(status == SENT, done, np.nan),
        "reply_rate": programme.reply[sequence] * programme.decay[step] * programme.lift[variant],
        "opt_out_rate": programme.opt_out[sequence],
        "positive_rate": programme.positive[sequence],
    }
    mail = respond(setting, rounds.cast, mail, rounds.response_rng)
    rounds.mailings.append(mail)
    _take_answers(rounds, mail)
    failed, queued = status == NOT_SENT, rows[status == QUEUED]
    rounds.leave(rows[failed], FAILED, done[failed])
    enrolled["error"][rows[failed]] = error[failed]
    rounds.leave(queued, ACTIVE, enrolled["created"][queued])


def _fates(rounds: _Rounds, moves: Table) -> tuple[Ints, Ints]:
    """Whether each message leaves, waits or fails, and why it fails."""
    setting, rng, done, size = rounds.setting, rounds.rng, moves["done"], len(moves["done"])
    mailbox = rounds.enrolled["mailbox"][moves["enrollment"]]
    manual = setting.programme.kind[moves["step"]] == MANUAL_EMAIL
    refused = (mailbox == TRAITS.disabled) & (done >= setting.before(TRAITS.disabled_days))
    unable = refused | happens(setting.model.failure, size, rng)
    held = (mailbox == TRAITS.limited) & (done > setting.before(_HELD_DAYS)) & happens(_QUEUED, size, rng)
    ahead = done > setting.as_of
    status = np.select([ahead & manual, ahead, unable, held], [DRAFTED, SCHEDULED, NOT_SENT, QUEUED], SENT)
    reason = np.where(happens(_VARIABLE_MISSING, size, rng), MISSING_VARIABLE, NO_LOGIN)
    return status, np.where(status != NOT_SENT, -1, np.where(refused, MAY_NOT_SEND, reason))


def _scheduled(moves: Table, status: Ints, mailbox: Ints, rng: np.random.Generator) -> Floats:
    """When each message was meant to leave: a little before it did, hours before from a mailbox at its limit."""
    size = len(status)
    lag = np.where(mailbox == TRAITS.limited, rng.uniform(0.3, 5, size) * HOUR, rng.uniform(2, 180, size))
    return np.select([status == DRAFTED, status == SCHEDULED], [np.nan, moves["slot"]], np.floor(moves["done"] - lag))


def _take_answers(rounds: _Rounds, mail: Table) -> None:
    """Let replies, opt-outs and bounces end the enrollment, and out-of-office notices pause it."""
    enrolled, rows = rounds.enrolled, mail["enrollment"]
    away = ~np.isnan(mail["away_until"])
    ends = rounds.setting.programme.finish_on_reply[mail["sequence"]] & ~away
    for instant, cause in (
        (np.where(ends, mail["replied"], np.nan), FINISHED),
        (mail["opted_out"], OPTED_OUT),
        (mail["bounced"], BOUNCED),
    ):
        sooner = ~(enrolled["stop"][rows] <= instant) & ~np.isnan(instant)
        enrolled["stop"][rows[sooner]] = instant[sooner]
        enrolled["cause"][rows[sooner]] = cause
    resumes = (mail["away_until"] <= rounds.setting.as_of) & happens(_AWAY_RESUMES, len(rows), rounds.rng)
    back = rows[resumes]
    enrolled["ready"][back] = np.fmax(enrolled["ready"][back], mail["away_until"][resumes])
    stays = away & ~resumes
    rounds.leave(rows[stays], PAUSED, np.minimum(mail["sent"][stays] + 300, rounds.setting.as_of))
    enrolled["pause"][rows[away]] = PAUSED_AWAY


def _pause_by_hand(rounds: _Rounds, rows: Ints) -> None:
    """A few enrollments are paused by their user; half of them go on five days later."""
    enrolled, rng = rounds.enrolled, rounds.rng
    paused = rows[enrolled["moving"][rows] & happens(_USER_PAUSES, len(rows), rng)]
    stays = happens(_STAYS_PAUSED, len(paused), rng)
    at = np.minimum(enrolled["ready"][paused] + HOUR, rounds.setting.as_of)
    rounds.leave(paused[stays], PAUSED, at[stays])
    enrolled["ready"][paused[~stays]] += 5 * DAY
    enrolled["pause"][paused] = PAUSED_BY_USER


def _settle(enrolled: Table) -> None:
    """
    Let what came back while nothing else was due end the enrollment too.

    An enrollment that ran out of steps stays finished when the answer comes, but a bounce or an opt-out still shows.
    """
    terminal = np.isin(enrolled["state"], (BOUNCED, OPTED_OUT, FAILED, DISABLED))
    terminal |= (enrolled["state"] == FINISHED) & (enrolled["cause"] == FINISHED)
    ended = ~np.isnan(enrolled["stop"]) & ~(terminal & (enrolled["changed"] <= enrolled["stop"]))
    enrolled["state"] = np.where(ended, enrolled["cause"], enrolled["state"])
    enrolled["changed"] = np.where(ended, enrolled["stop"], enrolled["changed"])


_GOES_ON = 0.08


def opted_out_at(cast: Cast, mailings: Table) -> Floats:
    """When each prospect opted out first, by link or by hand; NaN for the others."""
    first: Floats = np.where(np.isnan(cast.prospects.manual_opt_out), np.inf, cast.prospects.manual_opt_out)
    by_link = ~np.isnan(mailings["opted_out"]) & (mailings["prospect"] >= 0)
    np.minimum.at(first, mailings["prospect"][by_link], mailings["opted_out"][by_link])
    return np.where(np.isinf(first), np.nan, first)


def respect_opt_outs(setting: Simulation, cast: Cast, journeys: Journeys) -> Journeys:
    """
    Drop what followed an opt-out and end the enrollments it caught.

    Returns
    -------
    journeys : Journeys
        With enrollments begun after the opt-out removed, later messages and tasks removed, and ``overridden`` marking
        the enrollments that went on.
    """
    enrolled = journeys.enrollments
    refused = opted_out_at(cast, journeys.mailings)[enrolled["prospect"]]
    goes_on = setting.random("refusals").random(len(refused)) < _GOES_ON
    goes_on |= setting.programme.transactional[enrolled["sequence"]]
    limit = np.where(goes_on | np.isnan(refused), np.inf, refused)

    mailings, tasks = journeys.mailings, journeys.tasks
    happened = np.where(np.isnan(mailings["attempted"]), setting.as_of, mailings["attempted"])
    mailings = taken(mailings, happened <= limit[mailings["enrollment"]])
    tasks = taken(tasks, np.where(np.isnan(tasks["done"]), setting.as_of, tasks["done"]) <= limit[tasks["enrollment"]])

    caught = (limit < setting.as_of) & (np.isnan(enrolled["changed"]) | (enrolled["changed"] > limit) | _open(enrolled))
    enrolled = enrolled | {
        "state": np.where(caught, OPTED_OUT, enrolled["state"]),
        "changed": np.where(caught, limit, enrolled["changed"]),
        "overridden": goes_on & (enrolled["created"] > refused),
    }
    return _without(Journeys(enrolled, mailings, tasks), enrolled["created"] > limit)


def _open(enrolled: Table) -> np.ndarray:
    return np.isin(enrolled["state"], (ACTIVE, PENDING, PAUSED))


def _without(journeys: Journeys, gone: np.ndarray) -> Journeys:
    """Remove enrollments, renumber the rest and recompute the step each one has reached."""
    position = np.cumsum(~gone) - 1
    enrolled = taken(journeys.enrollments, ~gone)
    tables = []
    for table in (journeys.mailings, journeys.tasks):
        kept = taken(table, ~gone[table["enrollment"]])
        tables.append(kept | {"enrollment": position[kept["enrollment"]]})
    step = np.full(len(enrolled["prospect"]), -1)
    for table in tables:
        np.maximum.at(step, table["enrollment"], table["step"])
    return Journeys(enrolled | {"step": step}, *tables)
