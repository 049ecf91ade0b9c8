"""A running sandbox of the small organisation."""

from collections.abc import Iterator

import pytest
from small_organisation import Ask, asking, small_organisation

from outreach_frames.emulator import Sandbox, Settings


@pytest.fixture(scope="module")
def running() -> Iterator[Sandbox]:
    """Return a sandbox that a module's tests share: stopping a server takes as long as several tests."""
    with Sandbox(small_organisation()) as shared:
        yield shared


@pytest.fixture
def sandbox(running: Sandbox) -> Iterator[Sandbox]:
    """Return a running sandbox of the small organisation as new; check that it never failed by itself."""
    vars(running.settings).update(vars(Settings()))
    running.reset_budget()
    running.clear_log()
    yield running
    assert running.failures == ()


@pytest.fixture
def ask(sandbox: Sandbox) -> Ask:
    """Return a function that asks the sandbox as an ordinary program would."""
    return asking(sandbox)
