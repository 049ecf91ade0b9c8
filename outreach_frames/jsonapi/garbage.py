"""Python's search for circles of garbage, put off while many objects are made that form none."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock


class _Rest:
    """
    The rest that several threads may want at a time.

    The search is the process's, and so is the switch: who is done first must not turn it on for those who are not.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._wanted_by = 0
        self._ends_on = True

    def begin(self) -> None:
        with self._lock:
            if not self._wanted_by:
                self._ends_on = gc.isenabled()
                gc.disable()
            self._wanted_by += 1

    def end(self) -> None:
        with self._lock:
            self._wanted_by -= 1
            if not self._wanted_by and self._ends_on:
                gc.enable()


_rest = _Rest()


@contextmanager
def uncollected() -> Iterator[None]:
    """
    Put off the search until the last thread in such a block has left it; where it was off, it stays off.

    Reading a page makes no circles, but so many objects at once that the search would run all the time and take a
    third of it.
    """
    _rest.begin()
    try:
        yield
    finally:
        _rest.end()
