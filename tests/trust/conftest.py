"""A running organisation, as new for every test."""

from collections.abc import Iterator

import pytest
from trust_setting import as_new, organisation

from outreach_frames.emulator import Sandbox


@pytest.fixture(scope="session")
def running() -> Iterator[Sandbox]:
    """Return a sandbox that all tests share: stopping a server takes as long as several tests."""
    with Sandbox(organisation()) as shared:
        yield shared


@pytest.fixture
def sandbox(running: Sandbox) -> Iterator[Sandbox]:
    """Return a running sandbox as new; check that it never failed by itself."""
    as_new(running)
    yield running
    assert running.failures == ()
