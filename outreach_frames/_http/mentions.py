"""Whether an answer mentions somebody, however that is spelled there: who is to be forgotten has to be found."""

import html
import json
import re
import unicodedata
from urllib.parse import unquote_plus

_ESCAPES = re.compile(rb"\\u[0-9a-fA-F]{4}(?:\\u[0-9a-fA-F]{4})*|\\.")


def unescaped(body: bytes) -> bytes:
    r"""Return a JSON text with its escapes resolved: ``J\u00f6rg`` as ``Jörg`` in UTF-8."""
    return _ESCAPES.sub(_character, body)


def mentions(body: bytes, text: str) -> bool:
    """Tell whether a text stands in an answer, in any case, composition or spelling: JSON's, HTML's or an address's."""
    plain, wanted = unescaped(body).decode(errors="replace"), _folded(text)
    return any(wanted in _folded(spelled) for spelled in (plain, html.unescape(plain), unquote_plus(plain)))


def _character(escape: re.Match[bytes]) -> bytes:
    try:
        return str(json.loads(b'"' + escape[0] + b'"')).encode(errors="replace")
    except ValueError:
        return escape[0]


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
