"""The main job, as a newcomer runs it: one command, then the report in a real browser without a network."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from playwright.sync_api import sync_playwright

from outreach_frames.errors import OutreachError
from outreach_frames.reports import write_report

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ARTIFACTS = Path(__file__).parents[1] / "artifacts"


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """Run the command once, with a small organization, in an empty folder."""
    folder = tmp_path_factory.mktemp("demo")
    command = [sys.executable, "-m", "outreach_frames", "demo", "--prospects", "400"]
    environment = os.environ | {"PATH": str(Path(sys.executable).parent)}
    ran = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False, timeout=300)
    assert ran.returncode == 0, ran.stderr
    return folder / "outreach-demo", ran.stdout


def test_it_says_in_plain_words_what_it_did(demo):
    _, said = demo

    assert "400 made-up prospects" in said
    assert re.search(r"mailings +[\d,]+ rows", said)
    assert re.search(r"enrollments that replied +\d+\.\d%.*95 % interval .* n = \d[\d,]*\)", said)
    assert "report.html" in said
    assert re.search(r"Next: .*outreach-frames explore \S*snapshot", said)


@pytest.mark.parametrize("script", ["demo.sh", "test.sh"])
@pytest.mark.skipif(sys.platform == "win32", reason="python -m outreach_frames demo does it there")
def test_an_old_python_is_told_in_one_sentence(script, tmp_path):
    """It was an error of pip's, of forty lines, after an environment had been made."""
    old = tmp_path / "python"
    old.write_text("#!/bin/sh\n[ $1 = --version ] && echo Python 3.9.1\n")
    old.chmod(0o700)
    command = ["sh", str(Path(__file__).parents[1] / "scripts" / script)]
    ran = subprocess.run(command, env=os.environ | {"PYTHON": str(old)}, capture_output=True, text=True, check=False)

    assert ran.returncode == 1
    assert ran.stderr.startswith("Python 3.11 or later is needed, and this is Python 3.9.1")
    assert ran.stderr.count("\n") == 1


def test_it_leaves_a_snapshot_and_a_report_and_nothing_else(demo):
    folder, _ = demo

    assert sorted(path.name for path in folder.iterdir()) == ["report.html", "snapshot"]
    (version,) = [path for path in (folder / "snapshot").iterdir() if path.is_dir()]
    assert len(pd.read_parquet(version / "prospects.parquet")) == 400


def test_the_report_is_one_file(demo):
    """Pictures are inline, and nothing is fetched from anywhere."""
    page = (demo[0] / "report.html").read_text()

    assert page.count("data:image/png;base64,") >= 3
    assert not re.findall(r"""(?:src|href)\s*=\s*["'](?!data:|#)[^"']+""", page)
    assert "<script" not in page
    assert "Traceback" not in page


@pytest.mark.skipif(CHROMIUM is None, reason="NO BROWSER: install the package chromium")
def test_the_report_opens_without_a_network_and_prints(demo):
    """Every picture shows, has a description and fits the page; nothing is logged; a screenshot is kept."""
    ARTIFACTS.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        options = ["--no-sandbox"] if os.name == "posix" and os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*options, "--disable-quic"])
        page = browser.new_context(offline=True, viewport={"width": 1100, "height": 900}).new_page()
        logged = []
        page.on("console", lambda message: logged.append(message.text))
        page.on("pageerror", lambda error: logged.append(str(error)))

        page.goto((demo[0] / "report.html").as_uri())

        assert page.title() == "How are our sequences doing?"
        pictures = page.locator("img")
        assert pictures.count() >= 3
        for picture in pictures.all():
            assert picture.evaluate("p => p.complete && p.naturalWidth > 400")
            assert picture.evaluate("p => p.getBoundingClientRect().right <= innerWidth")
            assert len(picture.get_attribute("alt") or "") > 40
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert logged == []
        page.screenshot(path=ARTIFACTS / "report.png", full_page=True)
        page.pdf(path=ARTIFACTS / "report.pdf", format="A4")
        browser.close()
    assert (ARTIFACTS / "report.pdf").stat().st_size > 50_000


def test_a_notebook_that_raises_leaves_no_report(tmp_path):
    """And the report of yesterday stays as it was."""
    out = tmp_path / "report.html"
    out.write_text("yesterday")

    with pytest.raises(OutreachError, match="stopped"):
        write_report(out, parameters={"source": str(tmp_path / "nowhere")})

    assert out.read_text() == "yesterday"
    assert list(tmp_path.iterdir()) == [out]
