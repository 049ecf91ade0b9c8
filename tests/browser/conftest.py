"""JupyterLab and Voilà on loopback, and a browser that keeps what the console says."""

import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import pandas as pd
import pytest
import requests
from playwright.sync_api import expect, sync_playwright
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

import outreach_frames as of
from tests.snapshot_support import seal

ROOT = Path(__file__).parents[2]
ARTIFACTS = ROOT / "artifacts"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PATIENCE_MS = 60_000
"""Longest wait for a state [milliseconds]; a loaded machine starts a kernel slowly."""

ICONS = "https://cdn.jsdelivr.net/npm/@fortawesome/"
"""Voilà's page asks for its icons here; the explorers show none. All else must come from this machine."""


@pytest.fixture(scope="session")
def desk(tmp_path_factory):
    """Copy the notebook and its data aside, where a browser may save them; every template gets a body."""
    desk = tmp_path_factory.mktemp("desk")
    (desk / "notebooks").mkdir()
    shutil.copy(ROOT / "notebooks" / "explore.ipynb", desk / "notebooks")
    shutil.copytree(ROOT / "data" / "sample", desk / "data" / "sample")
    snapshot = of.open_snapshot(desk / "data" / "sample")
    templates = snapshot.folder / "templates.parquet"
    frame = pd.read_parquet(templates, dtype_backend="pyarrow")
    frame.assign(body_html="<p>Good morning, <b>{{first_name}}</b></p>").to_parquet(templates)
    seal(snapshot)
    return desk


@contextmanager
def served(port, arguments, ready, *, desk, home):
    """Start a server, wait until it says that it is up, and end it."""
    folders = ("HOME", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR", "MPLCONFIGDIR")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "JPY"))}
    environment |= {name: str(home / name.lower()) for name in (*folders, "XDG_CACHE_HOME", "XDG_CONFIG_HOME")}
    environment |= {"PYTHONPATH": str(ROOT), "JUPYTERLAB_SETTINGS_DIR": str(home / "settings")}
    log = home / "log"
    with subprocess.Popen(
        [sys.executable, "-m", *arguments], cwd=desk, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as server:
        try:
            up = Event()
            Thread(target=_keep, args=(server.stdout, log, ready, up), daemon=True).start()
            assert up.wait(3 * PATIENCE_MS / 1000), f"The server is not up:\n{log.read_text()}"
            _connect(port)
            yield
        finally:
            server.terminate()
            server.wait(timeout=30)


def _connect(port):
    """Wait for the port: JupyterLab says that it runs a moment before it listens."""
    with requests.Session() as session:
        session.mount("http://", HTTPAdapter(max_retries=Retry(connect=60, backoff_factor=0.1, backoff_max=1)))
        session.get(f"http://127.0.0.1:{port}/favicon.ico", timeout=PATIENCE_MS / 1000)


def _keep(said, log, ready, up):
    """Copy what a server says to its log, to the end: a full pipe would stop it."""
    with log.open("wb") as written:
        for line in said:
            written.write(line)
            written.flush()
            if ready in line.decode():
                up.set()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session")
def lab(desk, tmp_path_factory):
    """Serve JupyterLab; return the address of the notebook."""
    port, token = free_port(), secrets.token_hex(16)
    arguments = ["jupyter", "lab", "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}"]
    arguments += ["--ServerApp.port_retries=0", f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={desk}"]
    arguments += ["--KernelManager.transport=ipc", "--LabApp.news_url=None", "--LabApp.check_for_updates_class="]
    arguments[-1] += "jupyterlab.NeverCheckForUpdate"
    arguments.append("--expose-app-in-browser")
    home = tmp_path_factory.mktemp("lab")
    # Every cell stays in the page, also those out of sight; and no news from elsewhere.
    _set(home, "notebook-extension/tracker", '{"windowingMode": "none"}')
    _set(home, "apputils-extension/notification", '{"fetchNews": "false", "checkForUpdates": false}')
    with served(port, arguments, "is running at", desk=desk, home=home):
        yield f"http://127.0.0.1:{port}/lab/tree/notebooks/explore.ipynb?token={token}"


def _set(home, name, settings):
    path = home / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(settings)


@pytest.fixture(scope="session")
def voila(desk, tmp_path_factory):
    """Serve the explorers of the snapshot by the command for it; return the address that it prints."""
    port = free_port()
    arguments = ["outreach_frames", "explore", "data/sample", "--no-browser", f"--port={port}"]
    home = tmp_path_factory.mktemp("voila")
    with served(port, arguments, "The explorers are at", desk=desk, home=home):
        query = re.search(r"The explorers are at http://[^/]+/(\?token=\w+)", (home / "log").read_text())[1]
        yield f"http://127.0.0.1:{port}/{query}"


@pytest.fixture(scope="session")
def artifacts():
    """Return the folder of the pictures kept."""
    ARTIFACTS.mkdir(exist_ok=True)
    return ARTIFACTS


@pytest.fixture
def said():
    """Collect what the console says, and what is asked of elsewhere."""
    return []


@pytest.fixture
def tab(said):
    """Open a tab; what it says is kept."""
    if CHROMIUM is None:
        pytest.skip("NO BROWSER: install the package chromium")
    with sync_playwright() as playwright:
        options = ["--no-sandbox"] if os.name == "posix" and os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*options, "--disable-quic"])
        context = browser.new_context(viewport={"width": 1200, "height": 1000})
        context.set_default_timeout(PATIENCE_MS)
        expect.set_options(timeout=PATIENCE_MS)
        tab = context.new_page()
        tab.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
        tab.on("pageerror", lambda error: said.append(str(error)))
        yield tab
        browser.close()


@pytest.fixture
def page(tab, said):
    """Open a tab that asks nothing of elsewhere; at its end the console must have said nothing."""
    tab.context.route(lambda url: "127.0.0.1" not in url.split("/")[2], lambda route: _elsewhere(route, said))
    yield tab
    assert said == []


def _elsewhere(route, said):
    if not route.request.url.startswith(ICONS):
        said.append(f"asked {route.request.url}")
    route.fulfill(status=200, content_type="text/css", body="")
