"""
Replace connections, locks and counts in a forked child process.

A child must not keep its parent's connections: it would read its parent's answers. It must not keep its locks either: a
thread that held a lock at the fork does not exist in the child, so that nobody would ever release it.
"""

import os
import threading
from weakref import WeakValueDictionary

import filelock as _registered_before  # noqa: F401  see the end


class OfOneProcess:
    """An object with state of one process; it follows forks from when `follow_forks` is called."""

    def follow_forks(self) -> None:
        """Call the methods below around every fork, as long as this object lives."""
        _living[id(self)] = self

    def before_fork(self) -> None:
        """Get into a state that may be forked."""

    def after_fork_in_parent(self) -> None:
        """Go on, in the parent."""

    def after_fork_in_child(self) -> None:
        """Start with new state, in the child."""


_living: WeakValueDictionary[int, OfOneProcess] = WeakValueDictionary()
_paused: list[OfOneProcess] = []
_forking = threading.RLock()


def _before() -> None:
    _forking.acquire()
    _paused[:] = _all()
    for each in _paused:
        each.before_fork()


def _in_parent() -> None:
    for each in _paused:
        each.after_fork_in_parent()
    _paused.clear()
    _forking.release()


def _in_child() -> None:
    global _forking  # noqa: PLW0603  the parent's may be held by a thread that is not here
    _forking = threading.RLock()
    _paused.clear()
    for each in _all():
        each.after_fork_in_child()


def _all() -> list[OfOneProcess]:
    return [each for reference in _living.valuerefs() if (each := reference()) is not None]


# What was registered last is asked first before a fork. File locks, which hold everybody back from then on, have to
# come after us: a thread that we wait for may be about to release one.
if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
