"""Names, signatures, columns and options change only on purpose, and a user's script type-checks strictly."""

import difflib
import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest

import outreach_frames as of
from tests.public_surface import FILE, MODULES, ROOT, surface

SCRIPT = Path(__file__).with_name("user_script.py")


def check_types(script: Path, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """Check a script as its user would: strictly, without this project's settings."""
    options = ["--strict", "--config-file=", "--follow-imports=silent", f"--cache-dir={ROOT / '.mypy_cache' / 'user'}"]
    return subprocess.run(
        [sys.executable, "-m", "mypy", *options, str(script)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"MYPYPATH": str(ROOT)},
        check=False,
    )


def test_the_public_surface_is_the_one_that_was_agreed_on():
    """After a wished change: ``python -m tests.public_surface``, and a line in CHANGELOG.md."""
    before, now = FILE.read_text(encoding="utf-8").splitlines(), surface().splitlines()

    difference = list(difflib.unified_diff(before, now, "agreed on", "now", lineterm="", n=0))

    assert not difference, "\n".join(["If that is wished for: python -m tests.public_surface", *difference])


def test_a_connection_that_comes_first_is_positional_only():
    """One rule for reads, bulk writes, snapshots, patterns and deletion requests."""
    public = [of, *(getattr(of, module) for module in MODULES)]
    functions = [each for module in public for name in dir(module) if inspect.isfunction(each := getattr(module, name))]
    first = {function: next(iter(inspect.signature(function).parameters.values()), None) for function in functions}
    clients = {function.__name__: each.kind for function, each in first.items() if each and each.name == "client"}

    assert {"fetch", "write_frame", "take_snapshot", "enroll", "request_deletion"} <= clients.keys()
    assert {name for name, kind in clients.items() if kind is not inspect.Parameter.POSITIONAL_ONLY} == set()


@pytest.mark.slow
def test_a_users_script_type_checks_strictly(tmp_path):
    checked = check_types(SCRIPT, tmp_path)

    assert checked.returncode == 0, checked.stdout


@pytest.mark.slow
def test_mistakes_are_seen_by_the_type_checker(tmp_path):
    """Types that let everything through would pass the test above, too."""
    mistakes = {
        'of.fetch_mailings(org, limit="ten")': "call-overload",
        'of.fetch(org, "users", limitt=1)': "call-overload",
        "stats.no_such_statistic()": "attr-defined",
        "plots.plot_rates(1)": "arg-type",
        "stats.engagement(snapshot, period=1)": "call-overload",
        'stats.engagement(users, perod="2026-01")': "call-overload",
        "stats.step_funnel(users)": "call-overload",
        'wrong: str = snapshot.sql("select 1")': "assignment",
    }
    before, place, after = SCRIPT.read_text(encoding="utf-8").partition("    of.export(rates, ")
    wrong = tmp_path / "script.py"
    wrong.write_text(before + "".join(f"    {line}\n" for line in mistakes) + place + after, encoding="utf-8")

    checked = check_types(wrong, tmp_path)

    first = before.count("\n") + 1
    for number, code in enumerate(mistakes.values(), first):
        assert any(f":{number}: " in line and f"[{code}]" in line for line in checked.stdout.splitlines()), (
            checked.stdout
        )
