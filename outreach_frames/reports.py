"""
Reports: a notebook executed on a snapshot, as one HTML file that opens and prints without a network, or as a mail.

The notebooks are in the package (in a checkout: in ``notebooks/``). A cell tagged ``parameters`` holds their defaults;
a report inserts a cell with its own values after it.

A section, from one heading of the second level to the next, whose data are missing is left out: a sentence takes its
place, and the log has a warning. The appendix is folded. On any other error no file is written; an earlier file stays.

The current folder may be somebody else's: neither modules nor templates in it are run.
"""

import ast
import html
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from outreach_frames._extras import required
from outreach_frames._files import replacing
from outreach_frames.errors import ReportError

with required("report", "Reports"):
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
    from nbconvert import HTMLExporter
    from traitlets.config import Config

CELL_TIMEOUT = 600
"""Longest run of one cell [seconds]."""

ELSEWHERE = {
    "explore": "outreach-frames explore FOLDER",
    "00_start_here": "jupyter lab notebooks/00_start_here.ipynb",
    "working_with_outreach": "jupyter lab notebooks/working_with_outreach.ipynb",
}
"""Notebooks that are no reports, and how each is opened instead."""

_LONG_TABLE = 14
"""Tables and texts with more lines may go over to the next printed page."""

_APPENDIX = "Appendix"
"""A section whose heading begins so is folded on the page, and left out of what is printed."""

_DATA_ERRORS = frozenset({"DataError", "MissingColumnError", "SnapshotError"})
"""Errors that say what the data lack; the section they are raised in is left out."""

_log = logging.getLogger(__name__)

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{title}</title>
<style>
{style}
</style>
</head>
<body>
<main>
{body}
</main>
<footer>Made with outreach_frames {version}.</footer>
</body>
</html>
"""


def notebooks() -> dict[str, Path]:
    """Return the notebooks that come with this package, by name."""
    packaged = Path(str(files("outreach_frames"))) / "notebooks"
    folder = packaged if packaged.is_dir() else Path(__file__).parents[1] / "notebooks"
    return {path.stem: path for path in sorted(folder.glob("*.ipynb"))}


def write_report(
    out: str | Path,
    *,
    notebook: str | Path = "how_are_our_sequences_doing",
    parameters: Mapping[str, Any] | None = None,
    mail_ready: bool = False,
) -> Path:
    """
    Execute a notebook and write what it shows as one HTML file, or as a mail.

    Parameters
    ----------
    out
        The file; replaced only when the whole report is there.
    notebook
        Name of a notebook of this package, or the path of another.
    parameters
        Values for the notebook's parameters; they must be literals.
    mail_ready
        Write a mail (``.eml``) that mail programs show: plain text, and HTML with its styles and pictures inside. It
        has no sender and no recipient; ``sendmail -t`` sends it with a line ``To:`` before it. The appendix is left
        out.

    Returns
    -------
    out : Path
        The file written.

    Raises
    ------
    ReportError
        There is no such notebook, it is no report, one of its cells raised, took too long or ended its kernel, or the
        file cannot be written; no file is written then. Of a section whose data are not there a sentence says so.

    Notes
    -----
    Modules beside a notebook are not found by it: it imports what is installed and what ``PYTHONPATH`` names in full.
    """
    out = Path(out)
    path, document = checked_notebook(out, notebook)
    _inject(document, parameters or {}, path.stem)
    try:
        with replacing(out) as stream:
            _execute(document, path.stem)
            _drop_logs(document)
            stream.write(_mail(document) if mail_ready else _page(document).encode())
    except OSError as error:
        raise ReportError(f"{out} could not be written: {error.strerror or error}.", notebook=path.stem) from error
    return out


def checked_notebook(out: Path, notebook: str | Path) -> tuple[Path, nbformat.NotebookNode]:
    """
    Find and read the notebook of a report; see `write_report`, which it saves from being found impossible late.

    Raises
    ------
    ReportError
        There is no such notebook, it is no report, or the file has no folder.
    """
    path = _find(notebook)
    if out.is_dir() or not out.parent.is_dir():
        raise ReportError(f"{out} cannot be written.", notebook=path.stem, hint="Name a file in a folder that exists.")
    return path, _read_notebook(path)


def _mail(document: nbformat.NotebookNode) -> bytes:
    from outreach_frames._report_mail import as_mail  # noqa: PLC0415  only mails need it

    return as_mail(_title(document), "\n".join(_as_html(document)))


def _page(document: nbformat.NotebookNode) -> str:
    body = "\n".join(_as_html(document))
    style = files("outreach_frames").joinpath("report.css").read_text(encoding="utf-8")
    title = html.escape(_title(document))
    return PAGE.format(title=title, style=style, body=body, version=version("outreach_frames"))


def _find(notebook: str | Path) -> Path:
    present = notebooks()
    path = present.get(str(notebook), Path(notebook))
    reports = [name for name in present if name not in ELSEWHERE]
    if not path.is_file():
        raise ReportError(
            f"There is no notebook {path.name!r}.", notebook=path.stem, hint=f"Reports: {', '.join(reports)}."
        )
    if path.stem in ELSEWHERE and path.stem in present and path.samefile(present[path.stem]):
        raise ReportError(
            f"The notebook {path.stem!r} is no report: it is worked in.",
            notebook=path.stem,
            hint=f"Run: {ELSEWHERE[path.stem]}. Reports: {', '.join(reports)}.",
        )
    return path


def _read_notebook(path: Path) -> nbformat.NotebookNode:
    try:
        document: nbformat.NotebookNode = nbformat.read(path, as_version=4)
        nbformat.validator.normalize(document)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, nbformat.ValidationError) as error:
        raise ReportError(
            f"{path.name} is no readable notebook.", notebook=path.stem, hint="Open and save it in Jupyter."
        ) from error
    return document


def _inject(document: nbformat.NotebookNode, parameters: Mapping[str, Any], notebook: str) -> None:
    """Put the values behind the cell that holds the defaults; without such a cell, before everything."""
    for name, value in parameters.items():
        if not name.isidentifier() or not _is_literal(value):
            raise ReportError(f"The parameter {name!r} is no name with a literal value.", notebook=notebook)
    source = "\n".join(f"{name} = {value!r}" for name, value in parameters.items())
    tagged = [n for n, cell in enumerate(document.cells) if "parameters" in cell.metadata.get("tags", ())]
    cell = nbformat.v4.new_code_cell(source, metadata={"tags": ["injected-parameters"]})
    document.cells.insert(tagged[0] + 1 if tagged else 0, cell)


def _is_literal(value: Any) -> bool:
    try:
        return bool(ast.literal_eval(repr(value)) == value)
    except (ValueError, SyntaxError):
        return False


def _execute(document: nbformat.NotebookNode, notebook: str) -> None:
    # Files of this user instead of a port that others could reach; in a short folder, since their path is limited.
    with TemporaryDirectory(prefix="report-") as folder:
        sockets = Config({"KernelManager": {"transport": "ipc", "ip": f"{folder}/kernel"}})
        client = NotebookClient(document, timeout=CELL_TIMEOUT, kernel_name="python3", config=sockets)
        client.reset_execution_trackers()
        try:
            with client.setup_kernel(env=_safe_environment(folder)):
                _run(client, document)
        except CellExecutionError as error:
            raise ReportError(
                f"The notebook stopped: {error.ename}: {error.evalue}",
                notebook=notebook,
                hint="Open it in Jupyter to see where.",
            ) from error
        except CellTimeoutError as error:
            raise ReportError(f"A cell ran for more than {CELL_TIMEOUT} s.", notebook=notebook) from error
        except DeadKernelError as error:
            raise ReportError(
                "The notebook's process ended before its time.", notebook=notebook, hint="It may lack memory."
            ) from error
        except OSError as error:
            raise ReportError(
                f"The notebook's process could not be started: {error.strerror or error}.", notebook=notebook
            ) from error


def _safe_environment(empty: str) -> dict[str, str]:
    """
    Return the environment, but for what would let Python import from the current folder.

    A folder without modules comes first: ipykernel drops the first one where it is the current folder.
    """
    named = [empty, *filter(os.path.isabs, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return {**os.environ, "PYTHONSAFEPATH": "1", "PYTHONPATH": os.pathsep.join(named)}


def _run(client: NotebookClient, document: nbformat.NotebookNode) -> None:
    """Run the cells in order; the rest of a section whose data are not there is passed over."""
    section, is_left_out = "", False
    for number, cell in enumerate(document.cells):
        if cell.cell_type == "markdown" and (headings := _headings(cell, "## ")):
            section, is_left_out = headings[-1], False
        elif cell.cell_type == "code" and not is_left_out:
            try:
                client.execute_cell(cell, number)
            except CellExecutionError as error:
                if not section or error.ename not in _DATA_ERRORS:
                    raise
                is_left_out = True
                texts = error.evalue.splitlines()[0]
                _log.warning("The section %r is left out: %s", section, texts)
                sentence = {"text/html": f"<p><em>Not shown: {html.escape(texts)}</em></p>", "text/plain": texts}
                cell.outputs = [nbformat.v4.new_output("display_data", sentence)]


def _drop_logs(document: nbformat.NotebookNode) -> None:
    """Leave out what cells wrote to stderr: progress, and warnings that name files of this machine."""
    for cell in document.cells:
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]


def _as_html(document: nbformat.NotebookNode) -> Iterator[str]:
    """Render the cells; a heading stays on one printed page with all up to its first picture or table."""
    exporter = HTMLExporter(
        template_name="basic",
        extra_template_basedirs=[],  # by default the current folder, whose templates can run code
        exclude_input=True,
        exclude_input_prompt=True,
        exclude_output_prompt=True,
        exclude_anchor_links=True,
    )
    for name, cells in _blocks(document.cells):
        tag, title = "div", ""
        if name == "folded":
            heading, _, rest = cells[0].source.strip().partition("\n")
            tag, cells[0] = "details", nbformat.v4.new_markdown_cell(rest)
            title = f"<summary><h2>{html.escape(heading.removeprefix('## '))}</h2></summary>\n"
        block = nbformat.v4.new_notebook(cells=cells, metadata=document.metadata)
        yield f'<{tag} class="{name}">\n{title}{exporter.from_notebook_node(block)[0]}\n</{tag}>'


def _blocks(cells: Sequence[nbformat.NotebookNode]) -> Iterator[tuple[str, list[nbformat.NotebookNode]]]:
    """Split the cells: the start of each section or part up to its first figure; the rest may go over pages."""
    name, block = "free", list[nbformat.NotebookNode]()
    for cell in cells:
        if headings := _headings(cell, "## ") or _headings(cell, "### "):
            yield name, block
            name, block = "folded" if headings[0].startswith(_APPENDIX) else "kept", []
        if name == "kept" and _is_long(cell):
            yield "kept leading", block
            name, block = "free", []
        block.append(cell)
        if name == "kept" and _shows(cell, "image/png", "<table"):
            yield name, block
            name, block = "free", []
    yield name, block


def _shows(cell: nbformat.NotebookNode, kind: str, tag: str) -> int:
    """Count what a cell shows: outputs of a kind, and tags in its HTML."""
    visible = [output.get("data", {}) for output in cell.get("outputs", ())]
    return sum((kind in data) + data.get("text/html", "").count(tag) for data in visible)


def _is_long(cell: nbformat.NotebookNode) -> bool:
    """Whether a cell shows a table or prints a text too long to be kept on the page of its heading."""
    printed = "".join(output.get("text", "") for output in cell.get("outputs", ()))
    return max(_shows(cell, "text/latex", "<tr"), printed.count("\n")) > _LONG_TABLE


def _title(document: nbformat.NotebookNode) -> str:
    """Return the first heading."""
    headings = (heading for cell in document.cells for heading in _headings(cell, "# "))
    return next(headings, "Report")


def _headings(cell: nbformat.NotebookNode, mark: str) -> list[str]:
    lines = cell.source.splitlines() if cell.cell_type == "markdown" else []
    return [line.removeprefix(mark).strip() for line in lines if line.startswith(mark)]
