"""
Make the types of `outreach_frames.stats` from its functions: ``python tools/build_stats_stub.py``.

What all statistics take besides their own parameters, a source and a period, is added when they are loaded, where no
type checker sees it.
"""

import ast
import inspect
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from outreach_frames import stats
from outreach_frames.stats._sources import NO_SOURCE
from outreach_frames.stats._tables import COLUMNS

STUB = Path(stats.__file__).with_suffix(".pyi")
HEADING = '''"""Types of the statistics; made by ``python tools/build_stats_stub.py``."""
'''
SOURCE = "Source: TypeAlias = Snapshot | Client | Mapping[str, pd.DataFrame]"
SHARED = {
    "since": "Instant | None = None",
    "until": "Instant | None = None",
    "period": "str | pd.Period | None = None",
    "tz": "str = 'UTC'",
}


class Statistic:
    """A function of `outreach_frames.stats` as its source code declares it."""

    def __init__(self, name: str) -> None:
        self.function = getattr(stats, name)
        own = inspect.unwrap(self.function)
        path = inspect.getsourcefile(own)
        module = ast.parse(Path(path or "").read_text(encoding="utf-8"))
        self.node = next(each for each in module.body if isinstance(each, ast.FunctionDef) and each.name == name)
        first = self.node.args.args[0].annotation
        self.takes_source = name not in NO_SOURCE and unparsed(first) != "Any"
        self.imports = dict(imports_of(module, own.__module__))

    def lines(self) -> Iterator[str]:
        """Yield the definitions, first of the statistic of a source."""
        if self.takes_source:
            yield "@overload"
            yield self.definition(of_source=True)
            yield "@overload"
        yield self.definition(of_source=False)

    def definition(self, *, of_source: bool) -> str:
        """Return the function with all parameters and their types."""
        arguments = self.node.args
        defaults = [None] * len(arguments.args) + arguments.defaults
        by_position = zip(arguments.args, defaults[-len(arguments.args) :], strict=True)
        parameters = [self.parameter(*each, of_source=of_source, is_first=True) for each in by_position]
        by_keyword = list(zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True))
        shared = inspect.signature(self.function).parameters.keys() - {each.arg for each, _ in by_keyword}
        parameters += [
            *(["*"] if by_keyword else []),
            *(self.parameter(*each, of_source=of_source) for each in by_keyword),
            *(f"{name}: {type_}" for name, type_ in SHARED.items() if name in shared),
            *([f"**{arguments.kwarg.arg}: {unparsed(arguments.kwarg.annotation)}"] if arguments.kwarg else []),
        ]
        result, body = unparsed(self.node.returns), self.summary()
        if of_source:
            result, body = of_pandas(result), "..."
        return f"def {self.node.name}({', '.join(parameters)}) -> {result}: {body}"

    def summary(self) -> str:
        """Return the first line of the docstring, which editors show."""
        first, _, _ = (ast.get_docstring(self.node) or "").partition(".\n")
        return f'"""{first.removesuffix(".")}."""'

    def parameter(self, node: ast.arg, default: ast.expr | None, *, of_source: bool, is_first: bool = False) -> str:
        """Return a parameter with its type; tables that are not given are read from a source."""
        annotation = unparsed(node.annotation)
        if not of_source:
            return f"{node.arg}: {annotation}{shown(default)}"
        if is_first:
            return f"{node.arg}: Source"
        if node.arg in COLUMNS:
            return f"{node.arg}: pd.DataFrame | None = None"
        return f"{node.arg}: {of_pandas(annotation)}{shown(default)}"


def imports_of(module: ast.Module, name: str) -> Iterator[tuple[str, str]]:
    """Yield the global names of a module, each with the line that imports it elsewhere."""
    for node in module.body:
        if isinstance(node, ast.ImportFrom):
            yield from ((alias.name, f"from {node.module} import {alias.name}") for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.asname or alias.name, f"import {alias.name} as {alias.asname}") for alias in node.names)
        elif isinstance(node, ast.ClassDef):
            yield node.name, f"from {name} import {node.name}"
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from ((each.id, f"from {name} import {each.id}") for each in targets if isinstance(each, ast.Name))


def unparsed(node: ast.expr | None) -> str:
    """Return the code of a type."""
    return "Any" if node is None else ast.unparse(node)


def of_pandas(annotation: str) -> str:
    """Return a type for frames that are read from a source, which are those of pandas."""
    return annotation.replace("IntoFrameT", "pd.DataFrame")


def shown(default: ast.expr | None) -> str:
    """Return a default value as code, where it is a literal."""
    if default is None:
        return ""
    try:
        return f" = {ast.literal_eval(default)!r}"
    except ValueError:
        return " = ..."


def stub() -> str:
    """Return the code of the stub, formatted."""
    statistics = [Statistic(name) for name in stats.__all__]
    body = "\n".join(line for statistic in statistics for line in statistic.lines())
    used = {node.id for node in ast.walk(ast.parse(body)) if isinstance(node, ast.Name)}
    imports = {
        "Client": "from outreach_frames.client import Client",
        "Instant": "from outreach_frames.stats._timestamps import Instant",
        "Mapping": "from collections.abc import Mapping",
        "Snapshot": "from outreach_frames.snapshots import Snapshot",
        "TypeAlias": "from typing import TypeAlias",
        "overload": "from typing import overload",
    }
    for statistic in statistics:
        imports |= {name: line for name, line in statistic.imports.items() if name in used and name not in imports}
    lines = sorted({*imports.values()})
    public = f"__all__ = {sorted(stats.__all__)!r}"
    return formatted("\n".join((HEADING, *lines, "", public, "", SOURCE, "", body)))


def formatted(code: str) -> str:
    """Return code as the formatter and the sorter of imports leave it."""
    for command in (["check", "--select", "I,UP", "--fix", "--quiet"], ["format"]):
        code = subprocess.run(  # noqa: S603  the formatter of this project
            [sys.executable, "-m", "ruff", *command, "--stdin-filename", str(STUB), "-"],
            input=code,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    return code


if __name__ == "__main__":
    STUB.write_text(stub(), encoding="utf-8")
