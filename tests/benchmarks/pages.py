"""
Pages of records made from the catalog, and a server that sends them.

Half of the attributes and one custom field in ten have a value. A page is put together from records that were written
once, only their ids differ from page to page; the server runs in a process of its own, so that its time is nobody's.
"""

import json
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from measure import HERE, PAGE, ROOT

sys.path.insert(0, str(ROOT))

from outreach_frames import catalog
from outreach_frames.catalog import Attribute, Relationship, ResourceType

CATALOG = catalog.load()
PROSPECT = CATALOG.resource("prospect")
MAILING = CATALOG.resource("mailing")
TWELVE = (
    *("firstName", "lastName", "emails", "title", "company", "createdAt"),
    *("updatedAt", "engagedAt", "openCount", "replyCount", "account", "owner"),
)
"""Fields of a sparse page."""

_MARK = 987_654_321
_BODIES = {
    "bodyText": 'Hello "{0}",\n\nwe looked at how your team writes, and what people answer – in short: {1}.\n\n',
    "bodyHtml": '<p style="margin:0">Hello &quot;{0}&quot;,<br/>\r\nhow your team writes, and to whom: {1}.</p>\n',
}
"""Paragraphs with quotes and line ends, which JSON escapes."""


def value(attribute: Attribute, n: int, draw: random.Random) -> Any:
    """Return a believable value, or ``None``."""
    if draw.random() > (0.1 if attribute.is_custom else 0.5):
        return None
    if attribute.name in _BODIES:
        return "".join(_BODIES[attribute.name].format(n, draw.random()) for _ in range(25))
    if attribute.enum or attribute.is_custom:
        return attribute.enum[n % len(attribute.enum)] if attribute.enum else f"value {n}"
    if attribute.format in {"date-time", "date"}:
        day = f"2026-{n % 6 + 1:02}-{n % 28 + 1:02}"
        return day if attribute.format == "date" else f"{day}T12:47:{n % 60:02}.000Z"
    if attribute.type == "array":
        return [f"sally.{n}@example.com"] if attribute.items == "string" else [[n % 7, n % 24]]
    return {"integer": n, "number": n / 7, "boolean": n % 2 == 0}.get(attribute.type, f"{attribute.name} {n % 97}")


def _linkage(relationship: Relationship, n: int) -> dict[str, Any]:
    """Return identifiers where the API sends them (to many for one record in five), else a link; two in three leads."""
    if not relationship.has_data:
        return {"links": {"related": f"https://api.outreach.io/api/v2/{relationship.name}?filter[prospect][id]={n}"}}
    if relationship.many:
        return {"data": [] if n % 5 else [{"type": relationship.targets[0], "id": n % 50 + 1}]}
    spread = {"account": n // 4 + 1, "owner": n % 50 + 1}
    leads = n % 3 or relationship.name in spread
    return {
        "data": {"type": relationship.targets[0], "id": spread.get(relationship.name, n % 50 + 1)} if leads else None
    }


def record(kind: ResourceType, id_: int, n: int, names: frozenset[str] | None = None) -> dict[str, Any]:
    """
    Return a resource.

    Parameters
    ----------
    n
        What its values are drawn from.
    names
        Its sparse fieldset; ``None``: everything.
    """
    draw = random.Random(n)  # noqa: S311  a seed, no secret
    attributes = {a.name: value(a, n, draw) for a in kind.attributes.values() if not a.write_only}
    related = {r.name: _linkage(r, n) for r in kind.relationships.values()}
    if names is not None:
        attributes = {name: each for name, each in attributes.items() if name in names}
        related = {name: each for name, each in related.items() if name in names}
    members = {"type": kind.name, "id": id_, "attributes": attributes}
    if related:
        members["relationships"] = related
    return members | {"links": {"self": f"https://api.outreach.io/api/v2/{kind.plural}/{id_}"}}


Fieldsets = Mapping[str, frozenset[str]]
"""Names by resource type; a type that is not named has all."""


class Template:
    """Records of one type with their ids left open, and what is included beside them."""

    def __init__(self, kind: ResourceType, fieldsets: Fieldsets, include: Sequence[str] = ()) -> None:
        names = fieldsets.get(kind.name)
        rows = [record(kind, _MARK, n, names) for n in range(PAGE)]
        self._rows = [_dumped(row).split(str(_MARK).encode()) for row in rows]
        others: dict[tuple[str, int], dict[str, Any]] = {}
        for name in include:
            for n in range(PAGE):
                identifier = _linkage(kind.relationships[name], n)["data"]
                key = identifier["type"], identifier["id"]
                if key not in others:
                    others[key] = record(CATALOG.resource(key[0]), key[1], key[1], fieldsets.get(key[0]))
        self._included = _dumped(list(others.values())) if include else b""

    def page(self, ids: Sequence[int], following: str | None = None, count: int | None = None) -> bytes:
        """Return the bytes of a page with these ids."""
        rows = b",".join(str(id_).encode().join(self._rows[id_ % PAGE]) for id_ in ids)
        parts = [b'{"data":[', rows, b"]"]
        parts += [b',"included":', self._included] if self._included else []
        parts += [b',"links":', _dumped({"next": following} if following else {})]
        parts += [] if count is None else [b',"meta":', _dumped({"count": count})]
        return b"".join([*parts, b"}"])


def _dumped(document: Any) -> bytes:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


@cache
def prospects_template() -> Template:
    """Return full-width prospects, their accounts and owners included in full."""
    return Template(PROSPECT, {}, ["account", "owner"])


def full_prospects() -> bytes:
    """Return a page of prospects with everything the API has."""
    return prospects_template().page(range(1, PAGE + 1), _NEXT)


@cache
def sparse_prospects() -> bytes:
    """Return a page of prospects with twelve fields, and the names of their accounts and owners."""
    names = frozenset({"name"})
    fieldsets = {"prospect": frozenset(TWELVE), "account": names, "user": names}
    return Template(PROSPECT, fieldsets, ["account", "owner"]).page(range(1, PAGE + 1), _NEXT)


@cache
def mailings_with_bodies(records: int = PAGE) -> bytes:
    """Return a page of mailings with everything the API has."""
    return Template(MAILING, {}).page(range(1, records + 1), _NEXT)


_NEXT = "https://api.outreach.io/api/v2/prospects?page[size]=1000&page[after]=eyJpZCI6MTAwMH0"


def foreign_articles(records: int = PAGE) -> bytes:
    """Return a page of another server: 40 attributes, three types included."""
    draw = random.Random(1)  # noqa: S311  a seed, no secret
    makers = {
        "text": lambda n: f"some words {n % 97}",
        "count": lambda n: n * 3,
        "share": lambda n: n / 7,
        "open": lambda n: n % 3 == 0,
        "at": lambda n: f"2026-{n % 12 + 1:02}-{n % 28 + 1:02}T08:{n % 60:02}:00Z",
    }
    kinds = {"text": 16, "count": 10, "share": 4, "open": 5, "at": 5}
    names = {f"{kind}{n}": makers[kind] for kind, many in kinds.items() for n in range(many)}
    related = {"author": ("people", 250), "publisher": ("publishers", 100), "category": ("categories", 20)}

    def attributes(n: int, some: Sequence[str]) -> dict[str, Any]:
        return {name: names[name](n) if draw.random() < 0.8 else None for name in some}

    rows = [
        {
            "type": "articles",
            "id": f"{n}",
            "attributes": attributes(n, list(names)),
            "relationships": {
                name: {"data": {"type": kind, "id": f"{n % many + 1}"}} for name, (kind, many) in related.items()
            },
        }
        for n in range(1, records + 1)
    ]
    included = [
        {"type": kind, "id": f"{n}", "attributes": {"name": f"{kind} {n}", **attributes(n, list(names)[::5])}}
        for kind, many in related.values()
        for n in range(1, many + 1)
    ]
    return _dumped({"data": rows, "included": included})


TABLES = {kind.table for kind in CATALOG.types.values()}
_NOT_FOUND = b'{"errors": [{"title": "Not Found"}]}'


class _Handler(BaseHTTPRequestHandler):
    """Answers a list of any type of the catalog: fieldsets, include, ranges of ids, cursors."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    total: int
    delay_s: float

    def do_GET(self) -> None:
        time.sleep(self.delay_s)
        address = urlsplit(self.path)
        is_list = address.path.rsplit("/", 1)[1] in TABLES
        body = self._body(address.path, parse_qs(address.query, keep_blank_values=True)) if is_list else _NOT_FOUND
        self.send_response(200 if is_list else 404)
        self.send_header("Content-Type", "application/vnd.api+json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _body(self, path: str, query: dict[str, list[str]]) -> bytes:
        kind = path.rsplit("/", 1)[1]
        size = int(query.get("page[size]", query.get("page[limit]", ["1000"]))[0])
        first, last = _bounds(query.get("filter[id]", ["neginf..inf"])[0], self.total)
        start = int(query.get("page[after]", [str(first - 1)])[0]) + 1 + int(query.get("page[offset]", ["0"])[0])
        ids = range(start, min(start + size, last + 1))
        if query.get("sort", [""])[0].startswith("-"):
            ids = range(max(first, last - size + 1), last + 1)
        following = None
        if ids and ids[-1] < last and "page[offset]" not in query:
            host = self.headers["Host"]
            more = urlencode({**{name: values[0] for name, values in query.items()}, "page[after]": ids[-1]})
            following = f"http://{host}{path}?{more}"
        fields = {name: values[0] for name, values in query.items() if name.startswith("fields[")}
        template = _template(kind, tuple(sorted(fields.items())), query.get("include", [""])[0])
        count = last - first + 1 if query.get("count") == ["true"] else None
        return template.page(ids, following, count)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _bounds(text: str, total: int) -> tuple[int, int]:
    low, _, high = text.partition("..")
    return 1 if low == "neginf" else max(1, int(low)), total if high == "inf" else min(total, int(high or low))


_building = threading.Lock()


def _template(table: str, fields: tuple[tuple[str, str], ...], include: str) -> Template:
    with _building:
        return _built(table, fields, include)


@cache
def _built(table: str, fields: tuple[tuple[str, str], ...], include: str) -> Template:
    fieldsets = {name[len("fields[") : -1]: frozenset(names.split(",")) for name, names in fields}
    return Template(CATALOG.resource(table), fieldsets, include.split(",") if include else [])


@contextmanager
def server(total: int, delay_s: float = 0.0) -> Iterator[str]:
    """Serve so many records of each type from a process of its own; yield the base of the API."""
    command = [sys.executable, str(HERE / "pages.py"), str(total), str(delay_s)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{int(process.stdout.readline())}/api/v2"
        finally:
            process.terminate()


def _serve(total: int, delay_s: float) -> None:
    _Handler.total, _Handler.delay_s = total, delay_s
    listener = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    listener.daemon_threads = True
    sys.stdout.write(f"{listener.server_port}\n")
    sys.stdout.flush()
    listener.serve_forever()


if __name__ == "__main__":
    _serve(int(sys.argv[1]), float(sys.argv[2]))
