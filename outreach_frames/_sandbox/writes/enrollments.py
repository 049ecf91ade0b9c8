"""Enrollments: who may be added to a sequence, and how an enrollment moves."""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from outreach_frames._sandbox.errors import Invalid, invalid
from outreach_frames._sandbox.relations import UNFINISHED
from outreach_frames._sandbox.store import Linkage, Record
from outreach_frames._sandbox.writes.rules import filled_attributes
from outreach_frames._sandbox.writes.unit_of_work import OPEN, UnitOfWork, instant, stamp

UNDELIVERABLE = frozenset({"bounced", "hard_bounced", "invalid", "undeliverable", "unsubscribed"})
"""Values of ``emailAddress.status`` that rule an address out; the vendor publishes no vocabulary."""

STEP_TASK = "sequence_step_"
"""How the types of tasks of a step begin."""

MAIL_STEPS = frozenset({"auto_email", "manual_email"})


def refusals(editor: UnitOfWork, prospect: Record, sequence: Record) -> Iterator[tuple[str | None, str]]:
    """Yield every reason, with its pointer, why a prospect cannot be added to a sequence."""
    to_sequence, to_prospect = "/data/relationships/sequence", "/data/relationships/prospect"
    if not sequence.attributes.get("enabled") and not editor.settings.enroll_in_disabled:
        yield to_sequence, "Sequence must be enabled."
    if not steps(editor, sequence):
        yield to_sequence, "Sequence must have steps."
    mails = any(step.attributes.get("stepType") in MAIL_STEPS for step in steps(editor, sequence))
    if not sequence.attributes.get("transactional"):
        yield from ((to_prospect, reason) for reason in _opt_outs(editor, prospect, sequence, mails=mails))
    needs_address = {"never": True, "without mail steps": mails, "always": False}
    if needs_address[editor.settings.enroll_without_address] and not _is_reachable(editor, prospect):
        yield to_prospect, "Prospect has no deliverable email address."
    yield from ((to_prospect, reason) for reason in _clashes(editor, prospect, sequence))


def _opt_outs(editor: UnitOfWork, prospect: Record, sequence: Record, *, mails: bool) -> Iterator[str]:
    """Yield opt-outs; what a ruleset's opt-out actions may hold is not documented, ``"allow"`` lets in."""
    rules = _rules(editor, sequence)
    calls = any(step.attributes.get("stepType") == "call" for step in steps(editor, sequence))
    if prospect.attributes.get("optedOut"):
        yield "Prospect has opted out."
    if mails and prospect.attributes.get("emailOptedOut") and rules.get("emailOptOutAction") != "allow":
        yield "Prospect has opted out of emails."
    if calls and prospect.attributes.get("callOptedOut") and rules.get("callOptOutAction") != "allow":
        yield "Prospect has opted out of calls."


def _is_reachable(editor: UnitOfWork, prospect: Record) -> bool:
    addresses = editor.store.referrers("emailAddress", "prospect").of(prospect.identifier)
    if not addresses:
        return bool(prospect.attributes.get("emails"))
    return any(
        address.attributes.get("status") not in UNDELIVERABLE and not address.attributes.get("unsubscribedAt")
        for address in addresses
    )


def _clashes(editor: UnitOfWork, prospect: Record, sequence: Record) -> Iterator[str]:
    """Yield what the rulesets of this and the prospect's other sequences do not permit."""
    rules = _rules(editor, sequence)
    enrolled = editor.store.referrers("sequenceState", "prospect").of(prospect.identifier)
    unfinished = [state for state in enrolled if state.attributes.get("state") in UNFINISHED]
    same = [state for state in enrolled if _is_in(editor, state, sequence)]
    permitted = _word(rules.get("permitDuplicateProspects")) or "disallow"
    if permitted != "allow" and any(state in unfinished for state in same):
        yield "Prospect is already active in this sequence."
    elif permitted == "disallow" and same:
        yield "Prospect has already been in this sequence."
    others = [editor.related(state, "sequence") for state in unfinished if not _is_in(editor, state, sequence)]
    own = _word(rules.get("sequenceExclusivity"))
    foreign = {_word(_rules(editor, other).get("sequenceExclusivity")) for other in others if other}
    exclusive = "exclusivesequences"
    if others and (own == "allsequences" or "allsequences" in foreign or (own == exclusive and exclusive in foreign)):
        yield "Prospect is active in another sequence, which the sequences' exclusivity does not permit."
    wait, touched = rules.get("minimumProspectTouchedInterval"), prospect.attributes.get("touchedAt")
    if wait and touched and instant(touched) + timedelta(seconds=wait) > editor.now:
        yield "Prospect was contacted too recently."


def _is_in(editor: UnitOfWork, state: Record, sequence: Record) -> bool:
    other = editor.related(state, "sequence")
    return other is not None and other.key == sequence.key


def _rules(editor: UnitOfWork, sequence: Record) -> dict[str, Any]:
    ruleset = editor.related(sequence, "ruleset")
    return ruleset.attributes if ruleset else {}


def _word(value: Any) -> str:
    """Spellings differ between the guide (``onlyIfActive``) and the schema (``only_if_inactive``)."""
    return str(value or "").replace("_", "").casefold()


def steps(editor: UnitOfWork, sequence: Record) -> list[Record]:
    """Return the steps of a sequence, in order."""
    found = editor.all_related(sequence, "sequenceSteps")
    return sorted(found, key=lambda step: (step.attributes.get("order") or 0, step.key))


STEP_TASKS = {"manual_email": ("sequence_step_email", "email"), "call": ("sequence_step_call", "call")}
OTHER_TASK = ("sequence_step_task", "action_item")


def enroll(editor: UnitOfWork, prospect: Record, sequence: Record, mailbox: Record, **more: Linkage) -> Record:
    """
    Add a prospect to a sequence: active, at its first step.

    Raises
    ------
    Problem
        422: the sequence, its ruleset or the prospect does not allow it.
    """
    refused = list(refusals(editor, prospect, sequence))
    if refused:
        raise Invalid(refused)
    first = steps(editor, sequence)[0]
    user, account = editor.related(mailbox, "user"), editor.related(prospect, "account")
    kind = editor.state.schema.type("sequenceState")
    moments = {"state": "active", "activeAt": editor.stamp, "stateChangedAt": editor.stamp}
    state = editor.add(
        "sequenceState",
        (filled_attributes(editor, kind, {}) if kind else {}) | moments,
        {
            "prospect": prospect.identifier,
            "sequence": sequence.identifier,
            "mailbox": mailbox.identifier,
            "sequenceStep": first.identifier,
            "user": user.identifier if user else editor.user,
            "account": account.identifier if account else None,
            **more,
        },
    )
    editor.change(sequence, {"lastUsedAt": editor.stamp})
    _begin(editor, state, first)
    return editor.current(state)


# How an enrollment moves


def finish(editor: UnitOfWork, state: Record, *, replied: bool = False) -> Record:
    """
    End an enrollment; what its step had planned is dropped.

    Raises
    ------
    Problem
        422: it has ended already.
    """
    legal = UNFINISHED if editor.settings.finish_from == "unfinished" else {"active"}
    _require(state, legal, "finished")
    ended = _enter(editor, state, "finished", {"repliedAt": editor.stamp} if replied else {})
    _drop_plans(editor, ended)
    return editor.current(ended)


def pause(editor: UnitOfWork, state: Record) -> Record:
    """
    Hold an active enrollment.

    Raises
    ------
    Problem
        422: it is not active.
    """
    _require(state, {"active"}, "paused")
    return _enter(editor, state, "paused", {"pauseReason": "manual"})


def resume(editor: UnitOfWork, state: Record) -> Record:
    """
    Let a paused enrollment go on.

    Raises
    ------
    Problem
        422: it is not paused.
    """
    _require(state, {"paused"}, "resumed")
    return _enter(editor, state, "active", {"pauseReason": None, "activeAt": editor.stamp})


def advance(editor: UnitOfWork, state: Record) -> Record:
    """Move an enrollment to its next step; after the last one it is finished."""
    sequence, present = editor.related(state, "sequence"), editor.related(state, "sequenceStep")
    order = [step.key for step in steps(editor, sequence)] if sequence else []
    place = order.index(present.key) + 1 if present and present.key in order else len(order)
    if sequence is None or place >= len(order):
        return _enter(editor, state, "finished", {})
    following = steps(editor, sequence)[place]
    moved = editor.change(state, {"activeAt": editor.stamp}, {"sequenceStep": following.identifier})
    _begin(editor, moved, following)
    return editor.current(moved)


def opt_out(editor: UnitOfWork, prospect: Record) -> None:
    """End what a prospect who opted out is enrolled in, transactional sequences excepted."""
    for state in editor.store.referrers("sequenceState", "prospect").of(prospect.identifier):
        sequence = editor.related(state, "sequence")
        if state.attributes.get("state") in UNFINISHED and not (sequence and sequence.attributes.get("transactional")):
            _drop_plans(editor, _enter(editor, state, "opted_out", {}))


def _require(state: Record, legal: set[str] | frozenset[str], verb: str) -> None:
    present = state.attributes.get("state")
    if present not in legal:
        raise invalid(f"Sequence state cannot be {verb}: it is {present}.")


def _enter(editor: UnitOfWork, state: Record, name: str, more: dict[str, Any]) -> Record:
    return editor.change(state, {"state": name, "stateChangedAt": editor.stamp, **more})


def _drop_plans(editor: UnitOfWork, state: Record) -> None:
    for type_name, open_states in OPEN.items():
        for planned in editor.store.referrers(type_name, "sequenceState").of(state.identifier):
            if planned.attributes.get("state") in open_states:
                editor.remove(planned)


# What a step makes


def _begin(editor: UnitOfWork, state: Record, step: Record) -> None:
    """Schedule the mailing or the task of a step."""
    due = _due(editor, step)
    if step.attributes.get("stepType") == "auto_email":
        _schedule_mailing(editor, state, step, due)
    else:
        _create_task(editor, state, step, due)


def _due(editor: UnitOfWork, step: Record) -> datetime:
    fixed = step.attributes.get("date")
    if fixed:
        return datetime.combine(date.fromisoformat(fixed), datetime.min.time(), UTC)
    unit = 60 if editor.settings.interval_unit == "minutes" else 1
    return editor.now + timedelta(seconds=unit * (step.attributes.get("interval") or 0))


def _common(state: Record, step: Record) -> dict[str, Linkage]:
    return {
        "prospect": state.relationships.get("prospect"),
        "sequence": state.relationships.get("sequence"),
        "sequenceState": state.identifier,
        "sequenceStep": step.identifier,
    }


def _schedule_mailing(editor: UnitOfWork, state: Record, step: Record, due: datetime) -> None:
    templates = [each for each in editor.all_related(step, "sequenceTemplates") if each.attributes.get("enabled")]
    template = editor.related(templates[0], "template") if templates else None
    mailbox, user = editor.related(state, "mailbox"), editor.related(state, "user")
    kind = editor.state.schema.type("mailing")
    content = {name: template.attributes.get(name) for name in ("subject", "bodyHtml", "bodyText")} if template else {}
    editor.add(
        "mailing",
        (filled_attributes(editor, kind, content) if kind else {})
        | {"mailingType": "sequence", "state": "scheduled", "stateChangedAt": editor.stamp, "scheduledAt": stamp(due)}
        | {"mailboxAddress": mailbox.attributes.get("email") if mailbox else None},
        _common(state, step)
        | {"template": template.identifier if template else None}
        | {"mailbox": mailbox.identifier if mailbox else None, "user": user.identifier if user else None},
    )
    editor.change(state, {"scheduleCount": (state.attributes.get("scheduleCount") or 0) + 1})


def _create_task(editor: UnitOfWork, state: Record, step: Record, due: datetime) -> None:
    task_type, action = STEP_TASKS.get(str(step.attributes.get("stepType")), OTHER_TASK)
    prospect, user = editor.related(state, "prospect"), editor.related(state, "user")
    account, priority = editor.related(state, "account"), editor.related(step, "taskPriority")
    editor.add(
        "task",
        {
            "taskType": task_type,
            "action": action,
            "state": "pending" if due > editor.now else "incomplete",
            "completed": False,
            "note": step.attributes.get("taskNote"),
            **dict.fromkeys(("dueAt", "scheduledAt"), stamp(due)),
            "stateChangedAt": editor.stamp,
        },
        _common(state, step)
        | {"subject": prospect.identifier if prospect else None, "creator": step.identifier}
        | {"account": account.identifier if account else None, "owner": user.identifier if user else None}
        | {"taskPriority": priority.identifier if priority else None},
    )


# Tasks


def complete_task(
    editor: UnitOfWork, task: Record, *, action: str | None = None, relationships: Mapping[str, Linkage] | None = None
) -> Record:
    """
    Complete a task; a step's task then moves its enrollment.

    Parameters
    ----------
    action
        ``"finish_no_reply"``, ``"finish_replied"``, or anything else to advance.
    relationships
        What else the completion sets.

    Raises
    ------
    Problem
        422: it is complete already.
    """
    require_open_task(task)
    done = editor.change(
        task,
        {"state": "complete", "completed": True, **dict.fromkeys(("completedAt", "stateChangedAt"), editor.stamp)},
        {"completer": editor.user, **(relationships or {})},
    )
    _move_enrollment(editor, done, action)
    return editor.current(done)


def _move_enrollment(editor: UnitOfWork, task: Record, action: str | None) -> None:
    state = editor.related(task, "sequenceState") if is_step_task(task) else None
    if state is None or state.attributes.get("state") not in UNFINISHED:
        return
    if action in {"finish_no_reply", "finish_replied"}:
        finish(editor, state, replied=action == "finish_replied")
    elif task.relationships.get("sequenceStep") == state.relationships.get("sequenceStep"):
        advance(editor, state)


def begin_due_tasks(editor: UnitOfWork) -> None:
    """Let pending tasks whose time has come be worked on."""
    for task in list(editor.store.records("task")):
        due = task.attributes.get("dueAt")
        if task.attributes.get("state") == "pending" and due and instant(due) <= editor.now:
            editor.change(task, {"state": "incomplete", "stateChangedAt": editor.stamp})


def is_step_task(task: Record) -> bool:
    """Whether a task belongs to a step of a sequence."""
    return str(task.attributes.get("taskType")).startswith(STEP_TASK)


def require_open_task(task: Record) -> None:
    """
    Check that a task is not complete.

    Raises
    ------
    Problem
        422: it is complete.
    """
    if task.attributes.get("state") == "complete":
        raise invalid("Task is already complete.")
