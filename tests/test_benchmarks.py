"""The benchmark suite at a small size: every row is there, and ours and the baselines agree; time is not judged."""

import runpy
import subprocess
import sys
from pathlib import Path

import pytest

SUITE = Path(__file__).with_name("benchmarks")
ROWS = [
    "full prospects page → Arrow, inside `fetch`",
    "mailings page with bodies → Arrow, inside `fetch`",
    "sparse prospects page → Arrow, inside `fetch`",
    "`read_jsonapi`, full prospects page",
    "`read_jsonapi`, mailings page with bodies",
    "`read_jsonapi`, sparse prospects page",
    "`read_jsonapi`, 1,000 records of another server",
    *(f"`fetch` of 2,000 prospects over HTTP, {width}" for width in ("full width", "default fields", "twelve fields")),
    "`fetch` of 2 full pages from the cache",
    "`fetch_batches` of 2,000 and of 4,000 mailings",
    "`take_snapshot` of 2,000 and of 4,000 mailings",
    "8 pages of mailings at 50 ms each, `parallel=4`",
    *(f'`engagement(by="sequence_id")`, 20,000 mailings, {name}' for name in ("polars", "duckdb", "pandas", "pyarrow")),
    *(f"`{name}`, 20,000 mailings" for name in ("sequence_engagement", "step_funnel", "time_to_event")),
    *(f"`{name}`, 20,000 mailings" for name in ("cohort_matrix", "send_time_heatmap")),
    "design effects, accounts in one sequence, 20,000 mailings",
    "a change in `SequenceExplorer`",
    "`import outreach_frames`",
    "`outreach-frames --help`",
    "answers to 100 deliveries of 20 senders, 99th percentile",
]


def run(*arguments):
    return subprocess.run([sys.executable, str(SUITE), *arguments], capture_output=True, text=True, check=False)


def test_the_suite_prints_every_row_with_results_equal_to_the_baselines():
    """The program ends with an error where results differ."""
    pytest.importorskip("orjson")

    done = run("--small")

    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith("| ")][1:]
    assert [row for row in ROWS if not any(line.startswith(f"| {row}") for line in lines)] == []
    assert {line.count("|") for line in lines} == {8}
    head = done.stdout.partition("| work")[0]
    assert all(word in head for word in ("cores", "Python", "orjson", "duckdb", "collector"))


def test_an_unknown_row_is_refused_with_the_names_of_all():
    done = run("memroy")

    assert done.returncode == 2
    assert "there is no row 'memroy'; rows: flatten, read_jsonapi" in done.stderr


@pytest.fixture
def measure(monkeypatch):
    monkeypatch.syspath_prepend(SUITE)
    return runpy.run_path(str(SUITE / "measure.py"))


def test_a_limit_holds_up_to_its_own_value(measure):
    cost, compared = measure["Cost"], measure["compared"]

    half = compared("work", cost(1.0, 9.0), cost(2.0, 3.0), "other", at_most=0.5)
    slower = compared("work", cost(1.0, 9.0), cost(2.0, 3.0), "other", at_most=0.5, by="wall")

    assert half.line() == "| work | 1.00 s / 9.00 s | other: 2.00 s / 3.00 s | 0.50 | 3.00 | 0.5 × | yes |"
    assert slower.within is False


def test_a_fresh_process_reports_its_own_largest_size_and_not_its_parents(measure):
    """Linux hands ``ru_maxrss`` of the parent down to what it starts."""
    ballast = bytearray(400_000_000)

    process = measure["fresh"]("import sys\nanswer = sys.argv[1:]", "one", 2)

    assert process.answer == ["one", "2"]
    assert process.peak < len(ballast) / measure["MB"] / 4


def test_a_program_that_fails_is_no_measurement(measure):
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        measure["fresh"]("answer = 1 / 0")


def test_growth_counts_what_is_freed_again(measure):
    with measure["growth"]() as grown:
        bytearray(300_000_000)

    assert grown[0] > 250
