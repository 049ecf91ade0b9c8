"""What is on disk: private, free of secrets, harmless, and never in the way."""

import os
import pickle
import signal
import sqlite3
import subprocess
import sys
import zlib
from contextlib import ExitStack
from multiprocessing import get_context
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st
from requests_cache.models.response import CachedResponse

from outreach_frames import errors
from outreach_frames._http import Cache, Waiter
from outreach_frames._http.cache import decode_response, encode_response
from tests.scripted_server import EMPTY, TOKEN, Scripted

COOKIE = "cookie-that-must-not-leak"


def file_of(session) -> Path:
    """Return the cache file; close the session, so that its log is written into it."""
    path = session.cache.info().path
    session.close()
    return path


def test_files_are_private_whatever_the_umask(connect, tmp_path) -> None:
    """They hold a company's customer data."""
    before = os.umask(0)
    try:
        session = connect()
        session.get("/users")
    finally:
        os.umask(before)

    folder = tmp_path / "http"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    assert len(list(folder.iterdir())) >= 4


def test_the_folder_given_keeps_its_mode(connect, tmp_path) -> None:
    """It may be the home folder or /tmp."""
    tmp_path.chmod(0o755)

    connect()

    assert tmp_path.stat().st_mode & 0o777 == 0o755


def test_no_secret_is_on_disk_in_any_form(server, connect, tmp_path) -> None:
    """Who copies the cache must not be able to sign in with it."""
    headers = {"Set-Cookie": f"session={COOKIE}", "X-Echo": TOKEN, "Authorization": f"Bearer {TOKEN}"}
    server.respond = lambda _: Scripted(headers=headers)
    session = connect(account="sally@example.com")

    session.get("/users")
    session.send("POST", "/users", body=TOKEN.encode())

    written = b"".join(path.read_bytes() + path.name.encode() for path in tmp_path.rglob("*") if path.is_file())
    assert len(written) > 1000
    for secret in (TOKEN, COOKIE, "sally"):
        assert secret.encode() not in written


@settings(deadline=None)
@given(
    st.integers(200, 599),
    st.dictionaries(st.sampled_from(["Content-Type", "Date"]), st.text(max_size=50)),
    st.binary(max_size=5000),
)
def test_what_is_written_is_read_back(status, headers, body) -> None:
    """Status, kept headers and every byte of the body."""
    response = CachedResponse(status_code=status, content=body)
    response.headers.update(headers)

    back = decode_response(encode_response(response))

    assert (back.status_code, dict(back.headers), back.content) == (status, headers, body)


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_reading_any_bytes_ends_in_a_value_error(junk) -> None:
    """Not in a crash, and not in code that runs."""
    with pytest.raises(ValueError, match=r"."):
        decode_response(junk)


@settings(deadline=None)
@given(st.data())
def test_a_flipped_or_missing_byte_is_noticed(data) -> None:
    """Half downloads and bad disks poisoned other caches for years; a checksum covers every byte."""
    whole = encode_response(CachedResponse(status_code=200, content=b'{"data": [1, 2, 3]}' * 20))
    position = data.draw(st.integers(0, len(whole) - 1))
    flipped = bytearray(whole)
    flipped[position] ^= data.draw(st.integers(1, 255))

    for damaged in (whole[:position], bytes(flipped)):
        with pytest.raises(ValueError, match=r"damaged|cannot be read"):
            decode_response(damaged)


class _Planted:
    """A pickle that writes a file when it is read."""

    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self):
        return Path.write_text, (self.witness, "executed")


def test_a_planted_answer_executes_nothing_and_raises_nothing(connect, tmp_path) -> None:
    """requests-cache's default format runs code that is planted in the file."""
    session = connect()
    session.get("/users")
    path, witness = file_of(session), tmp_path / "witness"
    with sqlite3.connect(path) as planted:
        planted.execute("UPDATE answers SET value = ?", (pickle.dumps(_Planted(witness)),))
    planted.close()

    answer = connect().get("/users")

    assert (answer.from_cache, answer.body) == (False, EMPTY)
    assert not witness.exists()
    assert connect().get("/users").from_cache


def test_a_planted_bomb_is_not_unpacked() -> None:
    """A frame may claim any size; memory is not asked for before it is believed."""
    head = b'{"status":200,"headers":{}}'
    rest = head + bytes.fromhex("28b52ffde0") + (1 << 50).to_bytes(8, "little") + bytes(3)
    planted = zlib.crc32(rest, len(head)).to_bytes(4, "big") + len(head).to_bytes(4, "big") + rest

    with pytest.raises(ValueError, match="size"):
        decode_response(planted)


def garbage(path: Path) -> None:
    """Fill a file with something else."""
    path.write_bytes(b"not a database" * 1000)


def cut(path: Path) -> None:
    """Lose the second half."""
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


def scribble(path: Path) -> None:
    """Damage every page but the first."""
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xde\xad" * ((path.stat().st_size - 4096) // 2))


def other_tables(path: Path) -> None:
    """Plant tables of another shape under the right version."""
    with sqlite3.connect(path) as planted:
        planted.execute("DROP TABLE answers")
        planted.execute("CREATE TABLE answers (key, surprise)")
    planted.close()


def view_in_place(path: Path) -> None:
    """Plant a view that never ends under the table's name."""
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT load_extension('x')) SELECT i AS key FROM n"
    with sqlite3.connect(path) as planted:
        planted.execute("DROP TABLE answers")
        planted.execute(f"CREATE VIEW answers AS {endless}")
    planted.close()


@pytest.mark.parametrize("damage", [garbage, cut, scribble, other_tables, view_in_place])
def test_a_damaged_file_is_set_aside_with_a_warning(server, connect, damage) -> None:
    """A truncated file otherwise raises from every read."""
    session = connect()
    for n in range(30):
        session.get(f"/users/{n}")
    path = file_of(session)
    damage(path)
    asked = len(server.requests)

    again = connect()
    with pytest.warns(errors.CacheWarning, match="set aside"):
        answers = [again.get(f"/users/{n}") for n in range(30)]

    assert {answer.body for answer in answers} == {EMPTY}
    assert len(server.requests) > asked
    assert path.with_name(f"{path.name}.damaged").is_file()
    assert again.get("/users/29").from_cache


@pytest.mark.parametrize("forget", [Cache.clear, lambda cache: cache.forget(lambda _: False)], ids=["clear", "forget"])
def test_what_was_set_aside_is_forgotten_too(connect, forget) -> None:
    """It still holds readable answers, of a person who is to be forgotten perhaps."""
    path = file_of(connect())
    garbage(path)
    session = connect()
    with pytest.warns(errors.CacheWarning):
        session.get("/users")
    assert path.with_name(f"{path.name}.damaged").exists()

    forget(session.cache)

    assert not path.with_name(f"{path.name}.damaged").exists()


def test_a_file_of_another_format_is_emptied(connect) -> None:
    """A newer version of the package must not trip over an older one's file."""
    path = file_of(connect())
    with sqlite3.connect(path) as older:
        older.execute("PRAGMA user_version = 99")
    older.close()

    session = connect()
    session.get("/users")

    assert session.get("/users").from_cache


@pytest.mark.parametrize("obstacle", ["folder", "link"])
def test_a_cache_that_cannot_be_used_warns_once_and_requests_go_on(server, connect, tmp_path, obstacle) -> None:
    """A link planted there would make us write through it."""
    path = file_of(connect())
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink()
    target = tmp_path / "target"
    path.mkdir() if obstacle == "folder" else path.symlink_to(target)

    session = connect()
    with pytest.warns(errors.CacheWarning, match="cannot be used") as warned:
        bodies = [session.get("/users").body for _ in range(3)]

    assert bodies == [EMPTY] * 3
    assert len(warned) == 1
    assert len(server.requests) == 3
    assert not target.exists()


def test_a_folder_that_cannot_be_made_warns_and_requests_go_on(connect, tmp_path) -> None:
    """A read-only home folder is no reason to fail."""
    (tmp_path / "file").write_text("in the way")

    with pytest.warns(errors.CacheWarning, match="folder cannot be used"):
        session = connect(cache_dir=tmp_path / "file")

    assert session.get("/users").body == EMPTY


def test_a_person_can_be_forgotten(server, connect, tmp_path) -> None:
    """On request, from the disk too: neither the file nor its log holds the body any more."""
    server.script = [Scripted(body=b'{"data": ["sally"]}'), Scripted(body=b'{"data": ["joe"]}')]
    session = connect()
    session.get("/prospects/1")
    session.get("/prospects/2")
    value = _stored_value(session, "sally")

    assert session.cache.forget(lambda body: b"sally" in body) == 1

    assert session.cache.info().answers == 1
    assert not any(value in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


def _stored_value(session, name: str) -> bytes:
    reader = sqlite3.connect(session.cache.info().path)
    values = [value for (value,) in reader.execute("SELECT value FROM answers")]
    reader.close()
    return next(value for value in values if name.encode() in decode_response(value).content)


ASKER = """
import sys, pathlib
from outreach_frames._http import BearerAuth, Session
base_url, folder, account = sys.argv[1:]
session = Session(base_url, BearerAuth("x"), account=account, cache_dir=pathlib.Path(folder))
n = 0
print("ready", flush=True)
while True:
    session.get(f"/users/{n % 50}", refresh=True)
    n += 1
"""


def test_killed_twenty_times_while_writing_the_next_start_works(server, connect, tmp_path) -> None:
    """Power cuts and ``kill -9`` happen in the middle of a write."""
    for n in range(20):
        command = [sys.executable, "-c", ASKER, server.base_url, str(tmp_path), "someone"]
        writer = subprocess.Popen(command, stdout=subprocess.PIPE)
        writer.stdout.readline()
        server.wait_for(len(server.requests) + 3 + 5 * n)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()

        session = connect(waiter=Waiter())
        assert session.get("/users/0").body == EMPTY
        assert session.get("/users/0").from_cache
        session.close()


def _ask_as(base_url: str, folder: str, account: str, answers) -> None:
    from outreach_frames._http import BearerAuth, Session  # noqa: PLC0415  imported in the other process

    session = Session(base_url, BearerAuth(account), account=account, cache_dir=Path(folder))
    for n in range(30):
        answers.put((account, session.get(f"/users/{n}").body.decode()))


def test_two_accounts_in_two_processes_share_a_folder_and_nothing_else(server, tmp_path) -> None:
    """Each gets the answers to its own token, while both write."""
    server.respond = lambda request: Scripted(body=f'"{request.headers["Authorization"]}"'.encode())
    context = get_context("spawn")
    answers = context.Queue()
    people = [
        context.Process(target=_ask_as, args=(server.base_url, str(tmp_path), account, answers))
        for account in ("a", "b", "a")
    ]
    for person in people:
        person.start()

    seen = {answers.get(timeout=60) for _ in range(90)}

    for person in people:
        person.join()
    assert seen == {("a", '"Bearer a"'), ("b", '"Bearer b"')}
    assert len(server.requests) >= 60


def test_a_connection_opened_before_a_fork_works_after_it(connect) -> None:
    """SQLite connections must not be carried across; joblib and multiprocessing fork."""
    session = connect()
    session.get("/users")
    child = os.fork()
    if child == 0:
        with ExitStack() as whatever_happens:
            whatever_happens.callback(os._exit, 1)
            os._exit(0 if session.get("/users").from_cache else 1)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert session.get("/users").from_cache
