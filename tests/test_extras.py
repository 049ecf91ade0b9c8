"""What is installed brings what it says; what is not is named."""

import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import outreach_frames as of
from outreach_frames._extras import EXTRAS

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
COMES_WITH = {"ipython": "ipykernel", "cryptography": "pyjwt"}
"""Library → the one that brings it."""

CALLS = {
    "excel": 'of.export(frame, "frame.xlsx")',
    "explore": "import_module('outreach_frames._explore_command').serve(sys.argv[1])",
    "locale": "of.plots.theme(locale='de')",
    "notebook": "of.show(frame)",
    "plots": "of.plots.plot_rates",
    "report": "import_module('outreach_frames.reports')",
    "s2s": "of.connect_server('app', 'key', 'installation', base_url='http://127.0.0.1:1')",
    "s3": "snapshot.export('s3://bucket/folder')",
    "sandbox": "of.sandbox(prospects=1)",
    "sql": "snapshot.sql('select 1')",
    "webhooks": "of.webhooks.receiver",
}
NAMED_FIRST = {"locale": "plots"}
"""Extra → the one that it includes, and that is missed first where nothing is installed."""
MORE_CALLS = {
    "notebook": "of.widgets.SequenceExplorer",
    "sql": "snapshot.scan('mailings')",
    "plots": "import_module('outreach_frames.plots.rates')",
}
PROGRAM = """
import json, sys
from importlib import import_module
import pandas as pd
import outreach_frames as of

frame = pd.DataFrame({"a": [1]})
snapshot = of.open_snapshot(sys.argv[1])
told = []
for extra, call in json.loads(sys.argv[2]):
    try:
        eval(call)
    except of.errors.MissingExtraError as error:
        told.append([extra, error.extra, str(error), isinstance(error, ImportError)])
    else:
        told.append([extra, None, "", False])
mailings = snapshot.frame("mailings")
rows = len(of.stats.engagement(mailings, by="sequence_id"))
large = pd.concat([mailings.assign(id=mailings["id"] + n * 10**6) for n in range(300_000 // len(mailings) + 1)])
print(json.dumps({"told": told, "rows": rows, "large": len(of.stats.engagement(large, by="sequence_id"))}))
"""
BLOCKED = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {modules}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Blocked())
"""


def run_program(python, sample, tmp_path, before="", **environment):
    calls = [*CALLS.items(), *MORE_CALLS.items()]
    ran = subprocess.run(
        [python, "-c", before + PROGRAM, str(sample), json.dumps(calls)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | environment,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def check_told(answer):
    for extra, named, message, is_import_error in answer["told"]:
        assert named == NAMED_FIRST.get(extra, extra), message
        assert is_import_error
        assert f"pip install 'outreach_frames[{named}]'" in message
        assert re.match(r".+ need \w+, which is not installed\.\n|The file system of \S+ is not installed\.\n", message)
    assert answer["rows"] == answer["large"] > 0


def name_of(requirement):
    return re.match(r"[\w.-]+", requirement)[0].lower().replace("_", "-")


def test_each_extra_is_tried_and_installs_what_is_asked_of_it():
    """A sentence that names the wrong extra sends people in a circle."""
    extras = PROJECT["optional-dependencies"]

    assert EXTRAS.keys() == CALLS.keys() == extras.keys() - {"all", "dev", "docs", "keyring"}
    for extra, modules in EXTRAS.items():
        installed = {name_of(requirement) for requirement in extras[extra]}
        for library in map(str.lower, modules.values()):
            assert COMES_WITH.get(library, library) in installed, (extra, library)


def test_all_is_all_and_the_development_set_includes_it():
    extras = PROJECT["optional-dependencies"]
    (everything,) = extras["all"]

    assert set(re.search(r"\[(.+)\]", everything)[1].split(",")) == extras.keys() - {"all", "dev", "docs"}
    assert "outreach_frames[all,docs]" in extras["dev"]


def test_the_base_has_no_server_and_no_notebook():
    base = {name_of(requirement) for requirement in PROJECT["dependencies"]}
    extras = PROJECT["optional-dependencies"]

    assert not base & {name_of(each) for extra in EXTRAS for each in extras[extra]}


def test_a_missing_extra_is_named_and_the_rest_works(tmp_path):
    """Statistics of large tables do without DuckDB."""
    modules = {module for extra in EXTRAS.values() for module in extra} | {"keyring"}

    check_told(
        run_program(
            sys.executable,
            ROOT / "data" / "sample",
            tmp_path,
            BLOCKED.format(modules=modules),
            PYTHONPATH=str(ROOT),
        )
    )


def test_a_library_that_is_there_but_broken_is_not_called_missing(tmp_path):
    """Installing the extra would not help: the library's own error says more."""
    (tmp_path / "matplotlib").mkdir()
    (tmp_path / "matplotlib" / "__init__.py").write_text("import no_such_library_of_matplotlib")
    code = "import outreach_frames as of\nof.plots.plot_rates"

    ran = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join((str(tmp_path), str(ROOT)))},
        check=False,
    )

    assert "No module named 'no_such_library_of_matplotlib'" in ran.stderr
    assert "MissingExtraError" not in ran.stderr


@pytest.fixture(scope="module")
def pip():
    """Return the command of a pip that installs into other environments."""
    command = [getattr(sys, "_base_executable", sys.executable), "-m", "pip", "--disable-pip-version-check"]
    if subprocess.run([*command, "--python", sys.executable, "list"], capture_output=True, check=False).returncode:
        pytest.skip("NOT INSTALLED BARE: no pip that knows --python")
    return command


@pytest.fixture(scope="module")
def wheel(pip, tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([*pip, "wheel", "-q", "--no-deps", "-w", str(folder), str(ROOT)], check=True)
    (path,) = folder.glob("*.whl")
    return path


@pytest.mark.slow
def test_the_wheel_holds_the_package_its_notebooks_and_their_sample(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    expected = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "outreach_frames").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    expected |= {f"outreach_frames/notebooks/{path.name}" for path in (ROOT / "notebooks").glob("*.ipynb")}
    sample = (path for path in (ROOT / "data" / "sample").rglob("*") if path.is_file())
    expected |= {f"outreach_frames/{path.relative_to(ROOT)}" for path in sample}

    assert {name for name in names if ".dist-info/" not in name} == expected


@pytest.mark.slow
def test_a_bare_installation_fetches_counts_and_names_the_extras(pip, wheel, tmp_path):
    """From the index, into an environment with nothing in it."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "bare")], check=True)
    folder = tmp_path / "bare" / ("Scripts" if os.name == "nt" else "bin")
    here = [*pip, "--python", str(folder / "python")]
    subprocess.run([*here, "install", "-q", str(wheel)], check=True)

    subprocess.run([*here, "check"], check=True)
    with of.sandbox(prospects=20) as org:
        environment = {"OUTREACH_BASE_URL": org.base_url, "OUTREACH_TOKEN": org.sandbox.token}
        environment |= {f"XDG_{name}_HOME": str(tmp_path / name) for name in ("DATA", "CACHE", "STATE")}
        for arguments in (["--help"], ["fetch", "prospects", "--out", "p.parquet"], ["snapshot", "organization"]):
            done = subprocess.run(
                [str(folder / "outreach-frames"), *arguments],
                capture_output=True,
                text=True,
                cwd=tmp_path,
                env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | environment,
                check=False,
            )
            assert done.returncode == 0, done.stderr
    assert (tmp_path / "p.parquet").stat().st_size > 0

    check_told(run_program(str(folder / "python"), tmp_path / "organization", tmp_path))
