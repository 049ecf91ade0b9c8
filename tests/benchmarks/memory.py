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
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from urllib.parse import parse_qs, urlsplit

from flatten import PAGE, page, report

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


class Pages(BaseHTTPRequestHandler):
    """Hands out pages, made once and numbered anew: ids differ, all else repeats."""

    protocol_version = "HTTP/1.1"
    pages = 0
    body = b""

    def do_GET(self) -> None:
        """Answer with the page that is asked for."""
        number = int(parse_qs(urlsplit(self.path).query).get("n", ["0"])[0])
        rows = json.loads(self.body)["data"]
        for place, row in enumerate(rows):
            row["id"] = number * PAGE + place + 1
        host = self.headers["Host"]
        links = {"next": f"http://{host}/api/v2/prospects?n={number + 1}"} if number + 1 < self.pages else {}
        body = json.dumps({"data": rows, "links": links}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/vnd.api+json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def serve(pages: int, told: Connection) -> None:
    """Serve until ended; tell the port."""
    Pages.pages, Pages.body = pages, page(1)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    told.send(server.server_address[1])
    server.serve_forever()


def growth(reader: str, pages: int) -> tuple[int, float]:
    """Return the rows read, and by how much reading them made the process grow after its first page [MB]."""
    told, telling = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(pages, telling), daemon=True)
    server.start()
    try:
        url = f"http://127.0.0.1:{told.recv()}/api/v2"
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
