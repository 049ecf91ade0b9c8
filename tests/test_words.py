"""Words that the project replaced stay replaced: in identifiers, docstrings, comments and messages of the package."""

from collections import Counter

import measure_house
import pytest

STILL_USED = {
    "catalogue": 1,
    "enrolment": 1,
    "enrolments": 1,
    "garbage": 3,
    "minted": 5,
    "summarise": 1,
}
"""How often replaced words are still there; the numbers may only become smaller."""

PARTICIPLES_STILL_USED = 12
"""How many definitions are still named by a participle; the number may only become smaller."""


def test_replaced_words_and_british_spellings_do_not_come_back():
    """``measure_house.py`` lists them; `CONTRIBUTING.md` has the terms that replaced them."""
    more = measure_house.replaced() - Counter(STILL_USED)

    assert not more, f"Use the terms of CONTRIBUTING.md in place of: {dict(more)}"


def test_no_further_definition_is_named_by_a_participle():
    assert measure_house.participles().total() <= PARTICIPLES_STILL_USED


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("class TokenKeeper", ["class", "token", "keeper"]),
        ("_walk_all(URL) # Colour", ["walk", "all", "url", "colour"]),
    ],
)
def test_names_are_read_word_by_word(text, expected):
    assert list(measure_house.words(text)) == expected
