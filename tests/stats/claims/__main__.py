"""
Print the figures behind the claims as Markdown: ``python tests/stats/claims [organizations] [seed]``.

The output is kept in ``docs/claims.md``, with its date and seeds.
"""

import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

sys.path.append(str(Path(__file__).resolve().parents[3]))  # where the tests are a package

from tests.stats import test_exact_tests as rare
from tests.stats.claims import (
    test_ab as ab,
    test_alerts as alerts,
    test_coverage as intervals,
    test_findings as sentences,
    test_funnel as funnel,
    test_leaderboard as leaderboard,
    test_reports as reports,
    test_suspects as suspects,
)


def share(hits: Sequence[int]) -> str:
    return f"{sum(hits)} of {len(hits)} ({100 * np.mean(hits):.1f} %)"


def claims(name: str, seed: int, number: int) -> bool:
    return bool(sentences.claims_of(sentences.NULL[name], seed, number))


def found(name: str, seed: int, number: int) -> bool:
    made, who = sentences.DIFFERENT[name]
    return any(who in claim for claim in sentences.claims_of(made, seed, number))


def changes(seed: int, number: int) -> tuple[bool, bool]:
    """Return whether a fall is claimed between two equal periods, and whether any change is."""
    claimed = sentences.claims_of(sentences.unequal, seed + 1, number, sentences.changes)
    return any("went down by" in claim for claim in claimed), bool(claimed)


def of_sentences(organizations: int, seed: int) -> Iterator[str]:
    yield "| organizations | what was told | asked for |"
    yield "|---|---|---|"
    numbers = range(organizations)
    with ProcessPoolExecutor() as pool:
        for name, made in sentences.NULL.items():
            wrong = list(pool.map(partial(claims, name, seed), numbers))
            yield f"| {made.__doc__} | something that differs: {share(wrong)} | at most 5 % |"
        fallen, changed = zip(*pool.map(partial(changes, seed), numbers), strict=True)
        yield f"| Two equal periods up to the extraction, by rep. | a fall: {share(fallen)} | at most 2.5 % |"
        yield f"| The same. | a change, up or down: {share(changed)} | at most 5 % |"
        for name, least in (("better_sequence", 85), ("bad_mailbox", 95)):
            told = list(pool.map(partial(found, name, seed), numbers))
            yield f"| {sentences.DIFFERENT[name][0].__doc__} | what differs: {share(told)} | at least {least} % |"


def of_rare_events(*_: int) -> Iterator[str]:
    highest = max(rare.called_above(rate, n) for rate in rare.RATES for n in rare.SIZES)
    yield "Over all counts, at 0.2–2 % and n = 30–500, a rate is called above"
    yield f"in at most {100 * highest:.2f} % of cases (2.5 % is said)."


def of_intervals(organizations: int, _: int) -> Iterator[str]:
    yield "| scene | clusters a group | coverage | as independent trials |"
    yield "|---|--:|--:|--:|"
    for scene, clusters, covered, alone in intervals.table(rounds=max(organizations // 4, 1)):
        yield f"| {scene} | {clusters} | {covered:.3f} | {alone:.3f} |"


def of_ranks(*_: int) -> Iterator[str]:
    yield "| groups | coverage | with the fit by moments |"
    yield "|--:|--:|--:|"
    for groups, runs in leaderboard.RUNS.items():
        both = (leaderboard.coverage(groups, runs, 20261128, prior=prior) for prior in ("integrated", "moments"))
        yield f"| {groups} | {' | '.join(f'{covered:.3f}' for covered in both)} |"


def of_tests(*_: int) -> Iterator[str]:
    said, true, told, lost = ab.said_and_true(ab.flat, 0.015)
    places = np.minimum((said * 10).astype(int), 9)
    worst = max(abs(said[places == place].mean() - true[places == place].mean()) for place in np.unique(places))
    yield "2,000 single tests of 1,000 or 3,000 enrollments, rates of 5 % ± 1.5:"
    yield f"the largest error of a bin is {worst:.3f} (at most 0.04);"
    yield f"the losses told are {told.sum() / lost.sum():.2f} times the true ones."


def of_alerts(*_: int) -> Iterator[str]:
    yield "| mailbox | act | watch | beyond the limits |"
    yield "|---|--:|--:|--:|"
    rows = {f"honest 1 %, {n} mails a week": alerts.honest(n) for n in (20, 50, 100)}
    rows["8 % after 2 %, 400 mails a week"] = alerts.in_trouble()
    for name, shares in rows.items():
        yield f"| {name} | {' | '.join(f'{100 * each:.2f} %' for each in shares.values())} |"


def of_funnels(*_: int) -> Iterator[str]:
    for hazards, enrollments in (((0.03, 0.02, 0.02, 0.01), 150), ((0.1, 0.05, 0.05, 0.02), 60)):
        yield f"- hazards {hazards}, {enrollments} enrollments: {funnel.coverage(hazards, enrollments)[0]:.3f}"


def of_reports(organizations: int, _: int) -> Iterator[str]:
    numbers = range(max(organizations // 20, 1))
    with TemporaryDirectory() as folder:
        pages = [reports.written(number, Path(folder) / str(number)) for number in numbers]
    wrong = [int(any(map(reports.claims, page.values()))) for page in pages]
    yield f"The three reports of 30 sequences of 40 to 400 enrollments say that something differs: {share(wrong)}."


def of_machines(*_: int) -> Iterator[str]:
    yield from suspects.table()


PARTS = {
    "Sentences (`test_findings.py`)": of_sentences,
    "Rare events (`test_exact_tests.py`)": of_rare_events,
    "Reports (`test_reports.py`, seed 3)": of_reports,
    "Intervals where trials belong together (`test_coverage.py`, seed 1)": of_intervals,
    "Ranks (`test_leaderboard.py`, seed 20261128)": of_ranks,
    "Tests of templates (`test_ab.py`, seed 20261128)": of_tests,
    "Alerts (`test_alerts.py`)": of_alerts,
    "Intervals of the cumulative reply (`test_funnel.py`)": of_funnels,
    "Machines among people (`test_suspects.py`, seed 5)": of_machines,
}


def lines(organizations: int = 200, seed: int = 1) -> Iterator[str]:
    """Yield the page, a line at a time."""
    yield "# What the claims were tried on"
    yield ""
    yield f"Made by `python tests/stats/claims {organizations} {seed}` on {datetime.now(UTC):%Y-%m-%d}."
    yield "All data are made up from the definitions and not from the package's own organization. The number after"
    yield "the organizations is the seed of the sentences; the other seeds are fixed in the files named."
    for title, part in PARTS.items():
        yield from ("", f"## {title}", "")
        yield from part(organizations, seed)


if __name__ == "__main__":
    for line in lines(*map(int, sys.argv[1:])):
        print(line, flush=True)  # noqa: T201  a program
