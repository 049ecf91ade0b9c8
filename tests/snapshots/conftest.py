"""An organization of a hundred accounts, whose table is divided as one of a million rows is."""

import pytest
from click.testing import CliRunner

import outreach_frames as of
from outreach_frames.cli import main
from tests.fetch_support import organization
from tests.snapshot_support import accounts, shrink


@pytest.fixture(autouse=True)
def small_files(monkeypatch):
    """Divide tables of a few rows."""
    shrink(monkeypatch.setattr)


@pytest.fixture
def org(tmp_path):
    """Return a connection to an organization of accounts 1 to 100."""
    with organization(tmp_path / "cache", *accounts(*range(1, 101))) as client:
        yield client


@pytest.fixture
def taken(org, tmp_path):
    """Return a snapshot of the accounts."""
    return of.take_snapshot(org, tmp_path / "org", resources=["accounts"], progress=False)


@pytest.fixture
def run(org, monkeypatch):
    """Return a function that runs a command for the organization."""
    monkeypatch.setenv("OUTREACH_TOKEN", org.sandbox.token)
    monkeypatch.setenv("OUTREACH_BASE_URL", org.base_url)
    return lambda *arguments: CliRunner().invoke(main, [str(each) for each in arguments])
