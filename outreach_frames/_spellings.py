"""
Find an e-mail address in text, however it is spelled, and replace it.

Looked for are: any case; composed and decomposed letters; full-width characters and the ideographic full stop; an
international domain in Unicode and in ASCII; JSON's, HTML's, a URL's and quoted-printable escapes, also of only some
characters and one in another; and base64, in the case as given and in small and capital letters. Characters of no width
and soft line breaks may stand inside the address, and line breaks inside base64. A longer address that contains it is
another address; a sentence that begins right behind it, without a blank, is not.

Time grows with the length of the text: what can repeat before a character is bounded, or begins in one place only.
"""

import base64
import binascii
import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import suppress
from html.entities import html5
from itertools import accumulate
from typing import NamedTuple

from outreach_frames._secrets import hidden

ERASED = "erased@invalid"
"""What stands in place of an address that was erased: the same for everybody, and never an address (RFC 6761)."""

_NAMES: dict[str, list[str]] = {}
for _name, _value in html5.items():
    if _name.endswith(";"):
        _NAMES.setdefault(_value, []).append(_name[:-1])

_BASE64 = re.compile(r"[A-Za-z0-9+/_-]*\Z"), re.compile(r"[A-Za-z0-9+/_-]*")
"""What is part of base64 before and behind a place."""

_BACKSLASHES = r"\\{1,16}"
"""What JSON in JSON puts before an escape, as deep as five times; without a bound, each of them would be tried."""

_ESCAPE = re.compile(r"(?:\\+u([0-9a-f]{4})|[%=](?:25)*([0-9a-f]{2})|\\+([nrtbf]))\Z", re.IGNORECASE)
"""An escape before a place."""

_FULL_WIDTH = 0xFEE0
_FULL_STOPS = "\u3002\uff61"
"""Ideographic ones, which a domain may have in place of dots (RFC 3490)."""
_SEEN_BEFORE, _SEEN_BEHIND = 16, 12
"""How far is looked for the end of a longer address [characters]."""


class Spellings:
    """
    All spellings of one address.

    Parameters
    ----------
    address
        The address, without blanks around it.

    Attributes
    ----------
    searches
        Pairs of regular expressions without look-around, which RE2 and Python read: what is taken out of a text, empty
        for nothing, and what matches in the rest of it. One of them matches wherever `is_in` is true.
    """

    def __init__(self, address: str) -> None:
        self._addresses = [hidden(each) for each in _international(unicodedata.normalize("NFC", address))]
        plain = "|".join("".join(map(_spelled_character, each)) for each in self._addresses)
        self._encoded = dict(_fragments(self._addresses))
        encoded = "|".join(map(re.escape, self._encoded))
        whole = hidden(f"(?:{plain})|{encoded}")
        self.searches = [("", whole), (_INVISIBLE, whole), (_LINE_BREAK, hidden(encoded))]
        self._compiled = [(gap, re.compile(pattern)) for gap, (_, pattern) in zip(_GAPS, self.searches, strict=True)]

    def __repr__(self) -> str:
        return "Spellings(…)"

    def is_in(self, text: str) -> bool:
        """Whether a text contains the address."""
        return any(next(self._spans(text, *search), None) is not None for search in self._compiled)

    def replaced(self, text: str) -> str:
        """Return a text with `ERASED` in place of the address; in base64 with zeros, which keep its length."""
        for search in self._compiled:
            parts, end = [], 0
            for start, stop, filler in self._spans(text, *search):
                parts += [text[end:start], filler]
                end = stop
            text = "".join([*parts, text[end:]])
        return text

    def _spans(
        self, text: str, gap: "re.Pattern[str] | None", pattern: "re.Pattern[str]"
    ) -> Iterator[tuple[int, int, str]]:
        """Yield where the address begins and ends, and what replaces it; what is a gap is not looked at."""
        rest = _Rest([0], [0], text) if gap is None else _without(gap, text)
        if gap is not None and rest.text == text:
            return
        for start, stop, is_encoded in self._matches(rest.text, pattern):
            first, last = rest.place(start), rest.place(stop - 1) + 1
            if not is_encoded:
                yield first, last, ERASED
            else:
                zeros = (rest.place(place) for place in range(start, stop))
                filler = [*text[first:last]]
                for place in zeros:
                    filler[place - first] = "A"
                yield first, last, "".join(filler)

    def _matches(self, text: str, pattern: "re.Pattern[str]") -> Iterator[tuple[int, int, bool]]:
        """Yield where the address begins and ends, and whether that is in base64."""
        for match in pattern.finditer(text):
            start, stop = match.span()
            if match[0] in self._encoded:
                fragment = self._encoded[match[0]]
                before, behind = _around(text, start, stop, fragment.skipped, fragment.length)
                if fragment.width > 1:
                    before, behind = before.replace("\0", ""), behind.replace("\0", "")
                if not _is_part(before, fragment.last, behind):
                    yield start, stop, True
            else:
                before = _unescaped_end(_SOFT_BREAK.sub("", text[max(start - _SEEN_BEFORE, 0) : start]))
                behind = _SOFT_BREAK.sub("", text[stop : stop + _SEEN_BEHIND])
                if not _is_part(before, match[0][-1], behind):
                    yield start, stop, False


class _Fragment(NamedTuple):
    """
    What some characters of base64 stand for.

    Attributes
    ----------
    skipped
        Bytes before the address.
    length
        Bytes of the address.
    width
        Bytes of a character.
    last
        Last character of the address.
    """

    skipped: int
    length: int
    width: int
    last: str


class _Rest(NamedTuple):
    """
    What is left of a text without its gaps.

    Attributes
    ----------
    starts, places
        Where each piece begins, in the rest and in the text.
    text
        The pieces together.
    """

    starts: list[int]
    places: list[int]
    text: str

    def place(self, of_rest: int) -> int:
        """Return where a character of the rest is in the text."""
        piece = bisect_right(self.starts, of_rest) - 1
        return self.places[piece] + of_rest - self.starts[piece]


def _without(gap: "re.Pattern[str]", text: str) -> _Rest:
    """Take what matches out of a text."""
    spans = [match.span() for match in gap.finditer(text)]
    places = [0, *(stop for _, stop in spans)]
    pieces = [text[start:stop] for start, stop in zip(places, [*(start for start, _ in spans), len(text)], strict=True)]
    return _Rest([0, *accumulate(map(len, pieces[:-1]))], places, "".join(pieces))


def plain_stops(address: str) -> str:
    """Return an address with dots in its domain where it has ideographic full stops."""
    local, at, domain = address.rpartition("@")
    return f"{local}{at}{domain.translate(dict.fromkeys(map(ord, _FULL_STOPS), '.'))}"


def _international(address: str) -> list[str]:
    """Return an address with its domain in Unicode and in ASCII, where these differ."""
    local, _, domain = address.rpartition("@")
    spelled = {address}
    with suppress(UnicodeError):
        spelled.add(f"{local}@{domain.encode('idna').decode()}")
    with suppress(UnicodeError):
        spelled.add(f"{local}@{domain.encode().decode('idna')}")
    return sorted({each.casefold(): each for each in sorted(spelled)}.values())


def _spelled_character(character: str) -> str:
    """Return the expression for one character in all its spellings."""
    forms = {character, character.lower(), character.upper(), character.casefold()}
    forms |= {unicodedata.normalize("NFD", form) for form in forms}
    if character == ".":
        forms |= {*_FULL_STOPS}
    if "!" <= character <= "~":
        forms |= {chr(ord(form) + _FULL_WIDTH) for form in forms}
    escaped = {"".join(rf"{_BACKSLASHES}u{unit}" for unit in _utf_16_units(form)) for form in forms}
    escaped |= {"".join(f"[%=](?:25)*{byte:02x}" for byte in form.encode()) for form in forms}
    escaped |= {"".join(rf"&(?:amp;)*#(?:0*{ord(c)}|x0*{ord(c):x});?" for c in form) for form in forms}
    escaped |= {f"&(?:amp;)*{name.lower()};" for form in forms for name in _NAMES.get(form, ())}
    plain = {("" if form[0].isalnum() else r"\\{0,16}") + re.escape(form) for form in forms}
    # Each text fits in one way only: otherwise a long one that nearly fits would be tried in 2 ** its length ways.
    return f"(?:{'|'.join(sorted(plain))}|(?i:{'|'.join(sorted(escaped))}))"


def _utf_16_units(text: str) -> list[str]:
    units = text.encode("utf-16-be").hex()
    return [units[place : place + 4] for place in range(0, len(units), 4)]


_SOFT = rf"=[ \t]*(?:\r?\n|{_BACKSLASHES}r{_BACKSLASHES}n|{_BACKSLASHES}n)"
"""A soft line break of quoted-printable."""
_SOFT_BREAK = re.compile(_SOFT)

_NO_WIDTH = "\xad\u034f\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"
"""Characters that take no room."""


def _invisible() -> str:
    """Return the expression for what no reader sees; each part begins with one character, so that it is found fast."""
    units = "|".join(f"{ord(each):04x}" for each in _NO_WIDTH)
    octets = "|".join("[%=](?:25)*".join(f"{byte:02x}" for byte in each.encode()) for each in _NO_WIDTH)
    numbers = "|".join(f"0*{ord(each)}|x0*{ord(each):x}" for each in _NO_WIDTH)
    names = "|".join(name.lower() for each in _NO_WIDTH for name in _NAMES.get(each, ()))
    return "|".join(
        [
            *_NO_WIDTH,
            rf"\\\\{{0,15}}(?i:u(?:{units}))",
            rf"%(?i:(?:25)*(?:{octets}))",
            rf"=(?i:(?:25)*(?:{octets}))",
            rf"&(?i:(?:amp;)*(?:#(?:{numbers});?|(?:{names});))",
            _SOFT,
        ]
    )


_INVISIBLE = _invisible()
"""Characters of no width, and soft line breaks of quoted-printable."""

_LINE_BREAK = rf"(?:[\r\n]|{_BACKSLASHES}[rn])[ \t]*"

_GAPS = [
    None,
    re.compile(_INVISIBLE),
    re.compile(rf"(?<=[A-Za-z0-9+/_-])(?:{_LINE_BREAK}){{1,4}}(?=[A-Za-z0-9+/_-])"),
]
"""What is taken out of a text before each search."""


def _fragments(addresses: list[str]) -> Iterator[tuple[str, _Fragment]]:
    """Yield the characters that base64 has for sure of each address, and what they stand for."""
    for each in {spelled for address in addresses for spelled in (address, address.lower(), address.upper())}:
        for encoding, width in (("utf-8", 1), ("utf-16-le", 2), ("utf-16-be", 2)):
            content = each.encode(encoding)
            for skipped in range(3):
                text = base64.b64encode(b"\0" * skipped + content).decode()
                sure = text[-(-skipped * 8 // 6) : (skipped + len(content)) * 8 // 6]
                fragment = _Fragment(skipped, len(content), width, each[-1])
                yield sure, fragment
                yield sure.translate({ord("+"): "-", ord("/"): "_"}), fragment


def _around(text: str, start: int, stop: int, skipped: int, length: int) -> tuple[str, str]:
    """Return what stands before and behind an address in base64, decoded."""
    quantum = start + skipped * 8 // -6
    first = _BASE64[0].search(text[max(quantum - _SEEN_BEFORE, 0) : quantum])
    lead = (len(first[0]) if first else 0) // 4 * 4 if quantum >= 0 else 0
    last = _BASE64[1].match(text[stop : stop + _SEEN_BEHIND])
    piece = text[max(quantum - lead, 0) : stop + (len(last[0]) if last else 0)]
    piece = piece[:-1] if len(piece) % 4 == 1 else piece
    try:
        decoded = base64.b64decode(piece + "=" * (-len(piece) % 4), altchars=b"-_" if {*piece} & {*"-_"} else None)
    except (binascii.Error, ValueError):
        return "", ""
    place = lead // 4 * 3 + skipped
    return decoded[:place].decode("latin-1"), decoded[place + length :].decode("latin-1")


def _unescaped_end(text: str) -> str:
    """Return a text whose last character is what it stands for, where an escape is at the end."""
    if escape := _ESCAPE.search(text):
        return text[: escape.start()] + (" " if escape[3] else chr(int(escape[1] or escape[2], 16)))
    return text


def _is_part(before: str, last: str, behind: str) -> bool:
    """Whether what ends with a character and is between two texts is only a part of a longer address."""
    if re.search(r"[^\W_][._+%-]*\Z", before):
        return True
    if last.islower() and _SENTENCE.match(behind):
        return False
    return re.match(rf"[.{_FULL_STOPS}-]?[^\W_]", behind) is not None


_SENTENCE = re.compile(r"\.?[A-Z][a-z]|\.[A-Z](?![\w.-])")
"""How a sentence begins; a domain goes on in the letters that it began in, and has no last part of one letter."""
