"""Enrollments: the rules for a new one, changes of state, and tasks of sequence steps."""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from outreach_frames._sandbox.errors import InvalidError, invalid
from outreach_frames._sandbox.relations import UNFINISHED
from outreach_frames._sandbox.store import Record, ResourceLinkage
from outreach_frames._sandbox.writes.rules import filled_attributes
from outreach_frames._sandbox.writes.unit_of_work import OPEN_STATES, UnitOfWork, instant, stamp

_UNDELIVERABLE = frozenset({"bounced", "hard_bounced", "invalid", "undeliverable", "unsubscribed"})
"""Values of ``emailAddress.status`` of undeliverable addresses; the vendor does not publish the values."""

_STEP_TASK_PREFIX = "sequence_step_"
"""How the types of tasks of a step begin."""

_MAIL_STEPS = frozenset({"auto_email", "manual_email"})


def _enrollment_errors(unit: UnitOfWork, prospect: Record, sequence: Record) -> Iterator[tuple[str | None, str]]:
    """Yield every reason why a prospect cannot be added to a sequence, with a pointer."""
    to_sequence, to_prospect = "/data/relationships/sequence", "/data/relationships/prospect"
    if not sequence.attributes.get("enabled") and not unit.settings.enroll_in_disabled:
        yield to_sequence, "Sequence must be enabled."
    if not sequence_steps(unit, sequence):
        yield to_sequence, "Sequence must have steps."
    mails = any(step.attributes.get("stepType") in _MAIL_STEPS for step in sequence_steps(unit, sequence))
    if not sequence.attributes.get("transactional"):
        yield from ((to_prospect, reason) for reason in _opt_out_reasons(unit, prospect, sequence, mails=mails))
    needs_address = {"never": True, "without mail steps": mails, "always": False}
    if needs_address[unit.settings.enroll_without_address] and not _is_reachable(unit, prospect):
        yield to_prospect, "Prospect has no deliverable email address."
    yield from ((to_prospect, reason) for reason in _clashes(unit, prospect, sequence))


def _opt_out_reasons(unit: UnitOfWork, prospect: Record, sequence: Record, *, mails: bool) -> Iterator[str]:
    """Yield opt-outs; the values of a ruleset's opt-out actions are not documented, ``"allow"`` accepts."""
    rules = _rules(unit, sequence)
    calls = any(step.attributes.get("stepType") == "call" for step in sequence_steps(unit, sequence))
    if prospect.attributes.get("optedOut"):
        yield "Prospect has opted out."
    if mails and prospect.attributes.get("emailOptedOut") and rules.get("emailOptOutAction") != "allow":
        yield "Prospect has opted out of emails."
    if calls and prospect.attributes.get("callOptedOut") and rules.get("callOptOutAction") != "allow":
        yield "Prospect has opted out of calls."


def _is_reachable(unit: UnitOfWork, prospect: Record) -> bool:
    addresses = unit.store.referrers("emailAddress", "prospect").of(prospect.identifier)
    if not addresses:
        return bool(prospect.attributes.get("emails"))
    return any(
        address.attributes.get("status") not in _UNDELIVERABLE and not address.attributes.get("unsubscribedAt")
        for address in addresses
    )


def _clashes(unit: UnitOfWork, prospect: Record, sequence: Record) -> Iterator[str]:
    """Yield conflicts with the rulesets of this and the prospect's other sequences."""
    rules = _rules(unit, sequence)
    enrolled = unit.store.referrers("sequenceState", "prospect").of(prospect.identifier)
    unfinished = [state for state in enrolled if state.attributes.get("state") in UNFINISHED]
    same = [state for state in enrolled if _is_in(unit, state, sequence)]
    permitted = _word(rules.get("permitDuplicateProspects")) or "disallow"
    if permitted != "allow" and any(state in unfinished for state in same):
        yield "Prospect is already active in this sequence."
    elif permitted == "disallow" and same:
        yield "Prospect has already been in this sequence."
    others = [unit.related(state, "sequence") for state in unfinished if not _is_in(unit, state, sequence)]
    own = _word(rules.get("sequenceExclusivity"))
    foreign = {_word(_rules(unit, other).get("sequenceExclusivity")) for other in others if other}
    exclusive = "exclusivesequences"
    if others and (own == "allsequences" or "allsequences" in foreign or (own == exclusive and exclusive in foreign)):
        yield "Prospect is active in another sequence, which the sequences' exclusivity does not permit."
    wait, touched = rules.get("minimumProspectTouchedInterval"), prospect.attributes.get("touchedAt")
    if wait and touched and instant(touched) + timedelta(seconds=wait) > unit.now:
        yield "Prospect was contacted too recently."


def _is_in(unit: UnitOfWork, state: Record, sequence: Record) -> bool:
    other = unit.related(state, "sequence")
    return other is not None and other.key == sequence.key


def _rules(unit: UnitOfWork, sequence: Record) -> dict[str, Any]:
    ruleset = unit.related(sequence, "ruleset")
    return ruleset.attributes if ruleset else {}


def _word(value: Any) -> str:
    """Return a value without case and underscores; the guide has ``onlyIfActive``, the schema ``only_if_inactive``."""
    return str(value or "").replace("_", "").casefold()


def sequence_steps(unit: UnitOfWork, sequence: Record) -> list[Record]:
    """Return the steps of a sequence, in order."""
    sequence_steps = unit.all_related(sequence, "sequenceSteps")
    return sorted(sequence_steps, key=lambda step: (step.attributes.get("order") or 0, step.key))


_STEP_TASKS = {"manual_email": ("sequence_step_email", "email"), "call": ("sequence_step_call", "call")}
_OTHER_TASK = ("sequence_step_task", "action_item")


def enroll_prospect(
    unit: UnitOfWork, prospect: Record, sequence: Record, mailbox: Record, **more: ResourceLinkage
) -> Record:
    """
    Add a prospect to a sequence: active, at its first step.

    Raises
    ------
    HttpError
        422: the sequence, its ruleset or the prospect does not allow it.
    """
    errors = list(_enrollment_errors(unit, prospect, sequence))
    if errors:
        raise InvalidError(errors)
    first = sequence_steps(unit, sequence)[0]
    user, account = unit.related(mailbox, "user"), unit.related(prospect, "account")
    kind = unit.state.schema.type("sequenceState")
    moments = {"state": "active", "activeAt": unit.stamp, "stateChangedAt": unit.stamp}
    state = unit.add(
        "sequenceState",
        (filled_attributes(unit, kind, {}) if kind else {}) | moments,
        {
            "prospect": prospect.identifier,
            "sequence": sequence.identifier,
            "mailbox": mailbox.identifier,
            "sequenceStep": first.identifier,
            "user": user.identifier if user else unit.user,
            "account": account.identifier if account else None,
            **more,
        },
    )
    unit.change(sequence, {"lastUsedAt": unit.stamp})
    _begin(unit, state, first)
    return unit.current(state)


# Changes of state


def finish_enrollment(unit: UnitOfWork, state: Record, *, replied: bool = False) -> Record:
    """
    Finish an enrollment; open mailings and tasks of its step are deleted.

    Raises
    ------
    HttpError
        422: it has ended already.
    """
    legal = UNFINISHED if unit.settings.finish_from == "unfinished" else {"active"}
    _require(state, legal, "finished")
    ended = _enter(unit, state, "finished", {"repliedAt": unit.stamp} if replied else {})
    _drop_plans(unit, ended)
    return unit.current(ended)


def pause_enrollment(unit: UnitOfWork, state: Record) -> Record:
    """
    Pause an active enrollment.

    Raises
    ------
    HttpError
        422: it is not active.
    """
    _require(state, {"active"}, "paused")
    return _enter(unit, state, "paused", {"pauseReason": "manual"})


def resume_enrollment(unit: UnitOfWork, state: Record) -> Record:
    """
    Resume a paused enrollment.

    Raises
    ------
    HttpError
        422: it is not paused.
    """
    _require(state, {"paused"}, "resumed")
    return _enter(unit, state, "active", {"pauseReason": None, "activeAt": unit.stamp})


def _advance_enrollment(unit: UnitOfWork, state: Record) -> Record:
    """Move an enrollment to its next step; after the last one it is finished."""
    sequence, present = unit.related(state, "sequence"), unit.related(state, "sequenceStep")
    order = [step.key for step in sequence_steps(unit, sequence)] if sequence else []
    place = order.index(present.key) + 1 if present and present.key in order else len(order)
    if sequence is None or place >= len(order):
        return _enter(unit, state, "finished", {})
    following = sequence_steps(unit, sequence)[place]
    advanced = unit.change(state, {"activeAt": unit.stamp}, {"sequenceStep": following.identifier})
    _begin(unit, advanced, following)
    return unit.current(advanced)


def opt_out_enrollments(unit: UnitOfWork, prospect: Record) -> None:
    """End the enrollments of a prospect who opted out, except in transactional sequences."""
    for state in unit.store.referrers("sequenceState", "prospect").of(prospect.identifier):
        sequence = unit.related(state, "sequence")
        if state.attributes.get("state") in UNFINISHED and not (sequence and sequence.attributes.get("transactional")):
            _drop_plans(unit, _enter(unit, state, "opted_out", {}))


def _require(state: Record, legal: set[str] | frozenset[str], verb: str) -> None:
    present = state.attributes.get("state")
    if present not in legal:
        raise invalid(f"Sequence state cannot be {verb}: it is {present}.")


def _enter(unit: UnitOfWork, state: Record, name: str, more: dict[str, Any]) -> Record:
    return unit.change(state, {"state": name, "stateChangedAt": unit.stamp, **more})


def _drop_plans(unit: UnitOfWork, state: Record) -> None:
    for type_name, open_states in OPEN_STATES.items():
        for planned in unit.store.referrers(type_name, "sequenceState").of(state.identifier):
            if planned.attributes.get("state") in open_states:
                unit.remove(planned)


# Mailings and tasks of a step


def _begin(unit: UnitOfWork, state: Record, step: Record) -> None:
    """Schedule the mailing or the task of a step."""
    due = _due(unit, step)
    if step.attributes.get("stepType") == "auto_email":
        _schedule_mailing(unit, state, step, due)
    else:
        _create_task(unit, state, step, due)


def _due(unit: UnitOfWork, step: Record) -> datetime:
    fixed = step.attributes.get("date")
    if fixed:
        return datetime.combine(date.fromisoformat(fixed), datetime.min.time(), UTC)
    seconds_per_unit = 60 if unit.settings.interval_unit == "minutes" else 1
    return unit.now + timedelta(seconds=seconds_per_unit * (step.attributes.get("interval") or 0))


def _common(state: Record, step: Record) -> dict[str, ResourceLinkage]:
    return {
        "prospect": state.relationships.get("prospect"),
        "sequence": state.relationships.get("sequence"),
        "sequenceState": state.identifier,
        "sequenceStep": step.identifier,
    }


def _schedule_mailing(unit: UnitOfWork, state: Record, step: Record, due: datetime) -> None:
    templates = [each for each in unit.all_related(step, "sequenceTemplates") if each.attributes.get("enabled")]
    template = unit.related(templates[0], "template") if templates else None
    mailbox, user = unit.related(state, "mailbox"), unit.related(state, "user")
    kind = unit.state.schema.type("mailing")
    content = {name: template.attributes.get(name) for name in ("subject", "bodyHtml", "bodyText")} if template else {}
    unit.add(
        "mailing",
        (filled_attributes(unit, kind, content) if kind else {})
        | {"mailingType": "sequence", "state": "scheduled", "stateChangedAt": unit.stamp, "scheduledAt": stamp(due)}
        | {"mailboxAddress": mailbox.attributes.get("email") if mailbox else None},
        _common(state, step)
        | {"template": template.identifier if template else None}
        | {"mailbox": mailbox.identifier if mailbox else None, "user": user.identifier if user else None},
    )
    unit.change(state, {"scheduleCount": (state.attributes.get("scheduleCount") or 0) + 1})


def _create_task(unit: UnitOfWork, state: Record, step: Record, due: datetime) -> None:
    task_type, action = _STEP_TASKS.get(str(step.attributes.get("stepType")), _OTHER_TASK)
    prospect, user = unit.related(state, "prospect"), unit.related(state, "user")
    account, priority = unit.related(state, "account"), unit.related(step, "taskPriority")
    unit.add(
        "task",
        {
            "taskType": task_type,
            "action": action,
            "state": "pending" if due > unit.now else "incomplete",
            "completed": False,
            "note": step.attributes.get("taskNote"),
            **dict.fromkeys(("dueAt", "scheduledAt"), stamp(due)),
            "stateChangedAt": unit.stamp,
        },
        _common(state, step)
        | {"subject": prospect.identifier if prospect else None, "creator": step.identifier}
        | {"account": account.identifier if account else None, "owner": user.identifier if user else None}
        | {"taskPriority": priority.identifier if priority else None},
    )


# Tasks


def complete_task(
    unit: UnitOfWork,
    task: Record,
    *,
    action: str | None = None,
    relationships: Mapping[str, ResourceLinkage] | None = None,
) -> Record:
    """
    Complete a task; a step's task then moves its enrollment.

    Parameters
    ----------
    action
        ``"finish_no_reply"``, ``"finish_replied"``, or any other value to advance.
    relationships
        Further relationships to set.

    Raises
    ------
    HttpError
        422: it is complete already.
    """
    require_open_task(task)
    done = unit.change(
        task,
        {"state": "complete", "completed": True, **dict.fromkeys(("completedAt", "stateChangedAt"), unit.stamp)},
        {"completer": unit.user, **(relationships or {})},
    )
    _move_enrollment(unit, done, action)
    return unit.current(done)


def _move_enrollment(unit: UnitOfWork, task: Record, action: str | None) -> None:
    state = unit.related(task, "sequenceState") if is_step_task(task) else None
    if state is None or state.attributes.get("state") not in UNFINISHED:
        return
    if action in {"finish_no_reply", "finish_replied"}:
        finish_enrollment(unit, state, replied=action == "finish_replied")
    elif task.relationships.get("sequenceStep") == state.relationships.get("sequenceStep"):
        _advance_enrollment(unit, state)


def begin_due_tasks(unit: UnitOfWork) -> None:
    """Open the pending tasks that are due."""
    for task in list(unit.store.records("task")):
        due = task.attributes.get("dueAt")
        if task.attributes.get("state") == "pending" and due and instant(due) <= unit.now:
            unit.change(task, {"state": "incomplete", "stateChangedAt": unit.stamp})


def is_step_task(task: Record) -> bool:
    """Whether a task belongs to a step of a sequence."""
    return str(task.attributes.get("taskType")).startswith(_STEP_TASK_PREFIX)


def require_open_task(task: Record) -> None:
    """
    Check that a task is not complete.

    Raises
    ------
    HttpError
        422: it is complete.
    """
    if task.attributes.get("state") == "complete":
        raise invalid("Task is already complete.")
