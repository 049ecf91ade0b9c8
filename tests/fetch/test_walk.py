"""Walking from page to page where the pages are not what one would wish."""

import json

import pandas as pd
import pytest

import outreach_frames as of
from outreach_frames.errors import (
    BadRequestError,
    DocumentError,
    OriginError,
    UnknownAttributeWarning,
)
from tests.fetch_support import Answers, organization, resource

NAME = {"name": "A"}


@pytest.fixture
def served(tmp_path):
    """Return a function that connects to a server of given answers."""
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


def page(*resources, **members):
    return {"data": list(resources), **members}


def test_pages_that_are_too_large_for_a_proxy_are_halved():
    with of.sandbox(prospects=60) as org:
        fault = org.sandbox.faults.add(path="/prospects", status=502, page_size_above=20, times=None)

        frame = of.fetch(org, "prospects", page_size=50, progress=False)

        assert fault.used
        assert sorted(frame["id"]) == list(range(1, 61))


def test_a_link_that_was_followed_before_is_a_circle(served):
    server, org = served({})
    server.by_path["/accounts"] = page(resource("account", 1), links={"next": f"{server.url}/accounts?p=2"})
    server.by_path["/accounts?p=2"] = page(resource("account", 2), links={"next": f"{server.url}/accounts?p=2"})

    with pytest.raises(DocumentError, match="run in a circle"):
        of.fetch(org, "accounts")


def test_a_link_to_another_origin_is_refused_before_the_token_is_sent(served):
    thief, _ = served({"/accounts": page(resource("account", 2))})
    server, org = served({})
    server.by_path["/accounts"] = page(resource("account", 1), links={"next": f"{thief.url}/accounts"})

    with pytest.raises(OriginError) as caught:
        of.fetch(org, "accounts")

    assert thief.asked == []
    assert caught.value.hint
    assert "a-secret" not in str(caught.value)


def test_relative_links_stand_below_the_page_they_are_on(served):
    """JSON:API 1.1 allows them; joined to the base they would lose the base's path."""
    server, org = served({})
    server.by_path["/accounts"] = page(resource("account", 1), links={"next": "/accounts?p=2"})
    server.by_path["/accounts?p=2"] = page(resource("account", 2), links={"next": "?p=3"})
    server.by_path["/accounts?p=3"] = page(resource("account", 3), links={"next": None})

    assert of.fetch(org, "accounts")["id"].tolist() == [1, 2, 3]


def test_the_next_page_is_asked_for_exactly_as_the_link_says(served):
    """The link repeats every parameter; sending any of them again could change what it means."""
    server, org = served({})
    link = "/accounts?page%5Bafter%5D=x%3D%3D&keep=1"
    server.by_path["/accounts"] = page(resource("account", 1), links={"next": server.url + link})
    server.by_path[link] = page(resource("account", 2))

    of.fetch(org, "accounts")

    assert server.asked[1:] == [link]


def test_an_empty_collection_without_links_or_meta_is_an_empty_frame(served):
    _, org = served({"/accounts": page()})

    frame = of.fetch(org, "accounts")

    assert frame.shape[0] == 0
    assert frame["created_at"].dtype == "timestamp[us, tz=UTC][pyarrow]"


def test_a_record_that_moved_during_the_walk_appears_once_as_it_was_last(served):
    server, org = served({})
    server.by_path["/accounts"] = page(
        resource("account", 1, {"name": "old"}),
        resource("account", 2, NAME),
        links={"next": f"{server.url}/accounts?p=2"},
    )
    server.by_path["/accounts?p=2"] = page(resource("account", 3, NAME), resource("account", 1, {"name": "new"}))

    frame = of.fetch(org, "accounts", fields=["name"])

    assert frame.to_dict("list") == {"id": [1, 2, 3], "name": ["new", "A", "A"]}


def test_unknown_attributes_are_named_once_per_type_and_kept_with_a_star(served):
    """A server that ignores fieldsets sends what nobody asked for, on every page."""
    server, org = served({})
    extra = {"name": "A", "shoeSize": 43}
    owner = {**resource("user", 7, {"email": "ana@example.com", "hatSize": 57}), "relationships": {}}
    first = page(resource("account", 1, extra, owner=("user", 7)), included=[owner])
    server.by_path["/accounts"] = first | {"links": {"next": f"{server.url}/accounts?p=2"}}
    server.by_path["/accounts?p=2"] = page(resource("account", 2, extra | {"gloveSize": 9}))
    server.by_path["/accounts/1"] = first | {"data": first["data"][0]}

    with pytest.warns(UnknownAttributeWarning) as caught:
        frame = of.fetch_accounts(org, fields=["name"], include={"owner": ["email"]})

    assert {w.filename for w in caught} == {__file__}
    assert [str(w.message).partition(",")[0] for w in caught] == [
        "account has attributes that the catalog does not know",
        "user has attributes that the catalog does not know",
    ]
    assert "gloveSize, shoeSize" in str(caught[0].message)
    assert frame.columns.tolist() == ["id", "name", "owner__email"]
    with pytest.warns(UnknownAttributeWarning, match="shoeSize"):
        of.fetch_one(org, "accounts", 1, fields=["name"])
    kept = of.fetch(org, "accounts", fields="*")
    assert kept["shoe_size"].tolist() == [43, 43]
    assert kept["glove_size"].tolist() == [pd.NA, 9]


def test_values_of_surprising_types_are_read_where_nothing_is_lost(served):
    """One odd record must not lose a sync, and must not be nulled without a word: what does not fit names its place."""
    odd = {
        "name": 7,
        "numberOfEmployees": "120",
        "createdAt": "2025-01-01T10:00:00+02:00",
        "touchedAt": "2025-01-01T10:00:00",
        "tags": ["a", None],
    }
    server, org = served({"/accounts": page(resource("account", "1", odd, owner=("user", "7")))})

    row = of.fetch(org, "accounts", fields=["name", "number_of_employees", "created_at", "touched_at", "tags", "owner"])

    assert row.drop(columns="tags").iloc[0].tolist() == [
        *(1, "7", 120),
        *(pd.Timestamp("2025-01-01T08:00:00Z"), pd.Timestamp("2025-01-01T10:00:00Z")),
        7,
    ]
    assert list(row["tags"][0]) == ["a", None]
    server.by_path["/accounts"] = page(resource("account", 1, {"numberOfEmployees": "many"}))
    with pytest.raises(DocumentError) as caught:
        of.fetch(org, "accounts", refresh=True)
    assert (caught.value.resource_type, caught.value.id, caught.value.attribute) == ("account", 1, "numberOfEmployees")
    assert "many" not in str(caught.value)


@pytest.mark.parametrize(
    ("account", "user", "said", "followed"),
    [
        (
            {"numberOfEmployees": "many"},
            {},
            "leave number_of_employees out: .* fields=…",
            {"fields": ["name", "owner"]},
        ),
        ({}, {"createdAt": "soon"}, "leave created_at out: .* include={path", {"include": {"owner": ["email"]}}),
    ],
)
def test_the_hint_about_a_value_that_cannot_be_read_leads_to_the_rest(served, account, user, said, followed):
    """Only who chooses columns can leave one out, and those of related records are chosen elsewhere."""
    account = resource("account", 1, NAME | account, owner=("user", 7))
    _, org = served({"/accounts": page(account, included=[resource("user", 7, {"email": "a@b.example"} | user)])})

    for read in (of.fetch, of.fetch_tables):
        with pytest.raises(DocumentError, match=said):
            read(org, "accounts", include="owner")
        assert len(read(org, "accounts", **({"include": "owner"} | followed), refresh=True))


def test_a_link_may_ask_for_all_rows_in_words(served):
    """The page size is a number in Outreach's links only; in another's it is the server's own business."""
    server, org = served({})
    link = "/accounts?page%5Bsize%5D=all"
    server.by_path["/accounts"] = page(resource("account", 1), links={"next": server.url + link})
    server.by_path[link] = page(resource("account", 2))

    assert of.fetch(org, "accounts")["id"].tolist() == [1, 2]


def test_an_included_record_that_was_not_sent_leaves_its_columns_missing(served):
    """The foreign key still says which it was; ``included`` may also be absent altogether."""
    accounts = [resource("account", 1, NAME, owner=("user", 7)), resource("account", 2, NAME, owner=("user", 8))]
    server, org = served({"/accounts": page(*accounts, included=[resource("user", 7, {"email": "a@b.example"})])})

    frame = of.fetch(org, "accounts", fields=["owner"], include={"owner": ["email"]})

    assert frame["owner_id"].tolist() == [7, 8]
    assert frame["owner__email"].tolist() == ["a@b.example", pd.NA]
    server.by_path["/accounts"] = page(*accounts)
    frame = of.fetch(org, "accounts", fields=["owner"], include={"owner": ["email"]}, refresh=True)
    assert frame["owner__email"].isna().all()


def test_a_page_that_cannot_be_read_is_neither_part_of_a_frame_nor_kept(served):
    """What was read before stays in the cache, so that the same call goes on where it stopped."""
    server, org = served({})
    server.by_path["/accounts"] = page(resource("account", 1), links={"next": f"{server.url}/accounts?p=2"})
    server.by_path["/accounts?p=2"] = b'{"data": [{"type": "account"'
    with pytest.raises(DocumentError):
        of.fetch(org, "accounts")
    server.asked.clear()
    server.by_path["/accounts?p=2"] = page(resource("account", 2))

    frame = of.fetch(org, "accounts")

    assert frame["id"].tolist() == [1, 2]
    assert server.asked == ["/accounts?p=2"]


def test_a_cursor_of_another_query_is_refused_by_the_api(tmp_path):
    with organization(tmp_path, *(resource("account", n, NAME) for n in (1, 2))) as org:
        first = json.loads(org.get("/accounts", [("page[size]", "1"), ("sort", "name")]).body)
        cursor = first["links"]["next"].partition("after%5D=")[2].partition("&")[0]

        with pytest.raises(BadRequestError) as caught:
            org.get(f"/prospects?page[after]={cursor}")

    assert caught.value.status == 400
    assert caught.value.hint
