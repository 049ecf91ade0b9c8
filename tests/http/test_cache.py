"""What the cache gives back, to whom, and when it asks again."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from random import Random

import pytest

from outreach_frames import errors
from outreach_frames._http import BearerAuth
from tests.scripted_server import EMPTY, Scripted

OTHER = b'{"data": [{"type": "user", "id": 2}]}'


def test_a_question_is_asked_once(server, connect) -> None:
    """Also by a later connection: the file stays."""
    first = connect().get("/users")
    second = connect().get("/users")

    assert (first.from_cache, second.from_cache) == (False, True)
    assert (first.body, first.date, first.url) == (second.body, second.date, second.url)
    assert first.headers == second.headers
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("/users?page[size]=5", "/users?page%5Bsize%5D=5"),
        ("/users?sort=id&page[size]=5", "/users?page[size]=5&sort=id"),
    ],
)
def test_escaping_and_order_make_no_difference(server, connect, one, other) -> None:
    """A link comes back with its brackets escaped, or not."""
    session = connect()

    session.get(one)
    session.get(other)

    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("/users", "/users?fields[user]="),
        ("/users?filter[id][]=1&filter[id][]=2", "/users?filter[id][]=1"),
        ("/users?filter[id]=1&filter[id]=2", "/users?filter[id]=2&filter[id]=1"),
        ("/users?filter[name]=a%26b", "/users?filter[name]=a&b"),
        ("/users", "/Users"),
    ],
)
def test_different_questions_have_different_answers(server, connect, one, other) -> None:
    """requests-cache's own key drops empty values, so that no fields and all fields were one question."""
    session = connect()

    session.get(one)
    session.get(other)

    assert len(server.requests) == 2


def test_another_account_never_reads_the_answers(server, connect) -> None:
    """With requests-cache's defaults user B was served user A's prospects."""
    server.script = [Scripted(body=EMPTY), Scripted(body=OTHER)]

    mine = connect(account="a").get("/users")
    theirs = connect(account="b").get("/users")

    assert (mine.body, theirs.body, theirs.from_cache) == (EMPTY, OTHER, False)


def test_answers_survive_a_new_token(connect) -> None:
    """Tokens rotate every two hours; the account is the same."""
    connect(auth=BearerAuth("old")).get("/users")

    assert connect(auth=BearerAuth("new")).get("/users").from_cache


def test_a_cached_answer_needs_no_token(connect) -> None:
    """Else every cached page could cost a refresh."""
    signed = []

    def auth(request):
        signed.append(request)
        return request

    session = connect(auth=auth)
    for _ in range(3):
        session.get("/users")

    assert len(signed) == 1


def test_sixteen_threads_on_one_question_ask_once(server, connect) -> None:
    """Without single flight they made seven requests."""
    session = connect()
    together = threading.Barrier(16)

    def ask(_: int) -> bytes:
        together.wait()
        return session.get("/users").body

    with ThreadPoolExecutor(16) as pool:
        bodies = set(pool.map(ask, range(16)))

    assert bodies == {EMPTY}
    assert len(server.requests) == 1


def test_when_the_first_asker_fails_the_next_one_asks(server, connect) -> None:
    """An error is the asker's own; the others must not be given it."""
    server.script = [Scripted(404, b"")]
    session = connect()

    with ThreadPoolExecutor(4) as pool:
        endings = [pool.submit(session.get, "/users/1") for _ in range(4)]

    assert sorted(type(ending.exception()).__name__ for ending in endings) == ["NoneType"] * 3 + ["NotFoundError"]
    assert len(server.requests) == 2


@pytest.mark.parametrize("expire_after", [60, timedelta(minutes=1)])
def test_an_old_answer_is_asked_for_again(server, connect, clock, expire_after) -> None:
    """The age counts from the question."""
    session = connect(expire_after=expire_after)
    session.get("/users")

    clock.sleep(59)
    session.get("/users")
    assert len(server.requests) == 1
    clock.sleep(1)
    session.get("/users")
    assert len(server.requests) == 2


def test_a_shorter_age_takes_effect_on_what_is_there(connect, clock) -> None:
    """It says how old an answer may be, not how long it was meant to last."""
    connect(expire_after=None).get("/users")
    clock.sleep(100)

    assert not connect(expire_after=60).get("/users").from_cache


def test_refresh_asks_and_replaces(server, connect) -> None:
    """Other readers then get the new answer."""
    server.script = [Scripted(body=EMPTY), Scripted(body=OTHER)]
    session = connect()
    session.get("/users")

    assert session.get("/users", refresh=True).body == OTHER
    assert session.get("/users").body == OTHER
    assert len(server.requests) == 2


def test_a_failed_refresh_leaves_the_old_answer(server, connect) -> None:
    """It is still what was true then."""
    session = connect()
    session.get("/users")
    server.script = [Scripted(404, b"")]

    with pytest.raises(errors.NotFoundError):
        session.get("/users", refresh=True)

    assert session.get("/users").from_cache


@pytest.mark.parametrize(
    "headers",
    [
        {"Cache-Control": "no-store, max-age=0", "Expires": "0"},
        {"Vary": "*"},
        {"Vary": "Authorization, Cookie, Accept"},
        {"ETag": '"1"', "Last-Modified": "Tue, 31 Mar 2026 00:00:00 GMT"},
        {"Pragma": "no-cache"},
    ],
)
def test_the_servers_own_ideas_of_caching_are_ignored(server, connect, headers) -> None:
    """APIs forbid caching by habit; what is kept here is the user's own data, as long as the user says."""
    server.script = [Scripted(headers=headers)]
    session = connect()

    session.get("/users")

    assert session.get("/users").from_cache
    assert len(server.requests) == 1


def test_offline_answers_of_any_age_are_given_and_nothing_is_sent(server, connect, clock) -> None:
    """On a train, yesterday's page is better than none; it says how old it is."""
    connect(expire_after=60).get("/users")
    clock.sleep(1_000_000)
    offline = connect(expire_after=60, offline=True)

    assert offline.get("/users").from_cache
    with pytest.raises(errors.CacheMissError, match="offline"):
        offline.get("/prospects")
    with pytest.raises(errors.TransportError, match="offline"):
        offline.send("POST", "/prospects", body=b"{}")
    assert len(server.requests) == 1


@pytest.mark.parametrize("fault", [Scripted(500, b""), Scripted(429, b""), Scripted(act=lambda _: None)])
def test_stale_if_error_gives_an_old_answer_when_there_is_no_new_one(server, connect, clock, fault) -> None:
    """A report that runs at night would rather be a day old than missing."""
    session = connect(expire_after=60, stale_if_error=True)
    session.get("/users")
    clock.sleep(100)
    server.respond = lambda _: fault

    answer = session.get("/users")

    assert (answer.from_cache, answer.body) == (True, EMPTY)
    with pytest.raises(errors.OutreachError):
        session.get("/prospects")


def test_without_stale_if_error_the_error_is_raised(server, connect, clock) -> None:
    """Old data must not pass for new."""
    session = connect(expire_after=60)
    session.get("/users")
    clock.sleep(100)
    server.respond = lambda _: Scripted(500, b"")

    with pytest.raises(errors.ServerError):
        session.get("/users")


def test_stale_if_error_does_not_hide_a_refusal(server, connect, clock) -> None:
    """Who lost the permission, or the record, must not go on seeing it."""
    session = connect(expire_after=60, stale_if_error=True)
    session.get("/users/1")
    clock.sleep(100)
    server.script = [Scripted(403, b""), Scripted(404, b"")]

    with pytest.raises(errors.PermissionDeniedError):
        session.get("/users/1")
    with pytest.raises(errors.NotFoundError):
        session.get("/users/1")


@pytest.mark.parametrize("status", [201, 204, 422, 500])
def test_a_write_makes_reads_ask_again(server, connect, clock, status) -> None:
    """What a write changes beside its record is not known; a failed one may have been carried out."""
    session = connect()
    session.get("/prospects")
    clock.sleep(1)
    server.script = [Scripted(status, b"" if status == 204 else b"{}")]

    with suppress(errors.APIError):
        session.send("POST", "/prospects", body=b"{}")

    clock.sleep(1)
    assert not session.get("/prospects").from_cache
    assert session.get("/prospects").from_cache


def test_an_answer_asked_for_before_a_write_is_stale_even_if_it_comes_after(server, connect, clock) -> None:
    """Two threads: one reads a page while the other changes a record on it."""
    session = connect()
    session.get("/users")  # as long as nothing is known of the budget, the write would wait for the read

    def change_it_meanwhile(_: object) -> Scripted:
        server.respond = None
        clock.sleep(1)
        session.send("POST", "/prospects", body=b"{}")
        clock.sleep(1)
        return Scripted()

    server.respond = change_it_meanwhile
    session.get("/prospects")

    assert not session.get("/prospects").from_cache


def test_writes_are_never_cached(server, connect) -> None:
    """Each is carried out."""
    session = connect()

    for _ in range(2):
        session.send("POST", "/prospects", body=b"{}")

    assert len(server.requests) == 2
    assert session.cache.info().answers == 0


def test_without_a_cache_every_question_is_asked(server, connect, tmp_path) -> None:
    """And nothing is written but the request budget."""
    session = connect(cache=False)

    for _ in range(2):
        session.get("/users")

    assert len(server.requests) == 2
    assert session.cache.info().path is None
    assert not list(tmp_path.rglob("*.sqlite*"))


def test_an_answer_with_secrets_can_be_kept_out(server, connect) -> None:
    """Webhooks come with their signing secret."""
    session = connect()

    for _ in range(2):
        session.get("/webhooks", store=False)

    assert len(server.requests) == 2
    assert session.cache.info().answers == 0


def test_clear_forgets_this_account_only(connect) -> None:
    """Another account's answers are not ours to drop."""
    mine, theirs = connect(account="a"), connect(account="b")
    mine.get("/users")
    theirs.get("/users")

    mine.cache.clear()

    assert (mine.cache.info().answers, theirs.cache.info().answers) == (0, 1)
    assert not mine.get("/users").from_cache


def test_info_tells_what_is_kept(connect, clock) -> None:
    """For ``outreach-frames cache info``."""
    session = connect()
    started = clock()
    session.get("/users")
    clock.sleep(10)
    session.get("/prospects")

    info = session.cache.info()

    assert (info.answers, info.oldest, info.newest) == (2, started, started + 10)
    assert info.path.is_file()
    assert info.size > 0


def test_the_least_recently_used_answers_go_when_the_cache_is_full(server, connect, clock) -> None:
    """A cache without an end fills the disk."""
    noise = Random(7)  # noqa: S311  bytes that do not compress
    server.respond = lambda _: Scripted(body=b'"%s"' % noise.randbytes(10_000).hex().encode())
    session = connect(cache_size=300_000)
    session.get("/prospects/0")
    for n in range(1, 60):
        clock.sleep(100)
        session.get(f"/prospects/{n}")
        session.get("/prospects/0")

    kept = [n for n in range(60) if _is_stored(session, f"/prospects/{n}")]

    assert kept[0] == 0
    assert kept[1:] == list(range(60 - len(kept) + 1, 60))
    assert 2 < len(kept) < 40
    assert session.cache.info().size <= 300_000


def _is_stored(session, path: str) -> bool:
    with session.request(path) as request:
        return session.cache.read(request, stale=True) is not None
