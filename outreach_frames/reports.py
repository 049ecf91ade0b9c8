"""
Reports: a notebook executed on a snapshot, as one HTML file that opens and prints without a network.

The notebooks lie in the package (in a checkout: in ``notebooks/``). A cell tagged ``parameters`` holds their defaults;
a report runs with the values given here put in a cell behind it.
"""

import html
import os
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbconvert import HTMLExporter
from traitlets.config import Config

from outreach_frames.errors import OutreachError

CELL_TIMEOUT = 600
"""Longest run of one cell [seconds]."""

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
{style}
</style>
</head>
<body>
<main>
{body}
</main>
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
) -> Path:
    """
    Execute a notebook and write what it shows as one HTML file.

    Parameters
    ----------
    out
        The file; replaced only when the whole report is there.
    notebook
        Name of a notebook of this package, or the path of another.
    parameters
        Values for the notebook's parameters; they must be literals.

    Returns
    -------
    out : Path
        The file written.

    Raises
    ------
    OutreachError
        There is no such notebook, or one of its cells raised; no file is written then.
    """
    out = Path(out)
    document = nbformat.read(_find(notebook), as_version=4)
    nbformat.validator.normalize(document)
    _inject(document, parameters or {})
    _execute(document)
    _drop_logs(document)
    exporter = HTMLExporter(
        template_name="basic", exclude_input=True, exclude_input_prompt=True, exclude_output_prompt=True
    )
    body, _ = exporter.from_notebook_node(document)
    style = files("outreach_frames").joinpath("report.css").read_text(encoding="utf-8")
    page = PAGE.format(title=html.escape(_title(document)), style=style, body=body)
    aside = out.with_name(f".{out.name}-{os.getpid()}")
    aside.write_text(page, encoding="utf-8")
    return aside.replace(out)


def _find(notebook: str | Path) -> Path:
    known = notebooks()
    path = known.get(str(notebook), Path(notebook))
    if not path.is_file():
        raise OutreachError(f"There is no notebook {path.name!r}.", hint=f"Known: {', '.join(known)}.")
    return path


def _inject(document: nbformat.NotebookNode, parameters: Mapping[str, Any]) -> None:
    """Put the values behind the cell that holds the defaults; without such a cell, before everything."""
    source = "\n".join(f"{name} = {value!r}" for name, value in parameters.items())
    tagged = [n for n, cell in enumerate(document.cells) if "parameters" in cell.metadata.get("tags", ())]
    cell = nbformat.v4.new_code_cell(source, metadata={"tags": ["injected-parameters"]})
    document.cells.insert(tagged[0] + 1 if tagged else 0, cell)


def _execute(document: nbformat.NotebookNode) -> None:
    # Files of this user instead of a port that others could reach; in a short folder, since their path is limited.
    with TemporaryDirectory(prefix="report-") as folder:
        sockets = Config({"KernelManager": {"transport": "ipc", "ip": f"{folder}/kernel"}})
        client = NotebookClient(document, timeout=CELL_TIMEOUT, kernel_name="python3", config=sockets)
        try:
            client.execute()
        except CellExecutionError as error:
            raise OutreachError(
                f"The notebook stopped: {error.ename}: {error.evalue}", hint="Open it in Jupyter to see where."
            ) from error


def _drop_logs(document: nbformat.NotebookNode) -> None:
    """Leave out what cells wrote to stderr: progress, and warnings that name files of this machine."""
    for cell in document.cells:
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]


def _title(document: nbformat.NotebookNode) -> str:
    """Return the first heading."""
    lines = (line for cell in document.cells if cell.cell_type == "markdown" for line in cell.source.splitlines())
    return next((line.lstrip("# ") for line in lines if line.startswith("# ")), "Report")
