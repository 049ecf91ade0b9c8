"""Reading JSON from outside: a body holds a document or it does not, whatever else is in it."""

from typing import Any

import msgspec

UNREADABLE = (msgspec.MsgspecError, ValueError, RecursionError)
"""What msgspec raises of a text: no JSON, no UTF-8, a number without end, or about a thousand levels of nesting."""


def read_json(body: bytes, kind: Any = Any) -> Any:
    """Return a document, or ``None`` if it cannot be read as the type."""
    try:
        return msgspec.json.decode(body, type=kind)
    except UNREADABLE:
        return None
