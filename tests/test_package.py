import ast
import re
import subprocess
import sys
from functools import cache
from importlib.util import resolve_name
from pathlib import Path

import pytest

import outreach_frames as of

PACKAGE = Path(of.__file__).parent

NAMES = """
    sandbox connect connect_jsonapi connect_server Client Snapshot show findings
    fetch fetch_one fetch_tables fetch_batches count columns read_jsonapi ref write_frame compare_frame
    fetch_prospects fetch_accounts fetch_sequences fetch_sequence_steps fetch_sequence_states fetch_sequence_templates
    fetch_mailings fetch_calls fetch_tasks fetch_events fetch_users fetch_teams fetch_mailboxes fetch_templates
    fetch_snippets fetch_rulesets fetch_stages fetch_personas fetch_opportunities fetch_webhooks
    fetch_compliance_requests take_snapshot open_snapshot export NOT_NULL between
    patterns stats plots widgets webhooks compliance errors Fault Sandbox SandboxSettings
"""
"""What other people's code calls."""

LAYERS = (
    {"_files", "_fork", "_format", "_renamed", "_secrets", "errors", "metrics"},
    {"_extras", "_frame_kinds", "_spellings", "_warnings"},
    {"_person", "_report_mail"},
    {"_http", "catalog", "plots", "stats"},
    {"_auth", "_export", "display", "reports"},
    {"_query", "_sandbox", "findings"},
    {"_jsonapi"},
    {"_request_documents", "webhooks"},
    {"client"},
    {"_fetch", "_write_journal", "_write_selection"},
    {"_dictionary", "_write_rows", "connections"},
    {"_write_conflicts"},
    {"_doctor", "_snapshot_commands", "bulk", "snapshots"},
    {"_forget_command", "compliance", "patterns"},
    {"_explore_command", "widgets"},
    {"cli"},
    {"__main__"},
)
"""From the lowest; a module imports only from layers below its own."""

LAYER = {module: number for number, layer in enumerate(LAYERS) for module in layer}


def modules():
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        if parts[0] != "__init__":
            yield ".".join(("outreach_frames", *parts)), path


@cache
def imported(name, path):
    """Return the modules that a module of the package imports, inside functions too, and not for typing only."""
    return frozenset(imports_of(ast.parse(path.read_text()), name))


def imports_of(tree, name):
    """Yield the modules that the syntax tree of a module imports."""
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


def test_names_that_other_code_calls_are_there():
    assert set(NAMES.split()) <= set(of.__all__)


@pytest.mark.parametrize(
    "package", [of, of.patterns, of.plots, of.stats, of.webhooks, of.widgets], ids=lambda each: each.__name__
)
def test_every_advertised_name_loads(package):
    """Names are loaded when first used, from where the stub beside the package says."""
    assert set(dir(package)) == set(package.__all__)
    assert all(getattr(package, name) is not None for name in package.__all__)
    with pytest.raises(AttributeError, match="fetsch"):
        package.fetsch  # noqa: B018  the access is what is tested


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
    forbidden = {"client", "connections", "snapshots", "_auth", "_fetch", "_http", "_sandbox"}
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


def test_sandbox_shares_only_the_catalog_with_the_client():
    """Its own hands parse queries and build documents, so that a client's mistake cannot agree with itself."""
    for name, path in modules():
        if name.startswith("outreach_frames._sandbox"):
            used = {m.split(".")[1] for m in imported(name, path) if m.startswith("outreach_frames.")}
            assert used <= {"_extras", "catalog", "_sandbox"}, name


WITHOUT_POSIX = """
import importlib, os, pkgutil, sys
for name in ("fcntl", "grp", "pwd", "resource", "termios"):
    sys.modules[name] = None
for name in ("fork", "register_at_fork", "O_NOFOLLOW"):
    delattr(os, name)
import outreach_frames as of
for module in pkgutil.walk_packages(of.__path__, "outreach_frames."):
    importlib.import_module(module.name)
with of.sandbox(prospects=5, seed=7) as org:
    of.take_snapshot(org, sys.argv[1])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="it is what is tested")
def test_it_works_without_what_windows_lacks_and_names_files_as_windows_can(tmp_path):
    """No POSIX module is imported unconditionally, and no file's name holds what Windows refuses."""
    command = [sys.executable, "-c", WITHOUT_POSIX, str(tmp_path / "snapshot")]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)

    assert ran.returncode == 0, ran.stderr
    written = [path.name for path in tmp_path.rglob("*")]
    assert len(written) > 10
    assert not [name for name in written if re.search(r'[<>:"|?*\\]|[. ]$', name)]
