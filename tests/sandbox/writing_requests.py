"""Requests that write, sent as an ordinary program would send them."""

import json
from typing import Any

import requests

from outreach_frames._sandbox import Sandbox
from tests.sandbox.small_organization import MEDIA_TYPE


class Program:
    """
    A program with a token.

    Parameters
    ----------
    sandbox
        What it talks to.
    token
        Its token; by default one that may do everything.
    """

    def __init__(self, sandbox: Sandbox, token: str | None = None) -> None:
        self._sandbox = sandbox
        self._headers = {"Authorization": f"Bearer {token or sandbox.token}", "Content-Type": MEDIA_TYPE}

    def send(self, method: str, path: str, document: Any = None, **kwargs: Any) -> requests.Response:
        """Send a request for a path below the base."""
        body = None if document is None else json.dumps(document)
        with requests.Session() as session:
            return session.request(
                method, self._sandbox.base_url + path, data=body, headers=self._headers, timeout=10, **kwargs
            )

    def create(
        self, plural: str, type_: str, attributes: Any = None, *, meta: Any = None, **related: Any
    ) -> requests.Response:
        """Create a record; related ones as in `document`."""
        return self.send("POST", f"/{plural}", document(type_, attributes, meta=meta, **related))

    def update(
        self, plural: str, type_: str, id_: int | str, attributes: Any = None, **related: Any
    ) -> requests.Response:
        """Change a record."""
        return self.send("PATCH", f"/{plural}/{id_}", document(type_, attributes, id_=id_, **related))

    def act(self, path: str, **parameters: Any) -> requests.Response:
        """Carry out an action: ``act("/tasks/1/actions/snooze", dueAt=…)``."""
        return self.send("POST", path, params={f"actionParams[{name}]": value for name, value in parameters.items()})

    def get(self, path: str) -> Any:
        """Return the data of an answer."""
        answer = self.send("GET", path)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]


def document(
    type_: str, attributes: Any = None, *, id_: int | str | None = None, meta: Any = None, **related: Any
) -> dict[str, Any]:
    """Return a request document; related resources as ``(type, id)``, lists of those, ``None``, or as an object."""

    def linkage(value: Any) -> Any:
        if isinstance(value, list):
            return [linkage(each) for each in value]
        return None if value is None else {"type": value[0], "id": value[1]}

    data: dict[str, Any] = {"type": type_}
    if id_ is not None:
        data["id"] = id_
    if attributes is not None:
        data["attributes"] = attributes
    if related:
        data["relationships"] = {
            name: value if isinstance(value, dict) else {"data": linkage(value)} for name, value in related.items()
        }
    if meta is not None:
        data["meta"] = meta
    return {"data": data}


def made(answer: requests.Response, status: int = 201) -> dict[str, Any]:
    """Return the resource of an answer."""
    assert answer.status_code == status, answer.text
    return answer.json()["data"]


def faults(answer: requests.Response) -> dict[str | None, str]:
    """Return the sentences of a refused request by pointer."""
    assert answer.status_code == 422, answer.text
    errors = answer.json()["errors"]
    assert {(error["id"], error["title"]) for error in errors} == {("validationError", "Validation Error")}
    return {error.get("source", {}).get("pointer"): error["detail"] for error in errors}
