"""
Measure how hard the package is to live in: ``python tools/measure_house.py``.

It prints the size of each package, how many modules and functions a page of mailings enters on its way to a picture,
the names that more than one module defines, and how often identifiers are words that the project does without. Nothing
is judged here: the numbers are for comparing two versions.
"""

import ast
import re
import sys
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from types import FrameType
from typing import Any

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "outreach_frames"
sys.path.insert(0, str(ROOT))

import outreach_frames as of  # noqa: E402  from this checkout, installed or not

SANDBOX = ("emulator", "_sandbox")
"""Folders of the embedded server, by its names so far."""
REPLACED = frozenset(
    {
        *("correspondence", "courier", "crew", "cupboard", "door", "doors", "drawer", "garbage", "gate", "gates"),
        *("keeper", "logbook", "loose", "mint", "minted", "patience", "vault", "vaults"),
        *("walk", "walked", "walker", "walks"),
    }
)
"""Words for which the field has terms of its own: store, request, rate limit, paginator, deadline."""
PARTICIPLES = frozenset(
    ("asked", "found", "given", "gone", "kept", "known", "made", "met", "said", "shown", "told", "wanted")
)
"""Participles that name a value and do not say which: message, matches, rows."""
BRITISH = re.compile(
    r"(?:analysed?|analysing|artefacts?|behaviours?|cancell(?:ed|ing)|catalogue[ds]?|centre[ds]?|colour\w*|defence"
    r"|enrol(?:s|ments?)?|favour\w*|grey|honour\w*|judgement|labell(?:ed|ing)|licence|modell(?:ed|ing)|neighbour\w*"
    r"|(?:\w*(?:authori|initiali|minimi|maximi|normali|organi|optimi|recogni|seriali|summari|synchroni)s)"
    r"(?:e[drs]?|ing|ations?)|uncatalogued|whilst)"
)
"""British spellings; names and texts are in American English."""


def python_files(folder: Path = PACKAGE) -> list[Path]:
    """List the modules, in order."""
    return sorted(path for path in folder.rglob("*.py") if "__pycache__" not in path.parts)


def group_of(path: Path) -> str:
    """Name the package that a module belongs to."""
    parts = path.relative_to(PACKAGE).parts
    return parts[0] if len(parts) > 1 else "(top level)"


def sizes() -> Iterator[str]:
    """Yield files, lines and the median of each package, the whole outside the sandbox last."""
    lines: dict[str, list[int]] = defaultdict(list)
    for path in python_files():
        group, count = group_of(path), len(path.read_text(encoding="utf-8").splitlines())
        lines[group].append(count)
        if group not in SANDBOX:
            lines["outside the sandbox"].append(count)
    for group in sorted(lines, key=lambda group: (group == "outside the sandbox", group)):
        counts = lines[group]
        yield f"{group:<22}{len(counts):>6} files{sum(counts):>8} lines, median {median(counts):.0f}"


def entered(work: Callable[[], Any]) -> tuple[Any, tuple[int, int]]:
    """Do some work; return its result, and how many modules and functions of the package the thread entered."""
    modules: set[str] = set()
    functions: set[object] = set()

    def note(frame: FrameType, event: str, _: Any) -> None:
        name = frame.f_globals.get("__name__", "")
        if event == "call" and name.startswith("outreach_frames.") and name.split(".")[1] not in SANDBOX:
            modules.add(name)
            functions.add(frame.f_code)

    sys.setprofile(note)
    try:
        result = work()
    finally:
        sys.setprofile(None)
    return result, (len(modules), len(functions))


def way() -> Iterator[str]:
    """Yield what a page of mailings enters on its way: a cold fetch, a warm one, a statistic, a picture."""
    import matplotlib as mpl  # noqa: PLC0415  an extra

    mpl.use("Agg")
    with of.sandbox(prospects=100) as org, warnings.catch_warnings():
        warnings.simplefilter("ignore")

        def fetch() -> Any:
            return of.fetch_mailings(org, progress=False)

        for _ in range(2):  # imports are none of the way
            of.plots.plot_rates(of.stats.engagement(fetch(), by="sequence_id"))
        org.cache.clear()
        mailings, cold = entered(fetch)
        _, warm = entered(fetch)
        rates, statistic = entered(lambda: of.stats.engagement(mailings, by="sequence_id"))
        _, picture = entered(lambda: of.plots.plot_rates(rates))
    stages = {"cold fetch": cold, "warm fetch": warm, "statistic": statistic, "picture": picture}
    for name, (modules, functions) in stages.items():
        yield f"{name:<22}{modules:>6} modules{functions:>6} functions"


def defined(path: Path) -> set[str]:
    """List the names that a module defines at its top level; imports and dunders are none."""
    names: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name)}
    return {name for name in names if not name.startswith("__")}


def repeats() -> Iterator[str]:
    """Yield how many names more than one module defines, and which most often."""
    modules = Counter(name for path in python_files() for name in defined(path))
    often = [(name, count) for name, count in modules.most_common() if count > 1]
    yield f"{len(often)} names are defined in more than one module"
    yield ", ".join(f"{name} {count}" for name, count in often[:20])


def words(text: str) -> Iterator[str]:
    """Yield the words of a text in lower case; those of ``snake_case`` and of ``CamelCase`` one by one."""
    for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", text):
        yield word.lower()


def replaced() -> Counter[str]:
    """Count the words, in identifiers and in texts, that are replaced or British."""
    sources = [path for pattern in ("*.py", "*.pyi") for path in PACKAGE.rglob(pattern)]
    counted = Counter(word for path in sources for word in words(path.read_text(encoding="utf-8")))
    return Counter({w: n for w, n in counted.items() if w in REPLACED or BRITISH.fullmatch(w)})


def participles() -> Counter[str]:
    """Count the definitions whose name has a participle among its words."""
    counted: Counter[str] = Counter()
    for path in python_files():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = getattr(node, "name", None) or getattr(node, "arg", None)
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                name = node.id
            if isinstance(name, str):
                counted.update(PARTICIPLES.intersection(words(name)))
    return counted


def refused() -> Iterator[str]:
    """Yield how often words are used that the project does without."""
    for title, counted in {
        "replaced words and British spellings": replaced(),
        "definitions are named by a participle": participles(),
    }.items():
        yield f"{counted.total()} {title}"
        yield ", ".join(f"{word} {count}" for word, count in counted.most_common())


def main() -> None:
    """Print everything."""
    for title, part in {
        "Size": sizes,
        "The way of a page": way,
        "Names defined more than once": repeats,
        "Refused words": refused,
    }.items():
        print(f"# {title}\n", *part(), sep="\n", end="\n\n")


if __name__ == "__main__":
    main()
