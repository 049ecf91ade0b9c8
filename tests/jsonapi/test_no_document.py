"""What is no document, or no readable one: its own sentence for each, and one type of error."""

import io

import pytest

from outreach_frames._jsonapi import read_jsonapi, to_frame
from outreach_frames.errors import DocumentError
from tests.jsonapi.flat_documents import body, layout, only, resource

RESOURCE = '{"type": "book", "id": "1"}'
DOCUMENT = f'{{"data": {RESOURCE}}}'

SENTENCES = {
    "a list": ([{"type": "book", "id": "1"}], "A list is no JSON:API document"),
    "the text of a list": (f"[{RESOURCE}]", "it is a list"),
    "the bytes of a list": (f" [{RESOURCE}]".encode(), "it is a list"),
    "UTF-16": (DOCUMENT.encode("utf-16"), "UTF-16"),
    "UTF-16 without a mark": (DOCUMENT.encode("utf-16-le"), "UTF-16"),
    "UTF-32": (DOCUMENT.encode("utf-32"), "UTF-32"),
    "a web page": ("<!DOCTYPE html><p>502</p>", "HTML"),
    "nothing": ("", "empty"),
    "white space": (b" \n", "empty"),
    "lines of JSON": (f"{DOCUMENT}\n{DOCUMENT}\n".encode(), "several in one"),
    "a part": (DOCUMENT[:-1], "cut short"),
    "text": (b'"book"', "it is text"),
    "a number": (b"12", "it is a number"),
    "null": (b"null", "it is null"),
    "nothing at all": (None, "A NoneType is no JSON:API document"),
    "an open file": (io.BytesIO(DOCUMENT.encode()), "A BytesIO is no JSON:API document"),
    "an address": ("https://api.example.com/books", "An address is no document"),
    "the address of a file": ("file:///tmp/books.json", "An address is no document"),
    "neither text nor path": ("book\0", "neither"),
}


@pytest.mark.parametrize(("source", "sentence"), SENTENCES.values(), ids=SENTENCES)
def test_what_is_no_document_is_told_what_it_is(source, sentence):
    """And what to do about it."""
    with pytest.raises(DocumentError, match=sentence) as caught:
        read_jsonapi(source)

    assert caught.value.hint
    assert "proxy" not in caught.value.hint


@pytest.mark.parametrize("content", ["id,title\n1,A\n", f"[{RESOURCE}]", "", DOCUMENT.encode("utf-16")])
def test_a_local_file_that_is_no_document_is_named(tmp_path, content):
    """No address has to be checked, and no proxy."""
    path = tmp_path / "books.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())

    for source in (path, str(path)):
        with pytest.raises(DocumentError) as caught:
            read_jsonapi(source)
        assert "file" in caught.value.hint
        assert "proxy" not in caught.value.hint


def test_a_file_may_be_called_like_a_list(tmp_path, monkeypatch):
    """A name is a name."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "[books].json").write_text(DOCUMENT)

    assert only(read_jsonapi("[books].json")) == {"id": "1"}


@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_bytes_may_be_of_any_kind(kind):
    """As other libraries hand them out."""
    assert only(read_jsonapi(kind(DOCUMENT.encode()))) == {"id": "1"}


DEEP = {
    "closed": "[" * 100_000 + "]" * 100_000,
    "open": "[" * 100_000,
    "objects": '{"a":' * 100_000 + "1" + "}" * 100_000,
}
PLACES = [
    '{"data":[{"type":"prospect","id":1,"attributes":{"unknown":%s}}]}',
    '{"data":[{"type":"prospect","id":1,"attributes":{"firstName":%s}}]}',
    '{"data":[{"type":"prospect","id":1,"attributes":{"openCount":%s}}]}',
    '{"data":[{"type":"prospect","id":1,"attributes":{"contactHistogram":%s}}]}',
    '{"data":[{"type":"prospect","id":1,"attributes":{"tags":[%s]}}]}',
    '{"data":[{"type":"prospect","id":1,"attributes":%s}]}',
    '{"data":[{"type":"prospect","id":1,"relationships":{"unknown":{"data":%s}}}]}',
    '{"data":[{"type":"prospect","id":1,"relationships":{"unknown":{"data":{"type":"user","id":%s}}}}]}',
    '{"data":[{"type":"prospect","id":1,"relationships":{"owner":{"data":{"type":"user","id":%s}}}}]}',
    '{"data":[{"type":"prospect","id":1,"relationships":{"owner":{"meta":%s}}}]}',
    '{"data":[{"type":"prospect","id":%s}]}',
    '{"data":[{"type":"prospect","id":1,"meta":%s}]}',
    '{"data":[{"type":"prospect","id":1}],"meta":%s}',
    '{"data":[{"type":"prospect","id":1}],"meta":{"count":%s}}',
    '{"data":[{"type":"prospect","id":1}],"links":{"next":%s}}',
    '{"data":[{"type":"prospect","id":1}],"jsonapi":%s}',
    '{"data":[{"type":"prospect","id":1}],"unknown":%s}',
    '{"data":[{"type":"prospect","id":1}],"included":[{"type":"user","id":1,"attributes":{"unknown":%s}}]}',
    '{"data":[{"type":"prospect","id":1}],"included":%s}',
    '{"errors":[{"meta":%s}]}',
    '{"errors":%s}',
    '{"data":%s}',
    '{"data":{"unknown":%s}}',
    '{"meta":{"unknown":%s}}',
    "%s",
]


def page_read(content):
    """Read as a walk does, whatever comes."""
    asked = layout("prospect", open=True, meta=True, include={"owner": None})
    return to_frame([asked.page(content).batch], asked.schema)


READERS = [read_jsonapi, lambda content: read_jsonapi(content, catalog=False), page_read]


@pytest.mark.parametrize("read", READERS, ids=["outreach", "any", "page"])
@pytest.mark.parametrize("place", PLACES)
def test_nesting_without_end_anywhere_is_a_document_error(place, read):
    """A hundred thousand levels, closed and open."""
    for deep in DEEP.values():
        with pytest.raises(DocumentError):
            read((place % deep).encode())


@pytest.mark.filterwarnings("ignore::outreach_frames.errors.OutreachDataWarning")
@pytest.mark.parametrize("read", READERS, ids=["outreach", "any", "page"])
@pytest.mark.parametrize("place", PLACES)
def test_integers_of_5000_digits_anywhere_are_text_or_a_document_error(place, read):
    """Python itself refuses to read more than 4,300."""
    try:
        frame = read((place % ("9" * 5000)).encode())
    except DocumentError:
        return
    assert frame.dtypes.astype(str).ne("object").all()


@pytest.mark.parametrize("name", ["unknown", "custom1"])
def test_an_integer_of_5000_digits_is_kept_as_text_where_text_is_possible(name):
    """Digit by digit; its neighbors are read as ever."""
    page = b'{"data":[{"type":"prospect","id":1,"attributes":{"%s":%s}}]}' % (name.encode(), b"9" * 5000)

    assert only(read_jsonapi(page)) == {"id": 1, name: "9" * 5000}
    assert only(page_read(page))[name] == "9" * 5000


def test_two_hundred_levels_are_read_and_more_are_refused():
    """The limit that the documentation tells; brackets in text are none."""
    asked = layout("prospect", fields=["contactHistogram"])
    for levels in (200, 201):
        nested = "[" * levels + '"' + "[{" * 300 + '\\""' + "]" * levels
        page = f'{{"data":[{{"type":"prospect","id":1,"attributes":{{"contactHistogram":{nested}}}}}]}}'.encode()
        if levels == 200:
            assert asked.page(page).batch["contact_histogram"].to_pylist() == [nested]
            assert only(read_jsonapi(page))["contact_histogram"] == nested
            continue
        for read in (asked.page, read_jsonapi):
            with pytest.raises(DocumentError, match="200 levels") as caught:
                read(page)
            assert caught.value.attribute == "contactHistogram"


def test_the_documents_own_meta_is_read_to_the_same_depth():
    """It ends in the frame's attributes, which are written to files."""
    with pytest.raises(DocumentError, match="meta is nested deeper than 200"):
        read_jsonapi(body(resource("prospect", 1)).replace(b'"data"', b'"meta":%s,"data"' % (b"[" * 201 + b"]" * 201)))
