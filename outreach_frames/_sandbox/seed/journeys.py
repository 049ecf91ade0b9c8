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

from outreach_frames._sandbox.seed.model import STEP_AUTO_EMAIL, STEP_CALL, STEP_MANUAL_EMAIL
from outreach_frames._sandbox.seed.people import TRAITS, Cast
from outreach_frames._sandbox.seed.responses import respond
from outreach_frames._sandbox.seed.simulation import (
    DAY_S,
    HOUR_S,
    WINDOW_DAYS,
    FloatArray,
    IntArray,
    Simulation,
    Table,
    after_weekend,
    concat_tables,
    happens,
    hour,
    next_slot,
    take_rows,
    weekday,
)

_ENROLLED = 0.88
_CONCURRENT = 0.14
_AGAIN = 0.08
_WEEKDAY_WEIGHT = np.array([1.0, 1.15, 1.1, 1.0, 0.7, 0.03, 0.02])
_SLOW_DAYS = {(12, day) for day in range(22, 32)} | {(1, 1), (1, 2)}
_HOLIDAY_WEIGHT = 0.25
_GROWTH = 0.6


def enrollments(simulation: Simulation, cast: Cast) -> Table:
    """
    Enroll most prospects once, some in a second sequence at the same time, and some again in the first.

    Returns
    -------
    enrollments : Table
        ``prospect, sequence, user, mailbox`` (positions), ``created`` [UTC seconds], oldest first. The user is mostly,
        not always, the prospect's owner of today.
    """
    rng = simulation.random("enrolments")  # the stream's name is part of what a seed means
    count = len(cast.prospects.first)
    enrolled_ones = np.flatnonzero(happens(_ENROLLED, count, rng))
    first = _first_enrollments(simulation, cast, enrolled_ones if len(enrolled_ones) else np.array([0]), rng)
    table = concat_tables([first, _concurrent(simulation, first, rng), _repeated(simulation, first, rng)])
    table["created"] = np.floor(table["created"])
    sender = np.where(happens(0.85, len(table["prospect"]), rng), cast.prospects.owner[table["prospect"]], -1)
    active = len(cast.users.first) - 1
    sender = np.where((sender < 0) | (sender == active), rng.integers(0, active, len(sender)), sender)
    old_mailbox = (sender == 0) & happens(0.3, len(sender), rng)
    table |= {"user": sender, "mailbox": np.where(old_mailbox, len(cast.users.mailbox_user) - 1, sender)}
    return take_rows(table, np.argsort(table["created"], kind="stable"))


def _first_enrollments(simulation: Simulation, cast: Cast, prospect: IntArray, rng: np.random.Generator) -> Table:
    sequences = simulation.sequences
    sequence = rng.choice(len(sequences.plans), size=len(prospect), p=sequences.weight / sequences.weight.sum())
    arrived = cast.prospects.created[prospect]
    sequence = np.where(arrived + DAY_S > sequences.until[sequence], 0, sequence)
    earliest = np.maximum(np.maximum(arrived, simulation.start), sequences.opens[sequence])
    span = np.where(cast.prospects.bulk[prospect], WINDOW_DAYS, 21.0) * DAY_S
    latest = np.minimum(earliest + span, sequences.until[sequence])
    created = _on_working_days(simulation, earliest, latest, rng)
    zone = cast.users.zone[cast.prospects.owner[prospect]]
    local = (
        np.floor(simulation.zones.to_local(created, zone) / DAY_S) * DAY_S
        + rng.uniform(8.5, 18, len(prospect)) * HOUR_S
    )
    created = np.maximum(simulation.zones.to_utc(local, zone), arrived + rng.uniform(300, 3000, len(prospect)))
    created = np.where(created > simulation.as_of, simulation.as_of - rng.uniform(600, 30_000, len(prospect)), created)
    return {"prospect": prospect, "sequence": sequence, "created": created}


def _on_working_days(
    simulation: Simulation, earliest: FloatArray, latest: FloatArray, rng: np.random.Generator
) -> FloatArray:
    """Draw days between two instants: working days above all, fewer around New Year, more toward the end."""
    days = np.arange(simulation.start // DAY_S, simulation.as_of // DAY_S + 1)
    weight = _WEEKDAY_WEIGHT[weekday(days * DAY_S)] * (1 + _GROWTH * np.linspace(0, 1, len(days)))
    date_cells = (days * DAY_S).astype("int64").astype("datetime64[s]").tolist()
    is_holiday = np.array([(date.month, date.day) in _SLOW_DAYS for date in date_cells])
    reached = np.concatenate([[0.0], np.cumsum(weight * np.where(is_holiday, _HOLIDAY_WEIGHT, 1.0))])
    edges = np.concatenate([days, days[-1:] + 1]) * DAY_S
    low, high = np.interp(earliest, edges, reached), np.interp(latest, edges, reached)
    sampled: FloatArray = np.interp(low + rng.random(len(low)) * (high - low), reached, edges)
    return sampled


def _concurrent(simulation: Simulation, first: Table, rng: np.random.Generator) -> Table:
    """A second, different sequence within three weeks of the first."""
    sequences = simulation.sequences
    rows = take_rows(first, happens(_CONCURRENT, len(first["prospect"]), rng))
    size = len(rows["prospect"])
    other = (rows["sequence"] + rng.integers(1, len(sequences.plans), size)) % len(sequences.plans)
    created = after_weekend(rows["created"] + rng.uniform(0.2, 20, size) * DAY_S)
    fits = (created < simulation.as_of) & (created > sequences.opens[other]) & (created < sequences.until[other])
    return take_rows({"prospect": rows["prospect"], "sequence": other, "created": created}, fits)


def _repeated(simulation: Simulation, first: Table, rng: np.random.Generator) -> Table:
    """The same sequence once more, two to three months later."""
    rows = take_rows(first, happens(_AGAIN, len(first["prospect"]), rng))
    created = after_weekend(rows["created"] + rng.uniform(55, 100, len(rows["prospect"])) * DAY_S)
    fits = created < np.minimum(simulation.as_of, simulation.sequences.until[rows["sequence"]])
    return take_rows(rows | {"created": created}, fits)


STATES = ("active", "pending", "paused", "finished", "bounced", "opted_out", "failed", "disabled")
(
    STATE_ACTIVE,
    STATE_PENDING,
    STATE_PAUSED,
    STATE_FINISHED,
    STATE_BOUNCED,
    STATE_OPTED_OUT,
    STATE_FAILED,
    STATE_DISABLED,
) = range(8)
MAIL_SENT, MAIL_SCHEDULED, MAIL_QUEUED, MAIL_DRAFTED, MAIL_NOT_SENT = range(5)
NO_PAUSE, PAUSED_BY_USER, PAUSED_AWAY = -1, 0, 1
MISSING_VARIABLE, MAY_NOT_SEND, NO_LOGIN = range(3)

_USER_PAUSES = 0.012
_STAYS_PAUSED = 0.5
_AWAY_RESUMES = 0.7
_SENT_ON_WEEKENDS = 0.04
_HELD_DAYS = 3.5
_QUEUED_SHARE = 0.9
_DONE_SOON = 0.6
_VARIABLE_MISSING = 0.7
_ENDS_CALL = 0.35


@dataclass(slots=True)
class Journeys:
    """
    The tables after the last round.

    Attributes
    ----------
    enrollments
        ``prospect, sequence, user, mailbox, created`` and ``state, changed, step`` (current, -1 before the first),
        ``pause, error`` (-1 without), ``ready`` (since when the next step waits).
    mailings
        One row per message, sent or not; see `respond` for the responses.
    tasks
        One row per manual step, call steps with ``answered`` and ``ends``.
    """

    enrollments: Table
    mailings: Table
    tasks: Table


@dataclass(slots=True)
class _Rounds:
    simulation: Simulation
    cast: Cast
    enrolled: Table
    rng: np.random.Generator
    response_rng: np.random.Generator
    mailings: list[Table] = field(default_factory=list)
    tasks: list[Table] = field(default_factory=list)

    def leave(self, rows: IntArray, state: int | IntArray, changed: FloatArray) -> None:
        """End the rounds of enrollments."""
        self.enrolled["moving"][rows] = False
        self.enrolled["state"][rows] = state
        self.enrolled["changed"][rows] = changed


def travel(simulation: Simulation, cast: Cast, enrolled: Table) -> Journeys:
    """Run the rounds, and set the final state of every enrollment."""
    size = len(enrolled["prospect"])
    rng = simulation.random("journeys")
    waits = simulation.sequences.throttled[enrolled["sequence"]] & (enrolled["created"] > simulation.before(8))
    enrolled = enrolled | {
        "moving": ~waits,
        "state": np.where(waits, STATE_PENDING, STATE_ACTIVE),
        "changed": enrolled["created"].copy(),
        "ready": enrolled["created"].copy(),
        "stop": np.full(size, np.nan),
        "cause": np.full(size, -1),
        "step": np.full(size, -1),
        "pause": np.full(size, NO_PAUSE),
        "error": np.full(size, -1),
    }
    rounds = _Rounds(simulation, cast, enrolled, rng, simulation.random("responses"))
    for order in range(simulation.sequences.step_at.shape[1] + 1):
        _round(rounds, order)
    _set_final_states(enrolled)
    return Journeys(enrolled, concat_tables(rounds.mailings), concat_tables(rounds.tasks))


def _round(rounds: _Rounds, order: int) -> None:
    """Run the step with this number, counted from 0, for all active enrollments."""
    enrolled, sequences = rounds.enrolled, rounds.simulation.sequences
    rows = np.flatnonzero(enrolled["moving"])
    has_step = order < sequences.step_at.shape[1]
    step = sequences.step_at[enrolled["sequence"][rows], order] if has_step else np.full(len(rows), -1)
    over = rows[step < 0]
    rounds.leave(over, STATE_FINISHED, enrolled["ready"][over])
    happens = (step >= 0) & ~(sequences.date[step] < enrolled["created"][rows])
    if not happens.any():
        return

    moves = _still_going(rounds, _timed(rounds, {"enrollment": rows[happens], "step": step[happens]}))
    rows, done = moves["enrollment"], moves["done"]
    enrolled["step"][rows] = moves["step"]
    kind = sequences.kind[moves["step"]]
    _do_tasks(rounds, take_rows(moves, kind != STEP_AUTO_EMAIL))
    _send(rounds, take_rows(moves, (kind == STEP_AUTO_EMAIL) | (kind == STEP_MANUAL_EMAIL) & ~moves["skipped"]))

    ahead = done > rounds.simulation.as_of
    waiting = rows[ahead & (enrolled["state"][rows] == STATE_ACTIVE)]
    rounds.leave(waiting, STATE_ACTIVE, enrolled["created"][waiting])
    moving_on = rows[~ahead]
    enrolled["ready"][moving_on] = np.fmax(enrolled["ready"][moving_on], done[~ahead])
    _pause_by_hand(rounds, moving_on)


def _timed(rounds: _Rounds, moves: Table) -> Table:
    """
    Add when each step begins (``slot``), is done (``done``, infinity for never), and whether it was ``skipped``.

    Mail is sent in business hours of the recipient's time zone, tasks are done in those of the sender's. Tasks take
    hours or days, some are never done, and some steps skip a task after a time.
    """
    simulation, enrolled, rng = rounds.simulation, rounds.enrolled, rounds.rng
    sequences, rows, step, size = simulation.sequences, moves["enrollment"], moves["step"], len(moves["step"])
    automatic = sequences.kind[step] == STEP_AUTO_EMAIL
    theirs = rounds.cast.prospects.zone[enrolled["prospect"][rows]]
    ours = rounds.cast.users.zone[enrolled["user"][rows]]
    dated = sequences.dated[sequences.step_sequence[step]]
    ready = np.where(dated, sequences.date[step], enrolled["ready"][rows] + sequences.wait[step])
    weekends = ~automatic & happens(_SENT_ON_WEEKENDS, size, rng)
    hours = np.asarray(simulation.model.send_hours)
    zone = np.where(automatic, theirs, ours)
    slot = next_slot(ready, zone, simulation.zones, rng, hours=hours, weekends=weekends)

    quick = happens(_DONE_SOON, size, rng)
    later = rng.integers(1, 5, size) * DAY_S + rng.uniform(-1, 2, size) * HOUR_S
    neglected = happens(simulation.model.task_neglect, size, rng)
    done = slot + np.where(quick, rng.uniform(0.05, 3, size) * HOUR_S, later)
    done = np.where(automatic, slot, np.where(neglected, np.inf, done))
    skip = slot + sequences.autoskip[step]
    skipped = skip < done
    return moves | {"slot": slot, "done": np.floor(np.where(skipped, skip, done)), "skipped": skipped}


def _still_going(rounds: _Rounds, moves: Table) -> Table:
    """Remove enrollments that ended before the step, and those whose sequence was deactivated before."""
    enrolled, rows = rounds.enrolled, moves["enrollment"]
    closed = rounds.simulation.sequences.closed[enrolled["sequence"][rows]]
    ended = enrolled["stop"][rows] <= moves["done"]
    off = ~ended & (closed < moves["slot"])
    rounds.leave(rows[ended], enrolled["cause"][rows[ended]], enrolled["stop"][rows[ended]])
    rounds.leave(rows[off], STATE_DISABLED, closed[off])
    return take_rows(moves, ~ended & ~off)


def _do_tasks(rounds: _Rounds, moves: Table) -> None:
    """Record the tasks of manual steps, and the outcome of the calls among them."""
    simulation, enrolled, rng = rounds.simulation, rounds.enrolled, rounds.rng
    rows, done = moves["enrollment"], moves["done"]
    local = simulation.zones.to_local(
        np.minimum(done, moves["slot"] + 30 * DAY_S), rounds.cast.prospects.zone[enrolled["prospect"][rows]]
    )
    chance = simulation.model.connect * np.asarray(simulation.model.connect_hour_effect)[hour(local)]
    called = (simulation.sequences.kind[moves["step"]] == STEP_CALL) & (done <= simulation.as_of) & ~moves["skipped"]
    answered = called & happens(chance, len(rows), rng)
    ends = answered & happens(_ENDS_CALL, len(rows), rng)
    enrolled["stop"][rows[ends]] = np.fmin(enrolled["stop"][rows[ends]], done[ends] + 1)
    enrolled["cause"][rows[ends]] = STATE_FINISHED
    rounds.tasks.append(
        {
            "enrollment": rows,
            "step": moves["step"],
            "created": np.floor(np.minimum(enrolled["ready"][rows], simulation.as_of)),
            "due": moves["slot"],
            "done": simulation.until_now(done),
            "skipped": moves["skipped"],
            "answered": answered,
            "ends": ends,
        }
    )


def _send(rounds: _Rounds, moves: Table) -> None:
    """Send, queue, schedule or fail messages, and end or pause their enrollments."""
    simulation, enrolled, sequences, rng = rounds.simulation, rounds.enrolled, rounds.simulation.sequences, rounds.rng
    rows, step, done = moves["enrollment"], moves["step"], moves["done"]
    mailbox, sequence = enrolled["mailbox"][rows], sequences.step_sequence[step]
    status, error = _fates(rounds, moves)
    variant = sequences.deal_variants(step, np.minimum(done, simulation.as_of), rng)
    created = np.floor(np.minimum(enrolled["ready"][rows], simulation.as_of))
    mail = {
        "enrollment": rows,
        "prospect": enrolled["prospect"][rows],
        "sequence": sequence,
        "step": step,
        "variant": variant,
        "template": sequences.template[variant],
        "mailbox": mailbox,
        "user": enrolled["user"][rows],
        "created": created,
        "scheduled": np.maximum(_scheduled(moves, status, mailbox, rng), created),
        "status": status,
        "attempted": np.where((status == MAIL_SENT) | (status == MAIL_NOT_SENT), done, np.nan),
        "error": error,
        "sent": np.where(status == MAIL_SENT, done, np.nan),
        "reply_rate": sequences.reply[sequence] * sequences.decay[step] * sequences.lift[variant],
        "opt_out_rate": sequences.opt_out[sequence],
        "positive_rate": sequences.positive[sequence],
    }
    mail = respond(simulation, rounds.cast, mail, rounds.response_rng)
    rounds.mailings.append(mail)
    _apply_responses(rounds, mail)
    failed, queued = status == MAIL_NOT_SENT, rows[status == MAIL_QUEUED]
    rounds.leave(rows[failed], STATE_FAILED, done[failed])
    enrolled["error"][rows[failed]] = error[failed]
    rounds.leave(queued, STATE_ACTIVE, enrolled["created"][queued])


def _fates(rounds: _Rounds, moves: Table) -> tuple[IntArray, IntArray]:
    """Return the status of each message, and the reason of a failure."""
    simulation, rng, done, size = rounds.simulation, rounds.rng, moves["done"], len(moves["done"])
    mailbox = rounds.enrolled["mailbox"][moves["enrollment"]]
    manual = simulation.sequences.kind[moves["step"]] == STEP_MANUAL_EMAIL
    refused = (mailbox == TRAITS.disabled) & (done >= simulation.before(TRAITS.disabled_days))
    unable = refused | happens(simulation.model.failure, size, rng)
    held = (mailbox == TRAITS.limited) & (done > simulation.before(_HELD_DAYS)) & happens(_QUEUED_SHARE, size, rng)
    ahead = done > simulation.as_of
    status = np.select(
        [ahead & manual, ahead, unable, held], [MAIL_DRAFTED, MAIL_SCHEDULED, MAIL_NOT_SENT, MAIL_QUEUED], MAIL_SENT
    )
    reason = np.where(happens(_VARIABLE_MISSING, size, rng), MISSING_VARIABLE, NO_LOGIN)
    return status, np.where(status != MAIL_NOT_SENT, -1, np.where(refused, MAY_NOT_SEND, reason))


def _scheduled(moves: Table, status: IntArray, mailbox: IntArray, rng: np.random.Generator) -> FloatArray:
    """Return the scheduled time: shortly before sending, hours before for a mailbox at its limit."""
    size = len(status)
    lag = np.where(mailbox == TRAITS.limited, rng.uniform(0.3, 5, size) * HOUR_S, rng.uniform(2, 180, size))
    return np.select(
        [status == MAIL_DRAFTED, status == MAIL_SCHEDULED], [np.nan, moves["slot"]], np.floor(moves["done"] - lag)
    )


def _apply_responses(rounds: _Rounds, mail: Table) -> None:
    """End enrollments after replies, opt-outs and bounces, and pause them after out-of-office notices."""
    enrolled, rows = rounds.enrolled, mail["enrollment"]
    away = ~np.isnan(mail["away_until"])
    ends = rounds.simulation.sequences.finish_on_reply[mail["sequence"]] & ~away
    for instant, cause in (
        (np.where(ends, mail["replied"], np.nan), STATE_FINISHED),
        (mail["opted_out"], STATE_OPTED_OUT),
        (mail["bounced"], STATE_BOUNCED),
    ):
        sooner = ~(enrolled["stop"][rows] <= instant) & ~np.isnan(instant)
        enrolled["stop"][rows[sooner]] = instant[sooner]
        enrolled["cause"][rows[sooner]] = cause
    resumes = (mail["away_until"] <= rounds.simulation.as_of) & happens(_AWAY_RESUMES, len(rows), rounds.rng)
    back = rows[resumes]
    enrolled["ready"][back] = np.fmax(enrolled["ready"][back], mail["away_until"][resumes])
    stays = away & ~resumes
    rounds.leave(rows[stays], STATE_PAUSED, np.minimum(mail["sent"][stays] + 300, rounds.simulation.as_of))
    enrolled["pause"][rows[away]] = PAUSED_AWAY


def _pause_by_hand(rounds: _Rounds, rows: IntArray) -> None:
    """Pause a few enrollments by their user; half of them resume five days later."""
    enrolled, rng = rounds.enrolled, rounds.rng
    paused = rows[enrolled["moving"][rows] & happens(_USER_PAUSES, len(rows), rng)]
    stays = happens(_STAYS_PAUSED, len(paused), rng)
    at = np.minimum(enrolled["ready"][paused] + HOUR_S, rounds.simulation.as_of)
    rounds.leave(paused[stays], STATE_PAUSED, at[stays])
    enrolled["ready"][paused[~stays]] += 5 * DAY_S
    enrolled["pause"][paused] = PAUSED_BY_USER


def _set_final_states(enrolled: Table) -> None:
    """
    End enrollments by responses that arrived after the last round.

    An enrollment without further steps stays finished after a reply, but becomes bounced or opted out.
    """
    terminal = np.isin(enrolled["state"], (STATE_BOUNCED, STATE_OPTED_OUT, STATE_FAILED, STATE_DISABLED))
    terminal |= (enrolled["state"] == STATE_FINISHED) & (enrolled["cause"] == STATE_FINISHED)
    ended = ~np.isnan(enrolled["stop"]) & ~(terminal & (enrolled["changed"] <= enrolled["stop"]))
    enrolled["state"] = np.where(ended, enrolled["cause"], enrolled["state"])
    enrolled["changed"] = np.where(ended, enrolled["stop"], enrolled["changed"])


_GOES_ON = 0.08


def opted_out_at(cast: Cast, mailings: Table) -> FloatArray:
    """When each prospect opted out first, by link or by hand; NaN for the others."""
    first: FloatArray = np.where(np.isnan(cast.prospects.manual_opt_out), np.inf, cast.prospects.manual_opt_out)
    by_link = ~np.isnan(mailings["opted_out"]) & (mailings["prospect"] >= 0)
    np.minimum.at(first, mailings["prospect"][by_link], mailings["opted_out"][by_link])
    return np.where(np.isinf(first), np.nan, first)


def respect_opt_outs(simulation: Simulation, cast: Cast, journeys: Journeys) -> Journeys:
    """
    Remove what followed an opt-out, and end the enrollments of that prospect.

    Returns
    -------
    journeys : Journeys
        With enrollments begun after the opt-out removed, later messages and tasks removed, and ``overridden`` marking
        the enrollments that went on.
    """
    enrolled = journeys.enrollments
    opted_out = opted_out_at(cast, journeys.mailings)[enrolled["prospect"]]
    goes_on = simulation.random("refusals").random(len(opted_out)) < _GOES_ON
    goes_on |= simulation.sequences.transactional[enrolled["sequence"]]
    limit = np.where(goes_on | np.isnan(opted_out), np.inf, opted_out)

    mailings, tasks = journeys.mailings, journeys.tasks
    happened = np.where(np.isnan(mailings["attempted"]), simulation.as_of, mailings["attempted"])
    mailings = take_rows(mailings, happened <= limit[mailings["enrollment"]])
    tasks = take_rows(
        tasks, np.where(np.isnan(tasks["done"]), simulation.as_of, tasks["done"]) <= limit[tasks["enrollment"]]
    )

    caught = (limit < simulation.as_of) & (
        np.isnan(enrolled["changed"]) | (enrolled["changed"] > limit) | _open(enrolled)
    )
    enrolled = enrolled | {
        "state": np.where(caught, STATE_OPTED_OUT, enrolled["state"]),
        "changed": np.where(caught, limit, enrolled["changed"]),
        "overridden": goes_on & (enrolled["created"] > opted_out),
    }
    return _remove_enrollments(Journeys(enrolled, mailings, tasks), enrolled["created"] > limit)


def _open(enrolled: Table) -> np.ndarray:
    return np.isin(enrolled["state"], (STATE_ACTIVE, STATE_PENDING, STATE_PAUSED))


def _remove_enrollments(journeys: Journeys, removed: np.ndarray) -> Journeys:
    """Remove enrollments, renumber the rest and recompute the step each one has reached."""
    position = np.cumsum(~removed) - 1
    enrolled = take_rows(journeys.enrollments, ~removed)
    tables = []
    for table in (journeys.mailings, journeys.tasks):
        remaining = take_rows(table, ~removed[table["enrollment"]])
        tables.append(remaining | {"enrollment": position[remaining["enrollment"]]})
    step = np.full(len(enrolled["prospect"]), -1)
    for table in tables:
        np.maximum.at(step, table["enrollment"], table["step"])
    return Journeys(enrolled | {"step": step}, *tables)
