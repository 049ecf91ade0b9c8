"""A scripted server for one test, and sessions on it whose time does not pass."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from outreach_frames._http import BearerAuth, Session, Waiter
from tests.fake_clock import Clock
from tests.scripted_server import TOKEN, Server


@pytest.fixture
def server() -> Iterator[Server]:
    """Run a scripted server for one test."""
    with Server() as running:
        yield running


@pytest.fixture
def clock() -> Clock:
    """Return time that passes only by sleeping."""
    return Clock()


@pytest.fixture
def connect(server: Server, clock: Clock, tmp_path: Path) -> Iterator[Callable[..., Session]]:
    """Open sessions on the server; they are closed at the end."""
    opened: list[Session] = []

    def open_session(base_url: str | None = None, auth=None, **options) -> Session:
        settings = {
            "account": "someone",
            "cache_dir": tmp_path,
            "waiter": Waiter(clock, clock.sleep),
            "spread": lambda: 0.0,
        }
        session = Session(base_url or server.base_url, auth or BearerAuth(TOKEN), **(settings | options))
        opened.append(session)
        return session

    yield open_session
    for session in opened:
        session.close()
