"""An organization with somebody to erase, and folders of its own for each test."""

import os
import shutil

import pytest

import outreach_frames as of
from outreach_frames.snapshots import parquet
from tests.erasure.erasure_support import records, take
from tests.fetch_support import organization
from tests.snapshot_support import shrink


def small_files(replace):
    """Divide tables of a few rows."""
    shrink(replace)
    replace(parquet, "FILE_ROWS", 8)


@pytest.fixture(autouse=True)
def own_folders(monkeypatch, tmp_path):
    """Use no cache and no journals of whoever runs the tests, and divide tables of a few rows."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home" / "cache"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "home" / "state"))
    small_files(monkeypatch.setattr)


@pytest.fixture(scope="session")
def template(tmp_path_factory):
    """Take a snapshot of three versions once."""
    folder = tmp_path_factory.mktemp("template")
    with pytest.MonkeyPatch.context() as patch, organization(folder / "cache", *records()) as client:
        small_files(patch.setattr)
        take(client, folder / "org")
    return folder / "org"


@pytest.fixture
def taken(template, tmp_path):
    """Return a copy of the snapshot, whose files are links: none of them is changed in its place."""
    before = {path: path.read_bytes() for path in template.rglob("*") if path.is_file()}
    yield of.open_snapshot(shutil.copytree(template, tmp_path / "org", copy_function=os.link))
    assert {path: path.read_bytes() for path in before} == before


@pytest.fixture
def org(tmp_path):
    """Connect to an organization whose prospect 7 is to be erased."""
    with organization(tmp_path / "cache", *records()) as client:
        yield client


@pytest.fixture
def taken_here(org, tmp_path):
    """Return such a snapshot, of the organization that is connected."""
    return take(org, tmp_path / "org")
