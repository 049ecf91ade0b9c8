"""An address is found however it is spelled, and nobody else's is taken for it."""

import base64
import json

import pyarrow as pa
import pytest
from hypothesis import given, strategies as st

from outreach_frames._person import Person
from outreach_frames._spellings import ERASED, Spellings
from outreach_frames.errors import QueryError
from tests.erasure.erasure_support import ADDRESS, BESIDE, MORE_BESIDE, MORE_TEXTS, TEXTS as TEXTS_OF_RECORDS

TEXTS = TEXTS_OF_RECORDS | MORE_TEXTS
OTHERS = BESIDE | MORE_BESIDE


@pytest.mark.parametrize("spelling", TEXTS)
def test_each_spelling_is_found_and_replaced(spelling):
    spellings = Spellings(ADDRESS)

    assert spellings.is_in(TEXTS[spelling])
    assert not spellings.is_in(spellings.replaced(TEXTS[spelling]))


@pytest.mark.parametrize("text", OTHERS.values(), ids=OTHERS)
def test_a_longer_address_is_another_one(text):
    """Ann must not be erased with Joann."""
    assert not Spellings(ADDRESS).is_in(text)
    assert Spellings(ADDRESS).replaced(text) == text


@pytest.mark.parametrize(
    "frame", ["<{}>", "'{}'", "_{}_", "mailto:{}?subject=x", "{}.", "({})", "a={}&b", '"{}"', "\n{}\n"]
)
def test_what_stands_around_an_address_in_text_is_not_part_of_it(frame):
    assert Spellings(ADDRESS).replaced(frame.format(ADDRESS)) == frame.format(ERASED)


@given(st.text(max_size=20), st.text(max_size=20), st.booleans())
def test_it_is_found_in_any_json_and_the_rest_stays(before, after, ascii_only):
    before, after = f"{before} ", f" {after}"
    try:
        text = json.dumps(before + ADDRESS + after, ensure_ascii=ascii_only)
        text.encode()
    except UnicodeEncodeError:  # half a pair of surrogates
        return

    assert json.loads(Spellings(ADDRESS).replaced(text)) == before + ERASED + after


@given(st.binary(max_size=30), st.binary(max_size=30))
def test_it_is_found_in_any_base64_and_the_rest_stays(before, after):
    before, after = before + b" ", b" " + after
    text = base64.b64encode(before + ADDRESS.encode() + after).decode()

    replaced = base64.b64decode(Spellings(ADDRESS).replaced(text))

    assert ADDRESS.encode() not in replaced
    assert replaced.startswith(before)
    assert replaced.endswith(after)


@given(st.binary(max_size=60))
def test_any_bytes_can_be_searched(content):
    Person(ADDRESS).is_in(content)


@pytest.mark.parametrize("end", ["x", "", "n ", "&#110", "%6e"])
def test_a_text_that_is_nearly_a_long_address_is_searched_at_once(end):
    """A letter that fits in two ways would be tried in 2 ** 60 ways."""
    address = "someone.with.a.very.long.name.indeed@a.company.of.long.example.com"

    assert not Spellings(address).is_in(f"to {address[:-1]}{end}; {address[:-1].upper()}{end}")


@pytest.mark.parametrize("piece", ["\\", "=", "%25", "&amp;", "&#0", "=\n", "\\r", "A\n", "\u200b"])
def test_time_grows_with_the_length_of_a_text_and_not_faster(piece):
    """Each of these was, or could be, tried from each of its repeats, for minutes."""
    text = piece * (100_000 // len(piece))

    assert not Spellings("ada@example.com").is_in(text)
    assert Spellings("ada@example.com").is_in(f"{text}\nada@example.com")


def test_line_breaks_around_the_address_stay_where_they_were():
    encoded = base64.encodebytes(b"x" * 40 + b" ada@example.com " + b"y" * 40).decode()

    replaced = Spellings("ada@example.com").replaced(encoded)

    assert [len(line) for line in replaced.splitlines()] == [len(line) for line in encoded.splitlines()]
    decoded = base64.decodebytes(replaced.encode())
    assert b"ada@" not in decoded
    assert (decoded[:40], decoded[-40:]) == (b"x" * 40, b"y" * 40)


def test_an_address_with_ideographic_full_stops_is_that_with_dots():
    assert Person("ada@example\u3002com").is_in("ada@example.com")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le", "utf-16-be"])
def test_bytes_are_read_in_each_encoding(encoding):
    assert Person(ADDRESS).is_in(f"To: {ADDRESS}".encode(encoding))


@pytest.mark.parametrize(
    "email",
    [
        *("", " ", "@", "ada", "ada@", "@example.com", "a b@example.com", None, 7),
        *("<ada@example.com>", "ada@example.com.", "mailto:ada@example.com", "ada@example.com,", "a@x.com;b@y.com"),
    ],
)
def test_what_is_no_address_is_refused(email):
    """An empty cell must not empty everything."""
    with pytest.raises(QueryError, match="no e-mail address") as caught:
        Person(email)

    assert str(email) not in str(caught.value) or email in {"", " ", "@", "ada"}


def test_a_person_is_not_printed():
    """Tracebacks with local variables are logged."""
    person = Person("ada@example.com", [7])

    assert "ada" not in f"{person!r}{person._spellings!r}{vars(person)}{vars(person._spellings)['searches']!r}"


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.binary()])
def test_arrow_finds_the_same_places_in_long_columns(kind):
    """It reads another dialect of expressions, and bytes as Latin-1."""
    texts = [*TEXTS.values(), None, *OTHERS.values(), *["Somebody else entirely"] * 1_000, ADDRESS]
    person = Person(ADDRESS)
    expected = [place for place, text in enumerate(texts) if text is not None and person.is_in(text)]
    values = pa.array([text and text.encode() for text in texts], pa.binary())

    assert person.mentions(values.cast(kind)) == expected
    assert expected == [*range(len(TEXTS)), len(texts) - 1]


def test_arrow_finds_utf_16_in_long_columns():
    values = pa.array([b"nobody" * 2_000, f"To: {ADDRESS}".encode("utf-16-le"), f"x{ADDRESS}".encode("utf-16-be")])

    assert Person(ADDRESS).mentions(values) == [1]
