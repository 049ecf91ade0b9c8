"""What the README shows is run as it stands there, and prints what stands below it."""

import contextlib
import io
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
NO_BREAK_SPACE = "\N{NO-BREAK SPACE}"


def test_the_example_prints_what_is_shown(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("DATA", "CACHE", "STATE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name))
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    (shown,) = re.findall(r"```text\n(.*?)```", README, re.DOTALL)
    names = {}

    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(code, "README.md", "exec"), names)  # noqa: S102  the README is ours
    names["org"].close()

    assert printed.getvalue().replace(NO_BREAK_SPACE, " ") == shown
    assert Path("rates.png").stat().st_size > 0
    assert len([line for line in code.splitlines() if line]) <= 10


@pytest.mark.parametrize("command", ["sh scripts/demo.sh", "sh scripts/test.sh", "sh scripts/docs.sh"])
def test_the_commands_that_set_things_up_are_there(command):
    assert f"\n{command}" in README or f"`{command}`" in README
    assert (ROOT / command.split()[1]).is_file()


def test_what_it_links_to_is_there():
    links = re.findall(r"\]\(([^)#]+)", README)

    assert links
    assert not [link for link in links if not (ROOT / link).exists()]
