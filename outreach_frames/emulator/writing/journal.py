"""The log of events that Outreach keeps: who did what to which record."""

from collections.abc import Iterator

from outreach_frames import catalogue
from outreach_frames.catalogue import snake
from outreach_frames.emulator.changes import Change
from outreach_frames.emulator.state import State
from outreach_frames.emulator.store import Identifier, Linkage, Record, as_tuple
from outreach_frames.emulator.writing.moments import stamp

LOGGED = {
    **dict.fromkeys(("account", "opportunity", "prospect"), frozenset({"created", "updated", "destroyed"})),
    "mailbox": frozenset({"created"}),
    "sequenceState": frozenset({"created", "advanced", "finished", "destroyed"}),
    "task": frozenset({"created", "updated", "completed"}),
    "user": frozenset({"created", "updated"}),
    "webhook": frozenset({"created"}),
}
"""Which happenings are logged under the name of type and happening: ``prospect_created``."""

MOVES = {"paused": "sequence_state_paused", "active": "sequence_state_resumed"}
MESSAGES = {
    "delivered": "outbound_message",
    "opened": "message_opened",
    "replied": "inbound_message",
    "bounced": "bounced_message",
}
OPT_OUTS = {"optedOut": "opt_out", "emailOptedOut": "emails_opt_out", "callOptedOut": "calls_opt_out"}


class Journal:
    """
    Writes an event for every change that Outreach logs.

    Parameters
    ----------
    state
        What the sandbox holds.
    """

    def __init__(self, state: State) -> None:
        self._state = state

    def __call__(self, change: Change) -> None:
        """Log a change."""
        for name in _names(change):
            names = ("eventAt", "createdAt", *(("updatedAt",) if self._state.settings.event_updated_at else ()))
            self._state.store.put(
                Record(
                    type="event",
                    id=self._state.store.next_id("event"),
                    attributes={"name": name, **dict.fromkeys(names, stamp(change.at))},
                    relationships=_about(change),
                )
            )


def _names(change: Change) -> Iterator[str]:
    record, type_name = change.record, change.record.type
    wanted = LOGGED.get(type_name, frozenset())
    said = [each for each in change.happenings if each in wanted]
    if "completed" in said:
        said.remove("updated")
    yield from (f"{snake(type_name)}_{each}" for each in said)
    if type_name == "call" and change.kind == "created":
        yield f"{record.attributes.get('direction')}_call_{record.attributes.get('state')}"
    if type_name == "mailing":
        yield from (MESSAGES[each] for each in change.happenings if each in MESSAGES)
    if change.before is not None:
        yield from _turns(record, change.before)


def _turns(record: Record, before: Record) -> Iterator[str]:
    """Yield what an update of one attribute or relationship alone is logged as."""
    if record.type == "sequenceState" and record.attributes.get("state") != before.attributes.get("state"):
        name = MOVES.get(str(record.attributes.get("state")))
        yield from [name] if name else []
    if record.type == "prospect":
        for attribute, name in OPT_OUTS.items():
            now, was = bool(record.attributes.get(attribute)), bool(before.attributes.get(attribute))
            yield from ([name] if now else [f"{name}_revert"]) if now != was else []
        for relationship in ("owner", "stage"):
            if record.relationships.get(relationship) != before.relationships.get(relationship):
                yield f"prospect_{relationship}_changed"


def _about(change: Change) -> dict[str, Linkage]:
    """Return the relationships of an event: the record, what it belongs to, and who did it."""
    known = catalogue.load().types["event"].relationships
    about: dict[str, Linkage] = {
        name: linkage
        for name in ("account", "opportunity", "prospect", "sequence", "sequenceStep", "task")
        if (linkage := change.record.relationships.get(name)) and as_tuple(linkage)[0].type == name
    }
    if change.kind != "destroyed" and change.record.type in known:
        about[change.record.type] = change.record.identifier
    if change.actor is not None:
        about["user"] = Identifier("user", change.actor)
    return about
