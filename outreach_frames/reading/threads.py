"""Work for several threads at a time, which Ctrl-C can leave at once."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from threading import Thread
from typing import TypeVar

UNDER_WAY = 5.0
"""How long an error is held back for work that is under way; less than a wait for the request budget [s]."""

T = TypeVar("T")
Item = TypeVar("Item")


def side_by_side(
    work: Callable[[Item], T], items: Iterable[Item], *, threads: int, stop: Callable[[], object]
) -> Iterator[T]:
    """
    Do the same work for several items at a time.

    An executor's threads would be waited for, when the work is interrupted and again at the interpreter's end, for as
    long as the slowest server takes to answer. These are daemons: after Ctrl-C nobody waits for them.

    Parameters
    ----------
    work
        Done for each item, in any thread.
    items
        What for.
    threads
        How many at a time.
    stop
        Called when no further result is wanted; makes work that is under way end soon.

    Yields
    ------
    result : T
        Of each item, in the order of the items.

    Raises
    ------
    Exception
        Whatever the work for an item raised, once the other threads have ended, or are taking too long to.
    """
    waiting: deque[tuple[Item, Future[T]]] = deque((item, Future()) for item in items)
    results = [result for _, result in waiting]
    crew = [Thread(target=_serve, args=(work, waiting), daemon=True) for _ in range(min(threads, len(results)))]
    for thread in crew:
        thread.start()
    try:
        for result in results:
            yield result.result()
    except BaseException as error:
        waiting.clear()
        stop()
        if isinstance(error, Exception):
            for thread in crew:
                thread.join(UNDER_WAY)
        raise


def _serve(work: Callable[[Item], T], waiting: deque[tuple[Item, Future[T]]]) -> None:
    while True:
        try:
            item, result = waiting.popleft()
        except IndexError:
            return
        try:
            result.set_result(work(item))
        except BaseException as error:  # noqa: BLE001  told to whoever waits for the result
            result.set_exception(error)
