"""The pages of servers of which nothing is known: all of them, or an error that names the option to set."""

import math
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given, settings, strategies as st

import outreach_frames as of
from outreach_frames.errors import DocumentError, NotFoundError, OriginError, OutreachDataWarning, QueryError
from tests.fetch_support import Answers, resource

BOOKS = [resource("book", str(n), {"n": n}) for n in range(10)]
ALL = [str(n) for n in range(10)]


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


def query_of(path):
    return {name: values[-1] for name, values in parse_qs(urlsplit(path).query).items()}


def ids(client, resource="book", **options):
    return of.fetch(client, resource, progress=False, **options)["id"].tolist()


def numbered(books=BOOKS, *, size=3, first=1, meta=lambda _: {}, links=lambda _: {}):
    """Return an answer by ``page[number]``."""

    def answer(path):
        page = int(query_of(path).get("page[number]", first)) - first
        found = {"data": books[page * size : (page + 1) * size], "meta": meta(page + first)}
        return found | ({"links": links(page + first)} if links(page + first) else {})

    return answer


# What meta says of the whole

SAYS_MORE = {
    "totalPages": {"totalPages": 4},
    "total": {"total": 10},
    "total as text": {"total": "10"},
    "count": {"count": 10},
    "page.total": {"page": {"total": 10, "size": 3, "number": 1}},
    "pagination": {"pagination": {"page": 1, "pages": 4, "count": 10}},
    "stats": {"stats": {"total": {"count": 10}}},
    "next.offset": {"total_count": 10, "count": 3, "next": {"offset": 3}},
    "cursor": {"page": {"cursor": {"after": 3}}},
    "hasMore": {"page": {"cursor": {"after": 3}}, "hasMore": True},
    "has_more": {"has_more": True},
    "last page is another": {"last": False},
}
SAYS_ALL = {
    "nothing": {},
    "total": {"total": 3},
    "count of the page": {"total_count": 3, "count": 3},
    "pages": {"page": {"totalPages": 1, "number": 1}},
    "pages under a bare total": {"page": {"total": 1}},
    "no cursor": {"next_cursor": None, "hasMore": False},
    "a cursor on the last page": {"cursor": "x", "hasMore": False},
    "unknown total": {"total": -1},
    "null": {"total": None},
    "truth": {"total": True},
    "about something else": {"facets": {"total": 1000}, "copyright": "2020"},
}


@pytest.mark.parametrize("meta", SAYS_MORE.values(), ids=SAYS_MORE)
def test_a_server_without_links_that_says_there_is_more_is_an_error(serve, meta):
    """To hand out the first page as if it were all would pass a part for the whole."""
    server, client = serve({"/book": numbered(meta=lambda _: meta)})

    for read in (of.fetch, of.fetch_tables):
        with pytest.raises(DocumentError, match=r"The server (counts|says)") as caught:
            read(client, "book")
        assert "paging" in caught.value.hint
        assert "check_total=False" in caught.value.hint
    trusting = of.connect_jsonapi(server.url, check_total=False)
    assert ids(trusting) == ALL[:3]


@pytest.mark.parametrize("meta", SAYS_ALL.values(), ids=SAYS_ALL)
def test_meta_that_agrees_with_what_came_is_no_error(serve, meta):
    _, client = serve({"/book": {"data": BOOKS[:3], "meta": meta}})

    assert ids(client) == ALL[:3]


def test_links_that_end_before_the_total_is_there_are_noticed(serve):
    """Whatever ends the walk, what the server says of the whole is compared with what came."""
    answer = numbered(
        meta=lambda _: {"total": 10}, links=lambda page: {"next": f"?page[number]={page + 1}" if page < 2 else None}
    )
    _, client = serve({"/book": answer})

    with pytest.raises(DocumentError, match="counts 10 book, of which 6 came"):
        ids(client)
    assert ids(client, limit=4) == ALL[:4]


def test_a_record_that_was_added_or_removed_during_the_walk_is_no_reason_to_refuse(serve):
    """The smallest total that was told is what was there all the time."""
    answer = numbered(
        meta=lambda page: {"total": {1: 10, 2: 11, 3: 9, 4: 12}[page]},
        links=lambda page: {"next": f"?page[number]={page + 1}" if page < 4 else None},
    )
    _, client = serve({"/book": answer})

    assert ids(client) == ALL


# Ways of paging


@pytest.mark.parametrize("relation", ['rel="next"', "rel=next", 'title="x"; rel="last next"'])
def test_a_link_header_is_followed(serve, relation):
    def answer(path):
        page = int(query_of(path).get("page", 1))
        headers = {"Link": f'</book?page=1>; rel="first", </book?page={page + 1}>; {relation}'} if page < 4 else {}
        return 200, headers, {"data": BOOKS[(page - 1) * 3 : page * 3]}

    server, client = serve({"/book": answer})

    assert ids(client) == ALL
    assert len(server.asked) == 4


@pytest.mark.parametrize(
    "meta",
    [
        lambda link: {"next": link},
        lambda link: {"pagination": {"next_url": link, "total": 10}},
        lambda link: {"paging": {"next": {"href": link}}} if link else {},
    ],
)
def test_links_in_meta_are_followed(serve, meta):
    server, client = serve({"/book": numbered(meta=lambda n: meta(f"/book?page[number]={n + 1}" if n < 4 else None))})

    assert ids(client) == ALL
    assert len(server.asked) == 4


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("meta", [{}, {"total": 10}, {"totalPages": 4}, {"page": {"totalElements": 10}}])
def test_pages_are_numbered_from_0_or_from_1_as_the_server_does(serve, first, meta):
    _, client = serve({"/book": numbered(first=first, meta=lambda _: meta)}, paging="number")

    assert ids(client) == ALL


@pytest.fixture(scope="module")
def counting():
    with Answers({}) as server, of.connect_jsonapi(server.url, paging="number") as client:
        yield server, client


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(0, 13),
    size=st.integers(1, 5),
    first=st.sampled_from([0, 1]),
    beyond=st.sampled_from(["empty", "missing", "last"]),
    tells=st.booleans(),
)
def test_numbers_counted_lose_and_double_nothing(counting, *, n, size, first, beyond, tells):
    """Whatever the server answers beyond its last page; only one page that comes again could be the first of many."""
    server, client = counting
    books = [resource("book", str(i)) for i in range(n)]
    pages = max(1, math.ceil(n / size))

    def answer(path):
        page = int(query_of(path).get("page[number]", first)) - first
        if page >= pages:
            if beyond == "missing":
                return None
            page = pages - 1 if beyond == "last" else page
        found = books[page * size : (page + 1) * size] if page >= 0 else books[:size]
        return {"data": found, "meta": {"total": n} if tells else {}}

    server.by_path["/book"] = answer
    if beyond == "last" and pages == 1 and n and not tells:
        with pytest.raises(DocumentError, match="sends the first page of book again"):
            ids(client)
        return

    assert ids(client) == [str(i) for i in range(n)]


@pytest.mark.parametrize("paging", ["offset", "number"])
def test_a_server_that_does_not_page_as_it_is_asked_to_is_noticed(serve, paging):
    """It sends the same again whatever it is asked for, for ever; there may be more."""
    server, client = serve({"/book": {"data": BOOKS[:3]}}, paging=paging)

    with pytest.raises(DocumentError, match="sends the first page of book again") as caught:
        ids(client)

    assert 'paging="single"' in caught.value.hint
    assert len(server.asked) <= 3
    assert ids(of.connect_jsonapi(server.url, paging="single")) == ALL[:3]
    server.by_path["/book"] = {"data": BOOKS[:3], "meta": {"total": 3}}
    assert ids(client) == ALL[:3]


def test_a_short_page_in_the_middle_is_not_the_end(serve):
    """Some servers filter what a page holds; and some refuse to say what is behind the last."""
    pages = {1: BOOKS[:3], 2: BOOKS[3:4], 3: BOOKS[4:7], 4: BOOKS[7:9]}

    def answer(path):
        page = int(query_of(path).get("page[number]", 1))
        return {"data": pages[page]} if page in pages else (400, {}, {"errors": [{"detail": "no such page"}]})

    _, client = serve({"/book": answer}, paging="number")

    assert ids(client) == ALL[:9]


def test_a_refusal_behind_a_full_page_is_not_the_end(serve):
    """Offsets have a limit on some servers."""

    def answer(path):
        offset = int(query_of(path)["page[offset]"])
        return {"data": BOOKS[offset : offset + 3]} if offset < 6 else (400, {}, {"errors": [{"detail": "too far"}]})

    _, client = serve({"/book": answer}, paging="offset")

    with pytest.raises(of.errors.BadRequestError, match="too far"):
        ids(client)


CURSORS = {
    "page.cursor.after": lambda at: {"page": {"cursor": {"after": at}}},
    "next_cursor": lambda at: {"next_cursor": at},
    "hasMore": lambda at: {"hasMore": at is not None, "cursor": at or "end"},
    "next.offset": lambda at: {"next": {"offset": at}} if at else {},
    "endCursor": lambda at: {"pageInfo": {"hasNextPage": at is not None, "endCursor": at or 9}},
}


@pytest.mark.parametrize("meta", CURSORS.values(), ids=CURSORS)
def test_cursors_in_meta_are_followed(serve, meta):
    def answer(path):
        asked = query_of(path)
        at = int(
            next((asked[f"page[{name}]"] for name in ("after", "cursor", "offset") if f"page[{name}]" in asked), 0)
        )
        return {"data": BOOKS[at : at + 3], "meta": meta(at + 3 if at + 3 < 10 else None)}

    server, client = serve({"/book": answer}, paging="cursor")

    assert ids(client) == ALL
    assert len(server.asked) == 4


def by_id(path):
    after = int(query_of(path).get("filter[id__gt]", -1))
    return {"data": BOOKS[after + 1 : after + 4]}


def by_plain_offset(path):
    offset = int(query_of(path).get("offset", 0))
    return {
        "data": BOOKS[offset : offset + 3],
        "meta": {"total_count": 10, "next": {"offset": offset + 3} if offset < 7 else {}},
    }


@pytest.mark.parametrize(
    ("answer", "paging"),
    [
        (by_id, lambda page: {"filter[id__gt]": page.data[-1]["id"]} if page.data else None),
        (by_plain_offset, lambda page: {"offset": page.meta["next"]["offset"]} if page.meta["next"] else None),
        (by_plain_offset, lambda page: {"offset": page.rows_before + page.rows} if page.number < 4 else None),
        (by_plain_offset, lambda page: f"?offset={page.number * 3}" if page.rows == 3 else None),
    ],
)
def test_a_function_finds_the_next_page(serve, answer, paging):
    """For ways of paging that have no name."""
    _, client = serve({"/book": answer}, paging=paging)

    assert ids(client) == ALL
    assert ids(client, limit=4) == ALL[:4]


def test_a_function_that_goes_on_for_ever_is_stopped(serve):
    server, client = serve({"/book": {"data": []}}, paging=lambda page: {"page": page.number + 1})

    with pytest.raises(DocumentError, match="hold nothing new"):
        ids(client)
    assert len(server.asked) <= 101


# Walks without an end


def test_a_next_link_on_every_page_does_not_go_on_for_ever(serve):
    """A page far behind the first empty one links on as well, so the links mean nothing; a warning says so."""
    answer = numbered(links=lambda page: {"next": f"?page[number]={page + 1}"})
    server, client = serve({"/book": answer})

    with pytest.warns(OutreachDataWarning, match="first empty one was taken for the end"):
        assert ids(client) == ALL
    assert len(server.asked) == 6
    _, counting = serve({"/book": answer}, paging="number")
    assert ids(counting) == ALL


def test_where_the_total_is_told_no_page_beyond_it_is_looked_at(serve):
    server, client = serve(
        {"/book": numbered(meta=lambda _: {"total": 10}, links=lambda page: {"next": f"?page[number]={page + 1}"})}
    )

    assert ids(client) == ALL
    assert len(server.asked) == 5


@pytest.mark.parametrize("says", [{}, {"omitted": {"detail": "Some resources have been omitted."}}])
@pytest.mark.parametrize("link", ["?page[offset]={}", "?page[cursor]=c{}"])
def test_empty_pages_in_the_middle_are_not_the_end(serve, says, link):
    """Drupal filters what a page holds by what the user may see, and says so in ``meta``; others do not say."""
    pages = [BOOKS[:2], [], [], [], [], BOOKS[2:4], [], BOOKS[4:]]

    def answer(path):
        at = int((parse_qs(urlsplit(path).query).popitem()[1][-1] if "?" in path else "0").lstrip("c"))
        if at >= len(pages):
            return {"data": []}
        following = {"next": {"href": link.format(at + 1)}} if at + 1 < len(pages) else {}
        return {"data": pages[at], "meta": says, "links": following}

    _, client = serve({"/book": answer})

    assert ids(client) == ALL


@pytest.mark.parametrize("books", [[], BOOKS[:1]], ids=["empty", "the same row"])
def test_pages_that_hold_nothing_new_end_in_an_error(serve, books):
    """Each has a new link, which tells nothing of whether another follows."""
    steps = iter(range(10_000))
    server, client = serve({"/book": lambda _: {"data": books, "links": {"next": f"?after=x{next(steps)}"}}})

    with pytest.raises(DocumentError, match=r"hold nothing new|first page of book again"):
        ids(client)
    assert len(server.asked) <= 101


def test_a_last_page_that_links_to_itself_is_the_last(serve):
    answer = numbered(links=lambda page: {"next": f"?page[number]={min(page + 1, 4)}"})
    server, client = serve({"/book": answer, "/one": {"data": BOOKS, "links": {"next": "/one"}}})

    assert ids(client) == ALL
    assert ids(client, "one") == ALL
    assert len(server.asked) == 5


def test_a_link_to_a_page_that_is_not_there_is_the_end_where_all_has_come(serve):
    def linked(meta, books=BOOKS):
        whole = numbered(books, meta=lambda _: meta, links=lambda page: {"next": f"?page[number]={page + 1}"})
        return lambda path: None if int(query_of(path).get("page[number]", 1)) > 3 else whole(path)

    server, client = serve({"/book": linked({"total": 9}, BOOKS[:9])})

    assert ids(client) == ALL[:9]
    server.by_path["/book"] = linked({}, BOOKS[:8])
    assert ids(client) == ALL[:8]
    server.by_path["/book"] = linked({})
    with pytest.raises(DocumentError, match="leads nowhere"):
        ids(client)
    with pytest.raises(NotFoundError):
        ids(client, "nosuch")


# Each record once


def test_a_limit_counts_records_and_not_what_comes_twice(serve):
    """A record that was added in front has moved the others onto the next page."""
    pages = {0: BOOKS[0:3], 1: BOOKS[2:5], 2: BOOKS[4:7]}

    def answer(path):
        at = int(query_of(path).get("p", 0))
        return {"data": pages[at], "links": {"next": f"?p={at + 1}" if at < 2 else None}}

    _, client = serve({"/book": answer})

    assert ids(client, limit=5) == ["0", "1", "2", "3", "4"]
    assert of.fetch_tables(client, "book", limit=6)["book"]["id"].is_unique
    assert len(of.fetch_tables(client, "book", limit=6)["book"]) == 6


def test_what_is_not_sent_again_is_not_lost(serve):
    """A resource may come with less the second time; what came first still holds."""
    whole = resource("book", "1", {"title": "A", "pages": 3}, author=("person", "7"))
    less = {"type": "book", "id": "1", "attributes": {"pages": 4}, "relationships": {"author": {"links": {}}}}
    pages = {
        "/book": {"data": [whole], "links": {"next": "?p=2"}},
        "/book?p=2": {"data": [resource("book", "2"), less]},
    }
    _, client = serve(pages)

    frame = of.fetch(client, "book").set_index("id")

    assert frame.loc["1"].to_dict() == {"title": "A", "pages": 4, "author_id": "7"}


@pytest.mark.parametrize("pages", [1, 2])
def test_a_record_that_is_asked_for_and_comes_along_is_one_row(serve, pages):
    people = [resource("user", "6", {"name": "u6"}, lead=("user", "7")), resource("user", "7", {"name": "u7"})]
    along = [resource("user", "7", {"nick": "seven"})]
    answers = {"/user": {"data": people, "included": along}}
    if pages == 2:
        answers = {
            "/user": {"data": people[:1], "included": along, "links": {"next": "?p=2"}},
            "/user?p=2": {"data": people[1:]},
        }
    _, client = serve(answers)

    users = of.fetch_tables(client, "user", include="lead")["user"]

    assert users["id"].tolist() == ["6", "7"]
    assert users["name"].tolist() == ["u6", "u7"]
    assert users["nick"].iloc[1] == "seven"


# What another server wants besides


def test_a_query_in_the_base_url_goes_with_every_request(serve):
    """Also where links leave it out, and without being taken for part of the path."""
    server, _ = serve({"/v1/book": numbered(links=lambda p: {"next": f"?page[number]={p + 1}" if p < 4 else None})})
    server.by_path["/v1/book/1"] = {"data": BOOKS[1]}

    with of.connect_jsonapi(f"{server.url}/v1?key=k%26&lang=") as client:
        assert ids(client) == ALL
        assert of.fetch_one(client, "book", 1)["n"] == 1

    assert {parse_qs(urlsplit(path).query)["key"][0] for path in server.asked} == {"k&"}


def test_raw_parameters_are_sent_as_they_are(serve):
    server, client = serve({"/book": {"data": BOOKS}, "/book/1": {"data": BOOKS[1]}})

    of.fetch(client, "book", params={"per_page": 100, "tag": ["a,b", "c"], "deep": True})
    of.fetch_tables(client, "book", params={"per_page": 5})
    of.fetch_one(client, "book", 1, params={"view": "full"})

    assert parse_qs(urlsplit(server.asked[0]).query) == {"per_page": ["100"], "tag": ["a,b", "c"], "deep": ["true"]}
    assert server.asked[1:] == ["/book?per_page=5", "/book/1?view=full"]


def test_raw_parameters_are_not_for_outreach(tmp_path):
    with of.connect("t", "http://127.0.0.1:9", cache_dir=tmp_path) as org:
        for call in (
            lambda: of.fetch(org, "accounts", params={"a": 1}),
            lambda: of.fetch_tables(org, "accounts", params={"a": 1}),
            lambda: of.fetch_one(org, "custom_objects/x", 1, params={"a": 1}),
        ):
            with pytest.raises(QueryError, match="params"):
                call()


def test_a_comma_in_a_list_of_values_is_refused(serve):
    """There a comma stands between values; alone, what it means is the server's own business."""
    server, client = serve({"/book": {"data": []}})

    with pytest.raises(QueryError, match="comma") as caught:
        of.fetch(client, "book", filter={"title": ["a, b", "c"]})
    assert "params" in caught.value.hint
    assert server.asked == []
    of.fetch(client, "book", filter={"title": "a, b"})
    assert query_of(server.asked[0]) == {"filter[title]": "a, b"}


# Links that name another host


def behind_proxy(inner):
    return numbered(links=lambda page: {"next": f"{inner}?page[number]={page + 1}" if page < 4 else None})


@pytest.mark.parametrize("paging", ["links", "number", "offset"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_link_to_the_same_collection_elsewhere_is_asked_for_at_the_server_itself(serve, scheme, paging):
    """Behind a proxy, servers name themselves as they know it; nothing is sent there."""
    server, _ = serve({"/v1/book": behind_proxy(f"{scheme}://inner.example:3000/v1/book")})

    with of.connect_jsonapi(f"{server.url}/v1", "a-token", paging=paging) as client:
        assert ids(client) == ALL

    assert set(server.tokens) == {"Bearer a-token"}


def test_a_proxy_that_takes_off_part_of_the_path_needs_a_word(serve):
    server, _ = serve({"/api/v1/book": behind_proxy("http://inner.example:3000/book")})
    base = f"{server.url}/api/v1"

    with of.connect_jsonapi(base) as client, pytest.raises(OriginError) as caught:
        ids(client)
    assert 'origins={"http://inner.example:3000": base_url}' in caught.value.hint
    assert "organization" not in str(caught.value)
    with of.connect_jsonapi(base, origins={"http://inner.example:3000/": base}) as client:
        assert ids(client) == ALL


def test_a_token_goes_to_another_origin_only_where_its_owner_says_so(serve):
    other, _ = serve({"/bookish": {"data": BOOKS[3:]}})
    server, client = serve({"/book": {"data": BOOKS[:3], "links": {"next": f"{other.url}/bookish"}}}, "a-token")

    with pytest.raises(OriginError):
        ids(client)
    assert other.asked == []
    with of.connect_jsonapi(server.url, "a-token", origins={other.url: other.url}) as client:
        assert ids(client) == ALL
    assert other.tokens == ["Bearer a-token"]


def test_what_is_asked_instead_must_be_safe_as_well():
    with pytest.raises(OriginError, match="plain http"):
        of.connect_jsonapi("https://api.example", origins={"http://inner": "http://outer.example"})


def test_a_link_that_is_none_is_a_typed_error(serve):
    for link in ("http://[::1", "mailto:x", "ftp://127.0.0.1/book"):
        _, client = serve({"/book": {"data": BOOKS[:3], "links": {"next": link}}})
        with pytest.raises(OriginError):
            ids(client)
