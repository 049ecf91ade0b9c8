"""The states an enrolment can be in, in the order in which they are always drawn, with their words and looks."""

from outreach_frames.plots._style import (
    ACTIVE,
    AWAY,
    BOUNCE,
    FAILURE,
    NONE,
    OPT_OUT,
    PAUSED,
    PENDING,
    REPLY,
    UNKNOWN,
    VOLUME,
    Mark,
)

BUCKETS: dict[str, tuple[str, Mark]] = {
    "finished_replied": ("replied", REPLY),
    "active": ("active", ACTIVE),
    "pending": ("pending", PENDING),
    "paused": ("paused", PAUSED),
    "paused_ooto": ("out of office", AWAY),
    "finished_no_reply": ("finished, no reply", NONE),
    "bounced": ("bounced", BOUNCE),
    "opted_out": ("opted out", OPT_OUT),
    "failed": ("failed", FAILURE),
    "disabled": ("disabled", VOLUME),
    "unknown": ("unknown state", UNKNOWN),
}
