"""What stays of a person on this machine's cache: nothing, whoever's token asked and however the name is spelled."""

import json
import sqlite3
import unicodedata
import warnings
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given, strategies as st

from outreach_frames import errors
from outreach_frames._http import cache_file, clear_all, remove_account
from outreach_frames._http.cache import contains_text, decode_response, unescaped
from tests.scripted_server import Scripted

NAME, ADDRESS = "Jörg Müller/Weiß", "Jörg.O'Neil+x@exämple.com"


def kept(folder: Path) -> list[bytes]:
    """Return the bodies in every file of the cache."""
    bodies = []
    for path in folder.rglob("*.sqlite"):
        reader = sqlite3.connect(path)
        bodies += [decode_response(value).content for (value,) in reader.execute("SELECT value FROM answers")]
        reader.close()
    return bodies


SPELLINGS = {
    "as it is": json.dumps(NAME, ensure_ascii=False),
    "escaped": json.dumps(NAME),
    "escaped in capitals": json.dumps(NAME).replace("\\u00f6", "\\u00F6"),
    "escaped as PHP does": json.dumps(NAME).replace("/", "\\/"),
    "in capitals": json.dumps(NAME.upper()),
    "taken apart": json.dumps(unicodedata.normalize("NFD", NAME)),
    "in HTML": json.dumps("<p>J&ouml;rg M&#252;ller/Wei&szlig;"),
    "in an address": json.dumps(f"/prospects?filter[name]={quote(NAME)}"),
    "in a form": json.dumps(f"/prospects?filter[name]={quote(NAME).replace('%20', '+')}"),
}


@pytest.mark.parametrize("body", SPELLINGS.values(), ids=SPELLINGS)
def test_a_name_is_found_however_it_is_spelled(server, connect, tmp_path, body) -> None:
    """Rails, PHP and Python escape what is not ASCII, and so does every link."""
    server.script = [Scripted(body=b'{"data": %s}' % body.encode()), Scripted(body=b'{"data": "somebody else"}')]
    session = connect()
    session.get("/prospects/1")
    session.get("/prospects/2")

    assert session.cache.forget(NAME) == 1

    assert kept(tmp_path) == [b'{"data": "somebody else"}']


@given(st.text(min_size=1), st.text(), st.text(), st.booleans())
def test_any_text_is_found_in_json_that_holds_it(text, before, after, ascii_only) -> None:
    """However a server escapes."""
    try:
        body = json.dumps(before + "|" + text + "|" + after, ensure_ascii=ascii_only).encode()
    except UnicodeEncodeError:  # half a pair of surrogates, which no UTF-8 can hold
        return

    assert contains_text(body, text)


@given(st.binary(max_size=100))
def test_looking_into_any_body_raises_nothing(body) -> None:
    """A damaged answer must not keep a person from being forgotten."""
    unescaped(body)
    assert contains_text(body, "") is True


def test_a_test_of_ones_own_sees_names_without_escapes(server, connect) -> None:
    """What worked for Sally has to work for Jörg."""
    server.script = [Scripted(body=json.dumps({"data": NAME}).encode())]
    session = connect()
    session.get("/prospects/1")

    assert session.cache.forget(lambda body: "Jörg".encode() in body) == 1


def test_a_person_is_forgotten_in_the_files_of_earlier_tokens_too(server, connect, tmp_path) -> None:
    """Every token has a file of its own, and an hour later nobody has that token any more."""
    server.respond = lambda _: Scripted(body=json.dumps({"data": ADDRESS}).encode())
    for account in ("an earlier token", "another sign-in"):
        session = connect(account=account)
        session.get("/prospects/1")
        session.close()

    assert connect().cache.forget(ADDRESS.upper()) == 2

    assert kept(tmp_path) == []


def test_everything_can_be_forgotten_without_any_sign_in(connect, tmp_path) -> None:
    """After a sign-out there is none."""
    for account in ("an earlier token", "another sign-in"):
        session = connect(account=account)
        session.get("/prospects/1")
        session.close()
    (folder,) = {path.parent for path in tmp_path.rglob("*.sqlite")}
    (folder / "0123.sqlite.damaged").write_bytes(b"what was set aside of an account that never came back")

    clear_all(tmp_path)

    assert kept(tmp_path) == []
    assert not list(folder.glob("*.damaged*"))


def test_a_connection_can_clear_all_accounts_of_its_folder(connect, tmp_path) -> None:
    """For those who keep the cache elsewhere."""
    for account in ("an earlier token", "another sign-in"):
        connect(account=account).get("/prospects/1")

    connect().cache.clear(all_accounts=True)

    assert kept(tmp_path) == []


def test_the_files_of_an_account_that_has_ended_go(server, connect, tmp_path) -> None:
    """Nobody will ever ask for them again; another account's stay."""
    for account in ("ended", "other"):
        session = connect(account=account)
        session.get("/prospects/1")
        session.close()
    before = {path.name.partition(".")[0] for path in tmp_path.rglob("*.*")}

    remove_account(f"{server.base_url}/", "ended", tmp_path)

    after = {path.name.partition(".")[0] for path in tmp_path.rglob("*.*")}
    assert (len(before), len(after)) == (2, 1)
    assert connect(account="other").get("/prospects/1").from_cache


def test_a_text_that_is_everywhere_is_refused(connect) -> None:
    """An empty cell must not empty the cache."""
    with pytest.raises(errors.QueryError, match="no text"):
        connect().cache.forget("  ")


@pytest.mark.parametrize("forget", [lambda cache: cache.forget("Sally"), lambda cache: cache.clear()])
def test_a_log_that_somebody_reads_is_said_to_hold_it_still(connect, monkeypatch, forget) -> None:
    """SQLite cannot empty it then, and says nothing."""
    monkeypatch.setattr(cache_file, "BUSY_TIMEOUT", 0.05)
    session = connect()
    session.get("/prospects/1")
    reader = sqlite3.connect(session.cache.info().path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM answers").fetchall()
    session.get("/prospects/2")

    with pytest.warns(errors.CacheWarning, match="Another program"):
        forget(session.cache)

    reader.close()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        forget(session.cache)


@pytest.mark.parametrize("forget", [lambda cache: cache.forget(lambda _: True), lambda cache: cache.clear()])
def test_what_cannot_be_deleted_is_said_to_be_there_each_time(connect, monkeypatch, forget) -> None:
    """Another program that writes holds the file; nobody may believe that a person was forgotten."""
    monkeypatch.setattr(cache_file, "BUSY_TIMEOUT", 0.05)
    session = connect()
    session.get("/prospects/1")
    session.close()
    with sqlite3.connect(session.cache.info().path, isolation_level=None) as writer:
        writer.execute("BEGIN IMMEDIATE")
        for _ in range(2):
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                assert not forget(session.cache)
            assert any("still in it" in str(each.message) for each in caught)
    writer.close()

    assert session.cache.info().answers == 1
    forget(session.cache)
    assert session.cache.info().answers == 0


def test_a_write_after_which_stale_answers_stay_says_so_each_time(connect, monkeypatch) -> None:
    """Otherwise the old record is read as if it were the new one."""
    monkeypatch.setattr(cache_file, "BUSY_TIMEOUT", 0.05)
    session = connect()
    session.get("/prospects/1")
    holder = sqlite3.connect(session.cache.info().path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The cache cannot be used", errors.CacheWarning)
        for _ in range(2):
            with pytest.warns(errors.CacheWarning, match="before the last write are still in it"):
                session.cache.invalidate()

    holder.close()
