"""Snapshots on the command line, as a scheduler runs them."""

import json
from contextlib import closing

import nbformat
import pytest

import outreach_frames as of
from outreach_frames.snapshots._writing import writing
from outreach_frames.webhooks.store import DeliveryStore

SHOW = "import outreach_frames as of\nprint(len(of.open_snapshot(source).frame('accounts')), 'accounts')"


def notebook(path, code):
    """Write a notebook that takes the snapshot's place as a parameter."""
    cells = [nbformat.v4.new_markdown_cell("# Accounts"), nbformat.v4.new_code_cell("source = None")]
    cells[1].metadata.tags = ["parameters"]
    nbformat.write(nbformat.v4.new_notebook(cells=[*cells, nbformat.v4.new_code_cell(code)]), path)
    return path


def store_of(path, *deliveries):
    """Keep deliveries as a receiver does."""
    with closing(DeliveryStore(path)) as store:
        store.open()
        for event, id_, attributes in deliveries:
            meta = {"eventName": f"account.{event}", "deliveredAt": "2199-01-01T00:00:00.000+00:00"}
            store.add(
                json.dumps({"data": {"type": "account", "id": id_, "attributes": attributes}, "meta": meta}).encode()
            )
    return path


def test_refresh_on_the_command_line_logs_one_line_for_each_table(org, taken, run):
    org.sandbox.advance(3_600)
    org.update("accounts", 30, name="New")

    result = run("refresh", taken.path, "--log", "json", "--keep", "1")

    lines = [json.loads(line) for line in result.stdout.splitlines()]
    current = of.open_snapshot(taken.path)
    assert result.exit_code == 0
    assert [(line["table"], line["rows"], line["version"]) for line in lines] == [("accounts", 100, current.version)]
    assert current.versions == [current.version] != [taken.version]
    assert current.frame("accounts")["name"].tolist()[29] == "New"


def test_a_refresh_that_fails_has_exit_code_1_and_changes_nothing(org, taken, run):
    org.sandbox.faults.add(path="/accounts", method="GET", times=None, status=403)

    result = run("refresh", taken.path)

    assert result.exit_code == 1
    assert of.open_snapshot(taken.path) == taken
    assert run("refresh", taken.path.parent / "nowhere").exit_code == 1
    assert run("refresh", taken.path, "--keep", "0").exit_code == 2


def test_a_snapshot_is_taken_by_its_path_alone_or_by_name(taken, run):
    """As before there were further commands."""
    for arguments in (("snapshot", taken.path), ("snapshot", "take", taken.path)):
        result = run(*arguments, "--resources", "accounts", "--keep", "1")
        assert result.exit_code == 0
        assert "accounts" in result.output
    assert run("snapshot").exit_code == 2
    assert "verify" in run("snapshot", "--help").output


def test_a_plan_on_the_command_line_takes_nothing(tmp_path, run):
    result = run("snapshot", tmp_path / "new", "--resources", "accounts", "--plan")

    assert result.exit_code == 0
    assert "take_requests" in result.output
    assert not (tmp_path / "new").exists()


def test_a_report_is_written_after_a_refresh(org, taken, tmp_path, run):
    """Standard output stays one JSON line a table."""
    org.delete("accounts", 50)
    page = tmp_path / "report.html"
    code = notebook(tmp_path / "accounts.ipynb", SHOW)

    result = run("refresh", taken.path, "--report", page, "--notebook", code, "--log", "json")

    assert result.exit_code == 0, result.output
    assert [json.loads(line)["table"] for line in result.stdout.splitlines()] == ["accounts"]
    assert "99 accounts" in page.read_text()


def test_a_report_that_fails_leaves_the_earlier_one(org, taken, tmp_path, run):
    """The refresh before it counts; the exit code tells."""
    page = tmp_path / "report.html"
    page.write_text("yesterday")
    code = notebook(tmp_path / "broken.ipynb", "1 / 0")
    org.delete("accounts", 50)

    result = run("refresh", taken.path, "--report", page, "--notebook", code, "--log", "json")

    assert result.exit_code == 1
    assert page.read_text() == "yesterday"
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix == ".html" or path.name[0] == ".") == [
        page.name
    ]
    assert len(of.open_snapshot(taken.path).frame("accounts")) == 99


@pytest.mark.parametrize(
    ("page", "notebook"), [("nowhere/report.html", "is_our_sending_healthy"), ("report.html", "nonsense")]
)
def test_a_report_that_cannot_be_is_refused_before_anything_is_sent(org, taken, run, page, notebook):
    org.sandbox.clear_log()

    assert run("refresh", taken.path, "--report", taken.path / page, "--notebook", notebook).exit_code == 1
    assert org.sandbox.data_requests == 0


def test_a_second_writer_ends_with_a_sentence(taken, run, tmp_path):
    store = store_of(tmp_path / "deliveries.sqlite")
    with writing(taken.path):
        for arguments in (["refresh", taken.path], ["snapshot", "apply", taken.path, "--webhooks", store]):
            result = run(*arguments)
            assert (result.exit_code, "Another program is writing" in result.output) == (1, True)


def test_deliveries_are_applied_on_the_command_line(org, taken, tmp_path, run):
    stamp = {"updatedAt": "2199-01-01T00:00:00.000Z"}
    store = store_of(
        tmp_path / "deliveries.sqlite", ("updated", 30, {"name": "New", **stamp}), ("destroyed", 50, stamp)
    )
    org.sandbox.clear_log()

    result = run("snapshot", "apply", taken.path, "--webhooks", store, "--log", "json", "--keep", "1")

    assert result.exit_code == 0, result.output
    assert [json.loads(line)["rows"] for line in result.stdout.splitlines()] == [99]
    after = of.open_snapshot(taken.path)
    assert after.versions == [after.version]
    assert after.frame("accounts").set_index("id")["name"][30] == "New"
    assert org.sandbox.data_requests == 0
    assert run("snapshot", "apply", taken.path, "--webhooks", tmp_path / "nowhere.sqlite").exit_code == 1
    assert run("snapshot", "apply", taken.path).exit_code == 2


def test_a_refresh_takes_deletions_from_deliveries(org, taken, tmp_path, run):
    org.sandbox.remove("account", 50)
    store = store_of(tmp_path / "deliveries.sqlite", ("destroyed", 50, {}))

    assert run("refresh", taken.path, "--deletions", "webhooks", "--webhooks", store).exit_code == 0
    assert len(of.open_snapshot(taken.path).frame("accounts")) == 99
    assert run("refresh", taken.path, "--deletions", "webhooks").exit_code == 2
    assert run("refresh", taken.path, "--webhooks", store).exit_code == 2
