"""What a server says is wrong: shown in its own words, without what could be a person's or a secret."""

from contextlib import ExitStack

import pytest

import outreach_frames as of
from outreach_frames.errors import (
    APIError,
    AuthError,
    BadRequestError,
    ConflictError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
    TransportError,
    ValidationError,
)
from tests.fetch_support import Answers, resource


@pytest.fixture
def serve():
    """Return a function that serves one answer, and connects to the server as to any or as to Outreach."""
    with ExitStack() as running:

        def start(answer, *, tmp_path=None):
            server = running.enter_context(Answers({"/book": answer, "/accounts": answer}))
            client = of.connect("t", server.url, cache_dir=tmp_path) if tmp_path else of.connect_jsonapi(server.url)
            return server, running.enter_context(client)

        yield start


def errors(*objects):
    return {"errors": list(objects)}


SAID = {
    "title and detail": (
        errors({"title": "Invalid page", "detail": "the limit is 50."}),
        "(400: Invalid page: the limit is 50)",
    ),
    "parameter": (
        errors({"detail": "too large", "source": {"parameter": "page[size]"}}),
        "(400: page[size]: too large)",
    ),
    "pointer": (errors({"title": "Wrong", "source": {"pointer": "/data/x"}}), "(400: /data/x: Wrong)"),
    "id alone": (errors({"id": "unknownInclude"}), "(400: unknownInclude)"),
    "several": (errors(*({"detail": f"no. {n}"} for n in range(5))), "(400: no. 0; no. 1; no. 2; …)"),
    "a list of text": (errors("first", "second"), "(400: first; second)"),
    "no JSON:API": ({"message": "unknown include: autor"}, "(400: unknown include: autor)"),
    "Django": ({"detail": "Not like this."}, "(400: Not like this)"),
    "a problem": ({"title": "Bad", "detail": "so bad"}, "(400: Bad: so bad)"),
    "nested": ({"error": {"message": "deep"}}, "(400: deep)"),
    "a gateway": ({"error": "invalid_request", "error_description": "no scope"}, "(400: no scope)"),
    "nothing": ({"x": 1}, "(400)"),
    "no object": ([1], "(400)"),
    "an address": (errors({"detail": "no user ana@acme.example here"}), "(400: no user … here)"),
    "an escaped address": (errors({"detail": "q=ana%40acme.example"}), "(400: …)"),
    "what may be a token": (errors({"detail": "key sk_live_0123456789abcdef is old"}), "(400: key … is old)"),
    "a long story": (errors({"detail": "x" * 1_000}), f"(400: {'x' * 300}…)"),
    "line ends": (errors({"detail": "a\n\n  b"}), "(400: a b)"),
}


@pytest.mark.parametrize(("body", "said"), SAID.values(), ids=SAID)
def test_another_servers_own_words_are_in_the_message(serve, body, said):
    _, client = serve((400, {}, body))

    with pytest.raises(BadRequestError) as caught:
        of.fetch(client, "book")

    assert str(caught.value).partition("\n")[0] == f"GET /book: the API does not accept the request as sent {said}."


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, BadRequestError),
        (401, AuthError),
        (403, PermissionDeniedError),
        (404, NotFoundError),
        (409, ConflictError),
        (422, ValidationError),
    ],
)
@pytest.mark.parametrize("inside", [False, True], ids=["by the status", "inside a 200"])
def test_errors_are_typed_by_what_they_say_also_inside_a_200(serve, status, error, inside):
    """Not one of the hints sends to Outreach's sign-in or speaks of an organization."""
    body = errors({"status": str(status), "title": "Oh", "detail": "include x is not allowed"})
    server, client = serve((200 if inside else status, {}, body))

    with pytest.raises(error, match="include x is not allowed") as caught:
        of.fetch(client, "book")

    assert (type(caught.value), caught.value.status) == (error, status)
    assert caught.value.errors[0].detail == "include x is not allowed"
    assert "utreach-frames" not in str(caught.value)
    assert "organi" not in str(caught.value)
    assert len(server.asked) == 1


@pytest.mark.parametrize("status", [None, 403, "403", "teapot"])
def test_errors_inside_a_200_without_a_status_are_a_bad_request(serve, status):
    _, client = serve(errors({"status": status, "detail": "no"}))

    with pytest.raises(APIError, match="no") as caught:
        of.fetch(client, "book")

    assert caught.value.status == (403 if str(status) == "403" else 400)


@pytest.mark.parametrize("none", [[], None, {}])
@pytest.mark.parametrize("vendor", [False, True])
def test_no_errors_beside_data_are_no_refusal(serve, tmp_path, none, vendor):
    """And an attribute may be called so."""
    _, client = serve(
        {"data": [resource("account", "1", {"errors": ["x"]})], "errors": none}, tmp_path=tmp_path if vendor else None
    )

    assert [str(id_) for id_ in of.fetch(client, "accounts", fields="*" if vendor else None)["id"]] == ["1"]


DATA_BESIDE_ERRORS = {
    "records": [resource("account", 1, {"name": "A"})],
    "an empty list": [],
    "what the catalog does not have": [resource("account", 1, {"shoeSize": 9})],
}


@pytest.mark.parametrize("data", DATA_BESIDE_ERRORS.values(), ids=DATA_BESIDE_ERRORS)
@pytest.mark.parametrize(
    "read",
    [
        of.fetch,
        of.fetch_tables,
        lambda org, name: list(of.fetch_batches(org, name)),
        lambda org, name: of.plan_snapshot(org, "nowhere", resources=[name]),
    ],
    ids=["fetch", "fetch_tables", "fetch_batches", "plan_snapshot"],
)
def test_errors_beside_data_are_that_error(serve, tmp_path, data, read):
    """JSON:API forbids the two together; what is there may be a part of the whole, and is not stored."""
    server, org = serve({"data": data, **errors({"status": "403", "title": "Some are not yours"})}, tmp_path=tmp_path)

    with pytest.raises(PermissionDeniedError, match="Some are not yours"):
        read(org, "accounts")

    assert len(server.asked) == 1
    assert org.cache.info().answers == 0


@pytest.mark.parametrize("data", DATA_BESIDE_ERRORS.values(), ids=DATA_BESIDE_ERRORS)
def test_errors_beside_data_of_another_server_are_that_error(serve, data):
    _, client = serve({"data": data, **errors({"detail": "shelf 3 is closed"})})

    for read in (of.fetch, of.fetch_tables):
        with pytest.raises(BadRequestError, match="shelf 3 is closed"):
            read(client, "book")


def test_errors_beside_the_record_of_a_write_leave_it_open_whether_it_was_executed(serve, tmp_path):
    """It is neither a success nor a refusal that may be sent again."""
    body = {"data": resource("account", 1, {"name": "A"}), **errors({"status": "422", "title": "Invalid"})}
    _, org = serve(body, tmp_path=tmp_path)

    with pytest.raises(ValidationError) as caught:
        org.create("accounts", name="A")

    assert caught.value.executed is None


def test_hints_of_outreach_stay_for_outreach(serve, tmp_path):
    """And nothing is quoted there that may be known of a person."""
    _, org = serve((401, {}, errors({"title": "Unauthorized", "detail": "of Sally Smith"})), tmp_path=tmp_path)

    with pytest.raises(AuthError, match="outreach-frames login") as caught:
        of.fetch(org, "accounts")

    assert "Sally" not in str(caught.value)


def test_errors_inside_a_200_are_errors_of_outreach_too_and_are_not_kept(serve, tmp_path):
    server, org = serve(errors({"status": "400", "title": "Bad Request"}), tmp_path=tmp_path)

    for _ in range(2):
        with pytest.raises(BadRequestError, match="Bad Request"):
            of.fetch(org, "accounts")
    assert len(server.asked) == 2
    server.by_path["/accounts"] = {"data": [resource("account", 1)]}
    assert len(of.fetch(org, "accounts")) == 1


def test_an_answer_without_content_is_a_collection_without_records_and_asked_for_once(serve):
    """204 says that there is nothing; an empty 200 is a cut one."""
    server, client = serve((204, {}, b""))

    assert of.fetch(client, "book").empty
    assert len(server.asked) == 1


def test_an_answer_without_content_of_the_apis_is_an_error_at_once(serve, tmp_path):
    server, org = serve((204, {}, b""), tmp_path=tmp_path)

    with pytest.raises(of.errors.DocumentError):
        of.fetch(org, "accounts")
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((429, {}, errors({"title": "Slow down"})), RateLimitError),
        ((501, {}, errors({"detail": "not made yet"})), ServerError),
        ((308, {"Location": "https://elsewhere.example/book"}, {}), TransportError),
        ((303, {}, {}), TransportError),
    ],
)
def test_no_other_message_is_borrowed_either(serve, answer, error):
    _, client = serve(answer)

    with pytest.raises(error) as caught:
        client.session.get("/book", no_retry={429, 501})

    for word in ("organi", "utreach", "max_wait", "cached"):
        assert word not in str(caught.value)
