"""Running sandboxes: of the small organization to read, and of one to write in."""

from collections.abc import Iterator

import pytest

from outreach_frames._sandbox import Sandbox, SandboxSettings
from tests.sandbox.plain_receiver import Receiver
from tests.sandbox.small_organization import Ask, asking, small_organization
from tests.sandbox.writing_organization import restore
from tests.sandbox.writing_requests import Program


@pytest.fixture(scope="module")
def running() -> Iterator[Sandbox]:
    """Return a sandbox that a module's tests share: stopping a server takes as long as several tests."""
    with Sandbox(small_organization()) as shared:
        yield shared


@pytest.fixture
def sandbox(running: Sandbox) -> Iterator[Sandbox]:
    """Return a running sandbox of the small organization as new; check that it never failed by itself."""
    vars(running.settings).update(vars(SandboxSettings()))
    running.reset_budget()
    running.clear_log()
    yield running
    assert running.failures == ()


@pytest.fixture
def ask(sandbox: Sandbox) -> Ask:
    """Return a function that asks the sandbox as an ordinary program would."""
    return asking(sandbox)


@pytest.fixture(scope="module")
def running_to_write() -> Iterator[Sandbox]:
    """Return a sandbox that a module's tests share."""
    with Sandbox([]) as shared:
        yield shared


@pytest.fixture
def office(running_to_write: Sandbox) -> Iterator[Sandbox]:
    """Return a running sandbox of the organization to write in, as new; check that it never failed by itself."""
    vars(running_to_write.settings).update(vars(SandboxSettings()))
    restore(running_to_write)
    yield running_to_write
    running_to_write.run_jobs()
    assert running_to_write.webhooks.flush(timeout=10)
    assert running_to_write.failures == ()


@pytest.fixture
def program(office: Sandbox) -> Program:
    """Return a program that talks to that organization."""
    return Program(office)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Return a receiver that takes everything."""
    with Receiver() as running:
        yield running
