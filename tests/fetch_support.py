"""Organizations of a few given records, and servers of a few given answers, to fetch from over real HTTP."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import outreach_frames as of
from outreach_frames._sandbox import Sandbox, SandboxSettings
from outreach_frames.client import Client
from tests.scripted_server import Request, Scripted, Server


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


class Answers(Server):
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
        super().__init__(self._answer)

    def _answer(self, request: Request) -> Scripted:
        self.asked.append(request.path)
        self.tokens.append(request.headers.get("Authorization"))
        answer = self.by_path.get(request.path, self.by_path.get(request.path.partition("?")[0]))
        if callable(answer):
            answer = answer(request.path)
        if answer is None:
            answer = 404, {}, {"errors": [{"title": "Not Found"}]}
        status, headers, document = answer if isinstance(answer, tuple) else (200, {}, answer)
        if isinstance(document, bytes):
            return Scripted(status, document, dict(headers))
        return Scripted.of(document, status, headers)
