"""Where the tests find material that is not committed."""

import os
from pathlib import Path

import pytest

REFERENCE = Path(__file__).resolve().parents[2] / "shared" / "reference"


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
