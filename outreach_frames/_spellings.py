"""
Find an e-mail address in text, however it is spelled, and replace it.

Looked for are: any case; composed and decomposed letters; full-width characters; an international domain in Unicode and
in ASCII; JSON's, HTML's, a URL's and quoted-printable escapes, also of only some characters and one in another; and
base64, in the case as given and in small and capital letters. A longer address that contains it is another address.
"""

import base64
import binascii
import re
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from html.entities import html5

from outreach_frames._secrets import hidden

ERASED = "erased@invalid"
"""What stands in place of an address that was erased: the same for everybody, and never an address (RFC 6761)."""

_NAMES: dict[str, list[str]] = {}
for _name, _value in html5.items():
    if _name.endswith(";"):
        _NAMES.setdefault(_value, []).append(_name[:-1])

_BASE64 = re.compile(r"[A-Za-z0-9+/_-]*\Z"), re.compile(r"[A-Za-z0-9+/_-]*")
"""What is part of base64 before and behind a place."""

_ESCAPE = re.compile(r"(?:\\+u([0-9a-f]{4})|[%=](?:25)*([0-9a-f]{2})|\\+([nrtbf]))\Z", re.IGNORECASE)
"""An escape before a place."""

_FULL_WIDTH = 0xFEE0
_SEEN_BEFORE, _SEEN_BEHIND = 16, 4
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
    pattern
        Regular expression, without look-around, that matches wherever `is_in` could be true; RE2 and Python read it.
    """

    def __init__(self, address: str) -> None:
        self._addresses = [hidden(each) for each in _international(unicodedata.normalize("NFC", address))]
        plain = "|".join("".join(map(_spelled_character, each)) for each in self._addresses)
        encoded = dict(_fragments(self._addresses))
        self._encoded = encoded
        self.pattern = hidden(f"(?:{plain})|{'|'.join(map(re.escape, encoded))}")
        self._search = re.compile(self.pattern)

    def __repr__(self) -> str:
        return "Spellings(…)"

    def is_in(self, text: str) -> bool:
        """Whether a text contains the address."""
        return next(self._spans(text), None) is not None

    def replaced(self, text: str) -> str:
        """Return a text with `ERASED` in place of the address; in base64 with zeros, which keep its length."""
        parts, end = [], 0
        for start, stop, filler in self._spans(text):
            parts += [text[end:start], filler]
            end = stop
        return "".join([*parts, text[end:]])

    def _spans(self, text: str) -> Iterator[tuple[int, int, str]]:
        """Yield where the address begins and ends, and what replaces it."""
        for match in self._search.finditer(text):
            start, stop = match.span()
            if match[0] in self._encoded:
                skipped, length, width = self._encoded[match[0]]
                before, behind = _around(text, start, stop, skipped, length)
                if width > 1:
                    before, behind = before.replace("\0", ""), behind.replace("\0", "")
                if not _is_part(before, behind):
                    yield start, stop, "A" * (stop - start)
            elif not _is_part(_unescaped_end(text[max(start - _SEEN_BEFORE, 0) : start]), text[stop:][:_SEEN_BEHIND]):
                yield start, stop, ERASED


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
    if "!" <= character <= "~":
        forms |= {chr(ord(form) + _FULL_WIDTH) for form in forms}
    escaped = {"".join(rf"\\+u{unit}" for unit in _utf_16_units(form)) for form in forms}
    escaped |= {"".join(f"[%=](?:25)*{byte:02x}" for byte in form.encode()) for form in forms}
    escaped |= {"".join(rf"&(?:amp;)*#(?:0*{ord(c)}|x0*{ord(c):x});?" for c in form) for form in forms}
    escaped |= {f"&(?:amp;)*{name.lower()};" for form in forms for name in _NAMES.get(form, ())}
    plain = {("" if form[0].isalnum() else r"\\*") + re.escape(form) for form in forms}
    # Each text fits in one way only: otherwise a long one that nearly fits would be tried in 2 ** its length ways.
    return f"(?:{'|'.join(sorted(plain))}|(?i:{'|'.join(sorted(escaped))}))"


def _utf_16_units(text: str) -> list[str]:
    units = text.encode("utf-16-be").hex()
    return [units[place : place + 4] for place in range(0, len(units), 4)]


def _fragments(addresses: list[str]) -> Iterator[tuple[str, tuple[int, int, int]]]:
    """Yield what base64 has for sure of each address: characters → bytes before it, its bytes, bytes of a character."""
    for each in {spelled for address in addresses for spelled in (address, address.lower(), address.upper())}:
        for encoding, width in (("utf-8", 1), ("utf-16-le", 2), ("utf-16-be", 2)):
            content = each.encode(encoding)
            for skipped in range(3):
                text = base64.b64encode(b"\0" * skipped + content).decode()
                sure = text[-(-skipped * 8 // 6) : (skipped + len(content)) * 8 // 6]
                yield sure, (skipped, len(content), width)
                yield sure.translate({ord("+"): "-", ord("/"): "_"}), (skipped, len(content), width)


def _around(text: str, start: int, stop: int, skipped: int, length: int) -> tuple[str, str]:
    """Return what stands before and behind an address in base64, decoded."""
    quantum = start + skipped * 8 // -6
    first = _BASE64[0].search(text[max(quantum - _SEEN_BEFORE, 0) : quantum])
    lead = (len(first[0]) if first else 0) // 4 * 4 if quantum >= 0 else 0
    last = _BASE64[1].match(text[stop : stop + 2 * _SEEN_BEHIND])
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


def _is_part(before: str, behind: str) -> bool:
    """Whether what is between two texts is only a part of a longer address."""
    return re.search(r"[^\W_][._+%-]*\Z", before) is not None or re.match(r"[.-]?[^\W_]", behind) is not None
