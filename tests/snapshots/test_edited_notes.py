"""Manifests and journals that were edited by hand: read right, or refused by an error that says so."""

import json
import shutil
from itertools import count

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

import outreach_frames as of
from outreach_frames.errors import SnapshotError
from tests.snapshots.test_resume import interrupted

ODD = [
    *(None, True, False, 0, 1, -1, 7, 10**30, -(10**30), 2**63, 0.5, 1e308, 10**400),
    *("", "x", "\0", "../x", "accounts", "Account", "accounts.parquet", "accounts/part-00002.parquet", "9" * 400),
    *("2026-01-01T00:00:00", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59.999999-14:00"),
    *("2026-03-31T00:00:00+14:00", "1969-12-31T00:00:00Z", [], {}, [[]], {"x": 1}, [{}], {"accounts": None}),
]
"""What a hand could write in the place of a value."""


def paths(value, path=()):
    """Return the places of all values below one, the outer ones first."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, each in inside for place in paths(each, (*path, key)))]


def edited(content, choose):
    """Return a document with one or two changes at places chosen: another value, another name, or nothing."""
    content = json.loads(json.dumps(content))
    for _ in range(choose(st.integers(1, 2))):
        *outer, last = choose(st.sampled_from(paths(content)[1:] or [("x",)]))
        holder = content
        for key in outer:
            holder = holder[key]
        change = choose(st.sampled_from(["replace", "replace", "replace", "remove", "rename"]))
        if change == "replace" or not isinstance(holder, dict | list):
            holder[last] = choose(st.sampled_from(ODD))
        else:
            value = holder.pop(last)
            if change == "rename" and isinstance(holder, dict):
                holder[choose(st.sampled_from(["x", "account", "users", "../x", ""]))] = value
    return content


def copies(folder, beside):
    """Return a function that copies a folder, each time to another place."""
    numbers = count()
    return lambda: shutil.copytree(folder, beside / f"copy-{next(numbers)}", symlinks=True)


def rewrite(file, content):
    file.write_text(json.dumps(content))


QUICK = settings(
    deadline=None,
    max_examples=300,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def test_an_edited_manifest_is_read_right_or_refused(taken):
    """Not an error of a library, and never rows that are fewer or others."""
    expected = taken.frame("accounts")
    manifest = taken.folder / "manifest.json"
    written = taken.manifest

    @QUICK
    @given(st.data())
    def read(data):
        rewrite(manifest, edited(written, data.draw))
        try:
            snapshot = of.open_snapshot(taken.path)
            assert snapshot.tables == ["accounts"]
            pd.testing.assert_frame_equal(snapshot.frame("accounts"), expected)
            snapshot.columns("accounts")
            snapshot.diff(snapshot.version)
            snapshot.verify()
            assert snapshot.as_of.tzinfo is not None
            assert snapshot.manifest["tables"]
        except SnapshotError:
            pass

    read()


@pytest.mark.filterwarnings("ignore:Columns changed:outreach_frames.errors.OutreachDataWarning")
def test_an_edited_manifest_is_refreshed_right_or_refused(org, taken, tmp_path):
    """Records stand where the manifest says that they are: another last id would double them."""
    copy = copies(taken.path, tmp_path)
    written = taken.manifest
    org.update("accounts", 30, name="another")
    expected = of.fetch(org, "accounts", refresh=True)

    @settings(QUICK, max_examples=20)
    @given(st.data())
    def refresh(data):
        folder = copy()
        rewrite(folder / taken.version / "manifest.json", edited(written, data.draw))
        try:
            of.plan_snapshot(org, folder)
            refreshed = of.open_snapshot(folder).refresh(org, progress=False)
        except SnapshotError:
            return
        frame = refreshed.frame("accounts")
        pd.testing.assert_frame_equal(frame, expected[[*frame]])

    refresh()


def test_an_edited_journal_is_gone_on_with_right_or_begun_anew(org, tmp_path):
    aside = interrupted(org, tmp_path / "org")
    written = json.loads((aside / "unfinished.json").read_text())
    copy = copies(tmp_path / "org", tmp_path)
    expected = of.fetch(org, "accounts", refresh=True)

    @settings(QUICK, max_examples=20)
    @given(st.data())
    def take(data):
        folder = copy()
        rewrite(folder / aside.name / "unfinished.json", edited(written, data.draw))
        snapshot = of.take_snapshot(org, folder, resources=["accounts"], progress=False)
        assert snapshot.tables == ["accounts"]
        pd.testing.assert_frame_equal(snapshot.frame("accounts"), expected)
        assert snapshot.verify()["passed"].dropna().all()

    take()


@pytest.mark.parametrize(
    "change",
    [
        lambda facts: facts.update(as_of="2026-01-01T00:00:00"),
        lambda facts: facts["files"][0].update(watermark="2026-01-01T00:00:00"),
        lambda facts: facts["files"][0].update(watermark="0001-01-01T00:00:00Z"),
        lambda facts: facts["files"][0].update(last_id=10**30),
        lambda facts: facts["files"].pop(),
    ],
    ids=["naive time", "naive watermark", "first year", "large id", "fewer files"],
)
def test_what_no_manifest_can_say_is_refused(taken, change):
    content = taken.manifest
    change(content["tables"]["accounts"])
    rewrite(taken.folder / "manifest.json", content)

    with pytest.raises(SnapshotError, match="readable manifest"):
        taken.frame("accounts")


def test_a_manifest_without_tables_is_refused(taken):
    rewrite(taken.folder / "manifest.json", {**taken.manifest, "tables": {}})

    with pytest.raises(SnapshotError, match="readable manifest"):
        taken.verify()


def test_a_table_that_nobody_asked_for_is_not_published(org, taken, tmp_path):
    """A planted journal would put its rows into the snapshot."""
    aside = interrupted(org, tmp_path / "new")
    facts = taken.manifest["tables"]["accounts"]
    journal = json.loads((aside / "unfinished.json").read_text())
    files = [{**file, "path": file["path"].replace("accounts", "users")} for file in facts["files"]]
    shutil.copytree(taken.folder / "accounts", aside / "users")
    rewrite(aside / "unfinished.json", {**journal, "tables": {"users": {**facts, "files": files}}})

    new = of.take_snapshot(org, tmp_path / "new", resources=["accounts"], progress=False)

    assert new.tables == ["accounts"]
    assert sorted(path.name for path in new.folder.iterdir()) == ["accounts", "manifest.json"]


@pytest.mark.parametrize("edit", [{"last_id": None}, {"last_id": 2}, {"first_id": 99}, {"rows": 1}])
def test_a_finished_file_that_is_not_as_the_journal_says_is_asked_for_again(org, tmp_path, edit):
    """The next file would begin behind the last id of this one."""
    aside = interrupted(org, tmp_path / "org")
    journal = json.loads((aside / "unfinished.json").read_text())
    journal["parts"]["accounts"][-1].update(edit)
    rewrite(aside / "unfinished.json", journal)

    taken = of.take_snapshot(org, tmp_path / "org", resources=["accounts"], progress=False)

    pd.testing.assert_frame_equal(taken.frame("accounts"), of.fetch(org, "accounts", refresh=True))
