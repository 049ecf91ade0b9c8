"""Fetches of more pages than are put together at once, and how little memory they take."""

import tracemalloc

import pyarrow as pa
import pytest

import outreach_frames as of
from outreach_frames._fetch.pagination import FetchedPage, ReceivedRecords
from outreach_frames._fetch.plan import BY_ID, table_in_order
from tests.fetch_support import organization, resource


def test_many_pages_are_one_frame_in_order(tmp_path):
    """One page of the 150 has an attribute that the catalog does not know, so that its columns differ."""
    rows = [resource("account", n, {"name": f"A{n}"} | ({"mood": "new"} if n == 75 else {})) for n in range(150, 0, -1)]
    with organization(tmp_path, *rows) as org:
        frame = of.fetch(org, "accounts", fields="*", page_size=1, progress=False)

    assert frame["id"].tolist() == list(range(1, 151))
    assert frame["name"].tolist() == [f"A{n}" for n in range(1, 151)]
    assert frame.loc[frame["mood"].notna(), "id"].tolist() == [75]


@pytest.mark.parametrize("ids", [[1, 2, 3, 4], [4, 3, 2, 1], [1, 2, 2, 3]], ids=["in order", "backward", "twice"])
def test_a_table_has_one_piece_per_column(ids):
    schema = pa.schema({"id": pa.int64(), "name": pa.string()})
    batches = [pa.record_batch([[id_], [f"{id_} on page {page}"]], schema) for page, id_ in enumerate(ids * 50)]

    table = table_in_order(iter(batches), schema, BY_ID, None)

    assert table["id"].to_pylist() == sorted(set(ids))
    assert table["name"].to_pylist()[0] == f"{min(ids)} on page {199 - ids[::-1].index(min(ids))}"
    assert {column.num_chunks for column in table.columns} == {1}


def test_batches_without_rows_are_a_table_without_rows():
    schema = pa.schema({"id": pa.int64()})

    table = table_in_order([pa.record_batch([[]], schema)] * 9, schema, BY_ID, None)

    assert table.equals(schema.empty_table())


def test_ids_of_received_records_take_little_memory():
    """The check that all records came goes with every fetch, however long."""
    received = ReceivedRecords("mailings")
    tracemalloc.start()
    try:
        for page in range(200):
            received.add(FetchedPage(content=None, keys=pa.array(range(page * 1_000, (page + 1) * 1_000))))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert len(received) == 200_000
    assert peak < 1_000_000
    assert received.add(FetchedPage(content=None, keys=[5, 199_999, 200_000])) == 1
