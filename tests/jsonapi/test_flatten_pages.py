"""Whole pages: links, counts, meta information, and what is no page."""

import gc
import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress

import pytest

from outreach_frames._jsonapi import collector_paused, to_frame
from outreach_frames.errors import DocumentError
from tests.jsonapi.flat_documents import body, layout, read, records, resource


def test_an_empty_collection_keeps_all_columns():
    """No data, no links: an answer like any other."""
    asked = layout("prospect", include={"owner": None})

    page = asked.page(b'{"data": []}')

    assert (page.next, page.count, page.count_truncated, page.batch.num_rows) == (None, None, False, 0)
    assert page.batch.schema == asked.schema


@pytest.mark.parametrize("links", [None, {}, {"next": None}, {"next": ""}, {"first": "x"}])
def test_the_last_page_has_no_next(links):
    """However the absence of a link is written."""
    assert layout("prospect").page(body(links=links)).next is None


@pytest.mark.parametrize("link", ["https://x.example/?page[after]=x", {"href": "https://x.example/?page[after]=x"}])
def test_a_link_may_be_text_or_an_object(link):
    """The standard allows both, on ordinary pages and on odd ones."""
    for id_ in (1, "1"):
        assert (
            layout("prospect").page(body(resource("prospect", id_), links={"next": link})).next
            == "https://x.example/?page[after]=x"
        )


def test_a_next_link_that_cannot_be_read_is_refused():
    """To stop there would pass a part for the whole."""
    with pytest.raises(DocumentError, match="next page"):
        layout("prospect").page(body(links={"next": 2}))


@pytest.mark.parametrize(
    ("meta", "count", "truncated"),
    [
        ({"count": 12, "count_truncated": False}, 12, False),
        ({"count": 2_000_000, "count_truncated": True}, 2_000_000, True),
        ({"count": 0, "count_truncated": True}, None, True),
        ({"count": 0}, 0, False),
        ({"count": None}, None, False),
        ({"count": "12"}, 12, False),
        ({"count": {"of": 12}}, None, False),
        (None, None, False),
        ([], None, False),
    ],
)
def test_an_unknown_count_is_not_zero(meta, count, truncated):
    """Under load Outreach answers 0 and says that it did not count."""
    page = layout("prospect").page(body(meta=meta))

    assert (page.count, page.count_truncated) == (count, truncated)


def with_attributes(attributes: bytes) -> bytes:
    """Return a page whose attributes are these bytes."""
    return b'{"data": [{"type": "prospect", "id": 1, "attributes": %s}]}' % attributes


NO_PAGES = {
    "nothing": b"",
    "white space": b" ",
    "a proxy's page": b"<html>502</html>",
    "null": b"null",
    "a list": b"[]",
    "a number": b"3",
    "no data": b"{}",
    "errors": b'{"errors": []}',
    "trailing text": b'{"data": []} trailing',
    "data: a number": b'{"data": 3}',
    "data: numbers": b'{"data": [3]}',
    "data: text": b'{"data": "x"}',
    "links: a number": b'{"data": [], "links": 3}',
    "no id": b'{"data": [{"type": "prospect"}]}',
    "no type": b'{"data": [{"id": 1}]}',
    "another type": b'{"data": [{"type": "account", "id": 1}]}',
    "type: a number": b'{"data": [{"type": 1, "id": 1}]}',
    "attributes: a list": with_attributes(b"[1]"),
    "relationships: text": b'{"data": [{"type": "prospect", "id": 1, "relationships": "x"}]}',
    "a quote in a name": with_attributes(b'{"\\"first\\" name": 1}'),
    "NaN": with_attributes(b'{"score": NaN}'),
    "Infinity": with_attributes(b'{"score": -Infinity}'),
    "no UTF-8": with_attributes(b'{"firstName": "\xff"}'),
    "half a character": with_attributes(b'{"firstName": "\\ud800"}'),
    "nested without end": b'{"data": ' + b"[" * 100_000,
    "JSON text without end": with_attributes(b'{"contactHistogram": ' + b"[" * 100_000),
    "JSON text of too many levels": with_attributes(b'{"contactHistogram": %s}' % (b"[" * 201 + b"]" * 201)),
}


@pytest.mark.parametrize("content", NO_PAGES.values(), ids=NO_PAGES)
def test_what_is_no_page_is_refused(content):
    """Not JSON, cut, nested without end, another type, no resources: one exception for all, without the content."""
    with pytest.raises(DocumentError) as caught:
        layout("prospect").page(content)

    assert "502" not in str(caught.value)


def test_one_resource_is_a_page_of_one_row():
    """As an answer to a request for one record; null is none."""
    asked = layout("prospect", fields=["firstName"])

    assert asked.page(b'{"data": {"type": "prospect", "id": 1}}').batch.num_rows == 1
    assert asked.page(b'{"data": null}').batch.num_rows == 0


@pytest.mark.parametrize("included", [[], None, {}, "x"])
def test_what_is_included_is_nobodys_business_where_nothing_is_joined(included):
    """Also on the first page of several, whose order of attributes is learned."""
    rows = [resource("prospect", n, lastName=f"{n}", firstName="Sally") for n in range(150)]
    page = body(*rows, included=[], links={"next": "x"}).replace(
        b'"included": []', b'"included": ' + json.dumps(included).encode()
    )
    asked = layout("prospect", fields=["firstName", "lastName"])

    for _ in range(2):
        assert asked.page(page).batch["last_name"].to_pylist() == [f"{n}" for n in range(150)]


def test_a_byte_order_mark_is_passed_over():
    """Some editors and proxies add one."""
    assert layout("prospect").page(b"\xef\xbb\xbf" + body(resource("prospect", 1))).batch.num_rows == 1


def test_meta_information_is_kept_when_asked_for():
    """Links to CRM records come as meta information of each record."""
    known = {**resource("prospect", 1), "meta": {"dataConnections": [{"id": 1}]}}

    frame = read("prospect", body(known, resource("prospect", 2)), fields=[], meta=True)

    assert records(frame) == [{"id": 1, "meta": '{"dataConnections":[{"id":1}]}'}, {"id": 2, "meta": None}]


def test_a_layout_may_be_shared_by_threads():
    """Ranges of ids are walked side by side, and each page may bring another new name."""
    asked = layout("prospect", open=True)
    pages = [body(resource("prospect", n, **{f"new{n % 7}": n})) for n in range(200)]

    with ThreadPoolExecutor(8) as pool:
        frame = to_frame([page.batch for page in pool.map(asked.page, pages)], asked.schema)

    assert frame["id"].to_list() == list(range(200))
    assert frame[[f"new{n}" for n in range(7)]].sum(axis=1).to_list() == list(range(200))
    assert gc.isenabled()


@pytest.mark.parametrize("collecting", [True, False])
def test_the_garbage_collector_rests_until_the_last_of_several_threads_has_read(collecting):
    """There is one for all of them: who ends first must not wake it, and who ends last must not forget to."""
    (gc.enable if collecting else gc.disable)()
    try:
        first, second = ExitStack(), ExitStack()
        first.enter_context(collector_paused())
        second.enter_context(collector_paused())

        first.close()
        assert not gc.isenabled()
        second.close()
        assert gc.isenabled() == collecting
    finally:
        gc.enable()


@pytest.mark.parametrize("collecting", [True, False])
@pytest.mark.parametrize("content", [body(resource("prospect", 1)), b"{}"], ids=["page", "no page"])
def test_the_garbage_collector_is_left_as_it_was(content, collecting):
    """It rests while a page is read, and is nobody's business after."""
    asked = layout("prospect")
    (gc.enable if collecting else gc.disable)()
    try:
        with suppress(DocumentError):
            asked.page(content)

        assert gc.isenabled() == collecting
    finally:
        gc.enable()
