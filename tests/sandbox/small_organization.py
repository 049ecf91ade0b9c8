"""A small organization to ask, and how to ask it: plain `requests`, nothing of the client under test elsewhere."""

from collections.abc import Callable
from typing import Any

import requests

from outreach_frames._sandbox import Sandbox

MEDIA_TYPE = "application/vnd.api+json"
Ask = Callable[..., requests.Response]


def resource(type_: str, id_: int | str, attributes: dict[str, Any] | None = None, **related: Any) -> dict[str, Any]:
    """Return a resource object; related resources as ``(type, id)``, a list of those, or ``None``."""

    def linkage(value: Any) -> Any:
        if isinstance(value, list):
            return [linkage(entry) for entry in value]
        return None if value is None else {"type": value[0], "id": value[1]}

    relationships = {name: {"data": linkage(value)} for name, value in related.items()}
    return {"type": type_, "id": id_, "attributes": attributes or {}, "relationships": relationships}


def small_organization() -> list[dict[str, Any]]:
    """Return two accounts, three prospects, a sequence in use, and what hangs on them."""
    return [
        resource("user", 1, {"firstName": "Ana", "email": "ana@example.com"}),
        resource("user", 2, {"firstName": "Ben", "email": "ben@example.com"}),
        resource("account", 1, {"name": "Acme", "domain": "acme.example", "named": True}, owner=("user", 1)),
        resource("account", 2, {"name": "Birch", "named": True, "buyerIntentScore": 4.5}),
        resource("account", 3, {"name": None, "named": False}),
        resource("stage", 1, {"name": "New"}),
        resource("persona", 1, {"name": "Buyer"}),
        resource(
            "prospect",
            1,
            {
                "firstName": "Sally",
                "lastName": "Smith",
                "emails": ["sally@acme.example", "s.smith@example.com"],
                "createdAt": "2025-01-01T09:00:00.000Z",
                "tags": ["hot", "demo"],
            },
            account=("account", 1),
            owner=("user", 1),
            stage=("stage", 1),
            persona=("persona", 1),
        ),
        resource(
            "prospect",
            2,
            {"firstName": "Katie", "lastName": "Smith", "createdAt": "2025-01-02T09:00:00.000Z", "tags": []},
            account=("account", 1),
            owner=("user", 2),
            stage=None,
        ),
        resource(
            "prospect",
            3,
            {"firstName": "Zoë, Jr.", "lastName": None, "createdAt": "2025-01-03T09:00:00.000Z"},
            account=("account", 3),
            owner=None,
        ),
        resource("sequence", 1, {"name": "Alpha", "tags": ["spring"]}, owner=("user", 1)),
        resource("sequenceStep", 1, {"stepType": "auto_email", "order": 1}, sequence=("sequence", 1)),
        resource("sequenceStep", 2, {"stepType": "call", "order": 2}, sequence=("sequence", 1)),
        resource(
            "sequenceState",
            1,
            {"state": "active"},
            prospect=("prospect", 1),
            sequence=("sequence", 1),
            sequenceStep=("sequenceStep", 2),
        ),
        resource("sequenceState", 2, {"state": "finished"}, prospect=("prospect", 1), sequence=("sequence", 1)),
        resource(
            "mailing",
            1,
            {"deliveredAt": "2025-01-05T10:00:00.000Z", "openCount": 2},
            prospect=("prospect", 1),
            sequence=("sequence", 1),
            sequenceStep=("sequenceStep", 1),
            sequenceState=("sequenceState", 1),
        ),
        resource(
            "mailing",
            2,
            {"deliveredAt": None},
            prospect=("prospect", 2),
            sequence=None,
            sequenceState=None,
        ),
        resource(
            "task",
            1,
            {"state": "incomplete", "taskType": "sequence_step_call", "dueAt": "2025-01-06T08:00:00.000Z"},
            prospect=("prospect", 1),
            owner=("user", 1),
            subject=("prospect", 1),
            creator=("sequenceStep", 2),
            sequence=("sequence", 1),
            sequenceState=("sequenceState", 1),
            sequenceStep=("sequenceStep", 2),
        ),
        resource("task", 2, {"state": "complete"}, owner=("user", 2), subject=("account", 1), creator=("user", 2)),
        resource("opportunity", 1, {"name": "Deal", "amount": 100}, account=("account", 1)),
        resource("opportunityProspectRole", 1, {}, opportunity=("opportunity", 1), prospect=("prospect", 2)),
        resource("template", 1, {"name": "Hello"}),
        resource("template", 2, {"name": None, "subject": "Only in a step"}),
        resource("event", 1, {"name": "prospect_created", "createdAt": "2025-01-01T09:00:00.000Z"}),
        resource("event", 2, {"name": "prospect_updated", "createdAt": "2025-01-04T09:00:00.000Z"}),
    ]


def asking(sandbox: Sandbox, *, token: str | None = None) -> Ask:
    """Return a function that sends a GET for a path below the base, or for a whole URL."""
    headers = {"Authorization": f"Bearer {token or sandbox.token}", "Content-Type": MEDIA_TYPE}

    def ask(path: str, **kwargs: Any) -> requests.Response:
        url = path if path.startswith("http") else sandbox.base_url + path
        with requests.Session() as session:
            return session.request(
                kwargs.pop("method", "GET"), url, headers=headers | kwargs.pop("headers", {}), **kwargs
            )

    return ask


def ids(response: requests.Response) -> list[int | str]:
    """Return the ids of a page, in order."""
    assert response.status_code == 200, response.text
    return [entry["id"] for entry in response.json()["data"]]


def error(response: requests.Response) -> tuple[int, str]:
    """Return status and error id of an answer that is one JSON:API error."""
    assert response.headers["content-type"] == MEDIA_TYPE
    (only,) = response.json()["errors"]
    assert set(only) <= {"id", "title", "detail", "source"}
    return response.status_code, only["id"]
