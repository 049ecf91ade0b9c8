"""Interrupted extractions: what was finished is not asked for again, and the current version stays readable."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import outreach_frames as of
from outreach_frames.errors import APIError, AuthError, OutreachError, SnapshotError
from outreach_frames.snapshots import _id_ranges, _writing, parquet
from tests.snapshot_support import accounts, contents, parts_of

ROUNDS = 30
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(("status", "error"), [(401, AuthError), (403, APIError), (500, APIError)])
def test_the_next_attempt_goes_on_from_the_last_finished_file(org, tmp_path, status, error):
    """Whatever ended the first one: a dead token, a lost right, a broken server."""
    folder = tmp_path / "org"
    org.sandbox.faults.add(path="/accounts", method="GET", after=12, times=None, status=status)
    with pytest.raises(error):
        of.take_snapshot(org, folder, resources=["accounts"], progress=False)
    finished = json.loads(next(folder.glob(".writing-*/unfinished.json")).read_text())["parts"]["accounts"]
    org.sandbox.faults.clear()
    org.sandbox.clear_log()

    taken = of.take_snapshot(org, folder, resources=["accounts"], progress=False)

    assert finished
    low = finished[-1]["last_id"] + 1
    read = [request.query for request in org.sandbox.requests if "filter[id]" in request.query]
    assert read
    assert not any(f"={id_}.." in query for query in read for id_ in range(1, low))
    assert not any("neginf.." in query for query in read)
    assert parts_of(taken, "accounts")[: len(finished)] == finished
    pd.testing.assert_frame_equal(taken.frame("accounts"), of.fetch(org, "accounts", refresh=True))


def interrupted(org, folder, after=12):
    """Take a snapshot that is interrupted after some requests, and return the folder it was written in."""
    fault = org.sandbox.faults.add(path="/accounts", method="GET", after=after, times=None, status=403)
    with pytest.raises(APIError):
        of.take_snapshot(org, folder, resources=["accounts"], progress=False)
    assert fault.used
    org.sandbox.faults.clear()
    org.sandbox.clear_log()
    return next(folder.glob(".writing-*"))


def test_ctrl_c_keeps_what_is_finished(org, tmp_path, monkeypatch):
    read = _id_ranges.IdRanges.read

    def broken_off(self, low, high, schema):
        if low is not None and low > 60:
            raise KeyboardInterrupt
        return read(self, low, high, schema)

    with monkeypatch.context() as patch:
        patch.setattr(_id_ranges.IdRanges, "read", broken_off)
        with pytest.raises(KeyboardInterrupt):
            of.take_snapshot(org, tmp_path / "org", resources=["accounts"], progress=False)
    finished = json.loads(next((tmp_path / "org").glob(".writing-*/unfinished.json")).read_text())["parts"]["accounts"]

    taken = of.take_snapshot(org, tmp_path / "org", resources=["accounts"], progress=False)

    assert parts_of(taken, "accounts")[: len(finished)] == finished != []
    assert not list((tmp_path / "org").glob(".*"))


@pytest.mark.parametrize("change", ["flip", "remove", "link"])
def test_a_finished_file_that_was_changed_is_asked_for_again(org, tmp_path, change):
    aside = interrupted(org, tmp_path / "org")
    file = aside / "accounts" / "part-00001.parquet"
    content = file.read_bytes()
    file.unlink()
    if change == "flip":
        file.write_bytes(content[:-9] + b"?" + content[-8:])
    elif change == "link":
        (tmp_path / "away").write_bytes(content)
        file.symlink_to(tmp_path / "away")

    taken = of.take_snapshot(org, tmp_path / "org", resources=["accounts"], progress=False)

    taken.verify()
    pd.testing.assert_frame_equal(taken.frame("accounts"), of.fetch(org, "accounts", refresh=True))


@pytest.mark.parametrize("journal", [b"", b"{", b"[]", b'{"started": "now"}', b"\xff", b"[" * 100_000])
def test_a_damaged_journal_means_to_begin_anew(org, tmp_path, journal):
    aside = interrupted(org, tmp_path / "org")
    (aside / "unfinished.json").write_bytes(journal)

    taken = of.take_snapshot(org, tmp_path / "org", resources=["accounts"], progress=False)

    pd.testing.assert_frame_equal(taken.frame("accounts"), of.fetch(org, "accounts", refresh=True))
    assert sorted(path.name for path in taken.folder.iterdir()) == ["accounts", "manifest.json"]


def test_another_request_begins_anew(org, tmp_path):
    """A file with other columns must not become part of it."""
    interrupted(org, tmp_path / "org")

    resources = {"accounts": {"fields": ["name"]}}
    taken = of.take_snapshot(org, tmp_path / "org", resources=resources, progress=False)

    assert taken.frame("accounts").columns.tolist() == ["id", "name"]
    assert len(taken.frame("accounts")) == 100
    assert not list((tmp_path / "org").glob(".*"))


@pytest.mark.parametrize("organization", [None, 2])
def test_files_of_another_organization_are_not_taken_over(org, tmp_path, organization):
    """Neither where the API names another one, nor where it names none and another token may be one of another."""
    interrupted(org, tmp_path / "org")
    org.sandbox.settings.organization = organization
    with of.connect(org.sandbox.issue_token(), org.base_url, cache=False) as other:
        taken = of.take_snapshot(other, tmp_path / "org", resources=["accounts"], progress=False)

    assert any("neginf.." in request.query for request in org.sandbox.requests)
    assert len(taken.frame("accounts")) == 100


def test_another_token_of_the_organization_goes_on(org, tmp_path):
    """A dead token is replaced by a new one."""
    interrupted(org, tmp_path / "org")
    with of.connect(org.sandbox.issue_token(), org.base_url, cache=False) as again:
        taken = of.take_snapshot(again, tmp_path / "org", resources=["accounts"], progress=False)

    assert not any("neginf.." in request.query for request in org.sandbox.requests)
    assert len(taken.frame("accounts")) == 100


def test_files_of_yesterday_are_not_taken_over(org, tmp_path, monkeypatch):
    interrupted(org, tmp_path / "org")
    monkeypatch.setattr(_writing, "RESUME_WITHIN", pd.Timedelta(0))

    of.take_snapshot(org, tmp_path / "org", resources=["accounts"], progress=False)

    assert any("neginf.." in request.query for request in org.sandbox.requests)


def test_a_full_disk_leaves_the_current_version_and_the_next_run_repairs(org, taken, monkeypatch):
    before = contents(taken.folder)
    write = parquet.PartFile.write
    written = []

    def full(self, rows, watermark):
        written.append(rows)
        if len(written) > 6:
            raise OSError(28, os.strerror(28))
        write(self, rows, watermark)

    with monkeypatch.context() as patch:
        patch.setattr(parquet.PartFile, "write", full)
        with pytest.raises(SnapshotError, match="cannot be written"):
            of.take_snapshot(org, taken.path, resources=["accounts"], progress=False)

    assert of.open_snapshot(taken.path) == taken
    assert contents(taken.folder) == before
    again = of.take_snapshot(org, taken.path, resources=["accounts"], progress=False)
    again.verify()
    pd.testing.assert_frame_equal(again.frame("accounts"), of.fetch(org, "accounts", refresh=True))


def test_records_that_come_and_go_while_tables_are_read_are_in_one_file_each(org, tmp_path):
    """New ones have larger ids than the newest one known; the last range is open."""
    aside = interrupted(org, tmp_path / "org")
    assert aside.is_dir()
    org.sandbox.put(*accounts(150, 160, 5_000))
    org.sandbox.remove("account", 99)

    taken = of.take_snapshot(org, tmp_path / "org", resources=["accounts"], progress=False)

    assert taken.frame("accounts")["id"].tolist() == [*range(1, 99), 100, 150, 160, 5_000]


@pytest.mark.slow
@pytest.mark.parametrize("work", ["take", "refresh"])
def test_killed_thirty_times_the_last_version_is_readable_and_the_next_run_repairs(org, tmp_path, work):
    """Power cuts happen at any point."""
    program = Path(__file__).with_name("killed_snapshot.py")
    command = [sys.executable, program, work, org.base_url, tmp_path, "4", str(ROUNDS)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}

    run = subprocess.run(
        command,
        input=f"{org.sandbox.token}\n",
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env=environment,
    )

    rounds = [json.loads(line) for line in run.stdout.splitlines()]
    assert (run.returncode, run.stderr) == (0, "")
    assert rounds == [[True, True]] * ROUNDS


def test_an_attempt_from_the_cache_leaves_the_files_of_a_failed_one(org, tmp_path):
    org.sandbox.faults.add(path="/users", method="GET", times=None, status=403)
    with pytest.raises(OutreachError):
        of.take_snapshot(org, tmp_path / "org", resources=["accounts", "users"], progress=False)
    org.sandbox.faults.clear()

    of.take_snapshot(org, tmp_path / "org", resources=["users"], refresh=False, progress=False)
    org.sandbox.clear_log()
    of.take_snapshot(org, tmp_path / "org", resources=["accounts", "users"], progress=False)

    assert not [each for each in org.sandbox.requests if each.path.endswith("/accounts")]


def test_where_a_folder_cannot_be_locked_a_file_in_it_is(org, tmp_path, monkeypatch):
    """Windows has no locks of folders."""
    monkeypatch.setitem(sys.modules, "fcntl", None)
    path = tmp_path / "org"

    with _writing.writing(path), pytest.raises(SnapshotError), _writing.writing(path):
        pass

    assert len(of.take_snapshot(org, path, resources=["accounts"], progress=False).frame("accounts")) == 100
