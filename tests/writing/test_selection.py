"""Which columns and values of a frame are written."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies as st

import outreach_frames as of
from outreach_frames import catalog
from outreach_frames._write_selection import select_rows
from outreach_frames.errors import QueryError, UnknownNameError

PROSPECTS = catalog.load().resource("prospects")


def chosen(frame, **options):
    return select_rows(PROSPECTS, frame, **{"mode": None, "key": None, "clear": (), "changed_from": None, **options})


def bodies(sent):
    return [request.body["data"] for request in sent]


@pytest.mark.parametrize("mode", [None, "create"])
def test_a_frame_with_ids_is_not_created_again(org, sent, mode):
    """Two hundred empty prospects came of it."""
    frame = of.fetch(org, "prospects", fields=["title"], limit=3)

    with pytest.raises(QueryError) as caught:
        of.write_frame(org, "prospects", frame, mode=mode, confirm=True)

    assert 'mode="update"' in str(caught.value)
    assert 'mode="create"' in str(caught.value)
    assert sent == []
    assert of.write_frame(org, "prospects", frame.drop(columns="id"))["status"].eq("would create").all()


def test_a_whole_fetched_frame_is_written_back_by_what_changed(org, sent):
    before = of.fetch(org, "prospects", include="account", custom=True)
    frame = before.copy()
    frame.loc[[1, 4], "title"] = "Chief"

    result = of.write_frame(org, "prospects", frame, changed_from=before, confirm=True)

    assert result.attrs["outreach_frames"]["counts"] == {"unchanged": len(frame) - 2, "updated": 2}
    assert bodies(sent) == [
        {"type": "prospect", "id": int(before["id"][row]), "attributes": {"title": "Chief"}} for row in (1, 4)
    ]
    left_out = result.attrs["outreach_frames"]["left_out"]
    assert (left_out["created_at"], left_out["first_name"]) == ("read-only", "unchanged")
    assert left_out["account__name"] == "no column of prospects"
    assert "title" not in left_out


@pytest.mark.parametrize("resource", ["accounts", "tasks", "opportunities", "sequences", "mailboxes", "templates"])
def test_an_update_that_changes_nothing_sends_nothing(org, sent, resource):
    before = of.fetch(org, resource)

    result = of.write_frame(org, resource, before.iloc[::-1].astype(object), changed_from=before, confirm=True)

    assert result["status"].eq("unchanged").all()
    assert sent == []


def test_what_pandas_made_of_a_column_is_no_change():
    before = pd.DataFrame({"id": [1, 2], "score": pd.array([1, None], "int64[pyarrow]"), "tags": [["a"], None]})
    after = pd.DataFrame({"id": [2.0, 1.0], "score": [np.nan, 1.0], "tags": [np.nan, np.array(["a"])]})

    assert chosen(after, changed_from=before).rows == [{}, {}]


def test_an_edit_that_cannot_be_written_is_refused():
    """Left out in silence, it would look done."""
    before = pd.DataFrame({"id": [1], "created_at": ["2026-01-01"], "account__name": ["A"], "title": ["x"]})

    with pytest.raises(QueryError, match="Read-only and changed: created_at"):
        chosen(before.assign(created_at="2026-01-02"), changed_from=before)
    with pytest.raises(UnknownNameError, match="account__name"):
        chosen(before.assign(account__name="B"), changed_from=before)


def test_a_record_that_was_not_there_before_is_refused(org, sent):
    before = of.fetch(org, "prospects", fields=["title"], limit=2)
    frame = pd.concat([before, pd.DataFrame({"id": [30], "title": ["x"]})], ignore_index=True)

    result = of.write_frame(org, "prospects", frame, changed_from=before, confirm=True)

    assert result["status"].tolist() == ["unchanged", "unchanged", "refused"]
    assert result["reason"].iloc[2] == "changed_from has no row with this id"
    assert sent == []


def test_only_columns_named_in_clear_are_cleared(org, sent):
    """A gap in a frame is no wish."""
    org.update("prospects", 1, title="CEO", score=50, owner=1)
    del sent[:]
    frame = pd.DataFrame({"id": [1], "title": [None], "score": [np.nan], "owner_id": [pd.NA]})

    assert of.write_frame(org, "prospects", frame, mode="update", confirm=True)["status"].tolist() == ["unchanged"]
    assert sent == []
    of.write_frame(org, "prospects", frame, mode="update", clear=["score", "owner"], confirm=True)

    assert bodies(sent)[0]["attributes"] == {"score": None}
    assert bodies(sent)[0]["relationships"] == {"owner": {"data": None}}


def test_a_value_that_was_taken_away_is_told_and_clears_only_by_name():
    before = pd.DataFrame({"id": [1, 2], "title": ["CEO", None]})
    after = before.assign(title=None)

    kept = chosen(after, changed_from=before)
    cleared = chosen(after, changed_from=before, clear="title")

    assert kept.rows == [{}, {}]
    assert kept.left_out["title"] == "missing in 1 rows, which clears only what clear= names"
    assert cleared.rows == [{"title": None}, {}]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"mode": "upsert", "key": "external_id", "clear": ["external_id"]}, "cannot be cleared"),
        ({"mode": "upsert", "key": "external_id", "clear": ["score"]}, "no column of the frame"),
        ({"mode": "create", "clear": ["title"]}, "clears nothing"),
    ],
)
def test_clear_names_columns_that_can_be_cleared(options, said):
    frame = pd.DataFrame({"external_id": ["a"], "title": ["x"]})
    with pytest.raises(QueryError, match=said):
        chosen(frame, **options)


def test_an_upsert_clears_in_records_that_it_finds_and_nowhere_else(org, sent):
    org.update("prospects", 1, external_id="crm-1", title="CEO")
    rows = pd.DataFrame({"external_id": ["crm-1", "crm-2"], "title": [None, None]})
    del sent[:]

    of.write_frame(org, "prospects", rows, mode="upsert", key="external_id", clear="title", confirm=True)

    assert [body["attributes"] for body in bodies(sent)] == [{"title": None}, {"externalId": "crm-2"}]


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (["title", "title"], "Two columns have the name 'title'"),
        (["firstName", "first_name"], "are one and the same"),
        (["account", "account_id"], "are one and the same"),
    ],
)
def test_one_thing_in_two_columns_is_refused(columns, said):
    """Pandas gives the last of two columns of a name, and says nothing."""
    with pytest.raises(QueryError, match=said):
        chosen(pd.DataFrame([["A", "B"]], columns=columns))


def test_the_type_beside_an_id_says_which_record_is_meant(org, sent):
    """A fetched frame has both columns."""
    tasks = pd.DataFrame({"action": ["call"] * 2, "subject_id": [1.0, 2.0], "subject_type": ["prospect", "account"]})

    assert of.write_frame(org, "tasks", tasks, confirm=True)["status"].tolist() == ["created"] * 2
    subjects = [body["relationships"]["subject"]["data"] for body in bodies(sent)]
    assert subjects == [{"type": "prospect", "id": 1}, {"type": "account", "id": 2}]

    before = of.fetch(org, "tasks", filter={"id": [1, 2]})
    moved = before.assign(subject_id=[3, before["subject_id"][1]])
    del sent[:]
    of.write_frame(org, "tasks", moved, changed_from=before, confirm=True)
    assert [list(body["relationships"]) for body in bodies(sent)] == [["subject"]]


def test_a_refusal_comes_with_its_hint(org):
    result = of.write_frame(org, "tasks", pd.DataFrame({"action": ["call"], "subject": [1]}))

    assert "of.ref(1," in result["reason"].iloc[0]


def test_an_integer_column_with_a_gap_holds_integers(org, sent):
    """One empty cell makes floats of them."""
    rows = pd.DataFrame({"name": ["A", "B", "C"], "number_of_employees": [10.0, np.nan, 10.5]})

    result = of.write_frame(org, "accounts", rows, confirm=True)

    assert result["status"].tolist() == ["created", "created", "refused"]
    assert [body["attributes"].get("numberOfEmployees") for body in bodies(sent)] == [10, None]


def test_an_infinite_value_refuses_its_row(org, sent):
    rows = pd.DataFrame({"id": [1, 2], "score": [np.inf, 5.0]})

    result = of.write_frame(org, "prospects", rows, mode="update", confirm=True)

    assert result["status"].tolist() == ["refused", "updated"]
    assert "is infinite" in result["reason"].iloc[0]
    assert len(sent) == 1


VALUES = st.one_of(st.integers(-5, 5), st.sampled_from([None, np.nan, pd.NA, 1.0]))


@given(before=st.lists(VALUES, min_size=1, max_size=6), edits=st.lists(VALUES, min_size=6, max_size=6))
def test_exactly_the_values_that_differ_are_written(before, edits):
    old = pd.DataFrame({"id": range(len(before)), "score": pd.Series(before, dtype=object)})
    new = old.assign(score=pd.Series(edits[: len(before)], dtype=object))

    rows = chosen(new, changed_from=old).rows

    for row, was, now in zip(rows, before, edits, strict=False):
        differs = pd.notna(now) and (pd.isna(was) or was != now)
        assert row == ({"score": now} if differs else {})
