"""A running organization, as new for every test."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from outreach_frames._sandbox import Sandbox
from tests.trust.trust_setting import as_new, organization


@pytest.fixture(autouse=True)
def nothing_of_the_developer(monkeypatch, tmp_path_factory) -> Path:
    """Use no sign-in, cache or environment of whoever runs the tests, in programs started here neither."""
    home = tmp_path_factory.mktemp("home")
    for name in ("CONFIG", "DATA", "CACHE", "STATE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(home / name.lower()))
    for name in [name for name in os.environ if name.startswith("OUTREACH_")]:
        monkeypatch.delenv(name)
    return home


@pytest.fixture(scope="session")
def running() -> Iterator[Sandbox]:
    """Return a sandbox that all tests share: stopping a server takes as long as several tests."""
    with Sandbox(organization()) as shared:
        yield shared


@pytest.fixture
def punctual() -> Iterator[Sandbox]:
    """Return a sandbox whose time is the machine's, for programs that have no other."""
    with Sandbox(organization()) as sandbox:
        yield sandbox
        assert sandbox.failures == ()


@pytest.fixture
def sandbox(running: Sandbox) -> Iterator[Sandbox]:
    """Return a running sandbox as new; check that it never failed by itself."""
    as_new(running)
    yield running
    assert running.failures == ()
