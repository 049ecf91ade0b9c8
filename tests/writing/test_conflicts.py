"""A record that somebody changed after it was read is not written over."""

from contextlib import nullcontext

import numpy as np
import pandas as pd
import pytest

import outreach_frames as of
from outreach_frames.errors import QueryError, TransportError


@pytest.fixture
def colleague(org, tmp_path):
    """Connect a second client, which changes records in between."""
    with of.connect(org.sandbox.token, org.base_url, cache_dir=tmp_path / "other") as client:
        yield client


def read(org, *columns, n=3):
    return of.fetch(org, "prospects", fields=[*columns, "updated_at"], filter={"id": of.between(1, n)})


def change(org, colleague, number, **values):
    """Let a colleague change a record a minute later."""
    org.sandbox.advance(60)
    return colleague.update("prospects", number, **values)


def now(org, number):
    return of.fetch_one(org, "prospects", number, refresh=True)


def test_a_colleagues_tag_is_not_wiped(org, colleague, sent):
    """The frame was read an hour ago."""
    before = read(org, "tags")
    change(org, colleague, 2, tags=["theirs"])
    after = before.assign(tags=[["mine"]] * 3)

    planned = of.write_frame(org, "prospects", after, mode="update")
    done = of.write_frame(org, "prospects", after, mode="update", confirm=True)

    assert planned["status"].tolist() == ["would update", "conflict", "would update"]
    assert done["status"].tolist() == ["updated", "conflict", "updated"]
    assert "it now differs in tags" in done["reason"].iloc[1]
    assert done["id"].tolist() == ["1", "2", "3"]
    assert [list(now(org, number)["tags"]) for number in (1, 2, 3)] == [["mine"], ["theirs"], ["mine"]]
    assert len(sent) == 2


def test_changed_from_tells_what_a_colleague_changed(org, colleague):
    before = read(org, "tags", "title", "first_name")
    change(org, colleague, 2, title="CFO", first_name="Jo")

    result = of.write_frame(
        org, "prospects", before.assign(tags=[["mine"]] * 3), changed_from=before, mode="update", confirm=True
    )

    assert result["status"].tolist() == ["updated", "conflict", "updated"]
    assert result["reason"].iloc[1].endswith("it now differs in title, first_name")
    assert "CFO" not in result["reason"].iloc[1]


def test_merge_writes_what_nobody_else_changed(org, colleague):
    """Each opened mail changes a prospect."""
    before = read(org, "tags", "title")
    change(org, colleague, 1, title="CFO")
    change(org, colleague, 2, tags=["theirs"])

    result = of.write_frame(
        org, "prospects", before.assign(tags=[["mine"]] * 3), changed_from=before, on_conflict="merge", confirm=True
    )

    assert result["status"].tolist() == ["updated", "conflict", "updated"]
    assert (now(org, 1)["title"], list(now(org, 1)["tags"])) == ("CFO", ["mine"])
    assert list(now(org, 2)["tags"]) == ["theirs"]


def test_who_asks_for_it_overwrites(org, colleague):
    before = read(org, "tags")
    change(org, colleague, 2, tags=["theirs"])

    result = of.write_frame(
        org, "prospects", before.assign(tags=[["mine"]] * 3), mode="update", on_conflict="overwrite", confirm=True
    )

    assert result["status"].tolist() == ["updated"] * 3
    assert list(now(org, 2)["tags"]) == ["mine"]


def test_without_a_time_only_changed_from_can_tell(org, colleague):
    """Times of changes have whole seconds: two changes in one second have the same."""
    before = read(org, "title", "tags").drop(columns="updated_at")
    change(org, colleague, 1, title="CFO")
    change(org, colleague, 2, tags=["theirs"])
    after = before.assign(title="CTO")

    compared = of.write_frame(org, "prospects", after, changed_from=before)
    blind = of.write_frame(org, "prospects", after[["id", "title"]], mode="update")

    assert compared["status"].tolist() == ["conflict", "would update", "would update"]
    assert blind["status"].tolist() == ["would update"] * 3


def test_a_change_elsewhere_is_a_conflict_that_names_no_column(org, colleague):
    before = read(org, "title")
    change(org, colleague, 1, tags=["theirs"])

    result = of.write_frame(org, "prospects", before.assign(title="CTO"), changed_from=before)

    assert result["status"].tolist() == ["conflict", "would update", "would update"]
    assert result["reason"].iloc[0].endswith("no column of the frame differs")


def test_the_records_are_never_read_from_the_cache(org, colleague):
    """The same read was stored a moment ago."""
    before = read(org, "tags", n=1)
    rows = before.assign(tags=[["mine"]])
    assert of.write_frame(org, "prospects", rows, mode="update")["status"].tolist() == ["would update"]
    change(org, colleague, 1, tags=["theirs"])

    assert of.write_frame(org, "prospects", rows, mode="update")["status"].tolist() == ["conflict"]


def test_records_are_read_in_batches_just_before_they_are_written(org, colleague, monkeypatch):
    """A change that comes while earlier rows are written is noticed; and there is no request for each row."""
    before = of.fetch(org, "prospects", fields=["tags", "updated_at"])
    update, writes = org.update, []

    def updating(resource, record, /, **values):
        if not writes:
            change(org, colleague, 40, tags=["theirs"])
        writes.append(record)
        return update(resource, record, **values)

    monkeypatch.setattr(org, "update", updating)
    org.sandbox.clear_log()

    rows = before.assign(tags=[["mine"]] * len(before))
    result = of.write_frame(org, "prospects", rows, mode="update", confirm=True, progress=False)

    assert result["status"].tolist() == ["updated"] * 39 + ["conflict"]
    reads = [each for each in org.sandbox.requests if each.method == "GET" and each.path.endswith("/prospects")]
    assert len(reads) == 2


def test_a_row_that_changes_nothing_is_not_sent(org, colleague, sent):
    """Somebody may have made the same change."""
    before = read(org, "title")
    change(org, colleague, 1, title="CTO")

    result = of.write_frame(org, "prospects", before.assign(title="CTO"), mode="update", confirm=True)

    assert result["status"].tolist() == ["unchanged", "updated", "updated"]
    assert len(sent) == 2


@pytest.mark.parametrize("journal", [None, "journal"])
def test_a_call_that_was_cut_short_does_not_meet_its_own_changes_as_conflicts(
    org, sent, monkeypatch, tmp_path, journal
):
    """The first rows are newer than the frame, since the call wrote them; so is one whose answer was lost."""
    before = read(org, "title")
    org.sandbox.advance(60)
    options = {"mode": "update", "confirm": True, "journal": journal and tmp_path / journal}
    send, writes = org.session.send, []

    def losing(*args, **kwargs):
        answer = send(*args, **kwargs)
        writes.append(args)
        if len(writes) == 2:
            raise TransportError("The connection was dropped.")
        return answer

    with monkeypatch.context() as patch:
        patch.setattr(org.session, "send", losing)
        with pytest.raises(TransportError):
            of.write_frame(org, "prospects", before.assign(title="CTO"), **options)

    result = of.write_frame(org, "prospects", before.assign(title="CTO"), **options)

    assert result["status"].tolist() == ["updated"] * 3
    assert len(sent) == 3


def test_what_an_earlier_call_wrote_and_the_api_stored_in_another_form_is_no_conflict(org, monkeypatch, tmp_path):
    """The API cleans the HTML that it is sent: the record never has the value of the row."""
    template = org.create("templates", name="Hello", body_html="<p>Hello</p>")
    rows = pd.DataFrame(
        {"id": [template["id"]], "body_html": ["<p onclick=''>Hi</p>"], "updated_at": [template["updated_at"]]}
    )
    org.sandbox.advance(60)
    send = org.session.send

    def cleaned(method, url, params=(), body=None):
        return send(method, url, params, body.replace(b" onclick=''", b""))

    monkeypatch.setattr(org.session, "send", cleaned)
    options = {"mode": "update", "confirm": True, "journal": tmp_path / "journal"}

    first = of.write_frame(org, "templates", rows, **options)
    again = of.write_frame(org, "templates", rows, **options)

    assert first["status"].tolist() == again["status"].tolist() == ["updated"]


def test_a_change_after_an_update_of_the_journal_is_a_conflict(org, colleague, tmp_path):
    before = read(org, "title")
    options = {"mode": "update", "confirm": True, "journal": tmp_path / "journal"}
    of.write_frame(org, "prospects", before.assign(title="CTO"), **options)
    change(org, colleague, 2, title="CFO")

    again = of.write_frame(org, "prospects", before.assign(title="CTO"), **options)

    assert again["status"].tolist() == ["updated", "conflict", "updated"]
    assert now(org, 2)["title"] == "CFO"


@pytest.mark.parametrize("is_answered", [True, False])
def test_a_value_that_is_set_back_within_a_second_is_sent(org, sent, monkeypatch, tmp_path, is_answered):
    """The API stamps all three writes alike; the one between may have lost its answer."""
    at = org.sandbox.now()
    monkeypatch.setattr(org.sandbox._state.clock, "now", lambda: at)
    options = {"mode": "update", "confirm": True, "journal": tmp_path / "journal"}
    titles = {title: pd.DataFrame({"id": [1], "title": [title]}) for title in ("A", "B")}
    of.write_frame(org, "prospects", titles["A"], **options)
    send = org.session.send

    def losing(*args, **kwargs):
        send(*args, **kwargs)
        raise TransportError("The connection was dropped.")

    with monkeypatch.context() as patch:
        if not is_answered:
            patch.setattr(org.session, "send", losing)
        with nullcontext() if is_answered else pytest.raises(TransportError):
            of.write_frame(org, "prospects", titles["B"], **options)

    result = of.write_frame(org, "prospects", titles["A"], **options)

    assert (result["status"].tolist(), now(org, 1)["title"], len(sent)) == (["updated"], "A", 3)


def test_an_upsert_compares_the_records_that_it_finds(org, colleague):
    org.update("prospects", 1, external_id="crm-1", title="CEO")
    before = of.fetch_one(org, "prospects", 1)
    change(org, colleague, 1, title="CFO")
    rows = pd.DataFrame({"external_id": ["crm-1", "crm-2"], "title": "CTO", "updated_at": before["updated_at"]})

    result = of.write_frame(org, "prospects", rows, mode="upsert", key="external_id", confirm=True)

    assert result["status"].tolist() == ["conflict", "created"]
    assert result["id"].iloc[0] == "1"


@pytest.mark.parametrize("form", [str, pd.Timestamp.isoformat, pd.Timestamp.to_pydatetime])
def test_a_time_may_come_from_any_file(org, colleague, form):
    before = read(org, "title", n=2)
    change(org, colleague, 2, title="CFO")
    stamps = [form(stamp) for stamp in before["updated_at"]]
    rows = pd.DataFrame({"id": [1, 2], "title": "CTO", "updated_at": pd.Series(stamps, dtype=object)})

    assert of.write_frame(org, "prospects", rows, mode="update")["status"].tolist() == ["would update", "conflict"]


def test_a_time_that_is_none_refuses_its_row(org, sent):
    rows = pd.DataFrame({"id": [1, 2, 3], "title": "CTO", "updated_at": ["last week", "2999-01-01T00:00:00Z", 5]})

    result = of.write_frame(org, "prospects", rows, mode="update", confirm=True)

    assert result["status"].tolist() == ["refused", "updated", "refused"]
    assert result["reason"].dropna().tolist() == ["updated_at is no instant"] * 2
    assert len(sent) == 1


@pytest.mark.parametrize("form", [pd.Timestamp.to_datetime64, lambda at: at.date(), "{:%Y-%m-%dT%H:%M:%S}".format])
@pytest.mark.parametrize("is_before", [True, False])
def test_a_time_without_a_zone_is_refused_at_once(org, sent, form, is_before):
    """Taken for UTC, the clock of an office east of it would hide every change of the last hours."""
    before = read(org, "title")
    naive = before.assign(updated_at=pd.Series([form(stamp) for stamp in before["updated_at"]], dtype=object))
    options = {"changed_from": naive} if is_before else {}
    org.sandbox.clear_log()

    with pytest.raises(QueryError, match="no time zone in 3 of 3 rows") as caught:
        of.write_frame(org, "prospects", naive.assign(title="CTO"), mode="update", **options)

    assert "tz_localize" in str(caught.value)
    assert not [*org.sandbox.requests, *sent]
    localized = before.assign(updated_at=before["updated_at"].dt.tz_convert("Asia/Tokyo"), title="CTO")
    assert of.write_frame(org, "prospects", localized, mode="update")["status"].eq("would update").all()


@pytest.mark.parametrize("kind", ["numpy", "arrow"])
def test_the_times_of_fetched_frames_are_compared_whatever_their_kind(org, colleague, kind):
    before = of.fetch(org, "prospects", fields=["title", "updated_at"], limit=2, dtypes=kind)
    change(org, colleague, int(before["id"][1]), title="CFO")

    planned = of.write_frame(org, "prospects", before.assign(title="CTO"), mode="update")

    assert planned["status"].tolist() == ["would update", "conflict"]


def test_a_row_that_misses_its_time_where_others_have_it_is_refused(org, colleague):
    """Appended to a fetched frame, it would be the one row that nobody compares."""
    before = read(org, "title")
    change(org, colleague, 2, title="CFO")
    rows = before.assign(title="CTO", updated_at=before["updated_at"].where(before["id"] != 2))

    result = of.write_frame(org, "prospects", rows, mode="update", confirm=True)
    overwritten = of.write_frame(org, "prospects", rows, mode="update", on_conflict="overwrite")

    assert result["status"].tolist() == ["updated", "refused", "updated"]
    assert "updated_at is missing" in result["reason"].iloc[1]
    assert overwritten["status"].tolist() == ["unchanged", "would update", "unchanged"]
    assert overwritten.attrs["outreach_frames"]["left_out"]["updated_at"].startswith("not compared")


def test_an_upsert_says_which_rows_are_not_compared(org):
    """New records have no time yet."""
    org.update("prospects", 1, external_id="crm-1")
    rows = pd.DataFrame(
        {"external_id": ["crm-1", "crm-2"], "title": "CTO", "updated_at": [pd.Timestamp.now("UTC"), None]}
    )

    planned = of.write_frame(org, "prospects", rows, mode="upsert", key="external_id")

    assert planned["status"].tolist() == ["would update", "would create"]
    assert "missing in 1 of 2 rows" in planned.attrs["outreach_frames"]["left_out"]["updated_at"]


@pytest.mark.parametrize(
    ("options", "said"),
    [({"on_conflict": "ignore"}, "no on_conflict='ignore'"), ({"on_conflict": "merge"}, "compares values")],
)
def test_choices_that_cannot_work_are_refused_at_once(org, sent, options, said):
    org.sandbox.clear_log()
    with pytest.raises(QueryError, match=said):
        of.write_frame(
            org, "prospects", pd.DataFrame({"id": [1], "title": ["x"]}), mode="update", confirm=True, **options
        )
    assert not [*org.sandbox.requests, *sent]


def test_a_record_that_is_not_there_is_refused_in_the_dry_run(org, sent):
    rows = pd.DataFrame({"id": [1, 99_999], "title": "CTO"})

    planned = of.write_frame(org, "prospects", rows, mode="update")
    done = of.write_frame(org, "prospects", rows, mode="update", confirm=True)

    assert planned["status"].tolist() == ["would update", "refused"]
    assert done["status"].tolist() == ["updated", "refused"]
    assert done["reason"].iloc[1] == "there is no such record"
    assert len(sent) == 1


def test_records_that_are_in_no_list_are_updated_all_the_same(org):
    """A template without a name."""
    template = org.create("templates", subject="Hello", body_html="<p>Hello</p>")
    rows = pd.DataFrame({"id": [template["id"]], "subject": ["Good day"]})

    assert of.write_frame(org, "templates", rows, mode="update")["changes"].tolist() == ["subject: Hello → Good day"]


def test_a_dry_run_shows_each_value_as_it_is_and_as_it_would_be(org, sent):
    org.update("prospects", 1, title="CEO", tags=["a"], owner=2, score=None)
    del sent[:]
    rows = pd.DataFrame({"id": [1, 2], "title": ["CTO", None], "tags": [["a", "b"], None], "owner_id": [3, np.nan]})
    rows["score"] = [50, np.nan]

    planned = of.write_frame(org, "prospects", rows, mode="update")
    cells = of.compare_frame(org, "prospects", rows)
    done = of.write_frame(org, "prospects", rows, mode="update", confirm=True)

    shown = ["title: CEO → CTO; tags: a → a, b; owner_id: 2 → 3; score: <NA> → 50", pd.NA]
    assert planned["changes"].fillna("").tolist() == done["changes"].fillna("").tolist() == [shown[0], ""]
    assert cells[["row", "id", "column", "old", "new"]].astype(object).to_numpy().tolist() == [
        [0, "1", "title", "CEO", "CTO"],
        [0, "1", "tags", "a", "a, b"],
        [0, "1", "owner_id", "2", "3"],
        [0, "1", "score", pd.NA, "50"],
    ]
    assert cells["status"].unique().tolist() == ["would update"]
    assert len(sent) == 1


def test_a_comparison_without_changes_keeps_its_columns(org):
    before = read(org, "title")

    cells = of.compare_frame(org, "prospects", before, changed_from=before)

    assert cells.columns.tolist() == ["row", "id", "column", "old", "new", "status"]
    assert len(cells) == 0
    assert cells.dtypes.map(str).tolist() == ["int64[pyarrow]", *["string"] * 5]


def test_a_comparison_tells_conflicts_apart(org, colleague):
    before = read(org, "title")
    change(org, colleague, 2, title="CFO")

    cells = of.compare_frame(org, "prospects", before.assign(title="CTO"), changed_from=before)

    assert cells["status"].tolist() == ["would update", "conflict", "would update"]
    assert cells["old"].iloc[1] == "CFO"


def test_passwords_are_not_shown(org):
    rows = pd.DataFrame({"id": [1], "password": ["hunter2-hunter2"], "max_mailings_per_day": [7]})

    planned = of.write_frame(org, "mailboxes", rows, mode="update")

    assert "hunter2" not in planned["changes"].iloc[0]
    assert planned["changes"].iloc[0].startswith("password: <NA> → (not shown); max_mailings_per_day: ")


def test_a_long_value_is_shortened_beside_the_status_and_whole_in_the_comparison(org):
    text = "A line.\n" * 40
    rows = pd.DataFrame({"id": [1], "body_html": [text]})

    assert len(of.write_frame(org, "snippets", rows, mode="update")["changes"].iloc[0]) < 150
    assert of.compare_frame(org, "snippets", rows)["new"].tolist() == [text]


@pytest.mark.parametrize("resource", ["prospects", "tasks", "opportunities", "sequences", "mailboxes", "templates"])
def test_a_record_that_has_all_values_is_unchanged_whatever_their_types(org, sent, resource):
    """Without the frame as it was, every value of a fetched frame is compared with what the API has now."""
    kind = org.catalog.resource(resource)
    frame = of.fetch(org, resource, custom=True)
    written = [name for name in frame.columns if name == "id" or not kind.member(name).read_only]

    result = of.write_frame(org, resource, frame[written].astype(object), mode="update", confirm=True, progress=False)

    assert result["changes"].dropna().tolist() == []
    assert result["status"].unique().tolist() == ["unchanged"]
    assert sent == []
