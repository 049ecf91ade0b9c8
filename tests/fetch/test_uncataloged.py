"""Custom objects, and servers of which nothing is known beforehand."""

import base64
import json
from contextlib import suppress
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

import outreach_frames as of
from outreach_frames.errors import DocumentError, NotFoundError, OriginError, OutreachError, QueryError
from tests.fetch_support import Answers, organization, resource

SHELF = [resource("book", str(n), {"title": f"Book {n}", "pages": 100 + n}) for n in range(1, 8)]


def query_of(path):
    return {name: values[-1] for name, values in parse_qs(urlsplit(path).query).items()}


# Custom objects


@pytest.fixture(scope="module")
def org(tmp_path_factory):
    contracts = [
        resource(
            "contract",
            n,
            {"value": n * 10, "signedOn": f"2026-01-0{n}", "note": f"Contract {n}, draft"},
            account=("account", n % 2 + 1),
        )
        for n in (3, 1, 2)
    ]
    accounts = [resource("account", n, {"name": f"A{n}", "createdAt": "2026-01-01"}) for n in (1, 2)]
    with organization(tmp_path_factory.mktemp("cache"), *contracts, *accounts) as client:
        yield client


@pytest.mark.parametrize("name", ["custom_objects/contract", "customObjects/contract"])
def test_custom_objects_are_read_by_their_internal_name(org, name):
    """Types are inferred: nothing about them is in the vendor's contract."""
    frame = of.fetch(org, name, page_size=2, progress=False)

    assert frame.to_dict("list") == {
        "id": [1, 2, 3],
        "value": [10, 20, 30],
        "signed_on": pd.to_datetime(["2026-01-01", "2026-01-02", "2026-01-03"]).date.tolist(),
        "note": ["Contract 1, draft", "Contract 2, draft", "Contract 3, draft"],
        "account_id": [2, 1, 2],
    }
    assert frame.attrs["outreach_frames"]["resource"] == name


def test_custom_objects_take_the_apis_filters_sorts_includes_and_fields(org):
    frame = of.fetch(
        org,
        "custom_objects/contract",
        filter={"note": ["Contract 2, draft", "Contract 3, draft"], "account": {"id": 2}},
        sort="-value",
        include="account",
        fields=["value", "account"],
    )

    assert frame["id"].tolist() == [3]
    assert frame["account__name"].tolist() == ["A2"]
    assert frame["account__created_at"].dtype == pd.ArrowDtype(pa.timestamp("us", "UTC"))
    between = of.fetch(org, "custom_objects/contract", filter={"id": of.between(2, None)}, sort="-value")
    assert between["id"].tolist() == [3, 2]
    long = of.fetch(org, "custom_objects/contract", filter={"id": list(range(2, 3000))})
    assert long["id"].tolist() == [2, 3]


@pytest.mark.parametrize("read", [of.fetch, of.fetch_tables])
@pytest.mark.parametrize("limit", [None, 1])
def test_a_sort_by_a_filter_too_long_for_one_url_is_refused(org, read, limit):
    """The parts come one after the other, each in its own order, and nobody knows the type of what sorts them."""
    org.sandbox.clear_log()

    with pytest.raises(QueryError, match="sent in several parts") as caught:
        read(org, "custom_objects/contract", filter={"id": list(range(1, 3000))}, sort="value", limit=limit)

    assert "fields" not in caught.value.hint
    assert org.sandbox.requests == ()


def test_one_custom_object_and_its_tables(org):
    assert of.fetch_one(org, "custom_objects/contract", 2)["value"] == 20
    with pytest.raises(NotFoundError):
        of.fetch_one(org, "custom_objects/contract", 9)
    tables = of.fetch_tables(org, "custom_objects/contract", include="account")
    assert {name: len(table) for name, table in tables.items()} == {"contract": 3, "account": 2}


def test_ids_may_be_uuids(tmp_path):
    """Installs and batches of compliance requests have them, and so may custom objects."""
    ids = ["f98711fe-8a03-48b9-91d3-0f7994e999cc", "0a98711f-8a03-48b9-91d3-0f7994e999cc"]
    with organization(tmp_path, *(resource("lease", id_, {"n": n}) for n, id_ in enumerate(ids))) as org:
        assert of.fetch(org, "custom_objects/lease")["id"].tolist() == sorted(ids)
        assert of.fetch_one(org, "custom_objects/lease", ids[0])["n"] == 0


def test_an_empty_answer_has_only_ids(org):
    assert of.fetch(org, "custom_objects/contract", filter={"id": 9}).columns.tolist() == ["id"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"custom": True}, "custom is only for"),
        ({"parallel": 2}, "parallel is only for"),
        ({"data_connections": True}, "data_connections is only for"),
        ({"include": {"account": ["name"]}}, "cannot be chosen here"),
        ({"fields": "value"}, "one string"),
    ],
)
def test_what_needs_the_catalog_is_refused(org, options, said):
    with pytest.raises(QueryError, match=said):
        of.fetch(org, "custom_objects/contract", **options)


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_names_and_ids_that_lead_elsewhere_are_refused(org, name):
    """A path's dots are resolved on the way: the record asked for would be another."""
    org.sandbox.clear_log()

    with pytest.raises(QueryError, match="no name or id"):
        of.fetch_one(org, "custom_objects/contract", name)
    with pytest.raises(QueryError, match="no name or id"):
        of.fetch(org, f"custom_objects/{name}")
    assert org.sandbox.requests == ()


def test_counting_needs_the_catalog(org):
    with pytest.raises(QueryError, match="len"):
        of.count(org, "custom_objects/contract")


# Other servers


@pytest.fixture
def serve():
    """Return a function that serves given answers and connects to them."""
    running = []

    def start(answers, auth=None, **options):
        server = Answers(answers)
        client = of.connect_jsonapi(server.url, auth, **options)
        running.append((server, client))
        return server, client

    yield start
    for server, client in running:
        client.close()
        server.__exit__()


def by_offset(path):
    asked = query_of(path)
    start, size = int(asked.get("page[offset]", 0)), min(int(asked.get("page[limit]", 3)), 4)
    return {"data": SHELF[start : start + size]}


def by_number(path):
    """Refuse pages that are not there, as Django does."""
    asked = query_of(path)
    number, size = int(asked.get("page[number]", 1)), int(asked.get("page[size]", 3))
    page = SHELF[(number - 1) * size : number * size]
    return {"data": page} if page else None


@pytest.mark.parametrize("page_size", [None, 2, 3, 7, 50])
@pytest.mark.parametrize(("paging", "answer"), [("offset", by_offset), ("number", by_number)])
def test_pages_without_links_are_counted_to_the_last(serve, paging, answer, page_size):
    """Also where the server sends fewer than asked for: its first page tells how many it sends."""
    _, client = serve({"/book": answer}, paging=paging)

    frame = of.fetch(client, "book", page_size=page_size)

    assert frame["id"].tolist() == [str(n) for n in range(1, 8)]
    assert frame["pages"].tolist() == [100 + n for n in range(1, 8)]


@pytest.mark.parametrize("paging", ["links", "offset", "number", "cursor"])
def test_the_servers_own_links_are_followed_whatever_they_hold(serve, paging):
    """Here a cursor, in links relative to the page."""

    def by_cursor(path):
        start = int(query_of(path).get("page[after]", 0))
        following = f"?page[after]={start + 3}" if start + 3 < len(SHELF) else None
        return {"data": SHELF[start : start + 3], "links": {"next": following}}

    server, client = serve({"/book": by_cursor}, paging=paging)

    assert len(of.fetch(client, "book")) == 7
    assert len(server.asked) == 3


def offsets(step, last):
    """Return an answer by offset whose last link is at an offset, and that does not link to it, as safrs does not."""

    def answer(path):
        start = int(query_of(path).get("page[offset]", 0))
        links = {"first": "?page[offset]=0", "last": f"?page[offset]={last}"}
        following = f"?page[offset]={start + step}" if start + step < last else None
        return {"data": SHELF[start : start + step], "links": links | {"next": following}}

    return answer


def test_links_that_end_before_the_last_page_are_noticed(serve):
    """To take that for the end would pass a part for the whole."""
    _, by_links = serve({"/book": offsets(step=3, last=6)})
    _, by_count = serve({"/book": offsets(step=3, last=6)}, paging="offset")

    with pytest.raises(DocumentError, match='paging="offset"'):
        of.fetch(by_links, "book")
    assert len(of.fetch(by_count, "book")) == 7


def test_a_last_page_beyond_the_end_is_none(serve):
    """Where pages divide evenly, some servers call the empty one behind them the last."""
    server, client = serve({"/book": offsets(step=7, last=7)})

    assert len(of.fetch(client, "book")) == 7
    assert len(server.asked) == 2


def test_a_limit_stops_the_walk(serve):
    server, client = serve({"/book": by_offset}, paging="offset")

    assert of.fetch(client, "book", limit=4)["id"].tolist() == ["1", "2", "3", "4"]
    assert len(server.asked) == 2
    assert len(of.fetch(client, "book", limit=0)) == 0
    assert len(server.asked) == 2


@pytest.mark.parametrize("paging", ["offsets", "", None, "page"])
def test_a_way_of_paging_that_is_none_is_refused(serve, paging):
    """Taken for none, the first page would pass for everything."""
    with pytest.raises(QueryError, match="paging=") as caught:
        serve({}, paging=paging)

    assert '"links", "offset", "number", "cursor", "single"' in caught.value.hint


@pytest.mark.parametrize("empty", [[], pd.Series([], dtype="string")])
def test_any_of_nothing_selects_nothing_and_is_not_sent(serve, empty):
    """Many servers take an empty filter for none and send everything."""
    server, client = serve({"/book": {"data": SHELF}})

    assert of.fetch(client, "book", filter={"author": {"id": empty}}).empty
    assert of.fetch_tables(client, "book", filter={"id": empty}) == {}
    assert server.asked == []


@pytest.mark.parametrize(
    "options",
    [
        {"limit": -1},
        {"limit": 2.5},
        {"limit": True},
        {"page_size": 0},
        {"page_size": "10"},
        {"filter": {"author": {}}},
        {"filter": {"id": []}, "page_size": -1},
    ],
)
def test_numbers_and_filters_that_make_no_sense_are_refused(serve, options):
    """As they are for the resources of the catalog."""
    server, client = serve({"/book": {"data": SHELF}})

    with pytest.raises(QueryError):
        of.fetch(client, "book", **options)
    assert server.asked == []


def test_a_resource_that_is_not_there_is_no_empty_frame(serve):
    _, client = serve({}, paging="number")

    with pytest.raises(NotFoundError):
        of.fetch(client, "book")


def test_names_are_sent_as_they_are_given(serve):
    """Which filters there are is each server's own business."""
    server, client = serve({"/shop/books": {"data": []}})

    of.fetch(
        client,
        "shop/books",
        filter={"title__icontains": "a b", "author": {"name": "X"}, "id": [1, 2]},
        sort=["-published", "title"],
        include=["author", "publisher.country"],
        fields={"books": ["title"], "people": []},
        page_size=5,
    )

    assert parse_qsl(urlsplit(server.asked[0]).query, keep_blank_values=True) == [
        ("filter[title__icontains]", "a b"),
        ("filter[author][name]", "X"),
        ("filter[id]", "1,2"),
        ("sort", "-published,title"),
        ("include", "author,publisher.country"),
        ("fields[books]", "title"),
        ("fields[people]", ""),
        ("page[size]", "5"),
    ]
    of.fetch(client, "shop/books", fields=["title"])
    assert parse_qsl(urlsplit(server.asked[1]).query) == [("fields[books]", "title")]


@pytest.mark.parametrize("value", [None, of.NOT_NULL, of.between(1, 2)])
def test_filters_that_json_api_has_no_words_for_are_refused(serve, value):
    server, client = serve({})

    with pytest.raises(QueryError, match="server's own words"):
        of.fetch(client, "book", filter={"pages": value})
    assert server.asked == []


@pytest.mark.parametrize(
    ("auth", "header"),
    [
        (None, None),
        ("a-token", "Bearer a-token"),
        (("ana", "secret"), "Basic " + base64.b64encode(b"ana:secret").decode()),
        (lambda r: r.headers.update(Authorization="Signed") or r, "Signed"),
    ],
)
def test_ways_to_sign_in(serve, auth, header):
    server, client = serve({"/book": {"data": SHELF}}, auth)

    of.fetch(client, "book")

    assert server.tokens == [header]


@pytest.mark.parametrize(
    "host",
    [
        "http://127.0.0.1:9/book",
        "https://api.outreach.io/book",
        "//elsewhere.example/book",
        "http://[::1",
        "//[",
        "http://127.0.0.1:99999999/book",
    ],
)
def test_links_to_another_origin_are_refused_even_if_it_is_outreachs(serve, host):
    """The token belongs to this server alone."""
    server, client = serve({"/book": {"data": SHELF, "links": {"next": host}}}, "a-token")

    with pytest.raises(OriginError) as caught:
        of.fetch(client, "book")

    assert len(server.asked) == 1
    assert "a-token" not in str(caught.value)


def test_to_many_relationships_become_tables(serve):
    """Beside one row there is no room for them, and they are not dropped without a word."""
    answer = {
        "data": [resource("book", "1", {"title": "A"}, authors=[("person", "7"), ("person", "8")], owner=None)],
        "included": [resource("person", "7", {"name": "X"}), resource("person", "8", {"name": "Y"})],
    }
    _, client = serve({"/book": answer, "/book/1": answer | {"data": answer["data"][0]}})

    with pytest.raises(QueryError, match="fetch_tables"):
        of.fetch(client, "book", include="authors")
    with pytest.raises(QueryError, match="fetch_tables"):
        of.fetch_one(client, "book", 1, include="authors")
    tables = of.fetch_tables(client, "book", include="authors")
    assert list(tables) == ["book", "person"]
    assert [list(ids) for ids in tables["book"]["authors_ids"]] == [["7", "8"]]
    assert tables["person"]["name"].tolist() == ["X", "Y"]
    assert of.fetch_one(client, "book", 1)["title"] == "A"
    assert of.fetch(client, "book", include="owner")["owner_id"].isna().all()


def test_types_are_inferred_over_all_pages(serve):
    """A column of integers is one of numbers if a later page has a fraction."""
    pages = {
        "/book": {"data": [resource("book", "1", {"price": 3})], "links": {"next": "/book?p=2"}},
        "/book?p=2": {"data": [resource("book", "2", {"price": 2.5, "extra": True})]},
    }
    _, client = serve(pages)

    frame = of.fetch(client, "book")

    assert frame["price"].tolist() == [3.0, 2.5]
    assert frame["extra"].tolist() == [pd.NA, True]


@pytest.mark.parametrize(
    "body", [b"<html>", {"errors": []}, {"data": 7}, {"data": [{"id": "1"}]}, {"data": [{"a": 1}]}]
)
@pytest.mark.parametrize("paging", ["links", "offset"])
def test_an_answer_that_is_no_collection_is_a_typed_error(serve, body, paging):
    _, client = serve({"/book": body}, paging=paging)

    with pytest.raises(DocumentError):
        of.fetch(client, "book")


def test_writing_needs_a_catalog(serve):
    _, client = serve({})

    with pytest.raises(of.errors.UnknownNameError):
        client.create("book", title="A")


WHOLE = {
    "data": [
        resource("book", "1", {"title": "A", "pages": 3}, author=("person", "7"), tags=[("tag", "1")]),
        resource("book", "2", {"title": None, "pages": 4.5}, author=None, tags=[]),
    ],
    "included": [resource("person", "7", {"name": "X"}, books=[("book", "1")])],
    "links": {"first": "?p=1", "next": None, "last": "?p=1"},
    "meta": {"count": 2},
}


ODD = [None, True, 0, -1.5, "", "x", [], {}, [None], [[]], {"id": []}, {"data": 1}, {"type": "x", "id": None}]


@st.composite
def damaged(draw):
    """Draw the document above with a member of it, however deep, replaced by something else."""
    document = json.loads(json.dumps(WHOLE))
    place = document
    while True:
        key = draw(st.sampled_from(sorted(place)) if isinstance(place, dict) else st.integers(0, len(place) - 1))
        inner = place[key]
        if not isinstance(inner, dict | list) or not inner or draw(st.booleans()):
            place[key] = draw(st.sampled_from(ODD))
            return document
        place = inner


@pytest.mark.filterwarnings("ignore::outreach_frames.errors.OutreachDataWarning")
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(document=damaged())
def test_a_damaged_answer_is_a_typed_error_or_a_frame(damaged_server, document):
    """Whatever JSON a server sends; what is no JSON does not come as far as this."""
    server, client = damaged_server
    server.by_path["/book"] = document

    for read in (of.fetch, of.fetch_tables):
        with suppress(OutreachError):
            read(client, "book", include="author")
    with suppress(OutreachError):
        of.fetch(client, "book", include="tags")


@pytest.fixture(scope="module")
def damaged_server():
    with Answers({}) as server, of.connect_jsonapi(server.url, paging="offset") as client:
        yield server, client
