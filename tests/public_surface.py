"""
What other people's code relies on, as text: names, signatures, columns and options.

``python -m tests.public_surface`` writes it anew to ``tests/data/public_surface.txt``.
"""

import inspect
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from functools import wraps
from io import StringIO
from pathlib import Path
from typing import Any
from unittest.mock import patch

import click
import pandas as pd

import outreach_frames as of
from outreach_frames.cli import main

ROOT = Path(__file__).parents[1]
FILE = ROOT / "tests" / "data" / "public_surface.txt"
MODULES = ("compliance", "errors", "findings", "patterns", "plots", "stats", "webhooks", "widgets")
_PLACE = re.compile(r"\b(?:outreach_frames|pandas|narwhals|matplotlib)\.(?:\w+\.)*(?=\w)")
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


def signature_of(value: Any) -> str:
    """Return parameters, their annotations and defaults, without the modules that types are defined in."""
    return _ADDRESS.sub("", _PLACE.sub("", str(inspect.signature(value))))


def lines_of(name: str, value: Any) -> Iterator[str]:
    """Yield a line for a public object, and one for each public member of a class."""
    if inspect.isclass(value):
        bases = ", ".join(base.__name__ for base in value.__bases__)
        yield f"class {name}({bases})"
        is_built_in = issubclass(value, BaseException) and not inspect.isfunction(value.__init__)
        yield f"    {'(*args)' if is_built_in else signature_of(value)}"
        for member in sorted(vars(value)):
            if not member.startswith("_"):
                static = inspect.getattr_static(value, member)
                function = getattr(static, "__func__", static)
                yield f"    .{member}{signature_of(function) if inspect.isfunction(function) else ''}"
    elif callable(value):
        yield f"{name}{signature_of(value)}"
    else:
        yield f"{name}: {type(value).__name__}"


def names() -> Iterator[str]:
    """Yield the public names with their signatures."""
    for name in sorted(of.__all__):
        if name not in MODULES:
            yield from lines_of(name, getattr(of, name))
    for module in MODULES:
        package = getattr(of, module)
        public = getattr(package, "__all__", None) or [
            name for name, value in vars(package).items() if getattr(value, "__module__", None) == package.__name__
        ]
        for name in sorted(public):
            if not name.startswith("_"):
                yield from lines_of(f"{module}.{name}", getattr(package, name))


def fetched_columns() -> Iterator[str]:
    """Yield the columns of a frame of each fetch function, as they are without ``fields`` and ``include``."""
    with of.sandbox(prospects=1) as org:
        for name in sorted(of.__all__):
            if re.fullmatch(r"fetch_\w+s", name) and name not in {"fetch_tables", "fetch_batches"}:
                yield f"{name}: {', '.join(getattr(of, name)(org, limit=0, progress=False).columns)}"


def statistics_columns() -> Iterator[str]:
    """Yield the columns of the first result of each statistic in the guide."""
    results: dict[str, pd.DataFrame] = {}

    def recorded(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def call(*arguments: Any, **keywords: Any) -> Any:
            result = function(*arguments, **keywords)
            if isinstance(result, pd.DataFrame):
                results.setdefault(name, result)
            return result

        return call

    guide = (ROOT / "docs" / "statistics.md").read_text(encoding="utf-8")
    cells = re.findall(r"^```\{code-cell\} ipython3\n(.*?)^```", guide, re.DOTALL | re.MULTILINE)
    code = "\n".join(cell for cell in cells if "remove-cell" not in cell)
    code = code.replace('"data/sample"', repr(str(ROOT / "data" / "sample")))
    code = re.sub(r"^(:tags:.*|%.*|pd\.set_option.*)$", "", code, flags=re.MULTILINE)
    functions = {
        name: recorded(name, getattr(of.stats, name))
        for name in of.stats.__all__
        if name not in {"attached", "explain"}
    }
    with patch.multiple(of.stats, **functions), redirect_stdout(StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(compile(code, "statistics.md", "exec"), {})  # noqa: S102  a page of ours
    for name in sorted(results):
        yield f"stats.{name}: {', '.join(map(str, results[name].columns))}"


def commands(group: click.Group = main, path: str = "outreach-frames") -> Iterator[str]:
    """Yield the commands with their arguments and options."""
    for name, command in sorted(group.commands.items()):
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")
        else:
            options = [
                "|".join(each.opts) if isinstance(each, click.Option) else str(each.name).upper()
                for each in command.params
            ]
            yield " ".join((path, name, *options))


def surface() -> str:
    """Return all of it, one line a name."""
    parts = {
        "Names and signatures": names,
        "Columns of fetched frames": fetched_columns,
        "Columns of statistics, as the guide calls them": statistics_columns,
        "Commands": commands,
    }
    return "\n".join(f"# {title}\n" + "".join(f"{line}\n" for line in part()) for title, part in parts.items())


if __name__ == "__main__":
    FILE.write_text(surface(), encoding="utf-8")
