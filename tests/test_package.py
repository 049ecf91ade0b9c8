import ast
import subprocess
import sys
from importlib.util import resolve_name
from pathlib import Path

import pytest

import outreach_frames as of

PACKAGE = Path(of.__file__).parent

LAYERS = (
    {"_openapi", "errors", "findings", "journal", "showing", "threads"},
    {"_warn", "auth", "catalogue", "http", "plots", "reports", "stats"},
    {"emulator", "jsonapi", "query"},
    {"arrange", "documents", "webhooks"},
    {"client"},
    {"labels", "walk"},
    {"parts", "plan"},
    {"servers"},
    {"connections", "uncatalogued"},
    {"frames", "tables"},
    {"bulk", "compliance", "fetchers", "patterns", "snapshots"},
    {"cli", "widgets"},
)
"""From the lowest; a module imports only from layers below its own."""

LAYER = {module: number for number, layer in enumerate(LAYERS) for module in layer}


def modules():
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        if parts[0] != "__init__":
            yield ".".join(("outreach_frames", *parts)), path


def imported(name, path):
    """Yield the package's own modules that a module imports, inside functions too, and not for typing only."""
    tree = ast.parse(path.read_text())
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = resolve_name("." * node.level + (node.module or ""), name) if node.level else node.module
            yield from (f"{base}.{alias.name}" for alias in node.names) if base == "outreach_frames" else [base]


def test_public_names_are_exactly_all():
    """Every name of the package root loads, and nothing else is advertised."""
    assert set(dir(of)) == {*of.__all__, "__version__"}
    assert all(getattr(of, name) is not None for name in of.__all__)
    with pytest.raises(AttributeError, match="no attribute 'fetsch'"):
        of.fetsch  # noqa: B018  the access is what is tested


def test_functions_stay_functions_whatever_is_imported_first():
    """A submodule of the same name would take the name of a function on the package root."""
    assert callable(of.fetch)
    assert callable(of.sandbox)
    assert not {"fetch", "sandbox", "connect", "count"} & {path.stem for path in PACKAGE.iterdir()}


def test_import_loads_nothing_heavy():
    """The root is lazy: no pandas, pyplot, SciPy, widgets or server before they are needed."""
    code = "import sys, outreach_frames; print(*sys.modules)"
    loaded = set(
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    )

    assert not loaded & {"pandas", "matplotlib", "scipy", "ipywidgets", "uvicorn", "starlette", "requests"}


def test_statistics_and_plots_do_no_io_and_do_not_know_each_other():
    forbidden = {"client", "connections", "http", "frames", "emulator", "snapshots", "auth"}
    for name, path in modules():
        home = name.split(".")[1]
        if home in {"stats", "plots"}:
            other = {"stats": "plots", "plots": "stats"}[home]
            used = {m.split(".")[1] for m in imported(name, path) if m.startswith("outreach_frames.")}
            assert not used & (forbidden | {other}), name


def test_every_module_has_its_layer():
    assert {name.split(".")[1] for name, _ in modules()} == LAYER.keys()


def test_imports_point_down_the_layers():
    for name, path in modules():
        here = name.split(".")[1]
        for module in imported(name, path):
            if module.startswith("outreach_frames."):
                there = module.split(".")[1]
                if there != here and there in LAYER:
                    assert LAYER[there] < LAYER[here], f"{name} imports {module}"


def test_sandbox_shares_only_the_catalogue_with_the_client():
    """Its own hands parse queries and build documents, so that a client's mistake cannot agree with itself."""
    for name, path in modules():
        if name.startswith("outreach_frames.emulator"):
            used = {m.split(".")[1] for m in imported(name, path) if m.startswith("outreach_frames.")}
            assert used <= {"catalogue", "emulator"}, name
