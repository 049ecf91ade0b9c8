"""Where a document comes from, in memory or on disk, and its bytes."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from outreach_frames.errors import DocumentError
from outreach_frames.jsonapi._reader import BYTE_ORDER_MARK

Source: TypeAlias = bytes | str | os.PathLike[str] | Mapping[str, Any]

PUT_INTO_DATA = (
    "A JSON:API document is an object, in UTF-8 where it is bytes; "
    'a list of resources becomes one as {"data": [resources]}.'
)


def body_of(source: Source) -> tuple[bytes, str, str]:
    """
    Return the bytes of a document, what to call it, and what to do where it is none.

    Raises
    ------
    DocumentError
        The source is nothing that could hold a document.
    OSError
        The file cannot be read.
    """
    name, hint = "The document", PUT_INTO_DATA
    if isinstance(source, Mapping):
        body = _dumped(source)
    elif isinstance(source, str) and _is_text(source):
        body = source.encode("utf-8", "surrogatepass")
    elif isinstance(source, str | os.PathLike):
        body, name = _read(source), f"The file {Path(source).name!r:.60}"
        hint = "Look into the file: it must hold what a JSON:API server answers, as it was sent."
    elif isinstance(source, bytes | bytearray | memoryview):
        body = bytes(source)
    else:
        raise DocumentError(f"A {type(source).__name__} is no JSON:API document.", hint=PUT_INTO_DATA)
    return body.removeprefix(BYTE_ORDER_MARK), name, hint


def _dumped(source: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(source, allow_nan=False).encode()
    except RecursionError:
        raise DocumentError("The object is nested too deeply to be read.") from None
    except (ValueError, TypeError):
        raise DocumentError("The object holds something that JSON cannot: NaN, a date, itself.") from None


def _is_text(source: str) -> bool:
    """Tell text from the path of a file; what begins like a list or a web page is a path only if there is a file."""
    start = source.lstrip("\ufeff \t\r\n")[:1]
    return start == "{" or (start in {"[", "<", '"', ""} and not os.path.exists(source))  # noqa: PTH110  takes any text


def _read(source: str | os.PathLike[str]) -> bytes:
    if isinstance(source, str) and "://" in source:
        raise DocumentError(
            "An address is no document.",
            hint="Fetch it with connect_jsonapi, or give the path of a file without 'file://'.",
        )
    try:
        return Path(source).read_bytes()
    except ValueError:
        raise DocumentError("The text is neither a document nor the path of a file.", hint=PUT_INTO_DATA) from None
