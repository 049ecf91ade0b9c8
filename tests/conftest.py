"""What all tests have in common: no keyring, the vendor's facts, and which tests are the core of a package."""

import os
from collections.abc import Iterator
from pathlib import Path

import keyring
import keyring.backends.fail
import pytest
from hypothesis import HealthCheck, settings

# A busy machine is no fault of the code under test.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

TESTS = Path(__file__).parent
DATA = TESTS / "data"
REFERENCE = Path(__file__).resolve().parents[2] / "shared" / "reference"
"""Where the vendor's own documents may lie; they are not in the repository."""

CORE = {
    ".": "catalog errors exporting findings package showing words",
    "auth": "*",
    "fetch": "bad_input frames paging tables walk",
    "http": "cache headers limits origin retry session",
    "jsonapi": "flatten_guide flatten_relationships flatten_values identity layout read_jsonapi threads",
    "plots": "ab funnel leaderboard rates shared",
    "query": "query include parts",
    "sandbox": "documents enrollments filters server sign_in tasks writes",
    "snapshots": "plan",
    "stats": "cohorts coverage delivery enrollments exact_tests experiments flags funnel "
    "internal intervals leaderboards mailboxes meetings names one_rule outcomes "
    "pipeline power quality rates replies send_times sequences "
    "survival workload",
    "webhooks": "webhooks",
    "writing": "patterns selection",
}
"""
Files of the core run, ``sh scripts/test.sh core``, by their folder.

They cover the heart of each package in process or on loopback. Left out are browsers, kernels, Spark, Dask, Prism,
foreign servers, reports, simulations, and whatever takes long for what it adds.
"""
CORE_PATHS = {
    f"{folder}/test_{stem}.py": frozenset((TESTS / folder).glob(f"test_{stem}.py"))
    for folder, stems in CORE.items()
    for stem in stems.split()
}


def _is_core_run(config: pytest.Config) -> bool:
    return bool(config.option.markexpr == "core")


def _is_core(path: Path) -> bool:
    return any(path in paths for paths in CORE_PATHS.values())


def pytest_configure(config: pytest.Config) -> None:
    """Refuse a core run whose list names a file that was moved."""
    missing = [pattern for pattern, paths in CORE_PATHS.items() if not paths]
    if missing and _is_core_run(config):
        raise pytest.UsageError(f"CORE in tests/conftest.py names files that are not there: {', '.join(missing)}")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave other files unread in a core run: importing Spark and Dask alone takes seconds."""
    is_other = collection_path.name.startswith("test_") and not _is_core(collection_path)
    return True if is_other and _is_core_run(config) else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of the core files that are not slow."""
    for item in items:
        if _is_core(item.path) and item.get_closest_marker("slow") is None:
            item.add_marker(pytest.mark.core)


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
