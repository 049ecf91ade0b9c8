"""What happens in an organisation, for whoever wants to know: changes of records, and mail to users."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from outreach_frames.emulator.store import Record


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
