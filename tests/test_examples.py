"""The examples in the docstrings of public names outside the statistics run and say what they print."""

import doctest
import inspect
import re
import warnings
from collections.abc import Iterator
from pathlib import Path

import matplotlib as mpl
import pytest

import outreach_frames as of

ROOT = Path(__file__).parents[1]
MODULES = ("compliance", "findings", "patterns", "plots", "stats", "webhooks", "widgets")
CLASSES = (of.Client, of.Sandbox, of.Snapshot)
"""Classes whose public methods and properties have examples too."""

WITHOUT: dict[str, str] = dict.fromkeys(
    [
        "Client.base_url",
        "Client.cache",
        "Client.close",
        "Client.is_cataloged",
        "NOT_NULL",
        "Sandbox.base_url",
        "Sandbox.clear_log",
        "Sandbox.clear_outbox",
        "Sandbox.data_requests",
        "Sandbox.failures",
        "Sandbox.faults",
        "Sandbox.installs",
        "Sandbox.now",
        "Sandbox.oauth",
        "Sandbox.outbox",
        "Sandbox.requests",
        "Sandbox.reset_budget",
        "Sandbox.seconds",
        "Sandbox.settings",
        "Sandbox.start",
        "Sandbox.stop",
        "Sandbox.store",
        "Sandbox.webhooks",
        "Snapshot.as_of",
        "Snapshot.folder",
        "Snapshot.manifest",
        "Snapshot.tables",
        "Snapshot.versions",
    ],
    "what it does is said by the example of its class",
)
"""Public names without an example, and why; it may only shrink."""

SKIPS = 5
"""How many lines of all examples may be skipped, since they need a live account."""

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
NO_EXAMPLES = doctest.DocTest([], {}, "", None, None, None)


def public_objects() -> Iterator[tuple[str, object]]:
    for name in of.__all__:
        if name not in {*MODULES, "errors"}:
            yield name, getattr(of, name)
    for module in MODULES:
        for name in getattr(of, module).__all__:
            value = getattr(getattr(of, module), name)
            if inspect.isclass(value) or inspect.isroutine(value):
                yield f"{module}.{name}", value
    for kind in CLASSES:
        for name, member in vars(kind).items():
            if not name.startswith("_") and (inspect.isroutine(member) or isinstance(member, property)):
                yield f"{kind.__name__}.{name}", member


OBJECTS = dict(public_objects())


def examples_of(value: object) -> doctest.DocTest:
    """Return the examples of a docstring's own section, in which the order of lines is that of the docstring."""
    section = re.search(
        r"^Examples\n-+\n(.*?)(?=^\S.*\n-{3,}$|\Z)", inspect.getdoc(value) or "", re.DOTALL | re.MULTILINE
    )
    if section is None:
        return NO_EXAMPLES
    return doctest.DocTestParser().get_doctest(section[1], {}, getattr(value, "__qualname__", "example"), None, None)


EXAMPLES = {name: examples_of(value) for name, value in OBJECTS.items()}


@pytest.fixture(scope="module")
def tables():
    snapshot = of.open_snapshot(ROOT / "data" / "sample")
    return {"snapshot": snapshot, **{name: snapshot.frame(name) for name in snapshot.tables}}


@pytest.fixture(scope="module")
def organizations():
    """Return the running organization in a list; an example that writes makes the next one start anew."""
    running: list[of.Client] = []
    yield running
    for each in running:
        each.close()


@pytest.fixture
def org(organizations):
    if not organizations:
        organizations.append(of.sandbox(prospects=50, seed=7))
    yield organizations[0]
    if any(request.method != "GET" for request in organizations[0].sandbox.requests):
        organizations.pop().close()


@pytest.mark.parametrize("name", sorted(OBJECTS.keys() - WITHOUT.keys()))
def test_example_prints_what_it_says(name, tables, org, tmp_path, monkeypatch):
    examples = EXAMPLES[name]
    assert examples.examples, f"{name} has no Examples section"
    monkeypatch.chdir(tmp_path)
    mpl.use("Agg")
    examples.globs = {
        "of": of,
        "stats": of.stats,
        "plots": of.plots,
        "patterns": of.patterns,
        "org": org,
        "folder": tmp_path,
        **{table: frame.copy() if table != "snapshot" else frame for table, frame in tables.items()},
    }
    failures: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        doctest.DocTestRunner(verbose=False, optionflags=FLAGS).run(examples, out=failures.append)
    assert not failures, "".join(failures)


def test_names_without_an_example_are_public_and_have_none():
    assert not {name for name in WITHOUT if name not in OBJECTS or EXAMPLES[name].examples}


def test_few_lines_are_skipped():
    skipped = [each for test in EXAMPLES.values() for each in test.examples if each.options.get(doctest.SKIP)]
    assert len(skipped) <= SKIPS
