"""Organizations of a few given records, and servers of a few given answers, to fetch from over real HTTP."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import outreach_frames as of
from outreach_frames._sandbox import Sandbox, SandboxSettings
from outreach_frames.client import Client

MEDIA_TYPE = "application/vnd.api+json"


def resource(type_name: str, id_: int | str, /, attributes: Mapping[str, Any] | None = None, **related: Any) -> Any:
    """Return a resource object; related ones as ``(type, id)``, a list of those, or ``None``."""

    def linkage(value: Any) -> Any:
        if isinstance(value, list):
            return [linkage(entry) for entry in value]
        return None if value is None else {"type": value[0], "id": value[1]}

    relationships = {name: {"data": linkage(value)} for name, value in related.items()}
    return {"type": type_name, "id": id_, "attributes": dict(attributes or {}), "relationships": relationships}


@contextmanager
def organization(
    folder: Path, *resources: Any, settings: SandboxSettings | None = None, custom_fields: Any = None
) -> Iterator[Client]:
    """Serve exactly these records; ``client.sandbox`` is the sandbox behind the connection."""
    with Sandbox(list(resources), settings=settings, custom_fields=custom_fields) as sandbox:
        with of.connect(sandbox.token, sandbox.base_url, cache_dir=folder) as client:
            client.sandbox = sandbox
            yield client
        assert sandbox.failures == ()


class Answers:
    """
    A server with given answers.

    Attributes
    ----------
    by_path
        Path with query → document, or bytes as they are, or ``(status, headers, document)``, or a function of the
        path that returns one of these; the path alone answers for every query.
    asked
        Paths with queries, in order.
    tokens
        ``Authorization`` headers, in order.
    """

    def __init__(self, by_path: Mapping[str, Any]) -> None:
        self.by_path = dict(by_path)
        self.asked: list[str] = []
        self.tokens: list[str | None] = []
        answers = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                answers.asked.append(self.path)
                answers.tokens.append(self.headers["Authorization"])
                status, headers, body = answers.answer(self.path)
                self.send_response(status)
                for name, value in {"Content-Type": MEDIA_TYPE, **headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    @property
    def url(self) -> str:
        """Base of every path."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def answer(self, path: str) -> tuple[int, Mapping[str, str], bytes]:
        """Return status, headers and body for a path with its query."""
        found = self.by_path.get(path, self.by_path.get(path.partition("?")[0]))
        if callable(found):
            found = found(path)
        if found is None:
            found = 404, {}, {"errors": [{"title": "Not Found"}]}
        status, headers, document = found if isinstance(found, tuple) else (200, {}, found)
        return status, headers, document if isinstance(document, bytes) else json.dumps(document).encode()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
