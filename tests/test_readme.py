"""What the README shows is run as it stands there."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest

import outreach_frames as of

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
ELSEWHERE = "shop.example"
"""The one example that needs a server which is not there."""


def test_examples_run_from_top_to_bottom(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("DATA", "CACHE", "STATE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name))
    author = {"type": "people", "id": "9", "attributes": {"name": "Dan"}}
    article = {
        "type": "articles",
        "id": "1",
        "attributes": {"title": "JSON:API"},
        "relationships": {"author": {"data": {"type": "people", "id": "9"}}},
    }
    Path("articles.json").write_text(json.dumps({"data": [article], "included": [author]}))
    names = {"frame": pd.DataFrame({"emails": [["new@acme.example"]]})}

    for block in BLOCKS:
        code = compile(block, "README.md", "exec")
        if ELSEWHERE not in block:
            exec(code, names)  # noqa: S102  the README is ours

    assert names["articles"]["author__name"].tolist() == ["Dan"]
    names["org"].close()


def test_reading_other_servers_takes_four_lines():
    (block,) = [block for block in BLOCKS if ELSEWHERE in block]
    (local,) = [block for block in BLOCKS if "read_jsonapi" in block]

    assert all(len([line for line in b.splitlines() if line]) <= 4 for b in (block, local))


@pytest.mark.parametrize("name", sorted(of.stats.__all__))
def test_every_statistic_is_in_the_table(name):
    if name in {"explain", "attached"}:
        assert f"`{name}`" in README or f"stats.{name}" in README or name == "attached"
    else:
        assert f"`{name}`" in README


def test_commands_exist():
    from outreach_frames.cli import main  # noqa: PLC0415

    shown = set(re.findall(r"^outreach-frames (\w+)", README, re.MULTILINE))
    assert shown <= set(main.commands)
