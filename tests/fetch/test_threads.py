"""Several threads at a time: results in order, errors at once, and nobody waits for what nobody wants."""

import subprocess
import sys
import threading

import pytest

from outreach_frames._fetch import parallel
from outreach_frames._fetch.parallel import side_by_side


def test_results_come_in_the_order_of_the_items():
    """However long each takes."""
    second_is_done = threading.Event()

    def work(item):
        if item == 1:
            assert second_is_done.wait(10)
        if item == 2:
            second_is_done.set()
        return item * item

    assert list(side_by_side(work, [1, 2, 3], threads=2, stop=lambda: None)) == [1, 4, 9]
    assert list(side_by_side(work, [], threads=2, stop=lambda: None)) == []


def test_an_error_stops_the_others_and_is_raised_when_they_have_ended():
    """What was not begun is not begun any more, and what goes on is told to end."""
    stopped, begun, ended = threading.Event(), [], []

    def work(item):
        begun.append(item)
        if item == 0:
            raise LookupError
        assert stopped.wait(10)
        ended.append(item)

    with pytest.raises(LookupError):
        list(side_by_side(work, range(50), threads=3, stop=stopped.set))

    assert set(begun) - {0} == set(ended)
    assert len(begun) < 50


def test_an_error_is_not_held_back_by_work_that_does_not_end(monkeypatch):
    """The others may be waiting an hour for the request budget."""
    monkeypatch.setattr(parallel, "UNDER_WAY", 0.01)
    for_ever = threading.Event()

    def work(item):
        if item == 0:
            raise LookupError
        for_ever.wait()

    with pytest.raises(LookupError):
        list(side_by_side(work, range(2), threads=2, stop=lambda: None))
    for_ever.set()


def test_whoever_wants_no_more_does_not_wait():
    """A generator that is closed half way."""
    for_ever, stopped = threading.Event(), threading.Event()
    results = side_by_side(lambda item: item or for_ever.wait(), [1, 0], threads=2, stop=stopped.set)

    assert next(results) == 1
    results.close()

    assert stopped.is_set()
    for_ever.set()


def test_work_that_does_not_end_does_not_keep_the_interpreter():
    """An executor's threads are waited for at exit."""
    program = (
        "import threading; from outreach_frames._fetch.parallel import side_by_side;"
        "results = side_by_side(lambda item: item or threading.Event().wait(), [1, 0], threads=2, stop=lambda: None);"
        "print(next(results))"
    )

    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)

    assert run.stdout == "1\n"
