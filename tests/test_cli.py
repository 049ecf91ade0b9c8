import errno
import json
import os
import shutil
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager
from pathlib import Path

import click
import pandas as pd
import pytest
import requests
from click.testing import CliRunner

import outreach_frames as of
from outreach_frames.cli import main
from tests.snapshot_support import ATTEMPTS, contents, full_after, plant


@pytest.fixture(scope="module")
def sandbox():
    with of.sandbox(prospects=40, seed=2) as org:
        yield org


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    """Nothing of the developer's own sign-ins or caches is seen or changed."""
    for name in ("CONFIG", "DATA", "CACHE", "STATE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name.lower()))
    for name in [name for name in os.environ if name.startswith("OUTREACH_") and name != "OUTREACH_OPENAPI"]:
        monkeypatch.delenv(name)
    return tmp_path


@pytest.fixture
def live(sandbox, monkeypatch):
    """Let the command see the sandbox as a live organization."""
    monkeypatch.setenv("OUTREACH_BASE_URL", sandbox.base_url)
    monkeypatch.setenv("OUTREACH_TOKEN", sandbox.sandbox.token)
    return sandbox


def run(*arguments, **options):
    return CliRunner().invoke(main, [str(a) for a in arguments], catch_exceptions=False, **options)


def test_help_is_fast_because_nothing_heavy_is_loaded():
    code = "import sys; from outreach_frames.cli import main; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()

    assert not {"pandas", "requests", "matplotlib", "nbclient", "uvicorn", "duckdb"} & set(loaded)


@pytest.mark.parametrize("command", sorted(main.commands))
def test_every_command_explains_itself(command):
    result = run(command, "--help")

    assert result.exit_code == 0
    assert len(result.output.splitlines()[2].strip()) > 10


@pytest.mark.parametrize("suffix", ["parquet", "csv", "xlsx"])
@pytest.mark.usefixtures("live")
def test_fetch_writes_a_file(tmp_path, suffix):
    out = tmp_path / f"people.{suffix}"

    result = run(
        "fetch", "prospects", "--out", out, "--fields", "first_name,title", "--filter", "id=1", "--sort", "created_at"
    )

    assert result.exit_code == 0, result.output
    frame = {"parquet": pd.read_parquet, "csv": pd.read_csv, "xlsx": pd.read_excel}[suffix](out)
    assert frame.columns.tolist() == ["id", "first_name", "title"]
    assert frame["id"].tolist() == [1]


@pytest.mark.usefixtures("live")
@pytest.mark.parametrize(
    ("include", "columns"),
    [
        ("owner", ["owner__name"]),
        ("owner,account.owner=email+title", ["account__owner__email", "account__owner__title", "owner__name"]),
    ],
)
def test_a_joined_record_brings_its_name_and_what_is_asked_for(tmp_path, include, columns):
    """It brought seventy-four columns of an owner."""
    out = tmp_path / "people.csv"

    result = run("fetch", "prospects", "--out", out, "--fields", "title", "--include", include, "--limit", "5")

    assert result.exit_code == 0, result.output
    joined = [column for column in pd.read_csv(out).columns if "__" in column and not column.endswith("_id")]
    assert sorted(joined) == columns


@pytest.mark.usefixtures("live")
def test_everything_of_a_joined_record_is_there_where_it_is_asked_for(tmp_path):
    out = tmp_path / "people.csv"

    run("fetch", "prospects", "--out", out, "--include", "owner=*", "--limit", "1")
    missing = run("fetch", "prospects", "--out", tmp_path / "none.csv", "--include", "ownr")

    assert {"owner__email", "owner__title", "owner__locked"} <= {*pd.read_csv(out).columns}
    assert missing.exit_code == 1
    assert "owner" in missing.output


@pytest.mark.usefixtures("live")
def test_a_fetched_parquet_file_with_lists_is_read_by_pandas(tmp_path):
    """Names of list dtypes, as pandas would note them in the file, cannot be read back by pandas itself."""
    out = tmp_path / "people.parquet"

    run("fetch", "prospects", "--out", out, "--fields", "emails")

    assert len(pd.read_parquet(out)["emails"].iloc[0]) > 0


def test_a_file_that_cannot_be_written_is_a_sentence_and_costs_no_request(live, tmp_path, monkeypatch):
    """Found out after the fetch, it would have cost the budget for nothing."""

    def denied(path, *_):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", denied)
    live.sandbox.clear_log()

    result = run("fetch", "users", "--out", tmp_path / "users.csv")

    assert result.exit_code == 1
    assert "users.csv': Permission denied" in result.output
    assert live.sandbox.data_requests == 0


@pytest.mark.usefixtures("live")
@pytest.mark.parametrize("suffix", ["csv", "xlsx", "parquet"])
def test_a_write_that_fails_half_way_leaves_what_was_there(tmp_path, suffix):
    """A program that reads the file must not take half of it for the whole."""
    run("snapshot", tmp_path / "org", "--resources", "users")
    out = tmp_path / f"users.{suffix}"
    out.write_text("before")

    with full_after(500):
        result = run("sql", tmp_path / "org", "select * from users", "--out", out)

    assert result.exit_code == 1
    assert f"users.{suffix}': {os.strerror(errno.EFBIG)}" in result.output
    assert (out.read_text(), list(tmp_path.glob("*.*")), list(tmp_path.glob(".*"))) == ("before", [out], [])


@pytest.mark.usefixtures("live")
@pytest.mark.filterwarnings("ignore:The cache cannot be used")  # it grows neither
def test_a_full_disk_is_a_sentence_wherever_it_is(tmp_path):
    """It was a traceback."""
    run("snapshot", tmp_path / "org", "--resources", "users")

    with full_after(2_000):
        taken = run("snapshot", tmp_path / "org", "--resources", "users", "--resume")

    assert taken.exit_code == 1
    assert os.strerror(errno.EFBIG) in taken.output
    assert len(taken.output.splitlines()) <= 2


@pytest.mark.usefixtures("live")
def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path):
    """As for any other command that writes."""
    (tmp_path / "file").touch()

    result = run("snapshot", tmp_path / "file" / "org", "--resources", "users")

    assert result.exit_code == 1
    assert "Not a directory" in result.output


@pytest.mark.usefixtures("live")
def test_what_is_cached_can_be_asked_for_anew(tmp_path, sandbox):
    """An hour is long for somebody who waits for a change."""
    out = tmp_path / "users.csv"
    for options, number in (((), 1), ((), 0), (("--refresh",), 1)):
        sandbox.sandbox.clear_log()
        run("fetch", "users", "--out", out, *options)
        assert sandbox.sandbox.data_requests == number
    for options, number in (((), 1), (("--resume",), 0)):
        sandbox.sandbox.clear_log()
        run("snapshot", tmp_path / "org", "--resources", "users", *options)
        assert sandbox.sandbox.data_requests == number


@pytest.mark.usefixtures("live")
def test_snapshot_sql_and_report_work_on_each_other(tmp_path):
    folder, page = tmp_path / "org", tmp_path / "page.html"

    assert run("snapshot", folder).exit_code == 0
    counted = run("sql", folder, "select count(*) as n from prospects")
    reported = run("report", "--snapshot", folder, "--out", page, "--links", "https://app.example")

    assert "40" in counted.output
    assert reported.exit_code == 0, reported.output
    assert "How are our sequences doing?" in page.read_text()
    assert 'href="https://app.example/sequences/' in page.read_text()


QUERY = "select id, email, created_at from users order by id"


@pytest.fixture
def sample():
    return Path(__file__).parents[1] / "data" / "sample"


def test_the_result_of_a_query_is_printed(sample):
    """Or written, below; the time is UTC in both."""
    printed = run("sql", sample, QUERY).output
    rows = of.open_snapshot(sample).sql(QUERY)

    assert all(email in printed for email in rows["email"])
    assert len(printed.splitlines()) == 1 + len(rows)


@pytest.mark.parametrize("ending", ["csv", "parquet", "xlsx"])
def test_the_result_of_a_query_is_written_as_the_file_s_ending_says(sample, tmp_path, ending):
    out = tmp_path / f"users.{ending}"

    result = run("sql", sample, QUERY, "--out", out)

    rows = of.open_snapshot(sample).sql(QUERY)
    assert result.exit_code == 0, result.output
    assert f"{len(rows)} rows" in result.output
    assert rows["email"].iloc[0] not in result.output
    if ending == "parquet":
        pd.testing.assert_frame_equal(pd.read_parquet(out, dtype_backend="pyarrow"), rows)
    else:
        expected = of.export(rows, tmp_path / f"expected.{ending}")
        read = {"csv": pd.read_csv, "xlsx": pd.read_excel}[ending]
        pd.testing.assert_frame_equal(read(out), read(expected))
        assert read(out)["email"].tolist() == rows["email"].tolist()


@pytest.mark.parametrize(
    ("query", "name", "code"),
    [
        (QUERY, "x.json", 2),
        (QUERY, "none/x.csv", 2),
        ("select nonsense from users", "x.csv", 1),
        ("select 1 as a, 2 as a", "x.parquet", 1),
        ("select * from 'x.csv'", "x.csv", 1),
        ("copy users to 'x.csv'", "x.csv", 1),
        ("select repeat('x', 40000) as a", "x.xlsx", 1),
    ],
)
def test_a_query_that_cannot_be_written_leaves_the_file_as_it_was(sample, tmp_path, query, name, code):
    out = tmp_path / name
    if out.parent == tmp_path:
        out.write_text("mine")

    result = run("sql", sample, query, "--out", out)

    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    if out.parent == tmp_path:
        assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [(name, "mine")]


@pytest.mark.usefixtures("live")
def test_sql_that_is_none_is_a_sentence(tmp_path):
    run("snapshot", tmp_path / "org", "--resources", "users")

    result = run("sql", tmp_path / "org", "select nonsense")

    assert result.exit_code == 1
    assert "Traceback" not in result.output


def test_a_report_of_nothing_is_a_sentence(tmp_path):
    result = run("report", "--snapshot", tmp_path / "nowhere")

    assert result.exit_code == 1
    assert "There is no snapshot" in result.output


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@pytest.fixture
def signed_in(sandbox, monkeypatch):
    """Sign in as a person would, with a browser that agrees."""
    authority = sandbox.sandbox.oauth
    monkeypatch.setenv("OUTREACH_BASE_URL", sandbox.base_url)
    monkeypatch.setenv("OUTREACH_CLIENT_ID", authority.client_id)
    monkeypatch.setenv("OUTREACH_CLIENT_SECRET", authority.client_secret)

    def browser(url):
        threading.Thread(target=requests.get, args=(url,), kwargs={"timeout": 30}, daemon=True).start()

    monkeypatch.setattr(click, "launch", browser)
    sandbox.sandbox.advance(61)  # one token a minute
    result = run("login", "--redirect-uri", f"http://localhost:{free_port()}/callback")
    assert result.exit_code == 0, result.output
    return result


def test_login_keeps_a_sign_in_that_fetches(sandbox, signed_in, tmp_path):
    result = run("fetch", "users", "--out", tmp_path / "users.parquet")

    assert "Signed in as 'default'" in signed_in.output
    assert result.exit_code == 0, result.output
    assert len(pd.read_parquet(tmp_path / "users.parquet")) == of.count(sandbox, "users")


@pytest.mark.usefixtures("signed_in")
def test_the_scopes_that_login_asks_for_are_enough_for_a_snapshot(tmp_path):
    """The path of the first page: sign in, snapshot, report."""
    result = run("snapshot", tmp_path / "org", "--profile", "default")

    assert result.exit_code == 0, result.output


@pytest.mark.usefixtures("signed_in")
def test_a_scope_is_added_to_those_of_the_sign_in(sandbox):
    """What the hint of a refused request says."""
    sandbox.sandbox.advance(61)  # one token a minute
    with of.connect(profile="default") as org, pytest.raises(of.errors.PermissionDeniedError) as caught:
        of.fetch(org, "snippets", limit=1)
    command = caught.value.hint.partition("outreach-frames ")[2].rstrip(".").split()
    sandbox.sandbox.advance(61)

    result = run(*command, "--redirect-uri", f"http://localhost:{free_port()}/callback")

    assert result.exit_code == 0, result.output
    with of.connect(profile="default") as org:
        of.fetch(org, "snippets", limit=1)
        of.fetch_users(org, limit=1)


def test_whoami_shows_no_secret_and_asks_the_api(sandbox, signed_in):
    result = run("whoami")

    assert result.exit_code == 0, result.output
    assert "prospects.read" in result.output
    assert "takes the sign-in" in result.output
    assert sandbox.sandbox.oauth.client_secret not in result.output + signed_in.output


@pytest.mark.usefixtures("signed_in")
def test_a_profile_that_is_named_goes_before_the_environments_token(sandbox, monkeypatch, tmp_path):
    """Emptying one account's cache must not empty another's."""
    with of.connect(profile="default") as org:
        of.fetch(org, "teams")
    monkeypatch.setenv("OUTREACH_TOKEN", sandbox.sandbox.token)
    for name in ("users", "stages"):
        run("fetch", name, "--out", tmp_path / f"{name}.csv")
    by_name = ("--profile", "default")
    run("fetch", "stages", "--out", tmp_path / "again.csv", *by_name)

    assert run("whoami", *by_name).output.startswith("default: http")
    assert run("whoami").output.startswith("Signed in by the environment")
    of_profile, of_token = run("cache", "info", *by_name).output, run("cache", "info").output
    assert run("cache", "clear", *by_name).exit_code == 0

    assert (of_profile[:9], of_token[:9]) == ("3 answers", "3 answers")  # with whoami's own question
    assert run("cache", "info", *by_name).output.startswith("0 answers")
    assert run("cache", "info").output == of_token


@pytest.mark.usefixtures("signed_in")
def test_an_empty_token_in_the_environment_counts_as_none(monkeypatch):
    """`connect` then uses the profile, so it is the profile that must be shown."""
    monkeypatch.setenv("OUTREACH_TOKEN", "")

    assert run("whoami").output.startswith("default: http")


@pytest.mark.usefixtures("live")
def test_a_sign_in_is_taken_even_if_it_may_not_read_users(sandbox, monkeypatch):
    """The scope that `whoami` happens to ask with says nothing of the sign-in."""
    monkeypatch.setenv("OUTREACH_TOKEN", sandbox.sandbox.issue_token(scopes=["prospects.read"]))

    result = run("whoami")

    assert result.exit_code == 0, result.output
    assert "takes the sign-in, which lacks the scope users.read" in result.output
    monkeypatch.setenv("OUTREACH_TOKEN", "expired")
    assert run("whoami").exit_code == 1


@pytest.mark.usefixtures("signed_in")
def test_secrets_are_the_owners_only(home, sandbox):
    kept = [
        path
        for path in home.rglob("*")
        if path.is_file() and sandbox.sandbox.oauth.client_secret in path.read_text("latin-1")
    ]

    assert kept
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in kept)
    assert all(stat.S_IMODE(path.parent.stat().st_mode) == 0o700 for path in kept)


@pytest.mark.usefixtures("signed_in")
def test_logout_forgets_everything(home, sandbox):
    assert run("logout").exit_code == 0

    assert not [
        p for p in home.rglob("*") if p.is_file() and sandbox.sandbox.oauth.client_secret in p.read_text("latin-1")
    ]
    result = run("whoami")
    assert result.exit_code == 1
    assert "outreach-frames login" in result.output


def cache_files(home):
    """Return the files of answers, or of a budget, and how much they hold."""
    return sorted((home / "cache").rglob("*.*"))


@pytest.mark.usefixtures("signed_in")
def test_logout_takes_the_cached_answers_along(home, tmp_path):
    """They are a company's customer data, and nobody can read them any more."""
    run("fetch", "users", "--out", tmp_path / "users.csv", "--profile", "default")
    assert cache_files(home)

    assert run("logout").exit_code == 0

    assert cache_files(home) == []


@pytest.mark.usefixtures("signed_in")
def test_a_new_sign_in_leaves_nothing_of_the_earlier_ones_answers(sandbox, home, tmp_path):
    """It is another account, perhaps another person's; the earlier one's file would stay for ever."""
    run("fetch", "users", "--out", tmp_path / "users.csv", "--profile", "default")
    assert cache_files(home)

    sandbox.sandbox.advance(61)  # one token a minute
    assert run("login", "--redirect-uri", f"http://localhost:{free_port()}/callback").exit_code == 0

    assert cache_files(home) == []


def test_the_cache_of_earlier_tokens_is_emptied_without_any_sign_in(home, sandbox, monkeypatch, tmp_path):
    """Each token has a file of its own; none is left to name it by."""
    for token in (sandbox.sandbox.token, sandbox.sandbox.issue_token(scopes=["users.read"])):
        with monkeypatch.context() as environment:
            environment.setenv("OUTREACH_BASE_URL", sandbox.base_url)
            environment.setenv("OUTREACH_TOKEN", token)
            assert run("fetch", "users", "--out", tmp_path / "users.csv").exit_code == 0
    assert answers_kept(home) == [1, 1]

    assert run("cache", "clear").exit_code == 0

    assert answers_kept(home) == [0, 0]


def answers_kept(home):
    """Return how many answers are in each file."""
    kept = []
    for path in (home / "cache").rglob("*.sqlite"):
        with closing(sqlite3.connect(path)) as reader:
            kept.append(reader.execute("SELECT count(*) FROM answers").fetchone()[0])
    return kept


def test_client_id_and_secret_have_no_option():
    """A command line stays in the shell's history."""
    options = {option for parameter in main.commands["login"].params for option in parameter.opts}

    assert not {o for o in options if "secret" in o or "client" in o}


@pytest.mark.usefixtures("live")
def test_cache_is_shown_and_emptied(tmp_path):
    run("fetch", "users", "--out", tmp_path / "users.parquet")

    assert run("cache", "info").output.startswith("1 answers")
    assert run("cache", "clear").exit_code == 0
    assert run("cache", "info").output.startswith("0 answers")


def test_sandbox_command_serves_until_it_is_stopped():
    command = [
        sys.executable,
        "-u",
        "-c",
        "from outreach_frames.cli import main; main()",
        "sandbox",
        "--prospects",
        "20",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as served:
        try:
            url = served.stdout.readline().strip().removeprefix("OUTREACH_BASE_URL=")
            token = served.stdout.readline().strip().removeprefix("OUTREACH_TOKEN=")
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/vnd.api+json"}
            answer = requests.get(f"{url}/users", headers=headers, timeout=30)
        finally:
            served.terminate()

    assert len(json.loads(answer.content)["data"]) > 0
    assert Path(url).name == "v2"


SAMPLE = Path(__file__).parents[1] / "data" / "sample"


def test_a_query_on_the_command_line_reaches_nothing_but_the_tables(tmp_path, monkeypatch):
    """It overwrote the snapshot's own table, and read any file."""
    taken = of.open_snapshot(shutil.copytree(SAMPLE, tmp_path / "org"))
    plant(tmp_path)
    monkeypatch.chdir(tmp_path / "here")
    before = contents(tmp_path)

    for attempt in ATTEMPTS:
        result = run("sql", taken.path, attempt.format(tmp_path / "elsewhere", taken.folder))
        assert result.exit_code == 1, attempt
        assert "Traceback" not in result.output
        assert len(result.output.splitlines()) <= 2, attempt

    assert contents(tmp_path) == before


HOSTILE = "\x1b[31mred\x1b[0m \x9b2J \x07 \u202eevil \r\x00 \u2028 \x1b]8;;http://x.example\x1b\\\\link"


def test_what_is_printed_of_the_data_is_only_text(tmp_path):
    """A name may hold what a terminal obeys: colors, titles, links, a cleared screen."""
    folder = shutil.copytree(SAMPLE, tmp_path / "org")
    codes = " || ".join(f"chr({ord(c)})" for c in HOSTILE)

    shown = run("sql", folder, f'select {codes} as a, {codes} as "{HOSTILE.replace(chr(0), "")}"')
    failed = run("sql", folder, f'select "{HOSTILE.replace(chr(0), "")}"')

    assert (shown.exit_code, failed.exit_code) == (0, 1)
    for output in (shown.output, failed.output):
        assert "red" in output
        assert all(character.isprintable() or character == "\n" for character in output)
        assert len(output.splitlines()) == 2


def test_what_is_printed_keeps_the_letters_of_every_language(tmp_path):
    folder = shutil.copytree(SAMPLE, tmp_path / "org")

    assert "Žofie Ågren 李小龙 الاسم 😀" in run("sql", folder, "select 'Žofie Ågren 李小龙 الاسم 😀' as a").output


@pytest.mark.parametrize("suffix", ["csv", "xlsx", "parquet"])
def test_a_query_s_result_is_written_where_it_is_wanted(tmp_path, suffix):
    out = tmp_path / f"states.{suffix}"

    result = run("sql", SAMPLE, "select state, count(*) as n from mailings group by state order by n", "--out", out)

    frame = {"parquet": pd.read_parquet, "csv": pd.read_csv, "xlsx": pd.read_excel}[suffix](out)
    assert result.exit_code == 0, result.output
    assert f"{len(frame)} rows" in result.output
    assert frame["n"].is_monotonic_increasing


def test_an_ending_that_is_none_is_usage(tmp_path):
    result = run("sql", SAMPLE, "select 1", "--out", tmp_path / "x.xls")

    assert result.exit_code == 2
    assert ".xlsx" in result.output


def test_columns_of_one_name_are_no_parquet_file(tmp_path):
    result = run("sql", SAMPLE, "select 1 as a, 2 as a", "--out", tmp_path / "x.parquet")

    assert result.exit_code == 1
    assert "same name" in result.output
    assert not list(tmp_path.glob("x*"))


@pytest.fixture
def silent(monkeypatch):
    """Let the command see an organization that never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("OUTREACH_BASE_URL", f"http://127.0.0.1:{server.getsockname()[1]}/api/v2")
        monkeypatch.setenv("OUTREACH_TOKEN", "x")
        server.settimeout(60)
        yield server


@contextmanager
def asked(server):
    """Wait for a request, and leave it without an answer."""
    connection, _ = server.accept()
    with connection:
        assert connection.recv(65_536)
        yield


def process_state(process):
    """Return the state of a process, such as ``S`` for sleeping, and the processor time that it has used [s]."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return fields[0], (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


COMMAND = [sys.executable, "-c", "from outreach_frames.cli import main; main()"]


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)],
    ids=str,
)
def test_a_signal_leaves_nothing_half_written(tmp_path, silent, number, code):
    """A hidden file with people in it stayed beside the target; Ctrl-C was an ordinary failure."""
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "users.csv").write_text("before")
    command = [*COMMAND, "fetch", "users", "--out", folder / "users.csv"]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as fetching, asked(silent):
        assert len(list(folder.iterdir())) == 2
        fetching.send_signal(number)
        told = fetching.communicate(timeout=30)[1].decode()

    assert fetching.returncode == code
    assert "Traceback" not in told
    assert [path.name for path in folder.iterdir()] == ["users.csv"]
    assert (folder / "users.csv").read_text() == "before"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)], ids=str)
@pytest.mark.parametrize(
    "query", ["select count(*) from range(1000000000000)", "select sum(a.id * b.id * c.id) from {0}"]
)
def test_a_long_query_can_be_ended(tmp_path, number, code, query):
    """DuckDB made a RuntimeError of Ctrl-C, or did not look for it."""
    query = query.format("mailings a, mailings b, mailings c")
    out = tmp_path / "n.csv"
    with subprocess.Popen([*COMMAND, "sql", SAMPLE, query, "--out", out], stderr=subprocess.PIPE) as asking:
        assert eventually(lambda: any(tmp_path.iterdir()))
        _, before = process_state(asking)
        assert eventually(lambda: process_state(asking)[1] > before + 1.0)  # nothing but the query takes so long
        asking.send_signal(number)
        told = asking.communicate(timeout=30)[1]

    assert (asking.returncode, told) == (code, b"")
    assert not list(tmp_path.iterdir())


def test_a_snapshot_that_is_ended_leaves_nothing(tmp_path, silent):
    command = [*COMMAND, "snapshot", tmp_path / "org", "--resources", "users"]
    with subprocess.Popen(command) as taking, asked(silent):
        assert any((tmp_path / "org").glob(".writing-*"))
        taking.terminate()
        assert taking.wait(30) == 143

    assert not list((tmp_path / "org").iterdir())


def test_a_report_that_is_ended_leaves_neither_file_nor_process(tmp_path):
    noted = f"pathlib.Path({str(tmp_path / 'pid')!r}).write_text(str(os.getpid()))"
    cell = f"import os, pathlib, time; {noted}; time.sleep(60)"
    document = {
        "cells": [{"cell_type": "code", "source": cell, "metadata": {}, "outputs": [], "execution_count": None}]
    }
    (tmp_path / "nb.ipynb").write_text(json.dumps({**document, "metadata": {}, "nbformat": 4, "nbformat_minor": 4}))
    folder = tmp_path / "out"
    folder.mkdir()
    arguments = ["report", "--snapshot", SAMPLE, "--notebook", tmp_path / "nb.ipynb", "--out", folder / "page.html"]
    with subprocess.Popen([*COMMAND, *arguments]) as reporting:
        assert eventually(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
        reporting.terminate()
        assert reporting.wait(60) == 143

    assert not list(folder.iterdir())
    assert eventually(lambda: not Path("/proc", (tmp_path / "pid").read_text()).exists())


def eventually(condition, patience_s=60.0):
    """Wait until something holds; say whether it came to."""
    until = time.monotonic() + patience_s
    while not condition() and time.monotonic() < until:
        time.sleep(0.05)
    return bool(condition())


def test_a_command_run_in_a_thread_of_a_program_takes_no_signals():
    """Only the main thread may."""
    results = []
    thread = threading.Thread(target=lambda: results.append(run("sql", SAMPLE, "select 1")))
    thread.start()
    thread.join()

    assert results[0].exit_code == 0
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_ctrl_c_at_a_question_is_ctrl_c():
    """And the end of the input is a failure as before."""
    streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([*COMMAND, "login"], **streams) as asking:
        assert asking.stdout.read(6) == b"Client"
        assert eventually(lambda: process_state(asking)[0] == "S")
        asking.send_signal(signal.SIGINT)
        told = asking.communicate(timeout=30)[1]

    assert asking.returncode == 130
    assert b"Traceback" not in told
    assert run("login", input="").exit_code == 1
