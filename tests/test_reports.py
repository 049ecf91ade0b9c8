"""Reports of awkward data and broken notebooks: a sentence in place, or no file at all; never a traceback."""

import base64
import email
import email.policy
import json
import logging
import os
import re
import shutil
from pathlib import Path

import nbformat
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from playwright.sync_api import sync_playwright

from outreach_frames import open_snapshot, reports
from outreach_frames.cli import main
from outreach_frames.errors import OutreachError
from outreach_frames.reports import ReportError, write_report
from tests.snapshot_support import seal

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SAMPLE = Path(__file__).parents[1] / "data" / "sample"
REPORTS = {
    "how_are_our_sequences_doing": {"mailings", "sequences"},
    "which_message_works_and_when": {"mailings", "templates"},
    "is_our_sending_healthy": {"mailings", "sequences"},
}
"""The reports, and the tables without which each says nothing."""


@pytest.fixture
def sample(tmp_path):
    """Copy the sample organization's snapshot, to be spoilt."""
    shutil.copytree(SAMPLE, tmp_path / "org")
    return open_snapshot(tmp_path / "org")


def notebook(path, *cells):
    """Write a notebook; a cell that starts with # and a space, or more of them, is text."""
    made = nbformat.v4.new_notebook()
    for cell in cells:
        is_text = cell.startswith("#")
        made.cells.append(nbformat.v4.new_markdown_cell(cell) if is_text else nbformat.v4.new_code_cell(cell))
    nbformat.write(made, path)
    return path


def reported(tmp_path, *cells, **options):
    """Write a report of a notebook with these cells, and return the page."""
    return write_report(tmp_path / "page.html", notebook=notebook(tmp_path / "nb.ipynb", *cells), **options).read_text()


RAISE = "from outreach_frames.errors import {0}; raise {0}('no such <b>table</b>', hint='get one')"


@pytest.mark.parametrize("name", REPORTS)
def test_an_organization_without_data_is_reported_in_sentences(name, sample, tmp_path):
    for file in sample.folder.glob("*.parquet"):
        pq.write_table(pq.read_table(file).slice(0, 0), file)
    seal(sample)

    page = write_report(tmp_path / "page.html", notebook=name, parameters={"source": str(sample.path)}).read_text()

    assert "No mail was delivered" in page
    assert not re.search(r"Traceback|Error\b|\bnan\b|<NA>|None</", page)


@pytest.mark.parametrize("name", REPORTS)
def test_sections_whose_tables_are_missing_say_so_and_the_others_stay(name, sample, tmp_path, caplog):
    manifest = sample.folder / "manifest.json"
    facts = json.loads(manifest.read_text())
    facts["tables"] = {table: told for table, told in facts["tables"].items() if table in REPORTS[name]}
    manifest.write_text(json.dumps(facts))

    page = write_report(tmp_path / "page.html", notebook=name, parameters={"source": str(sample.path)}).read_text()

    assert page.count("Not shown: This snapshot has no table") >= 3
    assert "What to look at first" in page
    assert 'class="findings"' in page
    assert not re.search(r"Traceback|NameError", page)
    assert len([record for record in caplog.records if "is left out" in record.message]) >= 3


def test_a_table_that_everything_rests_on_stops_the_report(sample, tmp_path):
    (sample.folder / "mailings.parquet").unlink()

    with pytest.raises(ReportError, match="mailings"):
        write_report(tmp_path / "page.html", parameters={"source": str(sample.path)})

    assert not (tmp_path / "page.html").exists()


def test_the_rest_of_a_section_without_data_is_passed_over_and_the_next_one_runs(tmp_path, caplog):
    page = reported(
        tmp_path,
        "# Title",
        "## One",
        RAISE.format("SnapshotError"),
        "print('behind it')",
        "## Two",
        "print('still here')",
    )

    assert "Not shown: no such &lt;b&gt;table&lt;/b&gt;" in page
    assert "get one" not in page
    assert "behind it" not in page
    assert "still here" in page
    assert caplog.record_tuples == [
        ("outreach_frames.reports", logging.WARNING, "The section 'One' is left out: no such <b>table</b>")
    ]


@pytest.mark.parametrize(
    "cells",
    [
        ["# Title", RAISE.format("SnapshotError"), "## One"],
        ["# Title", "## One", "1 / 0"],
        ["# Title", "## One", RAISE.format("APIError")],
    ],
    ids=["before any section", "a mistake", "no matter of data"],
)
def test_whatever_else_a_notebook_raises_leaves_no_file(tmp_path, cells):
    with pytest.raises(ReportError, match="The notebook stopped") as raised:
        reported(tmp_path, *cells)

    assert raised.value.notebook == "nb"
    assert "Traceback" not in str(raised.value)
    assert [path.name for path in tmp_path.iterdir()] == ["nb.ipynb"]


def test_a_cell_that_takes_too_long_leaves_no_file(tmp_path, monkeypatch):
    monkeypatch.setattr(reports, "CELL_TIMEOUT", 1)

    with pytest.raises(ReportError, match="more than 1 s"):
        reported(tmp_path, "# Title", "import time; time.sleep(60)")

    assert not (tmp_path / "page.html").exists()


def test_a_kernel_that_dies_leaves_no_file(tmp_path):
    with pytest.raises(ReportError, match="ended before its time"):
        reported(tmp_path, "# Title", "import os; os._exit(1)")

    assert not (tmp_path / "page.html").exists()


def test_a_full_disk_leaves_no_part_of_a_file(tmp_path, monkeypatch):
    """And the report of yesterday stays as it was."""
    (tmp_path / "page.html").write_text("yesterday")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)

    with pytest.raises(ReportError, match="No space left"):
        reported(tmp_path, "# Title", "1")

    assert sorted(path.name for path in tmp_path.iterdir()) == ["nb.ipynb", "page.html"]
    assert (tmp_path / "page.html").read_text() == "yesterday"


@pytest.mark.parametrize("out", ["nowhere/page.html", "."])
def test_a_place_that_cannot_be_written_to_is_said_before_anything_runs(tmp_path, out):
    with pytest.raises(ReportError, match="cannot be written"):
        write_report(tmp_path / out)


@pytest.mark.parametrize("name", ["explore", "00_start_here", "working_with_outreach"])
def test_notebooks_to_work_with_are_no_reports(tmp_path, name):
    """By name and by path; the hint tells how each is opened."""
    for asked in (name, reports.notebooks()[name]):
        with pytest.raises(ReportError, match="no report") as raised:
            write_report(tmp_path / "page.html", notebook=asked)
        assert reports.ELSEWHERE[name] in raised.value.hint
        assert "which_message_works_and_when" in raised.value.hint
    assert not list(tmp_path.iterdir())


def test_the_command_names_the_page_that_explore_is_served_as(tmp_path):
    out = tmp_path / "page.html"

    result = CliRunner().invoke(main, ["report", "--snapshot", str(SAMPLE), "--notebook", "explore", "--out", str(out)])

    assert result.exit_code == 1
    assert "outreach-frames explore FOLDER" in result.output
    assert not out.exists()


@pytest.mark.parametrize("content", ["", "{}", "no json", '{"cells": 1, "nbformat": 4, "nbformat_minor": 5}'])
def test_a_file_that_is_no_notebook_is_said(tmp_path, content):
    (tmp_path / "nb.ipynb").write_text(content)

    with pytest.raises(ReportError, match=r"nb\.ipynb is no readable notebook"):
        write_report(tmp_path / "page.html", notebook=tmp_path / "nb.ipynb")


@pytest.mark.parametrize("path", [None, "", ".", f".{os.pathsep}", f"{os.pathsep}/nowhere", "planted"])
def test_code_that_lies_in_the_current_folder_is_not_run(tmp_path, monkeypatch, path):
    """A shared snapshot comes with whatever its folder holds: modules, and templates that run code."""
    here = tmp_path / "here"
    for folder in (here, here / "planted", here / "basic"):
        folder.mkdir()
    trace = tmp_path / "ran"
    for name in ("pyarrow", "ipykernel_launcher", "ipykernel", "sitecustomize", "usercustomize", "helper", "json"):
        for folder in (here, here / "planted"):
            (folder / f"{name}.py").write_text(f"open({str(trace)!r}, 'a').write({name!r})\n")
    (here / "basic" / "conf.json").write_text('{"base_template": "base"}')
    (here / "basic" / "index.html.j2").write_text("planted template")
    monkeypatch.chdir(here)
    if path is None:
        monkeypatch.delenv("PYTHONPATH", raising=False)
    else:
        monkeypatch.setenv("PYTHONPATH", path)

    page = reported(
        tmp_path,
        "# Title",
        "import json, pyarrow\nprint('through')",
        "try:\n    import helper\nexcept ImportError:\n    print('not found')",
    )

    assert "through" in page
    assert "not found" in page
    assert "planted template" not in page
    assert not trace.exists()


def test_modules_that_the_environment_names_in_full_are_found(tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "helper.py").write_text("word = 'from the helper'")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "mine"))
    monkeypatch.chdir(tmp_path / "mine")  # ipykernel then drops the first of them

    assert "from the helper" in reported(tmp_path, "# Title", "import helper; print(helper.word)")


def test_a_link_in_the_report_s_place_or_beside_it_is_not_written_through(tmp_path):
    """The file aside had a name that others could know before."""
    (tmp_path / "theirs").write_text("theirs")
    (tmp_path / "page.html").symlink_to(tmp_path / "theirs")
    (tmp_path / f".page.html-{os.getpid()}").symlink_to(tmp_path / "theirs")

    assert "Title" in reported(tmp_path, "# Title", "1")
    assert (tmp_path / "theirs").read_text() == "theirs"
    assert not (tmp_path / "page.html").is_symlink()


def test_an_unknown_notebook_is_named_with_those_that_are_there(tmp_path):
    with pytest.raises(ReportError, match="nonsense") as raised:
        write_report(tmp_path / "page.html", notebook="nonsense")

    assert "how_are_our_sequences_doing" in raised.value.hint
    assert "explore" not in raised.value.hint
    assert isinstance(raised.value, OutreachError)


@pytest.mark.parametrize("parameters", [{"a b": 1}, {"x=1;import os#": 1}, {"x": object()}, {"x": float("nan")}])
def test_parameters_are_names_with_literal_values(tmp_path, parameters):
    """They become code."""
    with pytest.raises(ReportError, match="parameter"):
        reported(tmp_path, "# Title", "1", parameters=parameters)


def test_parameters_come_behind_the_defaults(tmp_path):
    made = nbformat.v4.new_notebook()
    made.cells = [
        nbformat.v4.new_code_cell("limit = 1", metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell("print('limit is', limit)"),
    ]
    nbformat.write(made, tmp_path / "nb.ipynb")

    page = write_report(tmp_path / "page.html", notebook=tmp_path / "nb.ipynb", parameters={"limit": 7}).read_text()

    assert "limit is 7" in page


def test_the_page_stands_alone_and_says_what_it_is(tmp_path):
    """No code, no log, nothing to be fetched, and nothing could be: its own policy forbids it."""
    page = reported(
        tmp_path,
        "# A & B <i>?</i>",
        "import sys; print('a path of this machine', file=sys.stderr)",
        "## One",
        "secret_name = 1",
    )

    assert page.startswith('<!doctype html>\n<html lang="en">')
    assert "<title>A &amp; B &lt;i&gt;?&lt;/i&gt;</title>" in page
    assert 'name="viewport"' in page
    assert "default-src 'none'" in page
    assert "<script" not in page
    assert "a path of this machine" not in page
    assert "secret_name" not in page
    assert "Made with outreach_frames" in page


def test_a_heading_stays_with_its_first_picture_on_a_printed_page(tmp_path):
    """A long table or text may go on over the next page; its heading comes right before it."""
    html = "from IPython.display import HTML; HTML('<table>' + '<tr><td>x</td></tr>' * {0} + '</table>')"
    page = reported(
        tmp_path,
        "# Title",
        "## Short",
        "print('finding')",
        html.format(3),
        "print('after')",
        "## Long",
        html.format(40),
        "## Text",
        "print('line\\n' * 40)",
    )

    blocks = re.findall(r'^<div class="(free|kept|kept leading)">$', page, re.MULTILINE)
    assert blocks == ["free", "kept", "free", "kept leading", "free", "kept leading", "free"]
    kept = page.split('<div class="kept">')[1].split('<div class="free">')[0]
    assert "Short" in kept
    assert "finding" in kept
    assert "<table" in kept
    assert "after" not in kept


def test_an_appendix_is_folded(tmp_path):
    """It is for those who check a figure; its heading can be seen, and opens it."""
    page = reported(tmp_path, "# Title", "## First", "print('figures')", "## Appendix: A & B", "print('definitions')")

    before, folded = page.split('<details class="folded">')
    assert "figures" in before
    assert folded.lstrip().startswith("<summary><h2>Appendix: A &amp; B</h2></summary>")
    assert "definitions" in folded.split("</details>")[0]
    assert page.count("Appendix: A") == 1
    assert "<details" not in reported(tmp_path, "# Title", "## First", "print('figures')")


def test_names_from_the_data_are_only_text_in_a_report(sample, tmp_path):
    """In sentences, tables, pictures and their descriptions; Markdown in a name is text too."""
    for table, column in (("sequences", "name"), ("mailboxes", "email")):
        file = sample.folder / f"{table}.parquet"
        frame = pq.read_table(file)
        names = [f"<img src=x onerror=alert({n})> **b** [l](http://x)" for n in range(len(frame))]
        place, field = frame.column_names.index(column), frame.schema.field(column)
        pq.write_table(frame.set_column(place, field, pa.chunked_array([pa.array(names, field.type)])), file)
    seal(sample)

    page = write_report(tmp_path / "page.html", parameters={"source": str(sample.path)}).read_text()

    assert "&lt;img src=x onerror=alert(2)&gt; **b** [l](http://x)" in page
    assert "<img src=x" not in page
    assert 'href="http://x"' not in page


PICTURE = """
import matplotlib.pyplot as plt
from IPython.display import display
figure, ax = plt.subplots()
ax.plot([1, 2])
display(figure)
plt.close(figure)
"""
NASTY = "<script>alert(1)</script><b onclick=x()>Acme & Sons</b>"


def mailed(tmp_path, *cells, **options):
    """Write a report of a notebook with these cells as a mail, and read it."""
    path = notebook(tmp_path / "nb.ipynb", *cells)
    file = write_report(tmp_path / "page.eml", notebook=path, mail_ready=True, **options)
    return email.message_from_bytes(file.read_bytes(), policy=email.policy.default)


def html_of(mail):
    return mail.get_body(("html",)).get_content()


def with_pictures_in_place(mail):
    """Return the HTML as a mail program shows it: each ``cid:`` names one picture, and each picture has its place."""
    page = html_of(mail)
    pictures = {part["Content-ID"][1:-1]: part for part in mail.walk() if part.get_content_type() == "image/png"}
    assert sorted(re.findall(r'src="cid:([^"]+)"', page)) == sorted(pictures)
    for name, part in pictures.items():
        assert part.get_content_disposition() == "inline"
        page = page.replace(f"cid:{name}", f"data:image/png;base64,{base64.b64encode(part.get_content()).decode()}")
    return page


def test_a_mail_has_text_html_and_its_pictures_and_nothing_to_fetch_or_run(tmp_path):
    """Text first, as the standard wants; names from the data are only text; the appendix is left out."""
    mail = mailed(
        tmp_path,
        "# A & B",
        "import pandas as pd, outreach_frames as of\nfrom IPython.display import HTML, display",
        "display(HTML('<p class=\"outreach-head\"><strong>Acme &amp; Sons</strong> · Mail</p>'))",
        "## First",
        f"of.show(pd.DataFrame({{'name': [{NASTY!r}], 'rate': [0.5]}}))",
        "display(HTML('<style>p {color: red}</style><p onclick=x() style=\"margin: 1px\">in style</p>'))",
        'display(HTML(\'<a href="javascript:x()">one</a><img src="https://elsewhere.example/x.png">\'))',
        PICTURE,
        "## Appendix: definitions",
        "print('definitions')",
    )

    assert mail["Subject"] == "A & B – Acme & Sons"
    assert not {"From", "To", "Date"} & {*mail.keys()}
    assert [part.get_content_type() for part in mail.walk()] == [
        "multipart/alternative",
        "text/plain",
        "multipart/related",
        "text/html",
        "image/png",
    ]
    page, text = with_pictures_in_place(mail), mail.get_body(("plain",)).get_content()
    assert not re.search(
        r"<(script|style|link|meta|details)|<[^>]*\bon\w+=|javascript:|elsewhere|class=|definitions", page
    )
    assert "&lt;script&gt;alert(1)&lt;/script&gt;&lt;b onclick=x()&gt;Acme &amp; Sons" in page
    assert re.search(r'<p style="[^"]*font-size: 14px[^"]*margin: 1px">in style', page)
    assert re.search(r'<img [^>]*width="640"', page)
    assert "## First" in text
    assert NASTY in text
    assert "definitions" not in text


@pytest.mark.skipif(CHROMIUM is None, reason="NO BROWSER: install the package chromium")
def test_a_mail_of_the_sample_shows_its_pictures_and_is_not_cut_off(tmp_path):
    """Gmail cuts text of more than 102 kB."""
    out = tmp_path / "weekly.eml"
    options = ["--snapshot", str(SAMPLE), "--notebook", "is_our_sending_healthy", "--out", str(out)]
    result = CliRunner().invoke(main, ["report", *options, "--mail-ready", "--organization", "Acme", "--days", "7"])
    assert result.exit_code == 0, result.output
    mail = email.message_from_bytes(out.read_bytes(), policy=email.policy.default)

    assert mail["Subject"].endswith("– Acme")
    assert len(html_of(mail).encode()) < 102_000
    assert "latest 7 days" in html_of(mail)
    assert max(map(len, out.read_bytes().split(b"\n"))) < 998  # RFC 5322
    (tmp_path / "mail.html").write_text(with_pictures_in_place(mail))
    with sync_playwright() as playwright:
        options = ["--no-sandbox"] if os.name == "posix" and os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*options, "--disable-quic"])
        page = browser.new_context(offline=True).new_page()
        page.goto((tmp_path / "mail.html").as_uri())
        pictures = page.locator("img").all()
        assert len(pictures) >= 3
        for picture in pictures:
            assert picture.evaluate("p => p.complete && p.naturalWidth > 400 && p.getBoundingClientRect().width < 800")
            assert len(picture.get_attribute("alt") or "") > 40
        assert page.locator("h2").count() >= 6
        browser.close()


@pytest.mark.skipif(CHROMIUM is None, reason="NO BROWSER: install the package chromium")
@pytest.mark.parametrize("name", REPORTS)
def test_a_report_opens_without_a_network_and_fits_wide_and_narrow_screens(name, tmp_path):
    """Every picture shows and has a description; nothing is asked for or logged; wide tables scroll by themselves."""
    file = write_report(tmp_path / "page.html", notebook=name, parameters={"source": str(SAMPLE)})
    with sync_playwright() as playwright:
        options = ["--no-sandbox"] if os.name == "posix" and os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*options, "--disable-quic"])
        page = browser.new_context(offline=True).new_page()
        logged, asked = [], []
        page.on("console", lambda message: logged.append(message.text))
        page.on("pageerror", lambda error: logged.append(str(error)))
        page.on("request", lambda request: asked.append(request.url.partition(":")[0]))

        for width in (1100, 390):
            page.set_viewport_size({"width": width, "height": 900})
            page.goto(file.as_uri())
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            for picture in page.locator("img").all():
                assert picture.evaluate("p => p.complete && p.naturalWidth > 400")
                assert picture.evaluate("p => p.getBoundingClientRect().right <= innerWidth")
                assert len(picture.get_attribute("alt") or "") > 40
        assert page.locator("img").count() >= 3
        sections = page.locator("h2").all_inner_texts()
        said = [section for section in sections if section != "The numbers" and not section.startswith("Appendix")]
        assert page.locator("ul.findings").count() >= len(said) >= 6
        assert page.evaluate("document.documentElement.lang") == "en"
        assert set(asked) <= {"file", "data"}
        assert logged == []
        browser.close()
