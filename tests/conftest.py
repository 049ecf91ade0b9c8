"""What all tests have in common: no keyring, and where they find the vendor's facts."""

import os
from collections.abc import Iterator
from pathlib import Path

import keyring
import keyring.backends.fail
import pytest

DATA = Path(__file__).parent / "data"
REFERENCE = Path(__file__).resolve().parents[2] / "shared" / "reference"
"""Where the vendor's own documents may lie; they are not in the repository."""


@pytest.fixture(scope="session", autouse=True)
def no_keyring() -> Iterator[None]:
    """Use no keyring: neither the machine's nor one that a test defines, here and in programs started by tests."""
    keyring.set_keyring(keyring.backends.fail.Keyring())
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
        yield


@pytest.fixture(scope="session")
def openapi_path() -> Path:
    """Return the facts of the vendor's OpenAPI document, made by ``tools/trim_openapi.py``."""
    return DATA / "openapi_facts.json"


@pytest.fixture(scope="session")
def guide_path() -> Path:
    """Return the requests and documents of the vendor's guide, made by ``tools/trim_openapi.py``."""
    return DATA / "guide_examples.json"


@pytest.fixture(scope="session")
def published_openapi_path() -> Path:
    """Return the OpenAPI document with its prose (``OUTREACH_OPENAPI``, or beside the checkout); skip without it."""
    path = Path(os.environ.get("OUTREACH_OPENAPI", REFERENCE / "outreach-openapi.json"))
    if not path.is_file():
        pytest.skip("CATALOG NOT COMPARED: set OUTREACH_OPENAPI to the vendor's OpenAPI document")
    return path


@pytest.fixture(scope="session")
def reference() -> Path:
    """Return the folder with the vendor's guide (``OUTREACH_REFERENCE``, or beside the checkout); skip without it."""
    path = Path(os.environ.get("OUTREACH_REFERENCE", REFERENCE))
    if not (path / "common-patterns.md").is_file():
        pytest.skip("GUIDE NOT COMPARED: set OUTREACH_REFERENCE to the folder with the vendor's guide")
    return path
