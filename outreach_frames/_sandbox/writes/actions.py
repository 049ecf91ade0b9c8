"""Actions on one record."""

from collections.abc import Callable, Mapping

from outreach_frames._sandbox.errors import invalid
from outreach_frames._sandbox.state import Message
from outreach_frames._sandbox.store import Record
from outreach_frames._sandbox.writes import batches, enrollments, tasks
from outreach_frames._sandbox.writes.unit_of_work import UnitOfWork

Parameters = Mapping[str, str]
Action = Callable[[UnitOfWork, Record, Parameters], Record | None]


def _switch(*, on: bool) -> Action:
    """Return the action that enables or disables a sequence or a sequence template; twice is no mistake."""

    def switch(editor: UnitOfWork, record: Record, _: Parameters) -> Record:
        if on and record.type == "sequence" and not enrollments.steps(editor, record):
            raise invalid("Sequence cannot be activated: it has no steps.")
        if bool(record.attributes.get("enabled")) == on:
            return record
        return editor.change(record, {"enabled": on, "enabledAt": editor.stamp if on else None})

    return switch


def _test_send(editor: UnitOfWork, mailbox: Record, _: Parameters) -> Record:
    """Send a mail to the mailbox itself."""
    if mailbox.attributes.get("sendDisabled"):
        editor.change(mailbox, {"sendErroredAt": editor.stamp})
        raise invalid("Mailbox cannot send: sending is disabled.")
    user = editor.related(mailbox, "user")
    message = Message(
        kind="test", to=str(mailbox.attributes.get("email")), user=int(user.id) if user else None, at=editor.now
    )
    editor.state.outbox.append(message)
    return editor.change(mailbox, {"sendSuccessAt": editor.stamp, "sendErroredAt": None})


def _test_sync(editor: UnitOfWork, mailbox: Record, _: Parameters) -> Record:
    if mailbox.attributes.get("syncDisabled"):
        editor.change(mailbox, {"syncErroredAt": editor.stamp})
        raise invalid("Mailbox cannot be synchronized: synchronizing is disabled.")
    done = dict.fromkeys(("syncSuccessAt", "syncFinishedAt"), editor.stamp)
    return editor.change(mailbox, done | {"syncErroredAt": None})


def _ews(_: UnitOfWork, mailbox: Record, __: Parameters) -> None:
    """Link or unlink an Exchange master account, which answers with an empty object."""
    if mailbox.attributes.get("sendMethod") != "ews" and mailbox.attributes.get("syncMethod") != "ews":
        raise invalid("Mailbox is not connected through EWS.")


ACTIONS: Mapping[str, Mapping[str, Action]] = {
    "batch": {"cancel": batches.cancel, "confirm": batches.confirm},
    "mailbox": {
        "linkEwsMasterAccount": _ews,
        "testSend": _test_send,
        "testSync": _test_sync,
        "unlinkEwsMasterAccount": _ews,
    },
    "sequence": {"activate": _switch(on=True), "deactivate": _switch(on=False)},
    "sequenceState": {
        "finish": lambda editor, state, _: enrollments.finish(editor, state),
        "pause": lambda editor, state, _: enrollments.pause(editor, state),
        "resume": lambda editor, state, _: enrollments.resume(editor, state),
    },
    "sequenceTemplate": {"activate": _switch(on=True), "deactivate": _switch(on=False)},
    "task": tasks.ACTIONS,
}


def act(editor: UnitOfWork, record: Record, name: str, parameters: Parameters) -> Record | None:
    """
    Carry out an action.

    Returns
    -------
    record : Record or None
        As it is now; ``None`` where the answer is an empty object.

    Raises
    ------
    Problem
        422: it cannot be done.
    """
    return ACTIONS[record.type][name](editor, record, parameters)
