"""What is odd about pages, over a whole walk: warned of once, kept as far as can be, refused where asked."""

import pytest

import outreach_frames as of
from outreach_frames.errors import DocumentError, OutreachDataWarning
from tests.fetch_support import Answers, organization, resource

ACCOUNT = r"^prospect\.account leads to a record of the type 'unknown' instead of account, in 2 records \(id 1, 3\)\. "


def odd_pages(server_url):
    """Return two pages of prospects, each with a link to a type that no prospect's account has."""
    first = [
        resource("prospect", 1, {"firstName": "A"}, account=("unknown", 1), owner=("user", 5)),
        resource("prospect", 2, {"firstName": "B"}, account=("account", 8)),
    ]
    second = [resource("prospect", 3, {"firstName": "C"}, account=("unknown", 1))]
    return {
        "/prospects": {"data": first, "links": {"next": f"{server_url}/prospects/after"}},
        "/prospects/after": {"data": second},
    }


@pytest.fixture
def org(tmp_path):
    """Return a connection to a server with those pages."""
    with Answers({}) as server:
        server.by_path |= odd_pages(server.url)
        with of.connect("token", server.url, cache_dir=tmp_path) as client:
            yield client


def test_odd_links_of_a_walk_are_missing_with_one_warning(org):
    """The vendor's own records must not refuse the fetch; the walk says how many and which."""
    with pytest.warns(OutreachDataWarning, match=ACCOUNT) as caught:
        frame = of.fetch(org, "prospects", fields=["first_name", "account"])

    assert len(caught) == 1
    assert frame["first_name"].to_list() == ["A", "B", "C"]
    assert frame["account_id"].array.__arrow_array__().to_pylist() == [None, 8, None]


def test_every_way_of_fetching_warns(org):
    """In batches, as tables, one by one."""
    with pytest.warns(OutreachDataWarning, match=ACCOUNT):
        batches = list(of.fetch_batches(org, "prospects", fields=["account"]))
    with pytest.warns(OutreachDataWarning, match=ACCOUNT):
        tables = of.fetch_tables(org, "prospects", fields=["account"])

    assert [row["account_id"] for batch in batches for row in batch.to_pylist()] == [None, 8, None]
    assert tables["prospects"]["id"].to_list() == [1, 2, 3]


@pytest.mark.parametrize("read", [of.fetch, of.fetch_tables, lambda *a, **o: list(of.fetch_batches(*a, **o))])
def test_strict_refuses_odd_links_and_names_them(org, read):
    """And says how the rest can be read."""
    with pytest.raises(DocumentError, match="leads to a record of the type 'unknown'") as caught:
        read(org, "prospects", fields=["first_name", "account"], strict=True)

    assert (caught.value.resource_type, caught.value.id, caught.value.attribute) == ("prospect", 1, "account")
    assert "leave account out" in caught.value.hint


def test_one_record_may_be_odd_too(tmp_path):
    """With the same warning and the same switch."""
    document = {"data": resource("prospect", 1, account=("unknown", 1))}
    with Answers({"/prospects/1": document}) as server, of.connect("token", server.url, cache_dir=tmp_path) as client:
        with pytest.warns(OutreachDataWarning, match=r"in 1 record \(id 1\)"):
            record = of.fetch_one(client, "prospects", 1)
        with pytest.raises(DocumentError):
            of.fetch_one(client, "prospects", 1, strict=True)

    assert record["id"] == 1


def test_other_servers_records_may_be_odd_too():
    """PHP's empty lists are nothing to warn of; a link that is none is."""
    rows = [
        {"type": "book", "id": "1", "attributes": [], "relationships": []},
        {"type": "book", "id": "2", "relationships": {"author": {"data": {"type": "person", "id": "3"}}}},
        {"type": "book", "id": "3", "relationships": {"author": {"data": "?"}}},
    ]
    answers = {"/book": {"data": rows}, "/book/3": {"data": rows[2]}}
    with Answers(answers) as server, of.connect_jsonapi(server.url) as client:
        for read in (of.fetch, lambda *a, **o: of.fetch_tables(*a, **o)["book"]):
            with pytest.warns(OutreachDataWarning, match=r"^book\.author is not linked .* in 1 record \(id 3\)"):
                frame = read(client, "book")
            assert frame["author_id"].array.__arrow_array__().to_pylist() == [None, "3", None]
            with pytest.raises(DocumentError, match="author"):
                read(client, "book", strict=True)
        with pytest.raises(DocumentError, match="author"):
            of.fetch_one(client, "book", 3, strict=True)


def test_dates_with_a_time_of_day_are_the_day_that_was_meant(tmp_path):
    """A live organization sends midnight in the writer's zone; the sandbox sends what it holds."""
    born = {"dateOfBirth": "1990-12-30T21:00:00.000Z"}
    with organization(tmp_path, resource("prospect", 1, born)) as client:
        frame = of.fetch(client, "prospects", fields=["date_of_birth"])

    assert str(frame["date_of_birth"].item()) == "1990-12-31"


NESTED = b'{"errors": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
LONG = b'{"data": [{"type": "prospect", "id": 1, "attributes": {"unknown": %s}}]}' % (b"9" * 5_000)


READS = [
    lambda client: of.fetch(client, "prospects"),
    lambda client: of.fetch_one(client, "prospects", 1),
    lambda client: of.fetch_tables(client, "prospects"),
]


@pytest.mark.parametrize("read", READS, ids=["fetch", "fetch_one", "fetch_tables"])
def test_a_deeply_nested_answer_is_a_typed_error_and_asked_for_once(tmp_path, read):
    """To ask again would bring the same."""
    with Answers({"/prospects": NESTED, "/prospects/1": NESTED}) as server:
        for client in (of.connect("token", server.url, cache_dir=tmp_path), of.connect_jsonapi(server.url)):
            with client, pytest.raises(DocumentError, match="nested too deeply"):
                read(client)
        assert len(server.asked) == 2


def test_a_number_of_thousands_of_digits_is_text(tmp_path):
    """From Outreach, where everything is asked for, and from any other server."""
    with Answers({"/prospects": LONG}) as server:
        with of.connect("token", server.url, cache_dir=tmp_path) as client:
            assert of.fetch(client, "prospects", fields="*")["unknown"].item() == "9" * 5_000
        with of.connect_jsonapi(server.url) as client:
            assert of.fetch(client, "prospects")["unknown"].item() == "9" * 5_000
