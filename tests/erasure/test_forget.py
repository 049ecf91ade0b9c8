"""After a person is forgotten their address is in no byte, other people's rows are as before, and all can be read."""

import hashlib
import hmac
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import ExitStack, closing, nullcontext
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pandas as pd
import pytest
import xlsxwriter
from click.testing import CliRunner
from filelock import Timeout
from openpyxl import load_workbook
from starlette.testclient import TestClient

import outreach_frames as of
from outreach_frames import _write_journal
from outreach_frames._files import file_lock
from outreach_frames._http import cache_erasure
from outreach_frames._person import Person
from outreach_frames._spellings import ERASED
from outreach_frames.cli import main
from outreach_frames.errors import APIError, ErasureError, QueryError
from outreach_frames.snapshots import _notes, erasure, parquet
from outreach_frames.snapshots._manifest import read_manifest
from outreach_frames.snapshots._writing import writing
from outreach_frames.webhooks import erasure as webhooks_erasure
from tests.erasure.erasure_support import ADDRESS, OTHERS, RESOURCES, TEXTS, bytes_of, records, spellings_in
from tests.fetch_support import organization, resource
from tests.snapshot_support import contents

ROUNDS = 30
STORE_ROUNDS = 4
ROOT = Path(__file__).parents[2]
SECRET = "between us"


def deliver(store, *payloads):
    """Send signed deliveries to a receiver."""
    with TestClient(of.webhooks.receiver(store, secret=SECRET)) as client:
        for number, payload in enumerate(payloads):
            body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
            signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
            headers = {"Outreach-Webhook-Signature": signature, "Outreach-Webhook-ID": f"id {number}"}
            assert client.post("/", content=body, headers=headers).status_code < 300


def payload(kind, id_, attributes=None, **related):
    """Return the payload of a delivery."""
    return {"data": resource(kind, id_, attributes, **related), "meta": {"eventName": f"{kind}.updated"}}


DELIVERIES = [
    payload("prospect", 7, {"emails": [ADDRESS]}),
    payload("mailing", 70, {"state": "replied"}, prospect=("prospect", 7)),
    {"data": {"type": "task", "id": 71, "attributes": {}, "relationships": {"subject": {"type": "prospect", "id": 7}}},
     "meta": {"eventName": "task.updated"}},
    payload("task", 80, {"note": TEXTS["HTML"], "open": 1.5}, prospect=("prospect", 8)),
    payload("opportunity", 81, {"name": "O"}, primaryProspect=("prospect", 7), account=("account", 3)),
    payload("prospect", 8, {"emails": [OTHERS]}),
    f"no payload, {ADDRESS}".encode(),
    f"no payload, {ADDRESS}".encode("utf-16-le"),
    b"no payload",
]  # fmt: skip


@pytest.fixture
def store(tmp_path):
    file = tmp_path / "deliveries.sqlite"
    deliver(file, *DELIVERIES)
    return file


def without_when(receipt):
    return receipt.drop(columns="when")


def test_the_address_is_in_no_byte_of_any_store_afterward(org, taken_here, store, tmp_path):
    of.fetch(org, "mailings", fields="*", progress=False)
    of.fetch(org, "prospects", filter={"emails": [ADDRESS]}, progress=False)
    of.fetch(org, "users", fields=["email"], progress=False)
    cached = org.cache.info().answers
    places = [tmp_path / "cache", taken_here.path, store.parent / store.name]
    before = spellings_in(tmp_path)
    others = taken_here.frame("mailings")

    receipt = of.compliance.forget(ADDRESS, client=org, snapshots=taken_here.path, webhooks=store)

    assert all(place.exists() for place in places)
    assert before == {"UTF-8", "JSON", "decomposed", "ASCII", "percent", "HTML", "quoted-printable", "UTF-16", "base64"}
    assert spellings_in(tmp_path) == set()
    assert OTHERS.encode() in bytes_of(tmp_path)
    left = org.cache.info().answers
    assert 0 < left < cached
    sums = receipt.groupby("store")["rows"].sum()
    assert (sums["cache"], sums["webhooks"]) == (cached - left, 5)
    assert receipt["when"].notna().all()
    assert ADDRESS.lower() not in receipt.to_csv().lower()
    assert len(taken_here.frame("mailings")) == len(others) - 1


def test_rows_of_others_stay_and_what_leads_to_the_person_is_blank(taken):
    before = {name: taken.frame(name) for name in taken.tables}

    of.compliance.forget(ADDRESS, cache=False, snapshots=taken.path)

    for version in taken.versions:
        checks = taken.at(version).verify()
        assert checks["passed"].ne(other=False).fillna(value=True).all()
    after = {name: taken.frame(name) for name in taken.tables}
    for name in ("prospects", "email_addresses", "events", "mailings", "tasks"):
        own = before[name]["id" if name == "prospects" else "prospect_id"].eq(7).fillna(value=False)
        assert after[name]["id"].tolist() == before[name].loc[~own.astype(bool), "id"].tolist()
        assert {**after[name].dtypes} == {**before[name].dtypes}
    pd.testing.assert_frame_equal(
        after["prospects"], before["prospects"][before["prospects"]["id"] != 7].reset_index(drop=True)
    )
    opportunities = after["opportunities"].set_index("id")
    assert opportunities.loc[7, ["primary_prospect_id", "primary_prospect__first_name"]].isna().all()
    assert opportunities.loc[8, "primary_prospect_id"] == 8
    assert len(opportunities) == 20
    assert after["events"].set_index("id").loc[9, "payload"] == json.dumps({"to": ERASED}, separators=(",", ":"))
    assert after["users"]["title"].tolist() == [f"<{ERASED}>"]
    mailings = before["mailings"][before["mailings"]["prospect_id"] != 7].reset_index(drop=True)
    others = mailings["prospect_id"].isin([14, 15, 16, 17, 18])  # whose texts have longer addresses
    pd.testing.assert_frame_equal(after["mailings"][others], mailings[others])
    assert (after["mailings"]["subject"] != mailings["subject"]).tolist() == (~others).tolist()
    assert (
        after["mailings"].drop(columns=["subject", "body_text"]).equals(mailings.drop(columns=["subject", "body_text"]))
    )


def test_a_dry_run_changes_nothing_and_gives_the_same_counts(org, taken_here, store, tmp_path):
    of.fetch(org, "mailings", progress=False)
    org.cache.close()
    journal = tmp_path / "journal"
    of.write_frame(org, "prospects", pd.DataFrame({"emails": [["new@example.com"]]}), journal=journal, confirm=True)
    org.cache.close()
    before = contents(tmp_path)
    options = {"client": org, "snapshots": taken_here.path, "webhooks": [store], "journals": journal}

    dry = of.compliance.forget(ADDRESS, dry_run=True, **options)

    org.cache.close()
    assert {path: each for path, each in contents(tmp_path).items() if path in before and path.suffix != ".lock"} == {
        path: each for path, each in before.items() if path.suffix != ".lock"
    }
    assert dry["when"].isna().all()
    pd.testing.assert_frame_equal(
        without_when(of.compliance.forget(ADDRESS, **options)), without_when(dry), check_like=False
    )


def test_a_second_call_finds_nothing_more_and_writes_no_snapshot(taken, store):
    options = {"cache": False, "snapshots": taken.path, "webhooks": store}
    of.compliance.forget(ADDRESS, **options)
    before = contents(taken.path)

    receipt = of.compliance.forget(ADDRESS, **options)

    assert receipt[["rows", "cells"]].sum().tolist() == [0, 0]
    assert set(receipt["store"]) == {"snapshot", "webhooks"}
    assert contents(taken.path) == before


def test_versions_share_their_new_files_as_they_shared_the_old(taken):
    def shares():
        files = list(taken.path.rglob("*.parquet"))
        names = {file.relative_to(taken.path): file.stat().st_ino for file in files}
        return sorted((str(one), str(two)) for one in names for two in names if one < two and names[one] == names[two])

    before = shares()

    of.compliance.forget(ADDRESS, cache=False, snapshots=taken.path)

    assert before
    assert {*before} <= {*shares()}  # and files that only the person made differ
    assert not list(taken.path.rglob(".*"))


def test_a_refresh_afterward_works(org, taken_here):
    """It brings the person back only as long as Outreach has them."""
    of.compliance.forget(ADDRESS, cache=False, snapshots=taken_here.path)
    org.sandbox.remove("prospect", 7)
    for kind in ("mailing", "task", "event"):
        org.sandbox.remove(kind, 7)
    org.update("users", 1, title="none")

    newer = of.open_snapshot(taken_here.path).refresh(org, progress=False)

    newer.verify()
    assert 7 not in newer.frame("prospects")["id"].tolist()
    assert len(newer.frame("mailings")) == 19


def test_a_version_that_is_not_finished_loses_the_person_too(org, tmp_path):
    """Its other files are not asked for again."""
    org.sandbox.faults.add(path="/mailings", method="GET", after=5, times=None, status=403)
    with pytest.raises(APIError):
        of.take_snapshot(org, tmp_path / "org", resources=RESOURCES, progress=False)
    org.sandbox.faults.clear()
    (aside,) = (tmp_path / "org").glob(".writing-*")
    (aside / "mailings" / ".part-00009.parquet").write_bytes(b"begun " + ADDRESS.encode())
    dry = of.compliance.forget(ADDRESS, cache=False, snapshots=tmp_path / "org", dry_run=True)
    assert spellings_in(tmp_path / "org")

    receipt = of.compliance.forget(ADDRESS, cache=False, snapshots=tmp_path / "org")

    assert without_when(receipt).equals(without_when(dry))
    assert receipt["rows"].sum() >= 3
    assert not spellings_in(tmp_path / "org")
    org.sandbox.clear_log()
    taken = of.take_snapshot(org, tmp_path / "org", resources=RESOURCES, progress=False)
    assert not [each for each in org.sandbox.requests if each.path.endswith("/users")]
    taken.verify()
    assert len(taken.frame("mailings")) == 20


def test_a_table_of_the_person_alone_stays_as_one_without_rows(org, tmp_path):
    resources = {"prospects": {"filter": {"emails": [ADDRESS.lower()]}}, "users": {}}
    taken = of.take_snapshot(org, tmp_path / "org", resources=resources, progress=False)
    assert len(taken.frame("prospects")) == 1

    of.compliance.forget(ADDRESS, cache=False, snapshots=taken.path)

    assert not spellings_in(taken.path)  # not in the options of the manifest either
    taken.verify()
    assert len(taken.frame("prospects")) == 0


def test_deliveries_of_the_person_go_and_others_lose_the_address(store):
    of.compliance.forget(ADDRESS, cache=False, webhooks=store)

    with pytest.warns(of.errors.OutreachDataWarning, match="no webhook payload"):
        deliveries = of.webhooks.read(store)
    assert deliveries["resource_id"].dropna().tolist() == ["80", "81", "8"]
    assert json.loads(deliveries["attributes"][0]) == {"note": ERASED, "open": 1.5}
    assert json.loads(deliveries["relationships"][1]) == {
        "primaryProspect": {"data": None},
        "account": {"data": {"type": "account", "id": 3}},
    }
    assert deliveries["body"].dropna().tolist() == [b"no payload"]


def test_a_delivery_that_comes_again_is_recognized(store):
    of.compliance.forget(ADDRESS, cache=False, webhooks=store)
    before = store.read_bytes()

    deliver(store, *[None] * 0)
    with TestClient(of.webhooks.receiver(store, secret=SECRET)) as client:
        body = json.dumps(DELIVERIES[3]).encode()
        signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        client.post("/", content=body, headers={"Outreach-Webhook-Signature": signature})

    assert before
    assert not spellings_in(store.parent)


def test_what_a_store_deleted_before_is_overwritten(store):
    """Its pages are free, and still hold it."""
    with closing(sqlite3.connect(store)) as connection:
        connection.execute("delete from delivery where body like '%' || ? || '%'", [json.dumps(ADDRESS)[1:-1]])
        connection.commit()
    assert spellings_in(store.parent)

    of.compliance.forget(ADDRESS, cache=False, webhooks=store)

    assert not spellings_in(store.parent)


def test_ids_of_one_store_lead_to_records_in_another(taken, tmp_path):
    """A delivery on a mailing has no address."""
    store = tmp_path / "deliveries.sqlite"
    deliver(store, DELIVERIES[1], DELIVERIES[5])

    receipt = of.compliance.forget(ADDRESS, cache=False, snapshots=taken.path, webhooks=store)

    assert receipt.loc[receipt["store"] == "webhooks", "rows"].tolist() == [1]


@pytest.mark.parametrize("named", [True, False])
def test_a_journal_loses_the_id_and_still_keeps_its_rows_from_being_created_again(org, tmp_path, named):
    """Without the entry the same call would create the person again."""
    frame = pd.DataFrame({"emails": [["ada@example.com"], ["jo@example.com"]]})
    journal = tmp_path / "journal" if named else None
    ids = of.write_frame(org, "prospects", frame, mode="create", journal=journal, confirm=True)["id"]

    receipt = of.compliance.forget("ada@example.com", client=org, journals=[journal] if named else [])
    assert receipt.loc[receipt["store"] == "journal", "cells"].tolist() == [0]
    of.fetch(org, "prospects", progress=False)
    receipt = of.compliance.forget("ada@example.com", client=org, journals=[journal] if named else [])

    assert receipt.loc[receipt["store"] == "journal", "cells"].tolist() == [1]
    if named:
        again = of.write_frame(org, "prospects", frame, mode="create", journal=journal, confirm=True)
        assert again["status"].tolist() == ["created", "created"]
        assert again["id"].isna().tolist() == [True, False]
        assert len(of.fetch(org, "prospects", refresh=True, progress=False)) == 22
    assert ids[0] not in str([bytes_of(tmp_path / "journal")]) or not named


def test_a_journal_of_another_organization_keeps_its_ids(org, tmp_path):
    """Record 7 is somebody else there; what is known of the organization tells."""
    ids = [f"{id_}" for id_ in range(1, 30)]
    frame = pd.DataFrame({"emails": [["ada@example.com"], ["jo@example.com"]]})
    organization_of_journal = _write_journal.identity_of(org).organization
    of.write_frame(org, "prospects", frame, mode="create", journal=tmp_path / "journal", confirm=True)

    def erase(organization):
        return _write_journal.erase_ids(tmp_path / "journal", ids, organization=organization, dry_run=False)

    assert erase("another") == 0
    assert erase(organization_of_journal) == 2
    assert erase(None) == 0


@pytest.mark.parametrize("store", ["webhooks", "journals"])
def test_a_file_that_is_no_store_is_named_and_left_as_it_is(taken, tmp_path, store):
    file = tmp_path / "other.sqlite"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("create table mine (text)")
    before = file.read_bytes()

    with pytest.raises(ErasureError) as caught:
        of.compliance.forget(ADDRESS, cache=False, snapshots=taken.path, **{store: file})

    assert list(caught.value.places) == ["other.sqlite"]
    assert file.read_bytes() == before
    assert not spellings_in(taken.path)


def test_exports_are_rewritten(taken, tmp_path):
    folder = tmp_path / "exports"
    folder.mkdir()
    frame = taken.frame("mailings")
    of.export(frame, folder / "mailings.csv")
    of.export(taken.frame("prospects"), folder / "prospects.csv")
    with (folder / "mails.parquet").open("wb") as stream:
        parquet.write_table(frame, stream)
    of.export(taken.frame("email_addresses")[["id"]], folder / "ids.xlsx")
    assert spellings_in(folder)

    receipt = of.compliance.forget(ADDRESS, cache=False, exports=folder)

    assert not spellings_in(folder)
    assert dict(zip(receipt["where"], receipt["rows"], strict=True)) == {
        "ids.xlsx": 0, "mailings.csv": 1, "mails.parquet": 1, "prospects.csv": 1,
    }  # fmt: skip
    assert len(pd.read_csv(folder / "mailings.csv")) == 19
    assert len(pd.read_parquet(folder / "mails.parquet")) == 19


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_the_manifest_of_an_export_has_the_new_checksums(taken, tmp_path, monkeypatch, form):
    """Also where a run was killed between the two files."""
    taken.export(tmp_path / "out", format=form)

    with monkeypatch.context() as patch:
        patch.setattr(hashlib, "file_digest", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            of.compliance.forget(ADDRESS, cache=False, exports=tmp_path / "out")
    of.compliance.forget(ADDRESS, cache=False, exports=tmp_path / "out")

    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    for entry in manifest["files"]:
        content = (tmp_path / "out" / entry["path"]).read_bytes()
        assert (entry["sha256"], entry["bytes"]) == (hashlib.sha256(content).hexdigest(), len(content))
    rows = {entry["table"]: 0 for entry in manifest["files"]}
    for entry in manifest["files"]:
        rows[entry["table"]] += entry["rows"]
    assert rows == {name: table["rows"] for name, table in manifest["tables"].items()}
    assert rows["prospects"] == len(taken.frame("prospects")) - 1
    assert not spellings_in(tmp_path / "out")


def test_a_database_that_was_exported_is_written_anew(taken, tmp_path):
    """No free page of it has the address."""
    file = tmp_path / "org.duckdb"
    taken.export(file, format="duckdb")
    with duckdb.connect(file, read_only=True) as database:
        before = {name: database.table(name).types for name in taken.tables}

    dry = of.compliance.forget(ADDRESS, cache=False, exports=file, dry_run=True)
    there = spellings_in(file.parent)
    receipt = of.compliance.forget(ADDRESS, cache=False, exports=file)

    assert there
    assert without_when(dry).equals(without_when(receipt))
    assert receipt["rows"].item() >= 3
    of.compliance.forget(ADDRESS, cache=False, snapshots=taken.path)
    with duckdb.connect(file, read_only=True) as database:
        assert {name: database.table(name).types for name in taken.tables} == before
        ids = database.sql("select id from prospects").df()["id"].tolist()
    assert ids == taken.frame("prospects")["id"].tolist()
    shutil.rmtree(taken.path)
    assert not spellings_in(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} >= {"org.duckdb"}


@pytest.mark.parametrize("sql", ["create view v as select 1", "create table t (a int primary key)"])
def test_a_database_with_more_than_tables_is_named(tmp_path, sql):
    with duckdb.connect(tmp_path / "mine.duckdb") as database:
        database.execute(sql)
    before = (tmp_path / "mine.duckdb").read_bytes()

    with pytest.raises(ErasureError) as caught:
        of.compliance.forget(ADDRESS, cache=False, exports=tmp_path / "mine.duckdb")

    assert "more than the tables" in caught.value.places["mine.duckdb"]
    assert (tmp_path / "mine.duckdb").read_bytes() == before


def test_a_workbook_is_written_anew_without_the_person(taken, tmp_path):
    file, frame = tmp_path / "prospects.xlsx", taken.frame("prospects")
    of.export(frame, file)
    before = pd.read_excel(file)

    receipt = of.compliance.forget(ADDRESS, cache=False, exports=file)

    shutil.unpack_archive(file, tmp_path / "unpacked", "zip")
    assert not spellings_in(tmp_path / "unpacked")
    assert receipt[["where", "rows"]].to_numpy().tolist() == [["prospects.xlsx", 1]]
    pd.testing.assert_frame_equal(pd.read_excel(file), before[before["id"] != 7].reset_index(drop=True))


def test_text_in_a_workbook_that_is_written_anew_is_no_formula(tmp_path):
    file = tmp_path / "notes.xlsx"
    of.export(pd.DataFrame({"id": [1, 2], "note": ["=1+1", f"=A1 & {ADDRESS}"]}), file)

    of.compliance.forget(ADDRESS, cache=False, exports=file)

    cells = [cell for (cell,) in load_workbook(file).active.iter_rows(min_row=2, min_col=2)]
    assert [cell.data_type for cell in cells] == ["s", "s"]
    assert [cell.value for cell in cells] == ["=1+1", f"=A1 & {ERASED}"]
    assert all(cell.quotePrefix for cell in cells)


def with_chart(file):
    """Write a workbook as somebody may have worked with it."""
    with xlsxwriter.Workbook(file) as book:
        sheet = book.add_worksheet()
        sheet.write_column(0, 0, ["emails", ADDRESS])
        chart = book.add_chart({"type": "line"})
        chart.add_series({"values": "=Sheet1!$A$1:$A$2"})
        sheet.insert_chart("C1", chart)


def test_a_workbook_that_somebody_worked_with_is_named(taken, tmp_path):
    with_chart(tmp_path / "prospects.xlsx")

    with pytest.raises(ErasureError) as caught:
        of.compliance.forget(ADDRESS, cache=False, snapshots=taken.path, exports=tmp_path / "prospects.xlsx")

    assert list(caught.value.places) == ["prospects.xlsx"]
    assert caught.value.receipt["rows"].sum() > 0
    assert not spellings_in(taken.path)


@pytest.mark.parametrize(
    ("name", "content"), [("x.duckdb", b"\xff\0"), ("x.csv", b"\xff\0"), ("x.csv.gz", b"\x1f\x8b")]
)
def test_an_export_that_cannot_be_searched_is_named(tmp_path, name, content):
    """Nobody may believe that it was."""
    (tmp_path / name).write_bytes(content)

    with pytest.raises(ErasureError) as caught:
        of.compliance.forget(ADDRESS, cache=False, exports=tmp_path / name)

    assert list(caught.value.places) == [name]


def test_a_folder_without_a_snapshot_is_refused(taken, tmp_path):
    """A typing error must not look like a search without a result."""
    before = contents(taken.path)

    with pytest.raises(QueryError, match="no snapshot"):
        of.compliance.forget(ADDRESS, cache=False, snapshots=[taken.path, tmp_path])

    assert contents(taken.path) == before


def test_an_address_that_a_delivery_says_was_changed_leads_to_the_person(tmp_path):
    changed = {
        **payload("prospect", 12, {"emails": ["new@example.org"]}),
        "beforeUpdate": {"attributes": {"emails": [ADDRESS]}},
    }
    deliver(tmp_path / "store.sqlite", changed, payload("call", 5, {}, prospect=("prospect", 12)), payload("call", 6))

    of.compliance.forget(ADDRESS, cache=False, webhooks=tmp_path / "store.sqlite")

    assert of.webhooks.read(tmp_path / "store.sqlite")["resource_id"].tolist() == ["6"]


@pytest.mark.parametrize("harm", ["flip", "remove", "manifest"])
def test_a_damaged_version_is_named_and_the_others_are_seen_to(taken, harm):
    """What cannot be read cannot be judged, and is not made to look whole."""
    first = taken.at(taken.versions[0])
    file = first.folder / "prospects" / "part-00001.parquet"
    content = file.read_bytes()
    if harm == "manifest":
        (first.folder / "manifest.json").unlink()
        (first.folder / "manifest.json").write_text("{")
    else:
        file.unlink()
        if harm == "flip":
            file.write_bytes(content[:-9] + b"?" + content[-8:])

    with pytest.raises(ErasureError, match="org") as caught:
        of.compliance.forget(ADDRESS, cache=False, snapshots=taken.path)

    assert "7" not in caught.value.places
    assert 7 not in taken.frame("prospects")["id"].tolist()
    assert not spellings_in(taken.folder)


def test_a_store_in_use_is_named(store, monkeypatch):
    monkeypatch.setattr("outreach_frames.webhooks.erasure._LOCK_WAIT_S", 0.05)
    with closing(sqlite3.connect(store, isolation_level=None)) as writer:
        writer.execute("begin immediate")
        with pytest.raises(ErasureError) as caught:
            of.compliance.forget(ADDRESS, cache=False, webhooks=store)

    assert list(caught.value.places) == ["deliveries.sqlite"]
    of.compliance.forget(ADDRESS, cache=False, webhooks=store)
    assert not spellings_in(store.parent)


def test_a_reader_that_holds_the_log_up_is_named(store, monkeypatch):
    """SQLite cannot empty the log then, and the address is still in it or in the file."""
    monkeypatch.setattr("outreach_frames.webhooks.erasure._LOCK_WAIT_S", 0.05)
    with closing(sqlite3.connect(store, isolation_level=None)) as reader:
        reader.execute("begin")
        reader.execute("select * from delivery").fetchall()
        with pytest.raises(ErasureError):
            of.compliance.forget(ADDRESS, cache=False, webhooks=store)
    of.compliance.forget(ADDRESS, cache=False, webhooks=store)

    assert not spellings_in(store.parent)


def test_a_snapshot_that_is_being_written_is_named(taken):
    with writing(taken.path), pytest.raises(ErasureError) as caught:
        of.compliance.forget(ADDRESS, cache=False, snapshots=taken.path)

    assert "Another program is writing" in caught.value.places["org"]


def test_damaged_cache_files_go_as_a_whole(org):
    of.fetch(org, "users", progress=False)
    org.cache.close()
    folder = org.cache.info().path.parent
    org.cache.close()
    (folder / "0123.sqlite.damaged").write_bytes(ADDRESS.encode())
    (folder / "4567.sqlite").write_bytes(ADDRESS.encode() * 1000)

    receipt = of.compliance.forget(ADDRESS, client=org)

    assert {"0123.sqlite.damaged", "4567.sqlite"} <= {*receipt["where"]}
    assert not spellings_in(folder)


def test_snapshots_of_two_organizations_are_refused(taken, tmp_path):
    """Prospect 7 of one is somebody else in the other."""
    with organization(tmp_path / "other", *records(12), settings={"organization": 2}) as other:
        of.take_snapshot(other, tmp_path / "two", resources=["prospects", "users"], progress=False)
    before = contents(taken.path)

    with pytest.raises(QueryError, match="several organizations"):
        of.compliance.forget(ADDRESS, cache=False, snapshots=[taken.path, tmp_path / "two"])

    assert contents(taken.path) == before


@pytest.mark.parametrize("store", ["snapshots", "webhooks", "journals", "exports", "cache"])
def test_a_place_that_does_not_exist_is_refused_before_anything_changes(taken, tmp_path, store):
    before = contents(taken.path)
    places = {"cache": False, "snapshots": taken.path} | {store: tmp_path / "nowhere"}

    with pytest.raises(QueryError, match="nowhere"):
        of.compliance.forget(ADDRESS, **places)

    assert contents(taken.path) == before


def test_outreach_is_asked_and_waited_for(org, taken_here, monkeypatch):
    run = org.sandbox.run_jobs
    monkeypatch.setattr("time.sleep", lambda _: run())

    receipt = of.compliance.forget(
        ADDRESS, client=org, snapshots=taken_here.path, outreach=True, requester="admin@example.com", poll=0.01
    )

    done = receipt[receipt["store"] == "outreach"]
    assert len(done) == 1
    assert of.compliance.status(org, done["where"].item())["state"].eq("done").all()
    newer = of.open_snapshot(taken_here.path).refresh(org, progress=False)
    assert 7 not in newer.frame("prospects")["id"].tolist()


def test_when_outreach_is_not_done_in_time_the_receipt_is_not_lost(org, taken):
    org.sandbox.faults.add(path="/complianceRequests", rewrite=lambda body: body.replace(b'"done"', b"null"))
    with pytest.raises(ErasureError, match="Outreach") as caught:
        of.compliance.forget(
            ADDRESS, client=org, snapshots=taken.path, outreach=True, requester="a@example.com", timeout=0, poll=1
        )

    assert caught.value.receipt["rows"].sum() > 0
    assert not spellings_in(taken.path)


def test_outreach_needs_a_connection_and_a_user(org):
    with pytest.raises(QueryError):
        of.compliance.forget(ADDRESS, outreach=True, requester="admin@example.com")
    with pytest.raises(QueryError):
        of.compliance.forget(ADDRESS, client=org, outreach=True)


@pytest.mark.parametrize("moment", [1, 3, 8, 14, 15, 25, 27, 34, 42, 58, 65, 74])
def test_broken_off_between_any_two_steps_all_versions_are_whole(taken, monkeypatch, moment):
    """Other programs, too, read a table's folder without a row that is there twice."""
    steps = []

    def stop_at(module, name):
        do = getattr(module, name)

        def step(*arguments):
            if len(steps) == moment:
                raise KeyboardInterrupt
            steps.append(name)
            do(*arguments)

        return step

    with monkeypatch.context() as patch:
        for module, name in ((erasure, "_write_manifest"), (parquet, "link"), (erasure, "_sync_folders")):
            patch.setattr(module, name, stop_at(module, name))
        with pytest.raises(KeyboardInterrupt):
            of.compliance.forget(ADDRESS, cache=False, snapshots=taken.path)
    for version in taken.versions:
        opened = taken.at(version)
        opened.verify()
        ids = pd.read_parquet(opened.folder / "mailings", columns=["id"])["id"]
        assert ids.is_unique
    of.compliance.forget(ADDRESS, cache=False, snapshots=taken.path)

    assert not spellings_in(taken.path)
    assert not list(taken.path.rglob(".*"))


def test_a_snapshot_of_the_first_format_is_carried_over(tmp_path):
    path = shutil.copytree(ROOT / "data" / "sample", tmp_path / "org")
    taken = of.open_snapshot(path)
    assert taken.manifest.get("format", 1) == 1
    rows = len(taken.frame("prospects"))
    email = taken.frame("prospects")["emails"].iloc[0][0]

    receipt = of.compliance.forget(email, cache=False, snapshots=path)

    assert receipt["rows"].sum() > 1
    assert of.open_snapshot(path).verify()["passed"].ne(other=False).fillna(value=True).all()
    assert len(taken.frame("prospects")) == rows - 1
    assert email.encode() not in bytes_of(path)


@pytest.mark.parametrize("is_broken_off", [False, True])
def test_notes_on_deliveries_lose_the_person(taken, tmp_path, monkeypatch, is_broken_off):
    """They have no address, and an id leads to the person; those on other records stay."""
    stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    for id_ in (7, 9):
        deliver(tmp_path / f"{id_}.sqlite", payload("prospect", id_, {"title": "CFO", "updatedAt": stamp}))
    deliveries = {id_: of.webhooks.read(tmp_path / f"{id_}.sqlite") for id_ in (7, 9)}
    applied = taken.apply(pd.concat(deliveries.values()))

    def ids():
        notes = _notes.read_notes(applied.folder, read_manifest(applied.folder))
        return {*notes.loc[notes["table"] == "prospects", "id"]}

    def broken_off(folder, manifest):
        if (folder / ".applied.arrow").exists():
            raise KeyboardInterrupt
        settle(folder, manifest)

    before, settle = ids(), erasure.settle_notes
    with monkeypatch.context() as patch:
        if is_broken_off:
            patch.setattr(erasure, "settle_notes", broken_off)
        with pytest.raises(KeyboardInterrupt) if is_broken_off else nullcontext():
            of.compliance.forget(ADDRESS, cache=False, snapshots=taken.path)
    if is_broken_off:
        assert ids() == {9}  # readable at every moment
    of.compliance.forget(ADDRESS, cache=False, snapshots=taken.path)

    assert (before, ids()) == ({7, 9}, {9})
    assert not [*applied.folder.rglob(".*")]
    again = of.open_snapshot(taken.path).apply(deliveries[9])
    assert 7 not in again.frame("prospects")["id"].tolist()
    assert again.verify()["passed"].ne(other=False).fillna(value=True).all()


def test_files_that_the_snapshot_does_not_know_stay(taken):
    (taken.folder / "mine.parquet").write_bytes(b"mine")
    (taken.path / "notes.txt").write_text("mine")

    of.compliance.forget(ADDRESS, cache=False, snapshots=taken.path)

    assert (taken.folder / "mine.parquet").read_bytes() == b"mine"
    assert (taken.path / "notes.txt").read_text() == "mine"


def test_the_command_does_the_same(taken, store, tmp_path):
    """Read from standard input, the address is in no history of a shell."""
    arguments = ["forget", "-", "--snapshots", str(taken.path), "--webhooks", str(store)]

    dry = CliRunner().invoke(main, [*arguments, "--dry-run"], input=f"{ADDRESS}\n")
    there = spellings_in(tmp_path)
    run = CliRunner().invoke(main, arguments, input=f"{ADDRESS}\n")

    assert (dry.exit_code, run.exit_code) == (0, 0)
    assert there
    assert spellings_in(tmp_path) == set()
    lines = [
        [re.sub(r"\s+(<NA>|20\S+ \S+)\Z", "", line) for line in each.output.splitlines()[1:]] for each in (dry, run)
    ]
    assert [line.split() for line in lines[0]] == [line.split() for line in lines[1]]
    assert ADDRESS.lower() not in run.output.lower()


def test_the_command_fails_where_the_person_may_still_be(taken, tmp_path):
    with_chart(tmp_path / "prospects.xlsx")

    run = CliRunner().invoke(
        main, ["forget", ADDRESS, "--snapshots", str(taken.path), "--exports", str(tmp_path / "prospects.xlsx")]
    )

    assert run.exit_code == 1
    assert "snapshot" in run.output
    assert "prospects.xlsx" in run.output
    assert "Traceback" not in run.output
    assert ADDRESS.lower() not in run.output.lower()


@pytest.mark.parametrize(("arguments", "code"), [(["nobody"], 1), (["a@example.com", "--outreach"], 2), ([], 2)])
def test_the_command_refuses_what_it_cannot_do(arguments, code):
    assert CliRunner().invoke(main, ["forget", *arguments]).exit_code == code


def test_a_delivery_that_comes_in_meanwhile_is_seen_to(store, monkeypatch):
    """The receiver goes on while the store is searched."""
    deliveries = []

    def late(*arguments, **options):
        yield from search(*arguments, **options)
        if not deliveries:
            deliveries.append(payload("prospect", 7, {"emails": [ADDRESS], "title": "late"}))
            deliver(store, *deliveries)

    search = webhooks_erasure._deliveries
    monkeypatch.setattr(webhooks_erasure, "_deliveries", late)
    erase = webhooks_erasure.erase_from_deliveries

    assert erase(store, Person(ADDRESS, [7]), dry_run=False).rows == 6
    assert not spellings_in(store.parent)


def test_nobody_writes_to_a_cache_while_it_is_searched(org, tmp_path, monkeypatch):
    """A response that came in behind the search would stay."""
    of.fetch(org, "prospects", progress=False)
    org.cache.close()
    (file,) = (tmp_path / "cache").glob("http/*.sqlite")
    is_about, refusals = cache_erasure._is_about, []

    def writing_too(*arguments):
        with closing(sqlite3.connect(file, timeout=0)) as writer:
            try:
                writer.execute("begin immediate")
            except sqlite3.OperationalError as error:
                refusals.append(error.sqlite_errorname)
        with pytest.raises(Timeout):
            file_lock(file, timeout=0).acquire()
        return is_about(*arguments)

    monkeypatch.setattr(cache_erasure, "_is_about", writing_too)
    of.compliance.forget(ADDRESS, cache=tmp_path / "cache")

    assert {*refusals} == {"SQLITE_BUSY"}
    assert not spellings_in(tmp_path / "cache")


@pytest.fixture
def stores(org, tmp_path):
    """Return a folder with a cache and a store of deliveries, both with a log that nobody has written into the file."""
    of.fetch(org, "prospects", progress=False)
    of.fetch(org, "mailings", progress=False)
    deliver(tmp_path / "deliveries.sqlite", *DELIVERIES, *({"filler": f"{n} " * 4_000} for n in range(15)))
    (file,) = (tmp_path / "cache").glob("http/*.sqlite")
    with ExitStack() as connections:
        for path, table in ((file, "answers"), (tmp_path / "deliveries.sqlite", "delivery")):
            connection = connections.enter_context(closing(sqlite3.connect(path, isolation_level=None)))
            connection.execute(f"update {table} set rowid = rowid")  # noqa: S608  one of two words
        shutil.copytree(tmp_path / "cache", tmp_path / "stores" / "cache")
        for path in tmp_path.glob("deliveries.sqlite*"):
            shutil.copy(path, tmp_path / "stores")
    assert {path.suffix for path in (tmp_path / "stores").rglob("*sqlite-*")} >= {".sqlite-wal"}
    return tmp_path / "stores"


def rounds_of(program, template, work, rounds):
    """Run a program that is killed while it forgets, and return what it says of each round."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    command = [sys.executable, Path(__file__).with_name(program), template, work, "4", str(rounds)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=environment)
    assert (run.returncode, run.stderr) == (0, "")
    return [json.loads(line) for line in run.stdout.splitlines()]


def test_killed_the_stores_open_and_the_next_run_completes_it(stores, tmp_path):
    """Of sixty kills by hand none left anything; a few show that the test can fail."""
    rounds = rounds_of("killed_stores.py", stores, tmp_path / "work", STORE_ROUNDS)

    assert [each[:2] for each in rounds] == [[True, []]] * STORE_ROUNDS
    assert any(each[2] for each in rounds)


@pytest.mark.slow
def test_killed_thirty_times_the_version_is_readable_and_the_next_run_completes_it(taken, tmp_path):
    """Power cuts happen at any point."""
    rounds = rounds_of("killed_forget.py", taken.path, tmp_path / "work", ROUNDS)

    assert [each[0] for each in rounds] == [True] * ROUNDS
    assert [each[1] for each in rounds] == [[]] * ROUNDS
    assert len({each[2] for each in rounds}) > 1  # some were killed when the person was still there, some later
