"""What a session does over real HTTP: errors, retries, limits, origins."""

import gzip
import json
import logging
import socket
from datetime import UTC, datetime

import pytest
import urllib3

from outreach_frames import errors
from outreach_frames._fetch.frames import fetch
from outreach_frames._http import Response, transport
from outreach_frames.client import Client
from tests.scripted_server import EMPTY, TOKEN, Scripted, error_body

TWO_HOURS = 7_200.0


def test_a_read_carries_token_and_media_type(server, connect) -> None:
    """The API answers 415 to a request without its media type, reads too."""
    answer = connect().get("/users", [("page[size]", "1"), ("fields[user]", "")])

    (request,) = server.requests
    assert request.path == "/api/v2/users?page%5Bsize%5D=1&fields%5Buser%5D="
    assert request.headers["Authorization"] == f"Bearer {TOKEN}"
    assert request.headers["Content-Type"] == request.headers["Accept"] == "application/vnd.api+json"
    assert (answer.status, answer.body, answer.from_cache) == (200, EMPTY, False)


def test_the_extraction_time_is_the_date_header(server, connect) -> None:
    """Statistics need an end of follow-up, which is when the server made the page."""
    server.script = [Scripted(act=lambda handler: _raw(handler, b"Date: Tue, 31 Mar 2026 00:00:00 GMT\r\n"))]

    assert connect().get("/users").date == datetime(2026, 3, 31, tzinfo=UTC)


@pytest.mark.parametrize(
    ("answer", "error", "said"),
    [
        (Scripted(400, error_body(id="bad", title="Bad Request")), errors.BadRequestError, "Bad Request"),
        (Scripted(401, error_body(id="unauthorized")), errors.AuthError, "Sign in again"),
        (Scripted(401, b'{"error": "Invalid JWT token."}'), errors.AuthError, "Sign in again"),
        (Scripted(403, error_body(id="unauthorizedRequest")), errors.PermissionDeniedError, "administrator"),
        (
            Scripted(404, error_body(id="resourceNotFound", detail="Could not find.")),
            errors.NotFoundError,
            "no such record",
        ),
        (Scripted(409, b""), errors.ConflictError, "Fetch the record again"),
        (Scripted(415, error_body(id="x", details="Expected.")), errors.BadRequestError, "415"),
        (Scripted(418, b"<html>"), errors.BadRequestError, "418"),
    ],
)
def test_each_refusal_is_its_own_error_and_says_what_to_do(server, connect, answer, error, said) -> None:
    """A refusal is final: asking again would be refused again."""
    server.script = [answer]

    with pytest.raises(error) as caught:
        connect().get("/users/1")

    assert (caught.value.status, len(server.requests)) == (answer.status, 1)
    assert said in str(caught.value)
    assert "GET /users/1" in str(caught.value)
    assert caught.value.hint


def test_a_missing_scope_is_named(server, connect) -> None:
    """The scope stands in quotes in the detail."""
    detail = "Your authorization does not include the required scope 'prospects.read'."
    server.script = [Scripted(403, error_body(id="unauthorizedOauthScope", detail=detail))]

    with pytest.raises(errors.PermissionDeniedError, match=r"prospects\.read") as caught:
        connect().get("/prospects")

    assert caught.value.scope == "prospects.read"


def test_field_errors_are_named_without_the_values(server, connect) -> None:
    """The API's words may quote an address; those stay in the attribute and out of the message."""
    objects = [
        {"id": "validationError", "detail": "Name can't be blank.", "source": {"pointer": "/data/attributes/name"}},
        {
            "id": "validationError",
            "detail": "sally@example.com is taken",
            "source": {"pointer": "/data/attributes/emails"},
        },
    ]
    server.script = [Scripted(422, json.dumps({"errors": objects}).encode())]

    with pytest.raises(errors.ValidationError) as caught:
        connect().send("POST", "/prospects", body=b"{}")

    assert "/data/attributes/name: Name can't be blank." in str(caught.value)
    assert "/data/attributes/emails" in str(caught.value)
    assert "sally" not in str(caught.value)
    assert caught.value.errors[1].detail == "sally@example.com is taken"


@pytest.mark.parametrize("status", [400, 401, 404, 422])
def test_a_deeply_nested_answer_of_an_error_is_that_error(server, connect, status) -> None:
    """What the body says cannot be read; what the status says can."""
    server.script = [Scripted(status, b'{"errors": ' + b"[" * 100_000 + b"]" * 100_000 + b"}")]

    with pytest.raises(errors.APIError) as caught:
        connect().send("POST", "/prospects", body=b"{}")

    assert (caught.value.status, caught.value.errors) == (status, ())


@pytest.mark.parametrize("status", [500, 502, 504])
def test_a_server_error_is_asked_again_for_a_read(server, connect, clock, status) -> None:
    """A proxy's HTML page is a server error like any other."""
    server.script = [Scripted(status, b"<html>Bad Gateway</html>", {"Content-Type": "text/html"})] * 2

    assert connect().get("/users").body == EMPTY
    assert len(server.requests) == 3
    assert clock.slept == [0.25, 0.5]


def test_a_server_error_that_stays_is_raised(server, connect) -> None:
    """Asking for ever would hang a notebook."""
    server.script = [Scripted(502, b"<html>")] * 9

    with pytest.raises(errors.ServerError) as caught:
        connect().get("/mailings")

    assert caught.value.status == 502
    assert len(server.requests) == 5


def test_a_status_that_the_caller_can_cure_is_raised_at_once(server, connect) -> None:
    """A page that is too big for a proxy is made smaller, not asked for again."""
    server.script = [Scripted(502, b"<html>")]

    with pytest.raises(errors.ServerError):
        connect().get("/mailings", no_retry={502, 504})

    assert len(server.requests) == 1


@pytest.mark.parametrize("method", ["POST", "PATCH"])
@pytest.mark.parametrize("fault", ["server error", "dropped", "cut in half"])
def test_a_write_that_may_have_been_carried_out_is_never_repeated(server, connect, method, fault) -> None:
    """Nobody knows whether it was carried out, and twice would make a duplicate."""
    server.script = [FAULTS[fault]]

    with pytest.raises((errors.ServerError, errors.TransportError, errors.DocumentError)):
        connect().send(method, "/prospects/1", body=b"{}")

    assert len(server.requests) == 1


@pytest.mark.parametrize("fault", ["server error", "dropped"])
def test_a_write_without_an_answer_says_that_it_may_have_happened(server, connect, fault) -> None:
    """The reader must look before sending it again."""
    server.script = [FAULTS[fault]]

    with pytest.raises((errors.ServerError, errors.TransportError), match="may or may not have been carried out"):
        connect().send("POST", "/prospects", body=b"{}")


@pytest.mark.parametrize(("status", "helps"), [(500, False), (502, True), (503, False), (504, True)])
def test_a_smaller_page_is_advised_where_a_proxy_gave_up(server, connect, status, helps) -> None:
    server.script = [Scripted(status, b"<html>")] * 9

    with pytest.raises(errors.ServerError) as caught:
        connect().get("/mailings")

    assert ("page_size" in caught.value.hint) is helps


def test_a_delete_is_repeated_and_finding_nothing_then_means_done(server, connect) -> None:
    """The first one was carried out, only its answer was lost."""
    server.script = [FAULTS["dropped"], Scripted(404, error_body(id="resourceNotFound"))]

    assert connect().send("DELETE", "/prospects/1").status == 204


def test_a_delete_of_nothing_is_not_found(server, connect) -> None:
    """Without an earlier attempt, 404 means what it says."""
    server.script = [Scripted(404, error_body(id="resourceNotFound"))]

    with pytest.raises(errors.NotFoundError):
        connect().send("DELETE", "/prospects/1")


@pytest.mark.parametrize(
    "fault", ["dropped", "cut in half", "cut in a chunk", "not JSON", "half a document", "bad gzip"]
)
def test_a_damaged_answer_is_asked_for_again(server, connect, fault) -> None:
    """Half a page must never be taken for a whole one."""
    server.script = [FAULTS[fault]] * 2

    assert connect().get("/users").body == EMPTY
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("dropped", errors.TransportError),
        ("cut in half", errors.TransportError),
        ("cut in a chunk", errors.TransportError),
        ("bad gzip", errors.TransportError),
        ("not JSON", errors.DocumentError),
        ("half a document", errors.DocumentError),
    ],
)
def test_a_damaged_answer_that_stays_is_raised_and_never_stored(server, connect, fault, error) -> None:
    """What is stored would be believed for as long as it lasts."""
    server.script = [FAULTS[fault]] * 5
    session = connect()

    with pytest.raises(error):
        session.get("/users")

    server.script = []
    assert session.cache.info().answers == 0
    assert session.get("/users").body == EMPTY


def test_a_compressed_answer_is_read(server, connect) -> None:
    """The API compresses when asked to."""
    body = b'{"data": [' + b"1, " * 50_000 + b"1]}"
    server.script = [Scripted(200, gzip.compress(body), {"Content-Encoding": "gzip"})]

    assert connect().get("/users").body == body


def test_an_answer_that_trickles_in_cannot_outlast_the_deadline(server, connect, clock) -> None:
    """Each piece arrives within the read timeout, the whole would take for ever."""

    def trickle(handler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(100):
            clock.sleep(10)
            handler.wfile.write(b" " * 10)

    server.script = [Scripted(act=trickle)] * 9

    with pytest.raises(errors.DeadlineError):
        connect(deadline=25).get("/users")


def test_a_stalled_answer_times_out(server, connect, clock) -> None:
    """A server that says nothing must not hold a notebook; the attempt that timed out is repeated, then given up."""
    gates = []

    def stall(handler) -> None:
        clock.sleep(20)
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
        gates.append(handler.rfile.read(1))  # until the client hangs up

    server.script = [Scripted(act=stall)] * 9

    with pytest.raises(errors.DeadlineError, match="in time"):
        connect(timeout=(1.0, 0.05), deadline=50).get("/users")

    assert len(server.requests) < 5


def test_nobody_listening_is_said_so_and_nothing_was_sent(connect) -> None:
    """A wrong port is a typing error, not a hang: three short pauses."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        session = connect(f"http://127.0.0.1:{port}/api/v2", stale_if_error=True)

        with pytest.raises(errors.TransportError, match=f"nothing answers at http://127.0.0.1:{port}"):
            session.send("POST", "/prospects", body=b"{}")


def test_a_response_that_cannot_be_decoded_is_raised_and_not_stored(server, connect) -> None:
    """A page that cannot be flattened would fail again from the cache; it is JSON, so it is not asked for again."""

    def decode(_: Response) -> None:
        raise errors.DocumentError("A prospect has no id.")

    session = connect()
    with pytest.raises(errors.DocumentError, match="no id"):
        Client(session).read("/prospects", (), decode)

    assert session.cache.info().answers == 0
    assert len(server.requests) == 1


def test_a_page_is_decoded_once_and_scanned_by_nothing_else(server, connect, monkeypatch) -> None:
    """Decoding is the proof that a body is JSON; scanning it besides cost a third of flattening a page."""
    monkeypatch.delattr(transport, "judge")
    client, bodies = Client(connect()), []

    for _ in range(2):
        client.read("/prospects", (), lambda response: bodies.append(response.body))

    assert bodies == [EMPTY, EMPTY]
    assert len(server.requests) == 1


@pytest.mark.parametrize("fault", ["dropped", "cut in half", "not JSON", "half a document", "bad gzip"])
def test_a_damaged_response_that_is_decoded_is_asked_for_again(server, connect, clock, fault) -> None:
    """The decoder finds it; the pauses and the number of attempts are those of any other fault."""
    server.script = [FAULTS[fault]] * 2

    response, content = Client(connect()).read("/prospects", (), _decoded)

    assert (response.body, content) == (EMPTY, json.loads(EMPTY))
    assert len(server.requests) == 3
    assert clock.slept == [0.25, 0.5]


def test_a_response_that_is_never_json_says_so(server, connect) -> None:
    """A sign-in page of a proxy is not for the decoder to describe."""
    server.script = [FAULTS["not JSON"]] * 9
    session = connect()

    with pytest.raises(errors.DocumentError, match=r"not a complete JSON document \(text/html\)") as caught:
        Client(session).read("/prospects", (), _decoded)

    assert caught.value.__context__ is None

    assert len(server.requests) == 4
    assert session.cache.info().answers == 0


@pytest.mark.parametrize("document", ['{"data": null, "errors": [%s]}', '{"errors": [%s]}'])
def test_errors_under_a_status_of_success_are_that_error(server, connect, document) -> None:
    """A page without rows would be taken for an answer."""
    server.script = [Scripted(200, (document % '{"id": "x", "status": "404"}').encode())]
    session = connect()

    with pytest.raises(errors.NotFoundError):
        fetch(Client(session), "prospects")

    assert session.cache.info().answers == 0


def _decoded(response: Response) -> object:
    try:
        return json.loads(response.body)
    except ValueError:
        raise errors.DocumentError("No JSON.") from None


def test_messages_tracebacks_and_logs_hold_no_token_and_no_address(server, connect, caplog) -> None:
    """They end up in tickets and chat rooms."""
    caplog.set_level(logging.DEBUG, logger="outreach_frames")
    server.script = [FAULTS["dropped"]] * 9
    address = "sally@example.com"

    with pytest.raises(errors.TransportError) as caught:
        connect().get("/prospects", [("filter[emails]", address)])

    told = f"{caught.getrepr(chain=True)}{caplog.text}"
    assert "GET /prospects: DROPPED" in caplog.text
    assert TOKEN not in told
    assert address.partition("@")[0] not in str(caught.value) + caplog.text
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_no_library_logs_an_address_or_a_token(server, connect, caplog) -> None:
    """At level DEBUG urllib3 writes whole URLs; paths and statuses stay, for whoever looks for a fault."""
    caplog.set_level(logging.DEBUG)
    server.script = [FAULTS["not JSON"], Scripted(500, b"")]
    session = connect(expire_after=60, stale_if_error=True)

    for url in ("/prospects?filter[emails]=sally@example.com", "/installs/setup-token-of-some-length/actions"):
        for refresh in (False, False, True):
            session.get(url, refresh=refresh)

    assert "/api/v2/prospects HTTP" in caplog.text
    assert "/api/v2/installs/…/actions" in caplog.text
    for secret in ("sally", TOKEN, "setup-token"):
        assert secret not in caplog.text


def test_the_logs_of_other_programs_are_left_alone(server, connect, caplog) -> None:
    """Urllib3 is everybody's."""
    caplog.set_level(logging.DEBUG, logger="urllib3.connectionpool")
    connect()

    urllib3.request("GET", f"http://localhost:{server.server_port}/elsewhere?q=1")

    assert "/elsewhere?q=1" in caplog.text


def _raw(handler, headers: bytes, body: bytes = EMPTY) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n" % len(body) + headers + b"\r\n" + body)


def _cut(handler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + b'{"data": [')


def _cut_chunk(handler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\n" + b'{"data": [')


FAULTS = {
    "server error": Scripted(500, b"{}"),
    "dropped": Scripted(act=lambda _: None),
    "cut in half": Scripted(act=_cut),
    "cut in a chunk": Scripted(act=_cut_chunk),
    "not JSON": Scripted(200, b"<html>Please sign in</html>", {"Content-Type": "text/html"}),
    "half a document": Scripted(200, b'{"data": ['),
    "bad gzip": Scripted(200, b"no gzip at all", {"Content-Encoding": "gzip"}),
}
