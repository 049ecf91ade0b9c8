"""What all tests have in common: no keyring, and where they find material that is not committed."""

import os
from collections.abc import Iterator
from pathlib import Path

import keyring
import keyring.backends.fail
import pytest

REFERENCE = Path(__file__).resolve().parents[2] / "shared" / "reference"


@pytest.fixture(scope="session", autouse=True)
def no_keyring() -> Iterator[None]:
    """Use no keyring: neither the machine's nor one that a test defines, here and in programs started by tests."""
    keyring.set_keyring(keyring.backends.fail.Keyring())
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
        yield


@pytest.fixture(scope="session")
def openapi_path() -> Path:
    """Return the vendor's OpenAPI document (``OUTREACH_OPENAPI``, or beside the checkout); skip loudly without it."""
    path = Path(os.environ.get("OUTREACH_OPENAPI", REFERENCE / "outreach-openapi.json"))
    if not path.is_file():
        pytest.skip("CONTRACT NOT CHECKED: set OUTREACH_OPENAPI to the vendor's OpenAPI document")
    return path


@pytest.fixture(scope="session")
def reference() -> Path:
    """Return the folder with the guide (``OUTREACH_REFERENCE``, or beside the checkout); skip loudly without it."""
    path = Path(os.environ.get("OUTREACH_REFERENCE", REFERENCE))
    if not (path / "common-patterns.md").is_file():
        pytest.skip("GUIDE NOT CHECKED: set OUTREACH_REFERENCE to the folder with the vendor's guide")
    return path
