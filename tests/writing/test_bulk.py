import os
import random
import signal
import stat
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor

import pandas as pd
import pytest

import outreach_frames as of
from outreach_frames._write_journal import Entry, Journal
from outreach_frames.errors import QueryError, TransportError, UnknownNameError


@pytest.fixture
def people():
    return pd.DataFrame(
        {
            "first_name": ["Ada", "Bo", "Cy"],
            "emails": [["ada@new.example"], ["bo@new.example"], ["cy@new.example"]],
            "account_id": pd.array([1, None, 2], dtype="int64[pyarrow]"),
        },
        index=["a", "b", "c"],
    )


def created(org):
    return of.fetch(org, "prospects", fields=["first_name", "emails", "account"], refresh=True).tail(3)


def test_nothing_is_written_without_confirmation(org, sent, people):
    result = of.write_frame(org, "prospects", people)

    assert sent == []
    assert result["status"].tolist() == ["would create"] * 3
    assert result.index.tolist() == ["a", "b", "c"]
    assert result.attrs["outreach_frames"]["counts"] == {"would create": 3}


def test_each_row_becomes_a_record(org, people):
    result = of.write_frame(org, "prospects", people, confirm=True)

    assert result["status"].tolist() == ["created"] * 3
    found = of.fetch(org, "prospects", filter={"id": [int(i) for i in result["id"]]})
    assert found["first_name"].tolist() == ["Ada", "Bo", "Cy"]
    assert found["account_id"].fillna(0).tolist() == [1, 0, 2]


def test_a_journal_of_ones_own_keeps_creates_from_being_sent_again(org, sent, people, tmp_path):
    first = of.write_frame(org, "prospects", people, confirm=True, journal=tmp_path / "journal")
    n = len(sent)

    again = of.write_frame(org, "prospects", people, confirm=True, journal=tmp_path / "journal")

    assert len(sent) == n
    pd.testing.assert_frame_equal(again, first)


def test_a_finished_update_leaves_nothing_that_would_answer_a_later_one(org, tmp_path):
    """A record may have been changed since."""
    for title in ("CEO", "Other", "CEO"):
        rows = pd.DataFrame({"id": [1], "title": [title]})
        assert of.write_frame(org, "prospects", rows, mode="update", confirm=True)["status"].tolist() == ["updated"]
        assert of.fetch_one(org, "prospects", 1)["title"] == title
    assert not [path for path in (tmp_path / "state").rglob("*") if path.suffix in {".sqlite", ".ended"}]


def test_a_cell_that_is_run_again_creates_nothing_again(org, sent, tmp_path):
    """The records of the first run are there; who wants more says so with a journal of their own."""
    acme = pd.DataFrame({"name": ["Acme", "Acme"]})
    of.write_frame(org, "accounts", acme, confirm=True)

    with pytest.raises(QueryError, match="less than a day ago") as caught:
        of.write_frame(org, "accounts", acme, confirm=True)

    assert "journal=" in str(caught.value)
    assert len(sent) == 2
    of.write_frame(org, "accounts", acme, confirm=True, journal=tmp_path / "again")
    assert len(sent) == 4


def test_the_journal_of_a_finished_call_is_kept_for_a_day(org, tmp_path):
    acme = pd.DataFrame({"name": ["Acme"]})
    of.write_frame(org, "accounts", acme, confirm=True)
    (kept,) = (tmp_path / "state").rglob("*.ended")
    yesterday = time.time() - 90_000
    os.utime(kept, (yesterday, yesterday))

    assert of.write_frame(org, "accounts", acme, confirm=True)["status"].tolist() == ["created"]


def test_a_refused_row_is_sent_again_by_the_same_call_and_the_others_are_not(org, sent):
    """What was wrong may have been put right in the organization."""
    taken = of.fetch(org, "prospects", fields=["emails"], limit=1).iloc[0]
    rows = pd.DataFrame({"emails": [["new@new.example"], list(taken["emails"])]})
    of.write_frame(org, "prospects", rows, confirm=True)
    org.delete("prospects", taken)

    result = of.write_frame(org, "prospects", rows, confirm=True)

    assert result["status"].tolist() == ["created", "created"]
    assert [each.method for each in sent] == ["POST", "POST", "DELETE", "POST"]


def test_another_journal_starts_anew(org, sent, tmp_path):
    rows = pd.DataFrame({"name": ["X"]})
    of.write_frame(org, "accounts", rows, confirm=True, journal=tmp_path / "one.sqlite")
    of.write_frame(org, "accounts", rows, confirm=True, journal=tmp_path / "two.sqlite")

    assert len(sent) == 2


def test_rows_that_are_alike_are_all_written(org):
    """Nothing says that two accounts may not have one name."""
    result = of.write_frame(org, "accounts", pd.DataFrame({"name": ["X", "X"]}), confirm=True)

    assert result["id"].nunique() == 2


def test_a_refused_row_does_not_keep_the_others_from_being_written(org):
    taken = of.fetch(org, "prospects", fields=["emails"], limit=1)["emails"].iloc[0]
    rows = pd.DataFrame({"emails": [["new@new.example"], list(taken), ["more@new.example"]]})

    result = of.write_frame(org, "prospects", rows, confirm=True)

    assert result["status"].tolist() == ["created", "refused", "created"]
    assert result["error_id"].iloc[1] == "validationError"
    assert result["pointer"].iloc[1] == "/data/attributes/emails"
    assert taken[0] not in result["reason"].iloc[1]


def test_rows_that_cannot_be_sent_are_refused_in_the_dry_run(org, sent):
    rows = pd.DataFrame({"first_name": ["Fine", "x" * 300]})

    result = of.write_frame(org, "prospects", rows)

    assert result["status"].tolist() == ["would create", "refused"]
    assert "at most 255" in result["reason"].iloc[1]
    assert sent == []


def test_an_update_changes_the_records_by_their_ids(org):
    rows = of.fetch(org, "accounts", fields=["name"], limit=3)
    rows["name"] = ["A", "B", "C"]

    result = of.write_frame(org, "accounts", rows, mode="update", confirm=True)

    assert result["status"].tolist() == ["updated"] * 3
    assert of.fetch(org, "accounts", filter={"id": rows["id"]})["name"].tolist() == ["A", "B", "C"]


def test_an_upsert_updates_what_is_there_and_creates_the_rest(org):
    """Addresses are the same whatever their case."""
    known = of.fetch(org, "prospects", fields=["emails"], limit=1).iloc[0]
    rows = pd.DataFrame({"emails": [[known["emails"][0].upper()], ["new@new.example"]], "title": ["CEO", "CFO"]})

    planned = of.write_frame(org, "prospects", rows, mode="upsert", key="emails")
    result = of.write_frame(org, "prospects", rows, mode="upsert", key="emails", confirm=True)

    assert planned["status"].tolist() == ["would update", "would create"]
    assert result["status"].tolist() == ["updated", "created"]
    assert result["id"].iloc[0] == str(known["id"])


def test_an_upsert_by_a_key_that_cannot_be_filtered_looks_through_the_table(org):
    org.update("prospects", 1, external_id="crm-1")
    rows = pd.DataFrame({"external_id": ["crm-1", "crm-2"], "title": ["CEO", "CFO"]})

    result = of.write_frame(org, "prospects", rows, mode="upsert", key="external_id", confirm=True)

    assert result["status"].tolist() == ["updated", "created"]
    assert result["id"].iloc[0] == "1"


def test_keys_that_do_not_tell_records_apart_are_refused(org):
    for number in (1, 2):
        org.update("prospects", number, external_id="same")
    rows = pd.DataFrame({"external_id": ["same", "twice", "twice"]})

    result = of.write_frame(org, "prospects", rows, mode="upsert", key="external_id")

    assert result["reason"].tolist() == ["2 records have this key", *["another row has the same key"] * 2]


def test_a_create_with_a_key_is_refused_where_the_record_exists(org):
    org.update("prospects", 1, external_id="crm-1")

    result = of.write_frame(org, "prospects", pd.DataFrame({"external_id": ["crm-1"]}), key="external_id", confirm=True)

    assert result["status"].tolist() == ["refused"]


@pytest.mark.parametrize(
    ("columns", "options", "expected"),
    [
        ({"frist_name": ["x"]}, {}, (UnknownNameError, "first_name")),
        ({"created_at": ["2026-01-01"]}, {}, (QueryError, "Read-only: created_at")),
        ({"first_name": ["x"]}, {"mode": "update"}, (QueryError, "column 'id'")),
        ({"id": [1], "title": ["x"]}, {"mode": "update", "key": "title"}, (QueryError, "by their ids")),
        ({"first_name": ["x"]}, {"mode": "upsert"}, (QueryError, "needs a key")),
        ({"first_name": ["x"]}, {"mode": "upsert", "key": "emails"}, (QueryError, "no column")),
        ({"account": [1]}, {"mode": "upsert", "key": "account"}, (QueryError, "no attribute")),
        ({"first_name": ["x"]}, {"mode": "insert"}, (QueryError, "no mode")),
    ],
)
def test_what_cannot_work_is_said_at_once(org, sent, columns, options, expected):
    error, said = expected
    with pytest.raises(error, match=said):
        of.write_frame(org, "prospects", pd.DataFrame(columns), confirm=True, **options)
    assert sent == []


def test_a_list_of_records_is_no_frame(org, sent):
    with pytest.raises(QueryError, match="takes a frame"):
        of.write_frame(org, "prospects", [{"first_name": "x"}])
    assert sent == []


def lose_answer_of(org, monkeypatch, number):
    """Let one write reach the sandbox and lose its answer on the way back."""
    send, count = org.session.send, iter(range(1, 1000))

    def losing(*args, **kwargs):
        answer = send(*args, **kwargs)
        if next(count) == number:
            raise TransportError("The connection was dropped.")
        return answer

    monkeypatch.setattr(org.session, "send", losing)
    return lambda: monkeypatch.setattr(org.session, "send", send)


def test_a_lost_answer_is_looked_up_by_its_key(org, people, monkeypatch):
    restore = lose_answer_of(org, monkeypatch, 2)
    before = of.count(org, "prospects")
    with pytest.raises(TransportError):
        of.write_frame(org, "prospects", people, key="emails", confirm=True)
    restore()

    result = of.write_frame(org, "prospects", people, key="emails", confirm=True)

    assert result["status"].tolist() == ["created"] * 3
    assert of.count(org, "prospects") == before + 3


def test_a_lost_answer_without_a_key_is_reported_and_not_repeated(org, people, monkeypatch):
    restore = lose_answer_of(org, monkeypatch, 2)
    before = of.count(org, "prospects")
    with pytest.raises(TransportError):
        of.write_frame(org, "prospects", people, confirm=True)
    restore()

    result = of.write_frame(org, "prospects", people, confirm=True)

    assert result["status"].tolist() == ["created", "unknown", "created"]
    assert of.count(org, "prospects") == before + 3


def test_the_journal_holds_no_values_and_is_the_owners(org, people, tmp_path):
    journal = tmp_path / "private" / "journal.sqlite"

    of.write_frame(org, "prospects", people, confirm=True, journal=journal)

    content = journal.read_bytes()
    assert not any(value in content for value in (b"Ada", b"ada@new.example", b"new.example"))
    assert stat.S_IMODE(journal.stat().st_mode) == 0o600


def test_a_journal_remembers_across_openings(tmp_path):
    Journal(tmp_path / "j").note("digest", Entry("under way"))
    again = Journal(tmp_path / "j")

    assert again.entries() == {"digest": Entry("under way")}
    again.note("digest", Entry("created", "5"))
    assert again.entries()["digest"].id == "5"
    again.forget("digest")
    assert again.entries() == {}


WRITER = """
    import sys
    import pandas as pd
    import outreach_frames as of
    from pathlib import Path

    url, token, folder, rows = sys.argv[1:]
    frame = pd.DataFrame({"emails": [[f"row{n}@bulk.example"] for n in range(int(rows))]})
    with of.connect(token, url, cache_dir=Path(folder)) as org:
        print("ready", flush=True)
        journal = Path(folder) / "journal"
        of.write_frame(org, "prospects", frame, key="emails", confirm=True, journal=journal, progress=False)
    print("done", flush=True)
"""


@pytest.mark.slow
def test_killed_twenty_times_it_loses_no_row_and_repeats_none(org, tmp_path):
    """SIGKILL leaves no time to tidy up; the moments are random and the same in every run of the test."""
    rows, moments = 400, random.Random(5)  # noqa: S311  moments are no secrets
    before = of.count(org, "prospects")
    command = [sys.executable, "-c", textwrap.dedent(WRITER), org.base_url, org.sandbox.token, str(tmp_path), str(rows)]
    killed = 0
    while True:
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout.readline() == "ready\n"
            if killed < 20:
                try:
                    writer.wait(timeout=moments.uniform(0.05, 0.35))
                except subprocess.TimeoutExpired:
                    writer.send_signal(signal.SIGKILL)
                    killed += 1
                    continue
            assert writer.stdout.read() == "done\n"
            break

    assert killed == 20
    made = of.fetch(org, "prospects", fields=["emails"], filter={"id": of.between(before + 1, None)}, refresh=True)
    addresses = [address for emails in made["emails"] for address in emails if address.endswith("@bulk.example")]
    assert sorted(addresses) == sorted(f"row{n}@bulk.example" for n in range(rows))


@pytest.mark.parametrize("mode", ["create", "upsert"])
def test_a_row_without_its_key_is_refused(org, sent, mode):
    """Nothing could be looked up for it: a create whose answer is lost would be sent twice."""
    rows = pd.DataFrame({"external_id": ["crm-1", None], "first_name": ["Ann", "Bob"]})

    result = of.write_frame(org, "prospects", rows, mode=mode, key="external_id", confirm=True)

    assert result["status"].tolist() == ["created", "refused"]
    assert result["reason"].iloc[1] == "the key is missing"
    assert len(sent) == 1


def test_a_journal_is_refused_for_another_organization(org, tmp_path):
    """After a trial on the sandbox, the live run must not find its rows done already."""
    rows = pd.DataFrame({"name": ["Acme"]})
    with of.sandbox(prospects=5, seed=2) as other:
        first = of.write_frame(other, "accounts", rows, confirm=True, journal=tmp_path / "journal")
        assert first["status"].tolist() == ["created"]
    before = of.count(org, "accounts")

    with pytest.raises(QueryError, match="begun by another organization"):
        of.write_frame(org, "accounts", rows, confirm=True, journal=tmp_path / "journal")

    assert of.count(org, "accounts") == before
    assert of.write_frame(org, "accounts", rows, confirm=True)["status"].tolist() == ["created"]


def test_two_calls_at_once_do_not_write_the_same(org):
    """What one looked up would not hold any more; and the second would create everything again."""
    rows = pd.DataFrame({"first_name": [f"Twin {n}" for n in range(30)]})
    before = of.count(org, "prospects")

    def write(_):
        try:
            return of.write_frame(org, "prospects", rows, confirm=True, progress=False)["status"].tolist()
        except QueryError as error:
            return str(error)

    with ThreadPoolExecutor(3) as pool:
        ends = list(pool.map(write, range(3)))

    assert ends.count(["created"] * 30) == 1
    assert all("Another call is writing" in end or "less than a day" in end for end in ends if isinstance(end, str))
    assert of.count(org, "prospects") == before + 30


def test_keys_that_are_no_addresses_are_compared_exactly(org):
    """Short ids of Salesforce differ by case alone."""
    org.update("prospects", 1, external_id="0035g00000abcDE")
    rows = pd.DataFrame({"external_id": ["0035g00000ABCde", "0035g00000abcde"], "title": ["CEO", "CFO"]})

    result = of.write_frame(org, "prospects", rows, mode="upsert", key="external_id", confirm=True)

    assert result["status"].tolist() == ["created", "created"]


def test_an_upsert_leaves_the_key_of_a_found_record_as_it_is(org, sent):
    """A list of addresses that is sent replaces the list that is there."""
    org.update("prospects", 1, emails=["ann@a.example", "ann@b.example"])
    rows = pd.DataFrame({"emails": [["ann@a.example"], ["ann@c.example"]], "title": ["CEO", None]})
    org.update("prospects", 2, emails=["ann@c.example"])

    result = of.write_frame(org, "prospects", rows, mode="upsert", key="emails", confirm=True)

    assert result["status"].tolist() == ["updated", "unchanged"]
    assert sorted(of.fetch_one(org, "prospects", 1, refresh=True)["emails"]) == ["ann@a.example", "ann@b.example"]
    assert sent[-1].body["data"]["attributes"] == {"title": "CEO"}


def test_rows_that_concern_one_record_are_refused(org):
    """The second would overwrite the first; one row may name an address twice."""
    org.update("prospects", 1, emails=["ann@a.example", "ann@b.example"])
    rows = pd.DataFrame({"emails": [["ann@a.example"], ["ann@b.example"], ["c@c.example", "C@c.example"]]})
    found = of.write_frame(org, "prospects", rows.assign(title="CEO"), mode="upsert", key="emails")
    by_id = of.write_frame(org, "prospects", pd.DataFrame({"id": ["1", "1"], "title": ["A", "B"]}), mode="update")

    assert found["status"].tolist() == ["refused", "refused", "would create"]
    mixed = pd.DataFrame({"id": [1.0, "1"], "title": ["A", "B"]})
    assert of.write_frame(org, "prospects", mixed, mode="update")["status"].tolist() == ["refused"] * 2
    assert set(found["reason"].iloc[:2]) == set(by_id["reason"]) == {"another row concerns the same record"}


def test_an_id_that_is_none_is_refused_in_the_dry_run(org, sent):
    """Found out half-way, the same call could never go on."""
    rows = pd.DataFrame({"id": ["1", "x7", None], "title": ["A", "B", "C"]})

    planned = of.write_frame(org, "prospects", rows, mode="update")
    done = of.write_frame(org, "prospects", rows, mode="update", confirm=True)

    assert planned["status"].tolist() == ["would update", "refused", "refused"]
    assert done["status"].tolist() == ["updated", "refused", "refused"]
    assert len(sent) == 1


def test_foreign_keys_of_a_column_with_a_gap_are_ids(org):
    rows = pd.DataFrame({"first_name": ["Ann", "Bob"], "account_id": [1, None]})
    assert rows["account_id"].dtype == "float64"

    result = of.write_frame(org, "prospects", rows, confirm=True)

    assert result["status"].tolist() == ["created", "created"]
    assert of.fetch_one(org, "prospects", result["id"].iloc[0])["account_id"] == 1


def test_a_record_that_exists_is_named(org):
    """The next step, such as enrolling, goes on with it."""
    org.update("prospects", 3, external_id="crm-3")

    result = of.write_frame(org, "prospects", pd.DataFrame({"external_id": ["crm-3"]}), key="external_id")

    assert result["status"].tolist() == ["refused"]
    assert result["id"].tolist() == ["3"]


def test_another_file_is_no_journal(org, sent, tmp_path):
    (tmp_path / "people.csv").write_text("first_name\nAnn\n" * 100)

    with pytest.raises(QueryError, match="is no journal"):
        of.write_frame(org, "accounts", pd.DataFrame({"name": ["x"]}), confirm=True, journal=tmp_path / "people.csv")
    assert sent == []
