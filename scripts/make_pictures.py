"""Make the pictures of the README and of the pages from the sample organization in ``data/``."""

import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import outreach_frames as of

ROOT = Path(__file__).parents[1]
DPI = 110
TIMEOUT_S = 120


def main() -> None:
    """Draw the picture of the README and take one of an explorer, both into ``docs/``."""
    draw_rates(ROOT / "docs" / "rates.png")
    take_explorer(ROOT / "docs" / "explorer.png")


def draw_rates(file: Path) -> None:
    """Draw the reply rates of the sample's sequences."""
    sample = of.open_snapshot(ROOT / "data" / "sample")
    mailings, sequences, states = (sample.frame(name) for name in ("mailings", "sequences", "sequence_states"))
    ax = of.plots.plot_rates(of.stats.sequence_engagement(mailings, sequences=sequences, sequence_states=states))
    ax.figure.savefig(file, dpi=DPI)
    print(f"{file.relative_to(ROOT)}: {ax.figure.outreach_alt}")


def take_explorer(file: Path) -> None:
    """Take a picture of the first explorer of the notebook ``explore``, as Voilà serves it."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415  of the development set

    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with served() as address, sync_playwright() as playwright:
        options = ["--no-sandbox"] if os.name == "posix" and os.geteuid() == 0 else []
        page = playwright.chromium.launch(executable_path=chromium, args=options).new_page(
            viewport={"width": 1060, "height": 900}, device_scale_factor=1.5
        )
        page.set_default_timeout(TIMEOUT_S * 1000)
        page.goto(address)
        explorer = page.locator(".outreach-explorer").first
        explorer.locator("img").wait_for()
        explorer.screenshot(path=file)
    print(f"{file.relative_to(ROOT)}: the explorer of sequences")


@contextmanager
def served() -> Iterator[str]:
    """Serve the notebook on this machine; give its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    token = secrets.token_hex(16)
    arguments = ["voila", "notebooks/explore.ipynb", "--no-browser", "--Voila.ip=127.0.0.1", f"--port={port}"]
    with subprocess.Popen([sys.executable, "-m", *arguments, f"--token={token}"], cwd=ROOT) as server:  # noqa: S603
        try:
            wait_for(f"http://127.0.0.1:{port}/static/favicon.ico")
            yield f"http://127.0.0.1:{port}/?token={token}"
        finally:
            server.terminate()


def wait_for(address: str) -> None:
    """Wait until something answers."""
    for _ in range(TIMEOUT_S):
        try:
            urlopen(address).close()  # noqa: S310  this machine
        except URLError as error:
            if hasattr(error, "code"):
                return
            time.sleep(1)
        else:
            return
    raise TimeoutError(address)


if __name__ == "__main__":
    main()
