"""Every notebook runs from the top, offline, as a reader runs it."""

import os
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
import pytest
from nbclient import NotebookClient
from traitlets.config import Config

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
TIMEOUT = 300
"""Longest run of one cell [seconds]; a loaded machine is no failure."""

each = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Let a kernel write its settings and caches where nobody else's lie."""
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "IPYTHONDIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(FOLDER.parent), os.environ.get("PYTHONPATH", "")]))


@pytest.fixture
def sockets():
    """Let the kernel talk through files; their path may have 107 characters, and pytest's folders are deep."""
    with TemporaryDirectory() as short:
        yield Config({"KernelManager": {"transport": "ipc", "ip": f"{short}/kernel"}})


def test_there_are_notebooks():
    assert {"00_start_here", "explore", "how_are_our_sequences_doing"} <= {path.stem for path in NOTEBOOKS}


@each
@pytest.mark.usefixtures("home")
def test_it_runs(path, sockets):
    """No cell raises; sockets are files, and the folder is the notebook's own."""
    document = nbformat.read(path, as_version=4)
    client = NotebookClient(
        document, timeout=TIMEOUT, kernel_name="python3", resources={"metadata": {"path": str(FOLDER)}}, config=sockets
    )

    client.execute()

    assert all(cell.execution_count for cell in document.cells if cell.cell_type == "code" and cell.source.strip())


@each
def test_it_lies_in_the_repository_without_outputs(path):
    """Outputs make every change unreadable, and may hold people's data."""
    document = nbformat.read(path, as_version=4)
    nbformat.validate(document)

    assert document.metadata.kernelspec.name == "python3"
    for cell in document.cells:
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None
    assert "widgets" not in document.metadata
