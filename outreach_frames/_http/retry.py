"""
Which requests are sent again, and after how long.

The API has no idempotency key: a create that is sent twice is a duplicate prospect. So a request that may have been
carried out is repeated only where carrying it out twice is the same as once.
"""

from enum import Enum, auto


class Outcome(Enum):
    """How one attempt ended."""

    DONE = auto()
    """A complete, readable answer: 2xx."""
    UNSENT = auto()
    """No connection came about, so nothing was sent."""
    RATE_LIMITED = auto()
    """429: turned away, not carried out."""
    MAINTENANCE = auto()
    """503 that announces maintenance: turned away, not carried out."""
    SERVER_ERROR = auto()
    """Any other 5xx: the request may have been executed."""
    DROPPED = auto()
    """The connection ended, or time ran out, before a complete response: it may have been executed."""
    UNREADABLE = auto()
    """2xx, complete, and not JSON."""
    NESTED = auto()
    """2xx, complete, and nested too deeply to be read; the same next time."""
    REFUSED = auto()
    """An answer that would be the same next time: 4xx, a redirect that must not be followed, a TLS certificate."""


NOT_EXECUTED = frozenset({Outcome.UNSENT, Outcome.RATE_LIMITED, Outcome.MAINTENANCE})
REPEATABLE_METHODS = frozenset({"GET", "DELETE"})

ATTEMPTS = {
    Outcome.UNSENT: 4,
    Outcome.RATE_LIMITED: 10,
    Outcome.MAINTENANCE: 10,
    Outcome.SERVER_ERROR: 5,
    Outcome.DROPPED: 5,
    Outcome.UNREADABLE: 4,
}
"""How often a request is sent at most, by how the last attempt ended [attempts]. What is not listed is final."""

FIRST_PAUSE = 0.5
"""Pause before the second attempt, doubled for each further one [s]."""
LONGEST_PAUSE = 30.0
"""Longest pause of our own choosing [s]."""
LONGEST_WAIT = 3_700.0
"""Longest wait that an announcement of the server can ask for: one hourly window and a little [s]."""
ROUNDING = 1.0
"""Announced instants have whole seconds, rounded up or down [s]."""


def pause_before_retry(
    outcome: Outcome,
    attempts: int,
    *,
    repeatable: bool,
    resumes_in: float | None = None,
    time_left: float = float("inf"),
    wait_left: float = LONGEST_WAIT,
    spread: float,
) -> float | None:
    """
    Return how long to wait before sending a request again, or None to give up.

    Parameters
    ----------
    outcome
        How the last attempt ended.
    attempts
        How often it was sent [attempts].
    repeatable
        Whether executing the request twice is the same as once.
    resumes_in
        When the server asked to come back [seconds from now]; ``None``: it did not say.
    time_left
        Until the deadline of the request [s].
    wait_left
        How long it may still wait for an announced instant [s].
    spread
        Random number in [0, 1) that keeps many clients from coming back at the same moment.

    Returns
    -------
    pause : float or None
        How long to wait before sending it again [s]; ``None``: do not.
    """
    if attempts >= ATTEMPTS.get(outcome, 0):
        return None
    if outcome not in NOT_EXECUTED and not repeatable:
        return None
    if resumes_in is not None:
        wait = resumes_in + ROUNDING + spread
        return wait if wait <= min(wait_left, LONGEST_WAIT) else None
    backoff = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** (attempts - 1))
    pause = backoff * (1 + spread) / 2
    return pause if pause <= time_left else None
