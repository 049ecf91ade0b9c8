"""The table of what is sent again."""

import pytest

from outreach_frames._http.retry import (
    LONGEST_PAUSE,
    LONGEST_WAIT,
    REPEATABLE_METHODS,
    ROUNDING,
    Outcome,
    pause_before_retry,
)

NEVER = None


@pytest.mark.parametrize(
    ("outcome", "repeatable", "other"),
    [
        (Outcome.UNSENT, 0.25, 0.25),
        (Outcome.RATE_LIMITED, 0.25, 0.25),
        (Outcome.MAINTENANCE, 0.25, 0.25),
        (Outcome.SERVER_ERROR, 0.25, NEVER),
        (Outcome.DROPPED, 0.25, NEVER),
        (Outcome.UNREADABLE, 0.25, NEVER),
        (Outcome.REFUSED, NEVER, NEVER),
    ],
)
def test_only_what_was_certainly_not_carried_out_is_repeated_for_every_request(outcome, repeatable, other) -> None:
    """The API has no idempotency key: a create that is sent twice is a duplicate prospect."""
    pauses = [pause_before_retry(outcome, 1, repeatable=yes, spread=0.0) for yes in (True, False)]

    assert pauses == [repeatable, other]


@pytest.mark.parametrize(
    ("method", "repeatable"), [("GET", True), ("DELETE", True), ("POST", False), ("PATCH", False), ("PUT", False)]
)
def test_reads_and_deletes_are_repeatable(method, repeatable) -> None:
    """A second DELETE finds nothing; a second PATCH could undo what somebody else changed in between."""
    assert (method in REPEATABLE_METHODS) is repeatable


@pytest.mark.parametrize(
    ("number", "spread", "pause"),
    [(1, 0.0, 0.25), (1, 1.0, 0.5), (2, 0.0, 0.5), (2, 1.0, 1.0), (3, 1.0, 2.0), (4, 1.0, 4.0), (5, 0.0, NEVER)],
)
def test_pauses_double_and_end(number, spread, pause) -> None:
    """Half of each pause is random, so that many clients do not come back at the same moment."""
    assert pause_before_retry(Outcome.SERVER_ERROR, number, repeatable=True, spread=spread) == pause


@pytest.mark.parametrize(
    ("outcome", "most"),
    [
        (Outcome.UNSENT, 4),
        (Outcome.RATE_LIMITED, 10),
        (Outcome.MAINTENANCE, 10),
        (Outcome.SERVER_ERROR, 5),
        (Outcome.DROPPED, 5),
        (Outcome.UNREADABLE, 4),
        (Outcome.NESTED, 1),
        (Outcome.REFUSED, 1),
    ],
)
def test_a_request_is_sent_so_often_at_most(outcome, most) -> None:
    pauses = [pause_before_retry(outcome, sent, repeatable=True, spread=0.0) for sent in range(1, 12)]

    assert [sent for sent, pause in enumerate(pauses, start=1) if pause is NEVER] == list(range(most, 12))


def test_pauses_of_our_own_are_capped() -> None:
    """Doubling for ever would end in hours."""
    assert pause_before_retry(Outcome.RATE_LIMITED, 9, repeatable=True, spread=1.0) == LONGEST_PAUSE == 30


def test_a_window_of_an_hour_is_waited_for() -> None:
    """The window ends within 3,600 s; the instant is rounded, and clients come back one after the other."""
    assert ROUNDING == 1
    assert LONGEST_WAIT == 3_700
    announced = {"resumes_in": LONGEST_WAIT - ROUNDING, "wait_left": float("inf")}
    assert pause_before_retry(Outcome.RATE_LIMITED, 1, repeatable=False, spread=0.0, **announced) == LONGEST_WAIT
    assert pause_before_retry(Outcome.RATE_LIMITED, 1, repeatable=False, spread=0.1, **announced) is NEVER


@pytest.mark.parametrize(
    ("resumes_in", "wait_left", "pause"),
    [
        (0.0, LONGEST_WAIT, ROUNDING),
        (40.0, LONGEST_WAIT, 40 + ROUNDING),
        (40.0, 30.0, NEVER),
        (40.0, 0.0, NEVER),
        (LONGEST_WAIT, float("inf"), NEVER),
    ],
)
def test_an_announced_wait_is_kept_to_or_declined(resumes_in, wait_left, pause) -> None:
    """Coming back earlier than told is turned away again; waiting longer than allowed is not wanted."""
    announced = {"resumes_in": resumes_in, "wait_left": wait_left}

    assert pause_before_retry(Outcome.RATE_LIMITED, 1, repeatable=False, spread=0.0, **announced) == pause


def test_no_pause_outlasts_the_deadline() -> None:
    """An answer after the deadline helps nobody."""
    pauses = [
        pause_before_retry(Outcome.DROPPED, 3, repeatable=True, time_left=left, spread=0.0) for left in (0.9, 1.0)
    ]

    assert pauses == [NEVER, 1.0]
