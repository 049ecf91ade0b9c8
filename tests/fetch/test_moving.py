"""Records that change, come and go while they are read: none is lost and none is counted twice."""

from itertools import count

import pytest

import outreach_frames as of
from outreach_frames.errors import DocumentError, OutreachDataWarning
from tests.fetch_support import Answers, organization, resource

N = 180


def account(number, updated=None):
    day = f"2025-01-01T{number // 60:02}:{number % 60:02}"
    names = {"name": f"Account {number % 7}", "buyerIntentScore": None if number % 9 == 0 else number % 5}
    return resource("account", number, names | {"createdAt": f"{day}:00Z", "updatedAt": updated or f"{day}:30Z"})


@pytest.fixture
def busy(tmp_path):
    """Connect to an organization in which five records that have not been read yet are touched with each page."""
    with organization(tmp_path, *(account(n) for n in range(1, N + 1))) as org:
        steps = count()

        def touch():
            step = next(steps)
            numbers = range(100 - 5 * step, 95 - 5 * step, -1)
            org.sandbox.put(*(account(n, f"2025-02-01T00:{step:02}:00Z") for n in numbers if n > 0))

        org.sandbox.faults.add(path="/accounts", times=None, on_request=touch)
        yield org


READ = {
    "fetch": lambda org, **options: of.fetch(org, "accounts", **options),
    "fetch_tables": lambda org, **options: of.fetch_tables(org, "accounts", **options)["accounts"],
    "fetch_parallel": lambda org, **options: of.fetch(org, "accounts", parallel=3, **options),
}


@pytest.mark.parametrize("sort", ["-updated_at", "updated_at", "name", ["-buyer_intent_score", "-name"]])
@pytest.mark.parametrize("read", READ.values(), ids=READ)
def test_a_sort_by_what_changes_loses_nothing(busy, read, sort):
    """Without a limit all records are wanted: they are read in an order in which none moves, and sorted here."""
    frame = read(busy, sort=sort, page_size=10, progress=False)

    assert sorted(frame["id"]) == list(range(1, N + 1))
    keys = [sort] if isinstance(sort, str) else sort
    columns = [key.removeprefix("-") for key in keys]
    ascending = [not key.startswith("-") for key in keys]
    expected = frame.sort_values([*columns, "id"], ascending=[*ascending, True], na_position="last")
    if sort != "updated_at":  # in this order, what changes moves to the end and is met again
        assert frame["id"].tolist() == expected["id"].tolist()


@pytest.mark.parametrize("read", READ.values(), ids=READ)
def test_what_is_only_sorted_by_is_no_column(busy, read):
    frame = read(busy, sort=["-updated_at", "name"], fields=["buyer_intent_score"], page_size=10, progress=False)

    assert frame.columns.tolist() == ["id", "buyer_intent_score"]
    assert len(frame) == N
    starred = read(busy, sort="-updated_at", fields="*", page_size=50, progress=False)
    assert starred["updated_at"].is_monotonic_decreasing


def test_the_first_rows_of_an_order_are_the_apis(busy):
    """And the order of creation is the API's in any case: no change moves a record in it."""
    assert len(of.fetch(busy, "accounts", sort="-updated_at", limit=25, page_size=10, progress=False)) == 25
    with pytest.warns(OutreachDataWarning, match="of which the API counted 180"):
        of.fetch(busy, "accounts", sort="-updated_at", limit=N, page_size=10, refresh=True, progress=False)
    busy.sandbox.clear_log()

    frame = of.fetch(busy, "accounts", sort="-created_at", page_size=50, progress=False)

    assert frame["id"].tolist() == list(range(N, 0, -1))
    assert {dict(request.parameters)["sort"] for request in busy.sandbox.requests} == {"-createdAt"}


def test_batches_in_an_order_that_loses_records_end_in_an_error(busy):
    """They cannot be sorted afterward; but how many there are is counted."""
    batches = of.fetch_batches(busy, "accounts", sort="-updated_at", page_size=10, progress=False)

    with pytest.raises(DocumentError, match="of which the API counted 180") as caught:
        list(batches)
    assert "sort" in caught.value.hint
    unsorted = of.fetch_batches(busy, "accounts", page_size=10, progress=False)
    assert sum(batch.num_rows for batch in unsorted) == N


def test_custom_objects_in_an_order_that_loses_records_are_an_error(tmp_path):
    def lease(number, updated):
        return resource("lease", number, {"updatedAt": updated})

    with organization(tmp_path, *(lease(n, f"2025-01-01T00:{n:02}:00Z") for n in range(1, 41))) as org:
        org.sandbox.faults.add(
            path="/customObjects/lease", after=1, on_request=lambda: org.sandbox.put(lease(5, "2025-02-01T00:00:00Z"))
        )

        with pytest.raises(DocumentError, match="39 custom_objects/lease came, of which the API counted 40"):
            of.fetch(org, "custom_objects/lease", sort="-updatedAt", page_size=10, progress=False)


# What comes twice, and what does not end


@pytest.fixture
def served(tmp_path):
    """Return a function that connects to a server of given answers in the place of the API."""
    running = []

    def serve(answers):
        server = Answers(answers)
        client = of.connect("a-secret", server.url, cache_dir=tmp_path / str(len(running)))
        running.append((server, client))
        return server, client

    yield serve
    for server, client in running:
        client.close()
        server.__exit__()


def shifted(path):
    """Answer with pages that each begin with the last record of the one before, by cursor or by offset."""
    at = int(path.partition("after%5D=")[2].partition("&")[0] or path.partition("p=")[2] or 0)
    page = [resource("account", n, {"name": f"A{n}"}) for n in range(2 * at + 1, 2 * at + 4)]
    return {"data": page, "links": {"next": f"/accounts?p={at + 1}" if at < 5 else None}}


@pytest.mark.parametrize("limit", [1, 4, 5, 7, 100])
def test_a_limit_counts_records_and_not_what_comes_twice(served, limit):
    """A record that was made in front moves the others onto the next page."""
    _, org = served({"/accounts": shifted})
    options = {"fields": ["name"], "limit": limit, "page_size": 3, "progress": False}
    expected = list(range(1, min(limit, 13) + 1))

    assert of.fetch(org, "accounts", **options)["id"].tolist() == expected
    assert of.fetch_tables(org, "accounts", **options)["accounts"]["id"].tolist() == expected
    batches = of.fetch_batches(org, "accounts", **options)
    assert [id_ for batch in batches for id_ in batch.column("id").to_pylist()] == expected


def test_the_first_rows_by_offset_are_as_many_as_were_asked_for(tmp_path):
    """Each record that is made in front meanwhile pushes one onto the page that is read after it."""
    with organization(tmp_path, *(account(n) for n in range(1, 60))) as org:
        late = iter(range(60, 70))
        org.sandbox.faults.add(path="/accounts", times=3, on_request=lambda: org.sandbox.put(account(next(late))))

        frame = of.fetch(org, "accounts", sort="-created_at", limit=30, page_size=10, parallel=2, progress=False)

    assert frame["id"].is_unique
    assert len(frame) == 30


@pytest.mark.parametrize("books", [[], [resource("account", 1, {"name": "A"})]], ids=["empty", "the same record"])
@pytest.mark.parametrize(
    "read", [of.fetch, of.fetch_tables, lambda *args, **options: list(of.fetch_batches(*args, **options))]
)
def test_pages_that_hold_nothing_new_are_not_asked_for_for_ever(served, books, read):
    """Each has a new link: the API would be asked until its budget is spent."""
    steps = count()
    server, org = served({"/accounts": lambda _: {"data": books, "links": {"next": f"/accounts?p={next(steps)}"}}})

    with pytest.raises(DocumentError, match="hold nothing new"):
        read(org, "accounts", fields=["name"], progress=False)
    assert len(server.asked) <= 101


def test_empty_pages_in_the_middle_are_not_the_end(served):
    pages = {n: [] for n in range(50)} | {0: [resource("account", 1)], 49: [resource("account", 2)]}

    def answer(path):
        at = int(path.partition("p=")[2] or 0)
        return {"data": pages[at], "links": {"next": f"/accounts?p={at + 1}" if at < 49 else None}}

    _, org = served({"/accounts": answer})

    assert of.fetch(org, "accounts", progress=False)["id"].tolist() == [1, 2]


@pytest.mark.parametrize("read", [of.fetch, of.fetch_tables])
def test_fewer_records_than_the_api_counts_are_a_warning(served, read):
    """The API's number may be of a moment later than what was read; but it is not kept quiet."""
    _, org = served({"/accounts": {"data": [resource("account", 1)], "meta": {"count": 3}}})

    with pytest.warns(OutreachDataWarning, match="1 accounts came, of which the API counted 3") as caught:
        read(org, "accounts")

    assert caught[0].filename == __file__


def test_the_first_rows_by_offset_that_are_too_few_are_told_of(tmp_path):
    """A record that is removed meanwhile pulls another onto the page that was read before it."""
    with organization(tmp_path, *(account(n) for n in range(1, 41))) as org:
        org.sandbox.faults.add(path="/accounts", after=1, times=1, on_request=lambda: org.sandbox.remove("account", 1))

        with pytest.warns(OutreachDataWarning, match="39 accounts came, of which the API counted 40"):
            frame = of.fetch(org, "accounts", limit=40, page_size=10, parallel=2, progress=False)

    assert len(frame) == 39
