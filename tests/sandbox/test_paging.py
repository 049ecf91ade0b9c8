import base64
import json
from urllib.parse import parse_qsl, urlsplit

import pytest

from outreach_frames._sandbox import Sandbox, SandboxSettings
from tests.sandbox.small_organization import asking, error, ids, resource


def calls(number):
    """Return calls of which several were made in the same second and some have no time."""
    return [
        resource(
            "call",
            id_,
            {
                "createdAt": f"2025-01-{1 + id_ % 3:02d}T00:00:00.000Z" if id_ % 4 else None,
                "outcome": [None, "Answered", "Not Answered"][id_ % 3],
            },
        )
        for id_ in range(1, number + 1)
    ]


@pytest.fixture
def many():
    with Sandbox(calls(23)) as running:
        yield running
    assert running.failures == ()


def walk(ask, path, link="next"):
    """Follow links to the end; return the pages' ids."""
    pages = []
    while path:
        answer = ask(path)
        pages.append(ids(answer))
        path = answer.json().get("links", {}).get(link)
    return pages


@pytest.mark.parametrize("sort", ["", "&sort=createdAt", "&sort=-createdAt", "&sort=-outcome,createdAt"])
@pytest.mark.parametrize("nulls", ["lowest", "highest"])
def test_a_walk_meets_every_record_once(many, sort, nulls):
    """Keyset pagination neither repeats nor skips, whatever the order, ties and missing values included."""
    many.settings.nulls = nulls

    pages = walk(asking(many), f"/calls?page[size]=5{sort}")

    assert [len(page) for page in pages] == [5, 5, 5, 5, 3]
    assert sorted(id_ for page in pages for id_ in page) == list(range(1, 24))


def test_default_page_holds_fifty():
    with Sandbox(calls(60)) as running:
        ask = asking(running)

        assert [len(page) for page in walk(ask, "/calls")] == [50, 10]


def test_previous_links_lead_back(many):
    """``links.prev`` returns the pages that came before, in the same order within a page."""
    ask = asking(many)
    forward = walk(ask, "/calls?page[size]=5")
    last = ask("/calls?page[size]=5")
    while "next" in last.json()["links"]:
        last = ask(last.json()["links"]["next"])

    back = walk(ask, last.url, link="prev")

    assert sorted(back[1:]) == sorted([forward[3], forward[2], forward[1], forward[0]])
    assert [page[0] for page in back] == [21, 16, 11, 6, 1]


def test_next_link_repeats_every_parameter_of_the_request(many):
    """Links are followed as given: nothing has to be added to them."""
    asked = "count=true&filter[id]=1..22&fields[call]=createdAt&sort=-createdAt&page[size]=4"

    link = asking(many)(f"/calls?{asked}").json()["links"]["next"]

    parts = urlsplit(link)
    sent = dict(parse_qsl(parts.query))
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == f"{many.base_url}/calls"
    assert dict(parse_qsl(asked)).items() <= sent.items()
    assert set(sent) - set(dict(parse_qsl(asked))) == {"page[after]"}
    assert "[" not in parts.query


def test_brackets_in_links_may_stay_as_they_are(many):
    many.settings.encoded_links = False

    assert "page[after]=" in asking(many)("/calls?page[size]=4").json()["links"]["next"]


def test_links_may_point_to_the_organizations_own_host(many):
    """An organization can live on another host, and its links then say so."""
    many.settings.links_base_url = "https://app1f.outreach.io/api/v2"

    answer = asking(many)("/calls?page[size]=4").json()

    assert answer["links"]["next"].startswith("https://app1f.outreach.io/api/v2/calls?")
    assert answer["data"][0]["links"]["self"] == "https://app1f.outreach.io/api/v2/calls/1"


def test_only_page_has_a_first_link_alone(many):
    assert set(asking(many)("/calls").json()["links"]) == {"first"}


def test_empty_collection_has_no_links(many):
    assert asking(many)("/calls?filter[id]=99").json() == {"data": []}


def test_cursor_is_the_sort_values_and_the_id(many):
    """A position would shift when records come and go; values do not."""
    link = asking(many)("/calls?page[size]=4&sort=-createdAt").json()["links"]["next"]

    cursor = json.loads(base64.b64decode(dict(parse_qsl(urlsplit(link).query))["page[after]"]))

    assert cursor == {"cn": "calls", "sp": "-createdAt", "sv": ["2025-01-03T00:00:00.000Z"], "id": 14, "v": 1}


def test_record_removed_where_the_cursor_stands_loses_nothing(many):
    ask = asking(many)
    first = ask("/calls?page[size]=5")
    many.remove("call", 5)

    assert ids(ask(first.json()["links"]["next"])) == [6, 7, 8, 9, 10]


def test_record_that_changes_while_its_list_is_walked_by_change_is_met_again(many):
    """Sorted by a time that moves, a record moves to the end: nothing is skipped, one is repeated."""
    ask = asking(many)
    first = ask("/calls?page[size]=20&sort=createdAt")
    moved = ids(first)[0]
    many.put(resource("call", moved, {"createdAt": "2025-02-01T00:00:00.000Z"}))

    rest = ids(ask(first.json()["links"]["next"]))

    assert rest[-1] == moved
    assert set(ids(first)) | set(rest) == set(range(1, 24))


@pytest.mark.parametrize(
    "path",
    [
        "/calls?sort=-createdAt&page[after]={}",
        "/prospects?page[after]={}",
        "/calls?page[after]=nonsense",
        "/calls?page[after]=W10=",
        "/calls?page[size]=0",
        "/calls?page[size]=-1",
        "/calls?page[size]=many",
        "/calls?page[size]=1001",
        "/calls?page[limit]=1001",
        "/calls?page[offset]=10001",
        "/calls?page[size]=5&page[offset]=5",
        "/calls?page[after]={0}&page[before]={0}",
        "/calls?page[number]=2",
    ],
)
def test_unusable_pages_are_refused(many, path):
    """Cursors are bound to one collection and one sort; sizes and offsets have their limits."""
    ask = asking(many)
    cursor = ask("/calls?page[size]=4").json()["links"]["next"].partition("after%5D=")[2]

    assert error(ask(path.format(cursor))) == (400, "pageParameter.invalidValue")


def test_oversized_page_may_be_cut_instead(many):
    many.settings.oversized_page = "clamp"

    assert len(ids(asking(many)("/calls?page[size]=5000"))) == 23


def test_offset_pages_cover_the_list_and_name_the_last(many):
    """The deprecated pagination has ``links.last``."""
    ask = asking(many)

    pages = walk(ask, "/calls?page[limit]=10")

    assert pages == [list(range(1, 11)), list(range(11, 21)), [21, 22, 23]]
    assert "page%5Boffset%5D=20" in ask("/calls?page[limit]=10").json()["links"]["last"]
    assert walk(ask, "/calls?page[limit]=10&page[offset]=20", link="prev")[-1] == pages[0]


@pytest.mark.parametrize("goes_on", [True, False])
def test_offset_walk_past_ten_thousand(goes_on):
    """What follows offset 10,000 is unknown: a link that ends in an error, or silence."""
    settings = SandboxSettings(next_past_offset_limit=goes_on)
    with Sandbox([resource("call", id_) for id_ in range(1, 10_500)], settings=settings) as running:
        ask = asking(running)

        links = ask("/calls?page[limit]=100&page[offset]=9950&fields[call]=").json()["links"]

        assert ("next" in links) is goes_on
        if goes_on:
            assert error(ask(links["next"])) == (400, "pageParameter.invalidValue")


def test_counting(many):
    """Counted only when asked, with ``count_truncated`` beside the number."""
    ask = asking(many)

    assert ask("/calls?count=true&page[size]=1").json()["meta"] == {"count": 23, "count_truncated": False}
    assert "meta" not in ask("/calls?count=false").json()
    assert "meta" not in ask("/calls").json()
    assert error(ask("/calls?count=yes")) == (400, "queryParameter.invalidValue")


def test_counts_that_are_cut_or_unknown(many):
    """Zero and truncated means unknown, not zero."""
    ask = asking(many)

    many.settings.count_limit = 20
    assert ask("/calls?count=true").json()["meta"] == {"count": 20, "count_truncated": True}
    many.settings.count = "unknown"
    assert ask("/calls?count=true").json()["meta"] == {"count": 0, "count_truncated": True}


def test_older_ways_of_counting(many):
    many.settings.meta_without_count = "null"
    assert asking(many)("/calls").json()["meta"] == {"count": None}
    many.settings.count_by_default = True
    assert asking(many)("/calls").json()["meta"]["count"] == 23


def test_order_without_a_sort_may_be_useless_yet_stable(many):
    """Nothing promises an order by id; a reader must not rely on it."""
    many.settings.unsorted_order = "scattered"
    ask = asking(many)

    pages = walk(ask, "/calls?page[size]=7")

    order = [id_ for page in pages for id_ in page]
    assert order == ids(ask("/calls"))
    assert sorted(order) == list(range(1, 24)) != order


def test_sort_keys_apply_in_turn(ask):
    assert ids(ask("/prospects?sort=lastName,-firstName")) == [3, 1, 2]
    assert ids(ask("/prospects?sort=-lastName,firstName")) == [2, 1, 3]


def test_missing_values_may_sort_highest(sandbox, ask):
    sandbox.settings.nulls = "highest"

    assert ids(ask("/prospects?sort=lastName,-firstName")) == [1, 2, 3]


@pytest.mark.parametrize("sort", ["openCount", "id", "prospect", "nosuch", "prospect.firstName"])
def test_unsortable_names_are_refused(ask, sort):
    """Only what the contract marks sortable; the id is not among it, relationships not since 2023."""
    assert error(ask(f"/mailings?sort={sort}")) == (400, "sortParameter.invalidAttribute")


def test_sorting_by_id_can_be_switched_on(sandbox, ask):
    sandbox.settings.sortable_id = True

    assert ids(ask("/prospects?sort=-id")) == [3, 2, 1]


def test_events_sort_by_the_change_time_that_the_guide_names(ask):
    """The guide sorts events by ``-updatedAt``, which the contract does not declare."""
    answer = ask("/events?sort=-updatedAt")

    assert ids(answer) == [2, 1]
    assert "updatedAt" not in answer.json()["data"][0]["attributes"]
