"""What happens in an organisation, for whoever wants to know: changes of records, and mail to users."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from outreach_frames.emulator.store import Record

STAMPED = ("bounced", "delivered", "opened", "replied")
"""What happens to a mailing, each with an attribute that says when: ``bouncedAt`` …"""

ENDS = {
    ("sequenceState", "finished"): "finished",
    ("task", "complete"): "completed",
    ("import", "finished"): "finished",
}
"""States whose entering has a name of its own."""


@dataclass(frozen=True, kw_only=True)
class Message:
    """
    A mail to a user.

    Attributes
    ----------
    kind
        ``"invitation"``, or ``"test"`` for a mailbox trying whether it can send.
    to
        Address.
    user
        Id of the user it concerns; ``None`` where it is nobody's.
    at
        When, on the sandbox's clock.
    """

    kind: Literal["invitation", "test"]
    to: str
    user: int | None
    at: datetime


@dataclass(frozen=True, kw_only=True)
class Change:
    """
    Something that happened to a record.

    Attributes
    ----------
    kind
        What.
    record
        As it is now; for a deletion as it was last.
    before
        As it was before an update; otherwise ``None``.
    actor
        Id of the user who did it; ``None`` for the sandbox itself.
    at
        When, on the sandbox's clock.
    """

    kind: Literal["created", "updated", "destroyed"]
    record: Record
    before: Record | None = None
    actor: int | None = None
    at: datetime

    @property
    def happenings(self) -> tuple[str, ...]:
        """What happened, in the words of webhooks: ``updated``, and what that update meant (``completed``)."""
        return (self.kind, *(self._meanings(self.before) if self.before else ()))

    def _meanings(self, before: Record) -> Iterator[str]:
        type_name, now, was = self.record.type, self.record.attributes, before.attributes
        if type_name == "mailing":
            yield from (each for each in STAMPED if now.get(f"{each}At") and now[f"{each}At"] != was.get(f"{each}At"))
        step = "sequenceStep"
        if type_name == "sequenceState" and self.record.relationships.get(step) != before.relationships.get(step):
            yield "advanced"
        end = ENDS.get((type_name, str(now.get("state"))))
        if end and now.get("state") != was.get("state"):
            yield end
