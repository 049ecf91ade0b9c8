"""
Reduce the vendor's documents to the facts that tests need: ``python tools/trim_openapi.py OPENAPI.json [GUIDE.md]``.

``tests/data/openapi_facts.json`` keeps paths, parameters, schemas and security, without any prose. Facts that the
document gives in its descriptions only are kept as extensions: badges as ``x-badges``, and the query parameters of a
resource's metadata as ``x-parameters`` of its tag. ``tests/data/guide_examples.json`` has the guide's requests and
example documents, in the order of its page.
"""

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

Json = dict[str, Any]

DATA = Path(__file__).parents[1] / "tests" / "data"
PROSE = frozenset({"description", "summary", "title", "example", "examples", "externalDocs", "x-internal"})
"""Members that hold text for people, or say nothing of what may be sent."""
NAMED = frozenset({"properties", "paths", "schemas", "responses", "securitySchemes", "content"})
"""Members whose own keys are names, which may be words of `PROSE`."""
TAG = re.compile(r"\bprovide[A-Z]\w+")
REQUEST = re.compile(r"(GET|POST|PATCH|DELETE) https://[^/]+/api/v2(\S+)")


def trim(node: Any) -> Any:
    """Return a part of the document without its prose; badges stay as ``x-badges``."""
    if isinstance(node, list):
        return [trim(entry) for entry in node]
    if not isinstance(node, dict):
        return node
    trimmed = {
        key: {name: trim(entry) for name, entry in value.items()} if key in NAMED else trim(value)
        for key, value in node.items()
        if key not in PROSE
    }
    badges = re.findall(r"badges/(\w+)\.svg", str(node.get("description", "")))
    return trimmed | ({"x-badges": sorted(set(badges))} if badges else {})


def facts(document: Json) -> Json:
    """Return the document's facts."""
    tags = [
        {"name": tag["name"], "x-parameters": sorted(set(TAG.findall(tag.get("description", ""))))}
        for tag in document["tags"]
    ]
    return {
        "openapi": document["openapi"],
        "security": document["security"],
        "tags": tags,
        "paths": {path: trim(methods) for path, methods in document["paths"].items()},
        "components": trim(document["components"]),
    }


def compact(document: Json) -> str:
    """Render the facts with one line for each tag, path and schema, so that changes read well in a diff."""

    def line(value: Any) -> str:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))

    def table(members: Json) -> str:
        return "{\n" + ",\n".join(f"{line(name)}:{line(value)}" for name, value in members.items()) + "\n}"

    components = document["components"]
    parts = {
        **{key: line(document[key]) for key in ("openapi", "security")},
        "tags": "[\n" + ",\n".join(map(line, document["tags"])) + "\n]",
        "paths": table(document["paths"]),
        "components": "{"
        + ",\n".join(
            f"{line(key)}:{table(value) if key == 'schemas' else line(value)}" for key, value in components.items()
        )
        + "}",
    }
    return "{\n" + ",\n".join(f"{line(key)}:{text}" for key, text in parts.items()) + "\n}\n"


def examples(guide: str) -> list[str | Json]:
    """Return the guide's requests, each as method and path, and its documents, in the order of the page."""
    import json5  # noqa: PLC0415  the documents are written as JavaScript objects

    blocks = [block.strip() for block in re.findall(r"```\n(.*?)```", guide, re.DOTALL)]
    requests = [REQUEST.fullmatch(block) for block in blocks]
    return [
        f"{request[1]} {request[2]}" if request else json5.loads(block)
        for block, request in zip(blocks, requests, strict=True)
        if request or block.startswith("{")
    ]


def write_facts(arguments: Sequence[str]) -> int:
    """Write the files that the arguments allow; return the exit code."""
    if len(arguments) not in {1, 2}:
        print("usage: python tools/trim_openapi.py OPENAPI.json [GUIDE.md]")
        return 2
    document = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
    (DATA / "openapi_facts.json").write_text(compact(facts(document)), encoding="utf-8")
    for guide in arguments[1:]:
        lines = [json.dumps(each, ensure_ascii=False) for each in examples(Path(guide).read_text(encoding="utf-8"))]
        (DATA / "guide_examples.json").write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(write_facts(sys.argv[1:]))
