"""
What a snapshot costs: memory and requests of taking and refreshing a large table, and how far a plan is from them.

Run it: ``python tests/benchmarks/snapshots.py [mailings] [more mailings]``, by default 100,000 and 200,000. A server
in a process of its own makes up mailings, 1,000 on a page; taking and refreshing are fresh processes without a cache,
whose largest size and requests are reported as rows of a table, the latter beside those of one plain pass over all
pages and beside what `plan_snapshot` said before. The request that asks for the organization is not counted. It is no
test: sizes differ between machines.
"""

import json
import multiprocessing
import subprocess
import sys
import tempfile
import threading
from bisect import bisect_left
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

sys.path.append(str(Path(__file__).parents[1]))  # where the scripted server is

from scripted_server import Request, Scripted, Server

from outreach_frames import catalog

MAILING = catalog.load().resource("mailing")
PAGE = 1_000
_ONLY_ID = '{"type": "mailing", "id": %(id)d, "links": {"self": "http://127.0.0.1:40000/api/v2/mailings/%(id)d"}}'
"""A record of which no attribute is asked for."""
START = datetime(2024, 1, 1, tzinfo=UTC)

PROGRAM = """
import json, resource, sys, time
import outreach_frames as of
from outreach_frames.webhooks.store import DeliveryStore
org = of.connect(token="x", base_url=sys.argv[1], cache=False)
started = time.process_time()
{work}
seconds = time.process_time() - started
print(json.dumps([result, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6, seconds]))
"""
ROWS = ".manifest['tables']['mailings']['rows']"
WORK = {
    "plan": "result = of.plan_snapshot(org, sys.argv[2], resources=['mailings']).iloc[0].to_dict()\n"
    "result = {name: None if value != value else value for name, value in result.items()}",
    "take": f"result = of.take_snapshot(org, sys.argv[2], resources=['mailings'], progress=False){ROWS}",
    "refresh": f"result = of.open_snapshot(sys.argv[2]).refresh(org, progress=False){ROWS}",
    "apply": f"""
taken = of.open_snapshot(sys.argv[2])
rows = taken{ROWS}
store = DeliveryStore(sys.argv[2] + ".sqlite")
for place in range(rows // 1000):
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())
    data = {{"type": "mailing", "id": 1 + place * 997 % rows, "attributes": {{"openCount": 7, "updatedAt": stamp}}}}
    meta = {{"eventName": "mailing.opened", "deliveredAt": stamp}}
    store.add(json.dumps({{"data": data, "meta": meta}}).encode())
result = taken.apply(of.webhooks.read(sys.argv[2] + ".sqlite")){ROWS}
""",
}
STEPS = (
    ("take", "", "`take_snapshot`"),
    ("refresh", "", "`refresh`, nothing changed"),
    ("refresh", "changed={thousandth}", "`refresh`, 0.1 % changed"),
    ("refresh", "changed={thousandth}&removed=10", "`refresh`, 0.1 % changed and 10 scattered ones deleted"),
    ("apply", "", "`apply`, deliveries on 0.1 %"),
)
"""What is done, what the organization does before, and how it is named."""


class Mailings:
    """
    Mailings that are made up when they are asked for.

    Parameters
    ----------
    records
        How many; their ids have no gaps at first.
    """

    def __init__(self, records: int) -> None:
        self.ids = list(range(1, records + 1))
        self.changed: dict[int, datetime] = {}
        self.requests = self.bytes = 0
        attributes = {
            a.name: None if a.is_heavy or a.is_custom else self._value(a.type, a.format, n)
            for n, a in enumerate(MAILING.attributes.values())
        }
        for name in ("createdAt", "updatedAt"):
            attributes[name] = f"@{name}@"
        related = {
            r.name: {"data": {"type": r.targets[0] if r.targets else "user", "id": 7}}
            for r in MAILING.relationships.values()
            if r.has_data and not r.many
        }
        record = {"type": "mailing", "id": "@id@", "attributes": attributes, "relationships": related}
        text = json.dumps(record).replace("%", "%%").replace('"@id@"', "%(id)d")
        self._template = text.replace("@createdAt@", "%(created)s").replace("@updatedAt@", "%(updated)s")

    @staticmethod
    def _value(kind: str, form: str | None, n: int) -> Any:
        if form == "date-time":
            return "2024-05-01T12:00:00.000Z" if n % 2 else None
        return {"integer": n, "number": n / 7, "boolean": True, "array": None, "object": None}.get(kind, f"text {n}")

    def answer(self, request: Request) -> Scripted:
        """Answer one request: a page of a range of ids, or of what changed since an instant."""
        parts = urlsplit(request.path)
        query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        if parts.path.endswith("/edit"):
            self._edit(query)
            return Scripted()
        if parts.path.endswith("/sums"):
            sums, self.requests, self.bytes = [self.requests, self.bytes], 0, 0
            return Scripted.of(sums)
        if not parts.path.endswith("/mailings"):
            return Scripted.of({"errors": [{"title": "Not Found"}]}, 404)
        self.requests += 1
        first = int(query.pop("page[after]", "0"))
        size = int(query.get("page[size]", PAGE))
        ids, low, high = self._matches(query)
        chosen = ids[low + first : min(low + first + size, high)]
        links = {}
        if low + first + size < high:
            pairs = "&".join(f"{name}={value}" for name, value in {**query, "page[after]": first + size}.items())
            links = {"next": f"/api/v2/mailings?{pairs}"}
        template = _ONLY_ID if query.get("fields[mailing]") == "" else self._template
        data = ",".join(template % self._record(id_) for id_ in chosen)
        document = f'{{"data": [{data}], "meta": {{"count": {high - low}}}, "links": {json.dumps(links)}}}'
        self.bytes += len(document)
        return Scripted(200, document.encode(), {"Date": datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")})

    def _matches(self, query: dict[str, str]) -> tuple[list[int], int, int]:
        ids = self.ids
        if "filter[updatedAt]" in query:
            since = datetime.fromisoformat(query["filter[updatedAt]"].partition("..")[0])
            ids = sorted((id_ for id_, at in self.changed.items() if at >= since), key=lambda id_: self.changed[id_])
            return ids, 0, len(ids)
        if "filter[createdAt]" in query:
            since = datetime.fromisoformat(query["filter[createdAt]"].partition("..")[0])
            return ids, bisect_left(ids, (since - START).total_seconds()), len(ids)
        if query.get("sort", "").startswith("-"):
            return self.ids[::-1], 0, len(ids)
        low, _, high = query.get("filter[id]", "neginf..inf").partition("..")
        if not high and "," in low:
            ids = [int(text) for text in low.split(",")]
            return ids, 0, len(ids)
        return (
            ids,
            0 if low == "neginf" else bisect_left(ids, int(low)),
            len(ids) if high == "inf" else bisect_left(ids, int(high) + 1),
        )

    def _record(self, id_: int) -> dict[str, Any]:
        created = (START + timedelta(seconds=id_)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        at = self.changed.get(id_)
        return {
            "id": id_,
            "created": created,
            "updated": created if at is None else at.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z",
        }

    def _edit(self, query: dict[str, str]) -> None:
        for place in range(int(query.get("changed", "0"))):
            self.changed[self.ids[place * 997 % len(self.ids)]] = datetime.now(UTC)
        removed = {self.ids[(place + 1) * len(self.ids) // 11] for place in range(int(query.get("removed", "0")))}
        self.ids = [id_ for id_ in self.ids if id_ not in removed]
        for id_ in removed:
            self.changed.pop(id_, None)


def serve(records: int, port: Connection) -> None:
    """Serve mailings until ended; send the port first."""
    mailings = Mailings(records)
    with Server(mailings.answer) as server:
        server.requests = _Forgetful()
        port.send(server.server_port)
        threading.Event().wait()


class _Forgetful(list[Request]):
    def append(self, _: Request) -> None:
        """Keep no request: there are thousands."""


def run(work: str, url: str, folder: str) -> tuple[Any, float, float]:
    """Do one thing in a fresh process; return its result, its largest size [MB] and its CPU time [s]."""
    program = PROGRAM.format(work=WORK[work])
    done = subprocess.run([sys.executable, "-c", program, url, folder], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    result, megabytes, seconds = json.loads(done.stdout)
    return result, megabytes, seconds


def ask(url: str, path: str) -> Any:
    """Tell the server something, or ask it."""
    from urllib.request import urlopen  # noqa: PLC0415

    with urlopen(f"{url}/{path}") as answer:  # noqa: S310  on loopback
        return json.loads(answer.read())


def main() -> None:
    """Print memory and requests for each size."""
    for records in [int(text) for text in sys.argv[1:]] or [100_000, 200_000]:
        port, sender = multiprocessing.Pipe()
        server = multiprocessing.get_context("spawn").Process(target=serve, args=(records, sender), daemon=True)
        server.start()
        try:
            url = f"http://127.0.0.1:{port.recv()}/api/v2"
            with tempfile.TemporaryDirectory() as folder:
                measure(records, url, f"{folder}/org")
        finally:
            server.terminate()
            server.join()


def measure(records: int, url: str, folder: str) -> None:
    """Plan each step and then do it."""
    pages = -(-records // PAGE)
    say("mailings", "work", "rows", "memory", "CPU", "requests (of a plain pass)", "planned", "documents", "planned")
    say(*["---"] * 9)
    for work, edit, name in STEPS:
        ask(url, f"edit?{edit.format(thousandth=records // 1000)}")
        plan, _, _ = run("plan", url, folder)
        ask(url, "sums")
        rows, megabytes, seconds = run(work, url, folder)
        requests, size = ask(url, "sums")
        say(
            f"{records:,}",
            name,
            f"{rows:,}",
            f"{megabytes:.0f} MB",
            f"{seconds:.1f} s",
            f"{requests:,} ({requests / pages:.1%})",
            against(plan.get(f"{work}_requests"), requests, "{:,.0f}"),
            f"{size / 1e6:,.3f} MB",
            against(plan.get(f"{work}_bytes"), size, "{:,.3f} MB", 1e6),
        )


def against(planned: float | None, used: float, form: str, unit: float = 1) -> str:
    """Say what was planned, and by how much less or more than was used that is."""
    return "–" if planned is None else f"{form.format(planned / unit)} ({planned / max(used, 1) - 1:+.0%})"


def say(*cells: str) -> None:
    """Print a row of a table."""
    print(f"| {' | '.join(cells)} |", flush=True)  # noqa: T201  a program


if __name__ == "__main__":
    main()
