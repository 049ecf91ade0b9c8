"""How an answer is written to disk: a small JSON header, then a zstd frame. Reading one can execute nothing."""

import struct
import zlib

import msgspec
import zstandard
from requests_cache.models.response import CachedResponse

from outreach_frames._hidden import HiddenBytes
from outreach_frames.http.answers import KEPT_HEADERS, LARGEST_BODY

_LEAD = struct.Struct(">II")
"""Checksum of all that follows it, and length of the header."""


class _Head(msgspec.Struct):
    """What is kept beside a body."""

    status: int
    headers: dict[str, str]


def encode_answer(response: CachedResponse) -> bytes:
    """Write a response as a small JSON header and a zstd frame; headers but ``KEPT_HEADERS`` are left out."""
    headers = {name: response.headers[name] for name in KEPT_HEADERS if name in response.headers}
    head = msgspec.json.encode(_Head(response.status_code, headers))
    rest = head + zstandard.ZstdCompressor(level=1).compress(response.content)
    return _LEAD.pack(_checksum(len(head), rest), len(head)) + rest


def decode_answer(value: bytes) -> CachedResponse:
    """
    Read a response back.

    Raises
    ------
    ValueError
        The bytes are damaged or were not written by `encode_answer`.
    """
    try:
        checksum, length = _LEAD.unpack_from(value)
        rest = value[_LEAD.size :]
        if checksum != _checksum(length, rest):
            raise ValueError("A stored answer is damaged.")
        head = msgspec.json.decode(rest[:length], type=_Head)
        frame = rest[length:]
        if not 0 <= zstandard.frame_content_size(frame) <= LARGEST_BODY:
            raise ValueError("A stored body has no plausible size.")
        body = HiddenBytes(zstandard.ZstdDecompressor().decompress(frame))
    except (struct.error, TypeError, RecursionError, msgspec.MsgspecError, zstandard.ZstdError) as error:
        raise ValueError("A stored answer cannot be read.") from error
    response = CachedResponse(status_code=head.status, content=body)
    response.headers.update(head.headers)
    return response


def _checksum(length: int, rest: bytes) -> int:
    """Cover the header too: one flipped bit in a frame's own header makes zstd return an empty body."""
    return zlib.crc32(rest, length)
