"""Deliveries applied to a snapshot: it has what was delivered, whatever the order, and a refresh is exact after it."""

import json
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

import outreach_frames as of
from outreach_frames.errors import DataError, MissingColumnError, OutreachDataWarning, QueryError, SnapshotError
from tests.snapshot_support import contents, parts_of

EARLIER = "2026-01-01T00:00:00.000Z"


def frame(*deliveries):
    """Return deliveries as `webhooks.read` does: event, id, attributes, seconds from now, relationships."""
    rows = []
    for event, id_, attributes, seconds, *linked in deliveries:
        at = datetime.now(UTC) + timedelta(seconds=seconds)
        stamps = {"updatedAt": at.strftime("%Y-%m-%dT%H:%M:%S.000Z")} if attributes is not None else {}
        rows.append(
            {
                "received_at": at,
                "delivered_at": at,
                "event": event,
                "resource_type": event.partition(".")[0],
                "resource_id": str(id_),
                "attributes": json.dumps({**(attributes or {}), **stamps}),
                "relationships": json.dumps(linked[0] if linked else {}),
            }
        )
    return pd.DataFrame(rows)


def assert_current(snapshot, org):
    """Compare the accounts with what the API has."""
    pd.testing.assert_frame_equal(snapshot.frame("accounts"), of.fetch(org, "accounts", refresh=True, progress=False))


def name_of(snapshot, id_):
    accounts = snapshot.frame("accounts").set_index("id")
    return accounts["name"].get(id_)


def test_changes_creations_and_removals_are_applied(taken):
    deliveries = frame(
        ("account.updated", 30, {"name": "New", "domain": None}, 60),
        ("account.created", 101, {"name": "A101", "createdAt": EARLIER}, 61),
        ("account.destroyed", 50, {"name": "A50"}, 62),
        ("account.updated", 31, {}, 63, {"owner": {"data": {"type": "user", "id": 4}}}),
    )

    after = taken.apply(deliveries)

    accounts = after.frame("accounts").set_index("id")
    assert (len(accounts), accounts.index.is_monotonic_increasing) == (100, True)
    assert accounts["name"][[29, 30, 31, 101]].tolist() == ["A29", "New", "A31", "A101"]
    assert (accounts["owner_id"][31], 50 in accounts.index) == (4, False)
    assert pd.isna(accounts["owner_id"][101])
    assert accounts.columns.tolist() == taken.frame("accounts").set_index("id").columns.tolist()
    assert after.as_of == taken.as_of
    assert of.open_snapshot(taken.path) == after
    assert after.verify()["passed"].all()
    assert after.diff(taken.version).groupby("change", observed=True).size().to_dict() == {
        "added": 1,
        "changed": 2,
        "removed": 1,
    }


@pytest.mark.parametrize("parts", [1, 3])
@pytest.mark.parametrize("backward", [False, True])
def test_order_and_repeats_make_no_difference(taken, parts, backward):
    """A late change of another column counts, a late change of the same one does not; together or one by one."""
    deliveries = frame(
        ("account.updated", 30, {"name": "First", "domain": "first.example"}, 60),
        ("account.updated", 30, {"name": "Second"}, 61),
        ("account.updated", 30, {"industry": "Third"}, 62),
    )
    deliveries = pd.concat([deliveries, deliveries.iloc[:1]])
    if backward:
        deliveries = deliveries.iloc[::-1]
    after = taken
    for part in range(parts):
        after = after.apply(deliveries.iloc[part::parts], keep=1)

    account = after.frame("accounts").set_index("id").loc[30]
    assert account[["name", "domain", "industry"]].tolist() == ["Second", "first.example", "Third"]
    assert account["updated_at"] == max(
        pd.Timestamp(json.loads(text)["updatedAt"]) for text in deliveries["attributes"]
    )


@pytest.mark.parametrize("parts", [1, 2])
def test_what_was_destroyed_does_not_come_back(taken, parts):
    deliveries = frame(
        ("account.destroyed", 50, {"name": "A50"}, 62),
        ("account.destroyed", 101, {"name": "A101"}, 63),
        ("account.updated", 50, {"name": "Late"}, 61),
        ("account.created", 101, {"name": "A101"}, 60),
    )
    after = taken
    for part in range(parts):
        after = after.apply(deliveries.iloc[part * (4 // parts) : (part + 1) * (4 // parts)])

    assert after.frame("accounts")["id"].tolist() == [*range(1, 50), *range(51, 101)]


def test_a_store_without_a_new_delivery_changes_nothing(taken):
    """Of a night in which nothing was sent, only old deliveries are there."""
    after = taken.apply(frame(("account.updated", 30, {"name": "Old"}, -1_000_000)))

    assert after.diff(taken.version).empty


def test_deliveries_that_are_older_than_the_records_change_nothing(taken):
    """What was sent before the API was read is in what was read."""
    deliveries = frame(
        ("account.updated", 30, {"name": "Older"}, -3_600),
        ("account.created", 101, {"name": "Removed since"}, -300),
        ("account.updated", 31, None, -30),
        ("account.destroyed", 32, {"name": "Restored since"}, -3_600),
    )
    deliveries.loc[2, "attributes"] = json.dumps({"name": "Older"})  # without updatedAt

    after = taken.apply(deliveries)

    assert parts_of(after, "accounts") == parts_of(taken, "accounts")


def test_without_a_stamp_the_time_of_sending_decides(taken):
    deliveries = frame(("account.updated", 30, None, 62), ("account.updated", 30, None, 61))
    deliveries["attributes"] = ['{"name": "Second"}', '{"name": "First"}']

    assert name_of(taken.apply(deliveries), 30) == "Second"


def test_only_touched_files_are_written_and_the_watermark_stays(taken):
    after = taken.apply(frame(("account.updated", 30, {"name": "New"}, 60)))

    before, now = parts_of(taken, "accounts"), parts_of(after, "accounts")
    assert [old["path"] for old, new in zip(before, now, strict=True) if old["sha256"] != new["sha256"]] == [
        "accounts/part-00002.parquet"
    ]
    assert [file["watermark"] for file in now] == [file["watermark"] for file in before]


def test_a_refresh_reads_again_what_deliveries_changed(org, taken):
    """Even records that the API does not give as changed; and where the notes are lost, all."""
    deliveries = frame(
        ("account.updated", 30, {"name": "Only delivered"}, 60),
        ("account.created", 101, {"name": "Only delivered"}, 60),
        ("account.destroyed", 50, {"name": "A50"}, 60),
    )
    after = taken.apply(deliveries)

    assert_current(after.refresh(org, progress=False), org)
    (after.folder / "applied.arrow").unlink()
    assert_current(after.refresh(org, progress=False), org)


def test_what_is_not_applied_is_counted(org, taken, tmp_path):
    deliveries = frame(
        ("prospect.updated", 7, {"title": "CEO"}, 60),
        ("account.updated", 4711, {"name": "Never created"}, 60),
        ("account.updated", 30, {"name": "New", "followers": "many"}, 60),
        ("account.updated", "x", {"name": "No id"}, 60),
    )

    with pytest.warns(OutreachDataWarning) as caught:
        after = taken.apply(deliveries)

    assert str(caught[0].message) == (
        "Some deliveries were not applied: 1 on accounts that change what is neither in the snapshot nor created; "
        "1 on accounts with values that do not fit, the others of which were applied; "
        "1 on prospect, which the snapshot does not have."
    )
    assert (name_of(after, 30), len(after.frame("accounts"))) == ("New", 100)
    filtered = of.take_snapshot(
        org, tmp_path / "x", resources={"accounts": {"filter": {"name": ["A30", "A31"]}}}, progress=False
    )
    with pytest.warns(OutreachDataWarning, match="4 on accounts, which only a refresh brings up to date"):
        filtered.apply(frame(*[("account.updated", 30, {"name": "New"}, 60)] * 4))


def test_columns_that_were_not_taken_are_not_added(org, tmp_path):
    taken = of.take_snapshot(org, tmp_path / "x", resources={"accounts": {"fields": ["name"]}}, progress=False)

    after = taken.apply(frame(("account.updated", 30, {"name": "New", "domain": "new.example"}, 60)))

    assert after.frame("accounts").columns.tolist() == ["id", "name"]
    assert name_of(after, 30) == "New"


def test_a_table_of_one_file_grows_into_several(org, tmp_path):
    taken = of.take_snapshot(org, tmp_path / "x", resources={"accounts": {"filter": None}}, progress=False)
    created = [("account.created", id_, {"name": f"A{id_}"}, 60) for id_ in range(101, 151)]

    after = taken.apply(frame(*created))

    assert after.frame("accounts")["id"].tolist() == [*range(1, 151)]
    assert max(file["rows"] for file in parts_of(after, "accounts")) <= 32


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda deliveries: deliveries.drop(columns="attributes"), MissingColumnError),
        (lambda deliveries: deliveries.assign(attributes="[1]"), DataError),
        (lambda deliveries: deliveries.assign(relationships="{"), DataError),
        (lambda deliveries: deliveries.assign(delivered_at="yesterday"), DataError),
    ],
)
def test_what_is_no_frame_of_deliveries_is_refused(taken, change, error):
    before = contents(taken.path)

    with pytest.raises(error):
        taken.apply(change(frame(("account.updated", 30, {"name": "New"}, 60))))

    assert contents(taken.path) == before


def test_a_number_of_versions_that_leaves_none_is_refused(taken):
    with pytest.raises(QueryError):
        taken.apply(frame(("account.updated", 30, {"name": "New"}, 60)), keep=0)


@pytest.mark.parametrize("file", ["applied.arrow", "accounts/part-00003.parquet"])
@pytest.mark.parametrize("change", ["flip", "remove"])
def test_a_changed_file_is_not_built_on(taken, file, change):
    """Not even one that no delivery touches; and without its notes a version cannot tell late deliveries."""
    first = taken.apply(frame(("account.updated", 30, {"name": "New"}, 60)))
    path = first.folder / file
    content = path.read_bytes()
    path.unlink()
    if change == "flip":
        path.write_bytes(content[:-9] + b"?" + content[-8:])

    with pytest.raises(SnapshotError):
        first.apply(frame(("account.updated", 31, {"name": "New"}, 61)))

    assert of.open_snapshot(taken.path) == first


def test_times_are_checked_up_to_the_last_delivery(taken):
    """Between two weekly refreshes deliveries are days later than what the API was asked for."""
    after = taken.apply(frame(("account.updated", 30, {"name": "New"}, 5 * 86_400)))

    assert after.verify()["passed"].all()


def test_after_a_refresh_a_snapshot_has_no_notes(org, taken):
    after = taken.apply(frame(("account.updated", 30, {"name": "New"}, 60)))
    assert (after.folder / "applied.arrow").is_file()
    assert b"New" not in (after.folder / "applied.arrow").read_bytes()

    again = after.refresh(org, progress=False)

    assert sorted(path.name for path in again.folder.iterdir()) == ["accounts", "manifest.json"]
    assert again.manifest.get("applied") is None
