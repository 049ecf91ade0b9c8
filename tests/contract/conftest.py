"""Prism, the contract's own server by other people, installed once into the checkout's ``node_modules``."""

import shutil
import subprocess
from pathlib import Path

import pytest
from filelock import FileLock

ROOT = Path(__file__).resolve().parents[2]
PRISM = ROOT / "node_modules" / "@stoplight" / "prism-cli" / "dist" / "index.js"
PACKAGE = "@stoplight/prism-cli@^5.14"


@pytest.fixture(scope="session")
def prism() -> list[str]:
    """Return the command that runs Prism; skip where there is no Node."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("PRISM NOT ASKED: install Node.js and npm")
    (ROOT / "node_modules").mkdir(exist_ok=True)
    with FileLock(ROOT / "node_modules" / ".prism.lock"):
        if not PRISM.is_file():
            quiet = ["--no-save", "--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error"]
            subprocess.run([npm, "install", *quiet, "--prefix", str(ROOT), PACKAGE], check=True)
    return [node, str(PRISM)]
