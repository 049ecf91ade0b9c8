"""
How much memory a long walk takes: batch by batch, and as one frame.

Run it: ``python tests/benchmarks/memory.py [pages] [more pages]``. A server in a process of its own hands out
prospects, 1,000 on a page; each reader is a fresh process without a cache, whose largest size is what is reported. Both
count the same rows. It is no test: sizes differ between machines.
"""

import json
import multiprocessing
import subprocess
import sys
import threading
from multiprocessing.connection import Connection
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

sys.path.append(str(Path(__file__).parents[1]))  # where pytest finds what tests share

from flatten import PAGE, page, report
from scripted_server import Request, Scripted, Server

READERS = {
    "fetch": "rows = len(of.fetch(org, 'prospects', progress=False))",
    "fetch_batches": "rows = sum(batch.num_rows for batch in of.fetch_batches(org, 'prospects', progress=False))",
}
PROGRAM = """
import json, resource, sys
import outreach_frames as of
org = of.connect(token="x", base_url=sys.argv[1], cache=False)
next(iter(of.fetch_batches(org, "prospects", limit=1, progress=False)))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
{reader}
print(json.dumps([rows, before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss]))
"""


def serve(pages: int, port: Connection) -> None:
    """Serve pages until ended, made once and numbered: ids differ, all else repeats. Send the port first."""
    body = page(1)

    def answer(request: Request) -> Scripted:
        number = int(parse_qs(urlsplit(request.path).query).get("n", ["0"])[0])
        rows = json.loads(body)["data"]
        for place, row in enumerate(rows):
            row["id"] = number * PAGE + place + 1
        links = {"next": f"{server.base_url}/prospects?n={number + 1}"} if number + 1 < pages else {}
        return Scripted.of({"data": rows, "links": links})

    with Server(answer) as server:
        port.send(server.server_port)
        threading.Event().wait()


def growth(reader: str, pages: int) -> tuple[int, float]:
    """Return the rows read, and by how much reading them made the process grow after its first page [MB]."""
    port, sender = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(pages, sender), daemon=True)
    server.start()
    try:
        url = f"http://127.0.0.1:{port.recv()}/api/v2"
        program = PROGRAM.format(reader=READERS[reader])
        done = subprocess.run([sys.executable, "-c", program, url], capture_output=True, text=True, check=True)
    finally:
        server.terminate()
        server.join()
    rows, before, after = json.loads(done.stdout)
    return rows, (after - before) * 1024 / 1e6


def main() -> None:
    """Print the growth of each reader for a short walk and a long one."""
    for pages in [int(given) for given in sys.argv[1:]] or [10, 40]:
        for reader in READERS:
            rows, megabytes = growth(reader, pages)
            report(f"{rows:>9,} rows, {reader:<13}: grew by {megabytes:,.0f} MB")


if __name__ == "__main__":
    main()
