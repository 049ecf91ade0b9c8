"""Whose answers are whose, in one folder; and files in it that somebody else has written."""

import json
import pickle
import shutil
import sqlite3
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from requests_cache import CachedSession

import outreach_frames as of
from outreach_frames._http import BearerAuth
from outreach_frames.errors import AuthError, CacheMissError, CacheWarning, OriginError, PermissionDeniedError
from tests.trust.trust_setting import PAGE, connect, keep_profile, rows, true_rows

WHO_AM_I = """
import json, sys
import outreach_frames as of
seen = set()
with of.connect(profile=sys.argv[1]) as org:
    for n in range(40):
        seen.add(json.loads(org.get(org.base_url, refresh=n % 2 == 0).body)["meta"]["user"]["id"])
print(*seen)
"""


def who_am_i(org, **options) -> int:
    """Return the user that the API takes somebody for: the same question, another answer for each."""
    return json.loads(org.get(org.base_url, **options).body)["meta"]["user"]["id"]


@pytest.fixture
def people(sandbox, nothing_of_the_developer) -> dict[str, str]:
    """Sign two users in, of whom the second may not read accounts; return their tokens."""
    folder = nothing_of_the_developer / "data" / "outreach_frames"
    return {
        "ana": keep_profile(sandbox, folder, name="ana", user=1).access,
        "ben": keep_profile(sandbox, folder, name="ben", user=2, scopes=["users.read"]).access,
    }


@pytest.mark.parametrize("way", ["profile", "token"])
def test_another_user_never_sees_the_first_ones_answers(sandbox, people, way):
    """With requests-cache's defaults, user B was served user A's prospects."""

    def connected(name):
        return of.connect(profile=name) if way == "profile" else of.connect(people[name], sandbox.base_url)

    with connected("ana") as ana, connected("ben") as ben:
        assert rows(of.fetch(ana, "accounts", page_size=PAGE)) == true_rows(sandbox)
        for _ in range(2):
            with pytest.raises(PermissionDeniedError) as caught:
                of.fetch(ben, "accounts", page_size=PAGE)
            assert caught.value.scope == "accounts.read"
        assert (who_am_i(ana), who_am_i(ben)) == (1, 2)
        sandbox.clear_log()
        assert rows(of.fetch(ana, "accounts", page_size=PAGE)) == true_rows(sandbox)
        assert (who_am_i(ana), who_am_i(ben)) == (1, 2)

    assert sandbox.data_requests == 0


@pytest.mark.usefixtures("people")
def test_threads_of_two_users_get_their_own_answers_while_both_write():
    """The same folder, the same questions, at the same time."""
    with of.connect(profile="ana") as ana, of.connect(profile="ben") as ben, ThreadPoolExecutor(8) as pool:
        asked = [(number, org) for _ in range(20) for number, org in ((1, ana), (2, ben))]
        answers = list(pool.map(lambda each: who_am_i(each[1], refresh=each[0] == 1), asked))

    assert answers == [number for number, _ in asked]


@pytest.mark.usefixtures("people")
def test_processes_of_two_users_get_their_own_answers_while_all_write():
    """The same folder, the same questions, at the same time, one user twice."""
    names = ["ana", "ben", "ana"]
    started = [
        subprocess.Popen([sys.executable, "-c", WHO_AM_I, name], stdout=subprocess.PIPE, text=True) for name in names
    ]

    assert [each.communicate(timeout=60)[0].split() for each in started] == [["1"], ["2"], ["1"]]
    assert {each.returncode for each in started} == {0}


@pytest.mark.usefixtures("people")
def test_an_answer_of_one_user_is_not_there_for_another_offline():
    """Nor when the API cannot be asked."""
    with of.connect(profile="ana") as ana:
        who_am_i(ana)

    with of.connect(profile="ana", offline=True) as ana, of.connect(profile="ben", offline=True) as ben:
        assert who_am_i(ana) == 1
        with pytest.raises(CacheMissError):
            who_am_i(ben)


def test_an_empty_token_is_refused_where_another_account_could_be_used(sandbox, people, monkeypatch, tmp_path):
    """A job whose secret is not set must not read, or write to, whatever organization the machine knows."""
    monkeypatch.setenv("OUTREACH_TOKEN", people["ana"])

    with pytest.raises(AuthError, match="access token is empty"):
        of.connect("", sandbox.base_url, cache_dir=tmp_path)
    with pytest.raises(AuthError, match="access token is empty"):
        of.connect("", profile="ana", cache_dir=tmp_path)
    with pytest.raises(AuthError, match="cannot be the name of a profile"):
        of.connect(profile="", cache_dir=tmp_path)
    with pytest.raises(OriginError):
        of.connect(people["ana"], "", cache_dir=tmp_path)


@pytest.mark.usefixtures("people")
def test_an_empty_variable_counts_as_not_set(monkeypatch):
    """Compose files and CI set what is not there to nothing."""
    for name in ("OUTREACH_TOKEN", "OUTREACH_BASE_URL", "OUTREACH_PROFILE"):
        monkeypatch.setenv(name, "")

    with of.connect(profile="ana") as ana:
        assert who_am_i(ana) == 1
    with pytest.raises(AuthError, match="There is no access token"):
        of.connect()


def test_a_cache_folder_may_be_given_as_text(sandbox, people, tmp_path):
    """As every other path of the package may."""
    with of.connect(people["ana"], sandbox.base_url, cache_dir=str(tmp_path)) as ana:
        who_am_i(ana)
        assert ana.cache.info().path.is_relative_to(tmp_path)


class Planted:
    """A pickle that writes a file when it is read."""

    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self):
        return Path.write_text, (self.witness, "executed")


def requests_caches_own_file(path: Path, witness: Path) -> None:
    """Plant a file as requests-cache writes it by default, with code in it."""
    path.unlink()
    with CachedSession(str(path), backend="sqlite") as library:
        library.cache.responses["x"] = Planted(witness)


def pickles_as_answers(path: Path, witness: Path) -> None:
    """Plant code where the answers are."""
    with sqlite3.connect(path) as planted:
        planted.execute("UPDATE answers SET value = ?", (pickle.dumps(Planted(witness)),))
    planted.close()


def triggers(path: Path, witness: Path) -> None:
    """Plant statements that run when an answer is written."""
    with sqlite3.connect(path) as planted:
        planted.execute(
            "CREATE TRIGGER evil AFTER INSERT ON answers BEGIN"
            f" SELECT load_extension('{witness}'), writefile('{witness}', 'executed'); END"
        )
        planted.execute("UPDATE answers SET asked = 0")
        planted.execute("INSERT INTO changes VALUES (1)")
    planted.close()


def a_view_of_functions(path: Path, witness: Path) -> None:  # noqa: ARG001  as the others
    """Plant a view that calls functions when an answer is read."""
    with sqlite3.connect(path) as planted:
        planted.execute("ALTER TABLE answers RENAME TO real")
        planted.execute(
            "CREATE VIEW answers AS SELECT key, value, asked, used FROM real WHERE load_extension('evil') IS NOT NULL"
        )
    planted.close()


def a_link(path: Path, witness: Path) -> None:
    """Plant a link, so that we would write somewhere else."""
    path.unlink()
    path.symlink_to(witness)


def nonsense(path: Path, witness: Path) -> None:  # noqa: ARG001  as the others
    """Plant bytes that look like a database at first."""
    path.write_bytes(b"SQLite format 3\x00" + b"\xff" * 20_000)


@pytest.mark.parametrize(
    "plant", [requests_caches_own_file, pickles_as_answers, triggers, a_view_of_functions, a_link, nonsense]
)
def test_a_planted_cache_file_executes_nothing_and_raises_nothing(sandbox, tmp_path, plant):
    """Warnings may say that it was set aside; the rows are right."""
    witness = tmp_path / "witness"
    with connect(sandbox, tmp_path, BearerAuth(sandbox.token)) as org:
        of.fetch(org, "accounts", page_size=PAGE)
        path = org.cache.info().path
    plant(path, witness)

    for _ in range(2):
        with connect(sandbox, tmp_path, BearerAuth(sandbox.token)) as org, warnings.catch_warnings():
            warnings.simplefilter("ignore", CacheWarning)
            assert rows(of.fetch(org, "accounts", page_size=PAGE)) == true_rows(sandbox)

    assert not witness.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[" * 100_000,
        b'{"limit": null, "remaining": 0, "resets_at": 1e308, "taken_at": 0, "silent": false}',
        b'{"limit": -5, "remaining": 0, "resets_at": 9e15, "taken_at": 0, "silent": false}',
        b'{"limit": NaN, "remaining": NaN, "resets_at": NaN, "taken_at": NaN, "silent": false}',
        b'{"limit": Infinity, "remaining": 0, "resets_at": Infinity, "taken_at": 0, "silent": false}',
        b'{"limit": 1, "remaining": 0, "resets_at": null, "taken_at": 9e15, "silent": false}',
        b'{"limit": true, "remaining": 0.5, "resets_at": -1e308, "taken_at": -1e308, "silent": 7}',
        b'{"__class__": "os.system"}',
        pickle.dumps({"limit": 1}),
    ],
    ids=["empty", "deep", "for ever", "far", "not a number", "infinite", "in flight", "odd", "another", "a pickle"],
)
def test_a_planted_budget_stops_nobody(sandbox, tmp_path, content):
    """It lies beside the answers, and a budget that never reopens would lock everybody out."""
    with connect(sandbox, tmp_path, BearerAuth(sandbox.token)) as org:
        of.fetch(org, "accounts", page_size=PAGE)
    (budget,) = tmp_path.rglob("*.budget")
    budget.write_bytes(content)

    with connect(sandbox, tmp_path, BearerAuth(sandbox.token), cache=False) as org:
        assert rows(of.fetch(org, "accounts", page_size=PAGE)) == true_rows(sandbox)


def test_a_link_in_place_of_the_budget_is_not_written_through(sandbox, tmp_path):
    """What it points to belongs to somebody else."""
    target = tmp_path / "target"
    target.write_text("mine")
    with connect(sandbox, tmp_path, BearerAuth(sandbox.token)) as org:
        of.count(org, "users")
        (budget,) = tmp_path.rglob("*.budget")
        budget.unlink()
        budget.symlink_to(target)

        assert rows(of.fetch(org, "accounts", page_size=PAGE)) == true_rows(sandbox)

    assert target.read_text() == "mine"


@pytest.mark.parametrize("reset", ["99999999999999999999", "9e99", "-1", "", "tomorrow", "253402300800", "1e400", "0"])
@pytest.mark.parametrize("remaining", ["0", "-7", "99999999999999999999999"])
def test_a_nonsensical_budget_of_the_server_stops_nobody(sandbox, tmp_path, reset, remaining):
    """Public clients have met missing, doubled and differently spelt headers; none may end a fetch."""
    sandbox.faults.add(headers={"x-ratelimit-remaining": remaining, "x-ratelimit-reset": reset})

    with connect(sandbox, tmp_path, BearerAuth(sandbox.token)) as org:
        assert rows(of.fetch(org, "accounts", page_size=PAGE)) == true_rows(sandbox)


def test_a_copied_cache_is_of_no_use_to_another_account(sandbox, tmp_path):
    """Keys hold the account: a file moved under another name answers nothing."""
    with connect(sandbox, tmp_path, BearerAuth(sandbox.token), account="ana") as ana:
        of.fetch(ana, "accounts", page_size=PAGE)
        path = ana.cache.info().path
    with connect(sandbox, tmp_path, BearerAuth(sandbox.token), account="ben") as ben:
        of.count(ben, "users")
        other = ben.cache.info().path
    shutil.copy(path, other)
    sandbox.clear_log()

    with connect(sandbox, tmp_path, BearerAuth(sandbox.token), account="ben") as ben:
        assert rows(of.fetch(ben, "accounts", page_size=PAGE)) == true_rows(sandbox)

    assert sandbox.data_requests == 5
