"""Checks of a snapshot, from Python and on the command line."""

import pandas as pd
import pyarrow.parquet as pq
import pytest

import outreach_frames as of
from outreach_frames.errors import OutreachDataWarning, SnapshotError
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
    assert checks.loc[checks["check"] == "checksums", "value"].tolist() == [5]
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


def test_columns_that_come_with_a_refresh_are_told(tmp_path):
    """And each version is read with its own."""
    everything = {"accounts": {"fields": "*"}}
    with organization(tmp_path / "cache", *accounts(1, 2)) as org:
        first = of.take_snapshot(org, tmp_path / "org", resources=everything, progress=False)
        org.sandbox.put(record("account", 3, {"name": "A3", "shoeSize": 42}))

        with pytest.warns(OutreachDataWarning, match=r"^Columns changed: accounts: new: shoe_size\.$"):
            second = first.refresh(org, progress=False)
        org.sandbox.put(record("account", 3, {"name": "A3", "shoeSize": "large"}))
        with pytest.warns(OutreachDataWarning, match=r"^Columns changed: accounts: retyped: shoe_size\.$"):
            third = second.refresh(org, progress=False)

    assert "shoe_size" not in first.frame("accounts").columns
    assert [second.frame("accounts")["shoe_size"].max(), third.frame("accounts")["shoe_size"].dropna().item()] == [
        42,
        "large",
    ]
    assert third.diff(second.version)["columns"].tolist() == [["shoe_size"]]


def test_a_changed_file_is_named(taken):
    file = taken.folder / "accounts" / "part-00003.parquet"
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    with pytest.raises(SnapshotError, match=r"part-00003\.parquet"):
        taken.verify()


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
