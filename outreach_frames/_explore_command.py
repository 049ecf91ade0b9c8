"""The command ``explore``: the explorers of a snapshot as a page that Voilà serves to this machine."""

import re
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from outreach_frames._extras import require
from outreach_frames._snapshot_commands import FOLDER

_PORT = 8866
_ADDRESS = re.compile(r"https?://\S+")


def serve(path: str | Path, *, port: int = _PORT, browser: bool = True) -> None:
    """
    Serve the explorers of a snapshot until interrupted.

    Parameters
    ----------
    path
        The snapshot's folder.
    port
        Port to listen on; where it is taken, the next one that is free.
    browser
        Open the page in the browser; its address is printed in any case, and holds the token that the page asks for.

    Raises
    ------
    MissingExtraError
        Voilà is not installed.
    SnapshotError
        There is no snapshot.
    """
    require("explore", "Explorers in the browser")
    import outreach_frames as of  # noqa: PLC0415  pandas is loaded only by the commands that need it

    of.open_snapshot(path)
    with TemporaryDirectory() as folder:
        page = Path(folder) / "explore.ipynb"
        page.write_text(_notebook_on(Path(path)), encoding="utf-8")
        options = ["--no-browser", "--token", "--Voila.ip=127.0.0.1", f"--port={port}"]
        command = [sys.executable, "-m", "voila", str(page), *options]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, encoding="utf-8") as server:  # noqa: S603
            try:
                _follow(server, browser=browser)
            finally:
                server.terminate()
    if server.returncode > 0:
        raise click.ClickException("Voilà could not serve the page; see above.")


def _notebook_on(path: Path) -> str:
    """Return the notebook of the explorers with the folder of a snapshot as its parameter."""
    import nbformat  # noqa: PLC0415  comes with Voilà

    from outreach_frames.reports import notebooks  # noqa: PLC0415

    document = nbformat.read(notebooks()["explore"], as_version=4)
    for cell in document.cells:
        if "parameters" in cell.metadata.get("tags", ()):
            cell.source = f"source = {str(path.resolve())!r}"
    return str(nbformat.writes(document))


def _follow(server: "subprocess.Popen[str]", *, browser: bool) -> None:
    """Say where the page is once it is there, and pass on whatever else is said."""
    is_open = False
    for line in server.stderr or ():
        address = _ADDRESS.search(line)
        if is_open or not address:
            click.echo(line, nl=False, err=True)
            continue
        is_open = True
        click.echo(f"The explorers are at {address[0]}   (Ctrl-C stops them.)")
        if browser:
            click.launch(address[0])


@click.command()
@click.argument("path", type=FOLDER)
@click.option("--port", default=_PORT, show_default=True, type=click.IntRange(0, 65535), help="Port to listen on.")
@click.option("--browser/--no-browser", default=True, help="Open the page in the browser.")
def explore(path: Path, *, port: int, browser: bool) -> None:
    """
    Open the explorers of a snapshot in the browser, until interrupted.

    The page is for this machine alone, and its address holds the token that it asks for.
    """
    serve(path, port=port, browser=browser)
