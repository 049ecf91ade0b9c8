"""The documentation site builds without a warning, its examples run, and it needs no network."""

import inspect
import json
import os
import re
import shlex
import subprocess
import sys
import zlib
from itertools import takewhile
from pathlib import Path

import click
import pytest

import outreach_frames as of
from outreach_frames.cli import _DEFAULT_SCOPES, main
from outreach_frames.metrics import METRICS

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))
MODULES = ("compliance", "findings", "patterns", "plots", "stats", "webhooks", "widgets")
BUILD_S = 900
"""Longest build [seconds]; it takes about 90 on two idle cores."""


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(
        rf"^```{re.escape(language)}\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )


def cells(page: Path) -> list[str]:
    """Return the code of a page's cells, those that a reader does not see left out."""
    found = blocks(page, "{code-cell} ipython3")
    return [cell for cell in found if "remove-cell" not in cell]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    pytest.importorskip("myst_nb", reason="the extra docs is not installed")
    folder = tmp_path_factory.mktemp("site")
    options = ["-W", "--keep-going", "-n", "-q", "-j", "auto", "-d", str(folder / "doctrees")]
    built = subprocess.run(
        [sys.executable, "-m", "sphinx", *options, str(DOCS), str(folder / "html")],
        capture_output=True,
        text=True,
        timeout=BUILD_S,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert built.returncode == 0, built.stderr[-5000:]
    return folder / "html"


def test_nothing_is_loaded_from_the_network(site):
    """Links may lead elsewhere; what a page needs to be read may not."""
    loaded = re.compile(r"<(?:script|link|img|iframe|source|video)\b[^>]*?\b(?:src|href)=\"((?:https?:)?//[^\"]+)")
    styles = re.compile(r"(?:url\(|@import )[\"']?((?:https?:)?//[^\"')]+)")

    pages = {each: loaded.findall(each.read_text(encoding="utf-8")) for each in site.rglob("*.html")}
    sheets = {each: styles.findall(each.read_text(encoding="utf-8")) for each in site.rglob("*.css")}

    assert len(pages) > len(PAGES)
    assert not {each.name: urls for each, urls in (pages | sheets).items() if urls}


def test_each_public_name_is_in_the_reference(site):
    """As the site's inventory lists them, by which other sites link here."""
    packed = (site / "objects.inv").read_bytes().split(b"\n", 4)[4]
    listed = {line.split(" ")[0] for line in zlib.decompress(packed).decode().splitlines()}

    public = {f"outreach_frames.{name}" for name in of.__all__}
    for module in MODULES:
        public |= {f"outreach_frames.{module}.{name}" for name in getattr(of, module).__all__}
    assert not {name for name in public - listed if not name.endswith(".findings.RULES")}


def test_the_page_of_numbers_has_the_registry_s_numerator_and_denominator(site):
    """Who changes a definition changes what people read."""
    page = (site / "numbers.html").read_text(encoding="utf-8")
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page)).replace("&#39;", "'").replace("’", "'")

    for metric in METRICS.values():
        assert metric.label in text
        assert f"Numerator {metric.numerator} Denominator {metric.denominator}" in text or not metric.denominator


def test_all_python_of_the_pages_is_run():
    """A cell runs when the site is built; a block of plain Python would not."""
    assert not {page.name for page in PAGES if blocks(page, "python")}


@pytest.mark.parametrize("name", sorted(of.stats.__all__))
def test_every_statistic_has_an_example_in_the_guide(name):
    guide = DOCS / "statistics.md"

    assert f"### {name}\n" in guide.read_text(encoding="utf-8")
    assert any(f"stats.{name}(" in cell for cell in cells(guide))


@pytest.mark.parametrize("name", sorted(of.plots.__all__))
def test_every_picture_is_in_the_gallery(name):
    assert any(f"plots.{name}(" in cell for cell in cells(DOCS / "gallery.md"))


@pytest.mark.parametrize("name", sorted(of.widgets.__all__))
def test_every_explorer_has_its_place(name):
    assert name == "draw_timeline" or any(f"widgets.{name}(" in cell for cell in cells(DOCS / "explorers.md"))


def test_every_error_and_warning_has_a_cure():
    page = (DOCS / "errors.md").read_text(encoding="utf-8")
    entries = dict(re.findall(r"^### (\w+)\n(.*?)(?=^###? |\Z)", page, re.DOTALL | re.MULTILINE))
    classes = {
        name
        for name, kind in inspect.getmembers(of.errors, inspect.isclass)
        if issubclass(kind, Exception) and kind.__module__ == of.errors.__name__
    }

    assert set(entries) == classes
    assert all(f"autoexception:: {name}\n" in text and "**Cure.** " in text for name, text in entries.items())


def test_reading_other_servers_takes_four_lines():
    page = cells(DOCS / "jsonapi.md")
    document = next(cell for cell in page if "read_jsonapi" in cell)
    server = next(cell for cell in page if "connect_jsonapi" in cell)

    assert all(len([line for line in cell.splitlines() if line]) <= 4 for cell in (document, server))


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md"], ids=lambda page: page.stem)
def test_commands_and_their_options_exist(page):
    lines = "\n".join(blocks(page, "sh")).replace("\\\n", " ").splitlines()

    for line in lines:
        command = list(takewhile(lambda word: word[0] not in "<>|", shlex.split(line, comments=True)))
        if command[:1] == ["outreach-frames"]:
            understood(main, command[1:])
        elif command[:1] == ["sh"]:
            assert (ROOT / command[1]).is_file()


def understood(command: click.Command, arguments: list[str]) -> None:
    """Parse a command line as click does, without carrying it out."""
    context = command.make_context("outreach-frames", list(arguments), resilient_parsing=False)
    if isinstance(command, click.Group):
        rest = [*context._protected_args, *context.args]
        _, inner, left = command.resolve_command(context, rest)
        understood(inner, left)


def test_the_page_on_sign_in_lists_the_scopes_of_login():
    (row,) = re.findall(
        r"^\| fetch and report .*\| `read` of (.*) \|$", (DOCS / "sign_in.md").read_text(), re.MULTILINE
    )

    assert row.split(", ") == _DEFAULT_SCOPES.split()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_json_of_the_pages_can_be_read(page):
    for block in blocks(page, "json"):
        json.loads(block)
