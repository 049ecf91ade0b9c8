"""Django REST framework JSON:API, whose frames must equal what its database holds."""

import datetime as dt
import json
from urllib.request import urlopen

import pandas as pd
import pyarrow as pa
import pytest

import outreach_frames as of
from outreach_frames.errors import BadRequestError, DocumentError, NotFoundError, OriginError, QueryError
from tests.scripted_server import Scripted, Server

BOOKS = """
    select b.id, b.title, b.page_count, b.weight, b.price, b.in_print, b.published_at, b.extra, b.author_id,
           a.full_name, a.born_on, c.name
    from library_book b
    left join library_author a on a.id = b.author_id
    left join library_country c on c.id = a.country_id
    order by b.id
"""


@pytest.fixture(scope="module")
def library(django_library):
    with of.connect_jsonapi(django_library.url) as client:
        yield client


@pytest.fixture(scope="module")
def stored(django_library):
    """Return the books as the database has them, with their authors, in plain Python values."""
    columns = [
        *("id", "title", "page_count", "weight", "price", "in_print", "published_at", "extra", "author_id"),
        *("full_name", "born_on", "country"),
    ]
    rows = []
    for row in django_library.rows(BOOKS):
        book = dict(zip(columns, row, strict=True))
        book["id"] = str(book["id"])
        book["author_id"] = book["author_id"] and str(book["author_id"])
        book["price"] = None if book["price"] is None else f"{book['price']:.2f}"
        book["in_print"] = None if book["in_print"] is None else bool(book["in_print"])
        book["published_at"] = book["published_at"] and pd.Timestamp(book["published_at"], tz="UTC")
        book["extra"] = json.loads(book["extra"]) if book["extra"] else None
        book["born_on"] = book["born_on"] and dt.date.fromisoformat(book["born_on"])
        rows.append(book)
    assert len(rows) == 11
    return rows


def column(frame, name):
    """Return a column as plain Python values, missing ones as ``None``."""
    return [None if value is pd.NA else value for value in frame[name]]


@pytest.mark.parametrize("paging", ["links", "offset", "number"])
@pytest.mark.parametrize("style", ["by-number", "by-offset", "by-cursor"])
def test_whatever_its_pagination_the_frame_is_the_table(django_library, stored, style, paging):
    """Numbers, offsets and cursors, each by the server's own links; names with dashes become columns of SQL."""
    with of.connect_jsonapi(django_library.url, paging=paging) as client:
        frame = of.fetch(client, f"{style}/books/")

    assert frame.columns.tolist() == [
        *("id", "title", "page_count", "weight", "price", "in_print", "published_at", "extra"),
        *("author_id", "subjects_ids"),
    ]
    for name in ("id", "title", "page_count", "weight", "price", "in_print", "published_at", "author_id"):
        assert column(frame, name) == [book[name] for book in stored], name
    assert [value and json.loads(value) for value in column(frame, "extra")] == [book["extra"] for book in stored]


def test_one_page_of_several_is_never_taken_for_all(django_library):
    """It counts pages and records in ``meta.pagination``; its cursors say nothing of the whole."""
    with of.connect_jsonapi(django_library.url, paging="single") as client:
        for style in ("by-number", "by-offset"):
            with pytest.raises(DocumentError, match="The server counts 11"):
                of.fetch(client, f"{style}/books/")
    with of.connect_jsonapi(f"{django_library.url}/by-number?page[size]=3") as client:
        assert len(of.fetch(client, "books/")) == 11
    with of.connect_jsonapi(django_library.url, paging=lambda page: {"page[number]": page.number + 1}) as client:
        assert len(of.fetch(client, "by-number/books/")) == 11


@pytest.fixture
def proxy(django_library):
    """Stand before the server, under ``/shop`` as well, asking it under the name by which it is known inside."""

    def inner(request):
        with urlopen(f"{django_library.url}{request.path.removeprefix('/shop')}") as answer:  # noqa: S310  loopback
            return Scripted(body=answer.read())

    with Server(inner) as server:
        yield server.url


@pytest.mark.parametrize("style", ["by-number", "by-offset", "by-cursor"])
def test_behind_a_proxy_all_pages_are_found_though_links_name_the_inner_host(django_library, proxy, style):
    """Where the proxy takes off part of the path, the user says what stands where."""
    with of.connect_jsonapi(proxy) as client:
        assert len(of.fetch(client, f"{style}/books/")) == 11
    with of.connect_jsonapi(f"{proxy}/shop") as client, pytest.raises(OriginError, match="leads away"):
        of.fetch(client, f"{style}/books/")
    with of.connect_jsonapi(f"{proxy}/shop", origins={django_library.url: f"{proxy}/shop"}) as client:
        assert len(of.fetch(client, f"{style}/books/")) == 11


def test_types_are_the_narrowest_that_hold_all_values(library):
    """Instants arrive with the server's own offset and are UTC; decimals are sent as text and stay so."""
    dtypes = of.fetch(library, "by-number/books/").dtypes

    assert {name: dtype.pyarrow_dtype for name, dtype in dtypes.items()} == {
        "id": pa.string(),
        "title": pa.string(),
        "page_count": pa.int64(),
        "weight": pa.float64(),
        "price": pa.string(),
        "in_print": pa.bool_(),
        "published_at": pa.timestamp("us", "UTC"),
        "extra": pa.string(),
        "author_id": pa.string(),
        "subjects_ids": pa.list_(pa.string()),
    }


@pytest.mark.parametrize("page_size", [1, 3, 11, 100])
def test_page_sizes_change_nothing(library, stored, page_size):
    frame = of.fetch(library, "by-number/books/", page_size=page_size, progress=False)

    assert column(frame, "title") == [book["title"] for book in stored]


def test_included_authors_and_their_countries_stand_beside_the_books(library, stored):
    frame = of.fetch(library, "by-number/books/", include=["author", "author.country"])

    assert column(frame, "author__full_name") == [book["full_name"] for book in stored]
    assert column(frame, "author__born_on") == [book["born_on"] for book in stored]
    assert column(frame, "author__country__name") == [book["country"] for book in stored]


def test_sparse_fieldsets(library, stored):
    """In which this server wants its names as Python has them."""
    frame = of.fetch(
        library,
        "by-number/books/",
        include="author",
        fields={"books": ["title", "author"], "authors": ["full_name"]},
    )

    assert frame.columns.tolist() == ["id", "title", "author_id", "author__full_name"]
    assert column(frame, "author__full_name") == [book["full_name"] for book in stored]
    assert of.fetch(library, "by-number/books/", fields=["title"]).columns.tolist() == ["id", "title"]


@pytest.mark.parametrize(
    ("filters", "fits"),
    [
        ({"page-count": 300}, lambda b: b["page_count"] == 300),
        ({"page-count.gte": 700}, lambda b: (b["page_count"] or 0) >= 700),
        ({"page-count.isnull": True}, lambda b: b["page_count"] is None),
        ({"title.icontains": "nan"}, lambda b: "nan" in b["title"].lower()),
        ({"id.in": [2, 3, 99]}, lambda b: b["id"] in {"2", "3"}),
        ({"author.country.name": "日本"}, lambda b: b["country"] == "日本"),
        ({"title": "no such title"}, lambda _: False),
    ],
)
def test_filters_are_the_servers_own(library, stored, filters, fits):
    frame = of.fetch(library, "by-number/books/", filter=filters)

    assert column(frame, "id") == [book["id"] for book in stored if fits(book)]


def test_sorts_and_limits(library, stored):
    frame = of.fetch(library, "by-number/books/", sort="-page-count", limit=5)

    counted = sorted((b for b in stored if b["page_count"]), key=lambda b: -b["page_count"])
    assert column(frame, "page_count") == [book["page_count"] for book in counted[:5]]


def test_one_book(library, stored):
    book = of.fetch_one(library, "by-number/books/", 3, include="author.country")

    assert book.name == "3"
    assert book["title"] == stored[2]["title"]
    assert book["author__country__name"] == stored[2]["country"]


def test_many_to_many_as_tables(library, django_library):
    with pytest.raises(QueryError, match="fetch_tables"):
        of.fetch(library, "by-number/books/", include="subjects")

    tables = of.fetch_tables(library, "by-number/books/", include=["subjects", "author"])

    assert sorted(tables) == ["authors", "books", "subjects"]
    pairs = django_library.rows("select book_id, subject_id from library_book_subjects order by 1, 2")
    linked = tables["books"][["id", "subjects_ids"]].explode("subjects_ids").dropna()
    assert [(int(b), int(s)) for b, s in linked.itertuples(index=False)] == pairs
    names = django_library.rows("select name from library_subject order by id")
    assert tables["subjects"].sort_values("id")["name"].tolist() == [name for (name,) in names]


@pytest.mark.parametrize(
    "query",
    [{"filter": {"nosuch": 1}}, {"include": "nosuch"}, {"sort": "nosuch"}, {"filter": {"page-count": "many"}}],
)
def test_what_the_server_refuses_is_a_typed_error_with_its_own_words(library, query):
    with pytest.raises(BadRequestError) as caught:
        of.fetch(library, "by-number/books/", **query)

    assert caught.value.status == 400
    assert caught.value.errors[0].detail
    assert caught.value.errors[0].detail.rstrip(".")[:100] in str(caught.value)


def test_what_is_not_there_is_a_typed_error(library):
    with pytest.raises(NotFoundError):
        of.fetch_one(library, "by-number/books/", 99)
    with pytest.raises(NotFoundError):
        of.fetch(library, "by-number/nosuch/")
