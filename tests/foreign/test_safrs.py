"""safrs, whose frames must equal what its database holds."""

import pandas as pd
import pyarrow as pa
import pytest

import outreach_frames as of
from outreach_frames.errors import BadRequestError, NotFoundError


@pytest.fixture(scope="module")
def library(safrs_library):
    with of.connect_jsonapi(safrs_library.url, paging="offset") as client:
        yield client


@pytest.fixture(scope="module")
def stored(safrs_library):
    """Return the books as the database has them, with their readers, in plain Python values."""
    columns = ["id", "title", "pages", "weight", "in_print", "published_at", "reader_id", "reader"]
    rows = safrs_library.rows("""
        select b.id, b.title, b.pages, b.weight, b.in_print, b.published_at, b.reader_id, p.name
        from books b left join people p on p.id = b.reader_id order by b.id
    """)
    books = [dict(zip(columns, row, strict=True)) for row in rows]
    for book in books:
        book["in_print"] = None if book["in_print"] is None else bool(book["in_print"])
        book["published_at"] = pd.Timestamp(book["published_at"], tz="UTC")
    assert len(books) == 30
    return books


def column(frame, name):
    """Return a column as plain Python values, missing ones as ``None``."""
    return [None if value is pd.NA else value for value in frame[name]]


@pytest.mark.parametrize("paging", ["links", "offset", "number"])
@pytest.mark.parametrize("page_size", [None, 1, 7, 30])
def test_the_frame_is_the_table_whatever_the_pages(safrs_library, stored, paging, page_size):
    """Its links are relative and stop being there on the last page; ids are text with leading zeros."""
    with of.connect_jsonapi(safrs_library.url, paging=paging) as client:
        frame = of.fetch(client, "books/", page_size=page_size, sort="id", progress=False)

    for name in ("id", "title", "pages", "weight", "in_print", "published_at"):
        assert column(frame, name) == [book[name] for book in stored], name
    assert frame["published_at"].dtype == pd.ArrowDtype(pa.timestamp("us", "UTC"))


def test_a_foreign_key_that_is_also_an_attribute_gives_two_columns(library, stored):
    """The attribute is always sent, the relationship's ids only with ``include``."""
    frame = of.fetch(library, "books/", include="reader", sort="id")

    assert column(frame, "reader_id_attribute") == [book["reader_id"] for book in stored]
    assert column(frame, "reader_id") == [book["reader_id"] for book in stored]
    assert column(frame, "reader__name") == [book["reader"] for book in stored]


def test_sparse_fieldsets_go_by_the_name_of_the_type(library, stored):
    frame = of.fetch(library, "books/", fields={"Book": ["title", "pages"]}, sort="id")

    assert {"title", "pages"} < set(frame) < {"id", "title", "pages", "reader_id", "reader_ids", "meta"}
    assert column(frame, "pages") == [book["pages"] for book in stored]


@pytest.mark.parametrize(
    ("filters", "fits"),
    [
        ({"pages": 50}, lambda b: b["pages"] == 50),
        ({"pages": [50, 70, 71]}, lambda b: b["pages"] in {50, 70}),
        ({"id": "007"}, lambda b: b["id"] == "007"),
        ({"title": "Book\n03"}, lambda b: b["title"] == "Book\n03"),
        ({"reader_id": "p-001"}, lambda b: b["reader_id"] == "p-001"),
        ({"pages": -1}, lambda _: False),
    ],
)
def test_filters_are_the_servers_own(library, stored, filters, fits):
    frame = of.fetch(library, "books/", filter=filters, sort="id")

    assert column(frame, "id") == [book["id"] for book in stored if fits(book)]


def test_sorts_and_limits(library, stored):
    frame = of.fetch(library, "books/", sort="-published_at", limit=11, page_size=4, progress=False)

    assert column(frame, "id") == [book["id"] for book in reversed(stored)][:11]


def test_one_book_and_its_reader(library, stored):
    book = of.fetch_one(library, "books/", "007", include="reader")

    assert book["pages"] == stored[7]["pages"]
    assert book["reader__name"] == stored[7]["reader"]


def test_readers_and_what_they_read_as_tables(library, stored):
    tables = of.fetch_tables(library, "people/", include="books_read")

    linked = tables["Person"][["id", "books_read_ids"]].explode("books_read_ids").dropna()
    assert sorted(linked.itertuples(index=False, name=None)) == sorted(
        (book["reader_id"], book["id"]) for book in stored if book["reader_id"]
    )
    read = tables["Book"].sort_values("id")
    assert read["pages"].dropna().tolist() == [b["pages"] for b in stored if b["reader_id"] and b["pages"] is not None]
    assert tables["Person"].sort_values("id")["name"].tolist() == ["Ana", "Βασίλης", "Null", "O'Brien, Cyd", pd.NA]


def test_what_the_server_refuses_or_does_not_have_is_a_typed_error(library):
    with pytest.raises(BadRequestError):
        of.fetch(library, "books/", include="nosuch")
    with pytest.raises(NotFoundError):
        of.fetch_one(library, "books/", "999")
    with pytest.raises(NotFoundError):
        of.fetch(library, "nosuch/")
