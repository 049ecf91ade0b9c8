"""Checks of a snapshot, from Python and on the command line."""

import json

import pandas as pd
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

import outreach_frames as of
from outreach_frames.cli import main
from outreach_frames.errors import SnapshotError
from tests.fetch_support import organization
from tests.snapshot_support import accounts, record, seal


def rewrite(snapshot, change):
    """Write one file anew, changed, with a manifest that says that it is the right one."""
    file = snapshot.folder / "accounts" / "part-00002.parquet"
    pq.write_table(change(pq.read_table(file, partitioning=None)), file)
    seal(snapshot)


def failures(checks):
    """Return table, check and detail of what failed."""
    failed = checks[checks["passed"].eq(other=False).fillna(value=False)]
    return [*failed[["check", "detail"]].itertuples(index=False, name=None)]


def test_a_good_snapshot_passes_every_check(org, taken):
    checks = taken.verify(org)

    assert failures(checks) == []
    assert checks.loc[checks["check"] == "live count", "value"].tolist() == [100]
    assert {"rows", "unique ids", "created_at", "updated_at", "live count"} <= {*checks["check"]}


def test_checks_send_nothing_unless_asked(org, taken):
    org.sandbox.clear_log()
    taken.verify()
    assert org.sandbox.data_requests == 0


def test_repeated_ids_and_lost_rows_are_found(taken):
    rewrite(taken, lambda table: table.slice(0, 10).take([0, *range(10)]))

    assert [check for check, _ in failures(taken.verify())] == ["rows", "unique ids"]


def test_times_after_the_extraction_are_found(tmp_path):
    late = {"name": "A", "createdAt": "2199-01-01T00:00:00.000Z", "updatedAt": "2199-01-01T00:00:00.000Z"}
    with organization(tmp_path / "cache", record("account", 1, late)) as org:
        taken = of.take_snapshot(org, tmp_path / "org", resources=["accounts"])

    assert [check for check, _ in failures(taken.verify())] == ["created_at", "updated_at"]


def test_a_table_that_is_far_from_the_live_count_is_found(org, taken):
    for id_ in range(1, 20):
        org.sandbox.remove("account", id_)

    assert failures(taken.verify(org)) == [("live count", "100 here, 81 there")]


def test_foreign_keys_tell_the_share_that_resolves(tmp_path):
    prospects = [
        record("prospect", n, {"firstName": "A"}, account=("account", n) if n < 4 else None) for n in range(1, 6)
    ]
    with organization(tmp_path / "cache", *accounts(1, 2, 99), *prospects) as org:
        taken = of.take_snapshot(org, tmp_path / "org", resources=["accounts", "prospects"])

    checks = taken.verify().set_index("check")

    assert checks.loc["foreign key account_id", "value"] == pytest.approx(2 / 3)
    assert pd.isna(checks.loc["foreign key account_id", "passed"])


def test_columns_that_come_and_go_are_told(org, tmp_path):
    first = of.take_snapshot(org, tmp_path / "x", resources={"accounts": {"fields": ["name"]}}, progress=False)
    second = of.take_snapshot(org, tmp_path / "x", resources={"accounts": {"fields": ["domain"]}}, progress=False)

    checks = second.verify().set_index("check")

    assert checks.loc["columns", "detail"] == "new: domain; lost: name"
    assert "columns" not in {*first.verify()["check"]}


def test_a_changed_file_is_named(taken):
    file = taken.folder / "accounts" / "part-00003.parquet"
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    with pytest.raises(SnapshotError, match=r"part-00003\.parquet"):
        taken.verify()


@pytest.fixture
def run(org, monkeypatch):
    """Return a function that runs a command for the organization."""
    monkeypatch.setenv("OUTREACH_TOKEN", org.sandbox.token)
    monkeypatch.setenv("OUTREACH_BASE_URL", org.base_url)
    return lambda *arguments: CliRunner().invoke(main, [str(each) for each in arguments])


def test_verify_on_the_command_line_has_exit_codes_for_a_scheduler(org, taken, run):
    assert run("snapshot", "verify", taken.path).exit_code == 0
    live = run("snapshot", "verify", taken.path, "--live")
    assert (live.exit_code, "live count" in live.output) == (0, True)
    for id_ in range(1, 20):
        org.sandbox.remove("account", id_)
    wrong = run("snapshot", "verify", taken.path, "--live")
    assert wrong.exit_code == 1
    assert "live count of accounts is wrong" in wrong.output
    (taken.folder / "accounts" / "part-00001.parquet").unlink()
    missing = run("snapshot", "verify", taken.path)
    assert (missing.exit_code, "part-00001.parquet" in missing.output) == (1, True)


def test_refresh_on_the_command_line_logs_one_line_for_each_table(org, taken, run):
    org.sandbox.advance(3_600)
    org.update("accounts", 30, name="New")

    result = run("refresh", taken.path, "--log", "json", "--keep", "1")

    lines = [json.loads(line) for line in result.stdout.splitlines()]
    current = of.open_snapshot(taken.path)
    assert result.exit_code == 0
    assert [(line["table"], line["rows"], line["version"]) for line in lines] == [("accounts", 100, current.version)]
    assert current.versions == [current.version] != [taken.version]
    assert current.frame("accounts")["name"].tolist()[29] == "New"


def test_a_refresh_that_fails_has_exit_code_1_and_changes_nothing(org, taken, run):
    org.sandbox.faults.add(path="/accounts", method="GET", times=None, status=403)

    result = run("refresh", taken.path)

    assert result.exit_code == 1
    assert of.open_snapshot(taken.path) == taken
    assert run("refresh", taken.path.parent / "nowhere").exit_code == 1
    assert run("refresh", taken.path, "--keep", "0").exit_code == 2


def test_a_snapshot_is_taken_by_its_path_alone_or_by_name(taken, run):
    """As before there were further commands."""
    for arguments in (("snapshot", taken.path), ("snapshot", "take", taken.path)):
        result = run(*arguments, "--resources", "accounts", "--keep", "1")
        assert result.exit_code == 0
        assert "accounts" in result.output
    assert run("snapshot").exit_code == 2
    assert "verify" in run("snapshot", "--help").output


def test_a_plan_on_the_command_line_takes_nothing(tmp_path, run):
    result = run("snapshot", tmp_path / "new", "--resources", "accounts", "--plan")

    assert result.exit_code == 0
    assert "take_requests" in result.output
    assert not (tmp_path / "new").exists()
