"""Whatever a server sends, and however slowly: a deadline, a size, and one of this package's own errors."""

import gzip
import itertools
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from hypothesis import given, settings, strategies as st

from outreach_frames import errors
from outreach_frames._http import Waiter
from outreach_frames._http.errors import judge, read_errors
from outreach_frames._http.messages import Request, Response, read_date
from outreach_frames._http.rate_limit import read_budget, read_instant, read_resumption
from outreach_frames._http.retry import Outcome
from tests.scripted_server import EMPTY, Handler, Scripted

OK = b"HTTP/1.1 200 OK\r\n"
MANY = itertools.repeat
MIB = 1 << 20


def head(times: int) -> Iterator[bytes]:
    """Yield the beginning of an answer, byte by byte."""
    yield from (bytes([byte]) for byte in OK)
    yield from MANY(b"X" * times)


def headers(times: int) -> Iterator[bytes]:
    """Yield a header that does not end."""
    yield OK + b"X-Long: "
    yield from MANY(b"x" * times)


def announcements(times: int) -> Iterator[bytes]:
    """Yield announcements that the answer will come."""
    yield from MANY(b"HTTP/1.1 100 Continue\r\n\r\n" * times)


def extensions(times: int) -> Iterator[bytes]:
    """Yield the extension of a chunk's size, which does not end."""
    yield OK + b"Transfer-Encoding: chunked\r\n\r\n1;"
    yield from MANY(b"x" * times)


def chunks(times: int) -> Iterator[bytes]:
    """Yield chunks of one byte."""
    yield OK + b"Transfer-Encoding: chunked\r\n\r\n"
    yield from MANY(b"1\r\n \r\n" * times)


def trailers(times: int) -> Iterator[bytes]:
    """Yield the headers that may follow the last chunk, without an end."""
    yield OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n"
    yield from MANY(b"X-More: x\r\n" * times)


def body(times: int) -> Iterator[bytes]:
    """Yield a body."""
    yield OK + b"Content-Length: 100000\r\n\r\n"
    yield from MANY(b" " * times)


def sending(pieces: Callable[[int], Iterator[bytes]], *, times: int, pause: float) -> Scripted:
    """Send pieces, so many at once, until the client hangs up."""

    def act(handler: Handler) -> None:
        with suppress(OSError):
            for piece in pieces(times):
                handler.wfile.write(piece)
                time.sleep(pause)

    return Scripted(act=act)


@pytest.mark.parametrize("pieces", [head, headers, announcements, extensions, chunks, trailers, body])
def test_what_trickles_in_cannot_outlast_the_deadline(server, connect, pieces) -> None:
    """Each piece comes within the read timeout; five of seven such answers were waited for without end."""
    server.script = [sending(pieces, times=1, pause=0.02)] * 9
    session = connect(waiter=Waiter(), timeout=(1.0, 1.0), deadline=0.5)
    began = time.monotonic()

    with pytest.raises(errors.DeadlineError, match="in time"):
        session.get("/users")

    assert time.monotonic() - began < 30


@pytest.mark.parametrize("pieces", [head, headers, announcements, extensions, chunks, trailers])
def test_what_pours_in_without_end_is_given_up(server, connect, pieces) -> None:
    """At the size that may come, or at the first line that is too long."""
    server.script = [sending(pieces, times=1000, pause=0)] * 9

    with pytest.raises((errors.DocumentError, errors.TransportError)):
        connect(max_size=MIB).get("/users")


def bomb(times: int, size: int = 200 * MIB) -> Scripted:
    """Return an answer that unpacks to a size, packed so many times."""
    packer = zlib.compressobj(9, wbits=31)
    packed = b"".join(packer.compress(bytes(MIB)) for _ in range(size // MIB)) + packer.flush()
    for _ in range(times - 1):
        packed = gzip.compress(packed)
    return Scripted(200, packed, {"Content-Encoding": ", ".join(["gzip"] * times)})


@pytest.mark.parametrize("times", [1, 2])
def test_what_unpacks_to_more_than_may_come_is_given_up_at_once(server, connect, times) -> None:
    """Eight MB of gzip are eight GB; nobody has that much memory."""
    server.script = [bomb(times)]
    session = connect(max_size=4 * MIB)
    tracemalloc.start()

    try:
        with pytest.raises(errors.DocumentError, match=r"GET /users: the answer is larger than 4 MiB.*\n.*page_size"):
            session.get("/users")
        assert tracemalloc.get_traced_memory()[1] < 20 * MIB
    finally:
        tracemalloc.stop()

    assert len(server.requests) == 1
    assert session.cache.info().answers == 0


def test_an_announced_size_is_believed(server, connect) -> None:
    """Nothing of eight GB needs to be read to know that they are too many."""
    claim = f"HTTP/1.1 200 OK\r\nContent-Length: {8 << 30}\r\n\r\n".encode()
    server.script = [Scripted(act=lambda handler: handler.wfile.write(claim))]

    with pytest.raises(errors.DocumentError, match="larger than 256 MiB"):
        connect().get("/users")


def test_a_write_whose_answer_is_too_large_may_have_been_carried_out(server, connect) -> None:
    """Whoever sends it again makes it twice."""
    server.script = [Scripted(201, b" " * 3 * MIB)]

    with pytest.raises(errors.DocumentError, match="may or may not have been carried out"):
        connect(max_size=MIB).send("POST", "/prospects", body=b"{}")

    assert len(server.requests) == 1


@pytest.mark.parametrize("size", [MIB, MIB + 1])
@pytest.mark.parametrize("packed", [False, True])
def test_the_limit_itself_may_come(server, connect, size, packed) -> None:
    """And one byte more may not; headers are few."""
    text = b'"' + b"x" * (size - 2) + b'"'
    server.script = [
        Scripted(200, gzip.compress(text), {"Content-Encoding": "gzip"}) if packed else Scripted(200, text)
    ]
    session = connect(max_size=MIB + (0 if packed else 1000))

    if packed and size > MIB:
        with pytest.raises(errors.DocumentError):
            session.get("/users")
    else:
        assert session.get("/users").body == text


NESTED = b"[" * 100_000 + b"]" * 100_000
ODD = {
    "nested deeply": b'{"data": ' + NESTED + b"}",
    "nested deeply where nobody looks": b'{"data": [], "x": {"y": ' + NESTED + b"}}",
    "no UTF-8": b'{"data": [], "x": "\xff"',
}


@pytest.mark.parametrize("document", ODD.values(), ids=ODD)
def test_a_body_that_cannot_be_read_is_no_document(server, connect, document) -> None:
    """Python's own errors (RecursionError) say nothing of what happened to what."""
    server.respond = lambda _: Scripted(200, document)

    with pytest.raises(errors.DocumentError, match="GET /users"):
        connect().get("/users")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422, 429, 500, 503])
@pytest.mark.parametrize("part", [NESTED, b'"\xff"', b"9" * 5000, b"1e9999"], ids=["nested", "bytes", "digits", "inf"])
def test_an_error_whose_body_cannot_be_read_is_still_that_error(server, connect, status, part) -> None:
    """The status says what happened."""
    server.respond = lambda _: Scripted(status, b'{"errors": [{"id": "x", "meta": ' + part + b"}]}")

    with pytest.raises(errors.APIError) as caught:
        connect(max_wait=0).get("/users")

    assert caught.value.status == status


@given(st.binary(max_size=200))
def test_reading_any_body_raises_nothing(text) -> None:
    """Neither what tells whether it is JSON, nor what looks for errors in it."""
    request = Request.of("GET", "http://127.0.0.1/users", headers={})

    assert judge(request, Response(200, {}, text, ""))[0] in Outcome
    assert isinstance(read_errors(text), tuple)


UNREADABLE_URLS = [
    "http://[::1",
    "http://[",
    "https://*.outreach.io/x",
    "http://a\u2100b/",
    "//[",
    "http://127.0.0.1:99999999/",
]


@pytest.mark.parametrize("url", UNREADABLE_URLS)
def test_an_address_that_cannot_be_read_is_an_origin_error(server, connect, url) -> None:
    """As a link, and as what is asked for; urllib's own error was a bare ValueError."""
    session = connect()

    with pytest.raises(errors.OriginError):
        session.get(url if "://" in url else f"http:{url}")

    assert server.requests == []


@pytest.mark.parametrize("target", [url for url in UNREADABLE_URLS if url.isascii()])
def test_a_redirect_that_cannot_be_read_is_an_origin_error(server, connect, target) -> None:
    """What stands in a header is the server's."""
    server.script = [Scripted(302, b"", {"Location": target})] * 9

    with pytest.raises(errors.OutreachError):
        connect().get("/users")


HEADER = st.one_of(
    st.text(max_size=40),
    st.text("0123456789.,-+:TZ ", max_size=500),
    st.integers().map(str),
    st.integers(1, 999).map("9".__mul__),
    st.floats().map(str),
    st.datetimes().map(lambda moment: moment.isoformat()),
    st.builds(
        "{:%a, %d %b %Y %H:%M:%S} {}".format, st.datetimes(), st.sampled_from(["GMT", "+9999", "-2359", "+1400"])
    ),
    st.sampled_from(["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "Mon, 01 Jan 99999999999 00:00:00 GMT"]),
)


@settings(deadline=None, max_examples=500)
@given(HEADER)
def test_a_header_tells_a_finite_time_or_none(text) -> None:
    """Digits by the hundred overflowed; dates at either end of the calendar too."""
    headers = {"Retry-After": text, "X-RateLimit-Reset": text, "X-RateLimit-Limit": text, "X-RateLimit-Remaining": text}
    now = 1_800_000_000.0

    told = [read_instant(text, now), read_resumption(headers, now), read_budget(headers, now).resets_at]

    assert all(each is None or abs(each) <= 1e15 for each in told)
    assert all(each is None or 0 <= each <= 10**18 for each in (read_budget(headers, now).limit,))
    assert read_date(text) is None or read_date(text).utcoffset().total_seconds() == 0


@pytest.mark.parametrize("digits", ["9" * 400, "9" * 5000, f"{'9' * 400}, 1", f"-{'9' * 400}", f"0.{'9' * 400}"])
def test_digits_by_the_hundred_stop_nobody(server, connect, digits) -> None:
    """In any header that counts or tells a time."""
    told = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset", "Retry-After")
    server.respond = lambda _: Scripted(
        429 if len(server.requests) == 2 else 200, EMPTY, dict.fromkeys(told, digits) | {"Date": digits}
    )
    session = connect()

    assert [session.get(f"/users/{n}").body for n in range(4)] == [EMPTY] * 4
