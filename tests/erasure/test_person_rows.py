"""Which rows are the person's, and what stays of the others, column by column."""

import json

import pyarrow as pa
import pytest

from outreach_frames._person import Person
from outreach_frames._spellings import ERASED
from outreach_frames.snapshots._person_rows import RowErasure

ADDRESS = "ada@example.com"


def erased(table, notes=None, /, **columns):
    """Erase prospect 7, with the address, from a table; return its columns, metadata and counts."""
    rows = pa.table(columns).replace_schema_metadata(notes)
    erasure = RowErasure(table, rows.schema, Person(ADDRESS, [7]))
    rest, counts = erasure.erased(rows)
    assert rest.schema.equals(rows.schema)
    _, seen = erasure.erased(rows.select(erasure.columns))
    assert seen == counts  # a dry run reads only some columns
    return rest.to_pydict(), erasure.schema.metadata, tuple(counts)


@pytest.mark.parametrize("ids", [[7, 8, None], ["7", "8", None]])
def test_rows_go_by_their_foreign_key(ids):
    rest, _, counts = erased("calls", id=[1, 2, 3], prospect_id=ids)

    assert (rest["id"], counts) == ([2, 3], (1, 0))


def test_an_id_of_another_type_is_somebody_else_s():
    """Account 7 is not prospect 7."""
    types = ["prospect", "account", "Prospect", None]
    rest, _, _ = erased("tasks", id=[1, 2, 3, 4], subject_id=[7, 7, 7, 7], subject_type=types)

    assert rest["id"] == [2, 4]


def test_an_address_without_a_prospect_goes_as_a_row_of_its_own():
    rest, _, _ = erased("recipients", id=[1, 2], value=[f" {ADDRESS.upper()}", "jo@example.com"], prospect_id=[None, 8])

    assert rest["id"] == [2]


def test_what_is_included_of_the_person_becomes_missing():
    rest, _, counts = erased(
        "mailings",
        id=[1, 2],
        prospect_id=[8, 8],
        task_id=[5, 6],
        task__prospect_id=[7, 8],
        task__note=["his", "hers"],
        opportunity__primary_prospect_id=[8, 7],
        opportunity__primary_prospect__name=["Jo", "Ada"],
        opportunity__name=["one", "two"],
        cc_prospects_ids=[[7, 8, 7], None],
    )

    assert rest == {
        "id": [1, 2],
        "prospect_id": [8, 8],
        "task_id": [None, 6],
        "task__prospect_id": [None, 8],
        "task__note": [None, "hers"],
        "opportunity__primary_prospect_id": [8, None],
        "opportunity__primary_prospect__name": ["Jo", None],
        "opportunity__name": ["one", "two"],
        "cc_prospects_ids": [[8], None],
    }
    assert counts == (0, 4)


PICKS = pa.DictionaryArray.from_arrays(pa.array([0, 1, None], pa.int32()), pa.array([f"to {ADDRESS}", "no"]))
UNUSED = pa.DictionaryArray.from_arrays(pa.array([1, 1, None], pa.int32()), pa.array([ADDRESS, "no"]))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([f"to {ADDRESS}", "no", None], [f"to {ERASED}", "no", None]),
        (pa.array([f"to {ADDRESS}", "no", None], pa.large_string()), [f"to {ERASED}", "no", None]),
        ([["a", ADDRESS], [], None], [["a", ERASED], [], None]),
        ([{"a": ADDRESS, "b": 1}, {"a": "no", "b": 2}, None], [{"a": ERASED, "b": 1}, {"a": "no", "b": 2}, None]),
        ([[{"a": [ADDRESS]}], [], None], [[{"a": [ERASED]}], [], None]),
        ([ADDRESS.encode(), b"no", None], [None, b"no", None]),
        (PICKS, [f"to {ERASED}", "no", None]),
        (UNUSED, ["no", "no", None]),
    ],
    ids=["text", "large text", "list", "record", "records", "bytes", "pick list", "unused choice"],
)
def test_the_address_is_replaced_in_columns_of_all_types(values, expected):
    rows = pa.table({"id": [1, 2, 3], "note": values})
    rest, counts = RowErasure("tasks", rows.schema, Person(ADDRESS, [7])).erased(rows)

    assert rest["note"].to_pylist() == expected
    assert tuple(counts) == (0, 1)
    assert ADDRESS not in str(rest["note"].combine_chunks())


def test_the_address_is_replaced_in_what_a_file_says_of_itself():
    """A query may have named it, and a pick list have it as a choice."""
    notes = {"PANDAS_ATTRS": json.dumps({"query": {"filter": ADDRESS}})}

    _, metadata, _ = erased("tasks", notes, id=[1], note=["x"])

    assert json.loads(metadata[b"PANDAS_ATTRS"]) == {"query": {"filter": ERASED}}


def test_a_table_of_any_name_and_without_rows_can_be_searched():
    assert erased("anything", value=pa.array([], pa.string()), prospect_id=pa.array([], pa.int64()))[2] == (0, 0)
