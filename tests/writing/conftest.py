import json
from dataclasses import dataclass

import pytest

import outreach_frames as of


@dataclass
class Sent:
    """One request that the client sent, as it was sent."""

    method: str
    path: str
    parameters: list
    body: dict | None


@pytest.fixture
def org(tmp_path, monkeypatch):
    """Connect to a small organization of its own for each test, since tests write."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with of.sandbox(prospects=40, seed=11) as client:
        yield client


@pytest.fixture
def sent(org, monkeypatch):
    """Note what goes through the session on its way to the sandbox."""
    noted = []
    send = org.session.send

    def noting(method, url, params=(), body=None):
        noted.append(Sent(method, url, list(params), json.loads(body) if body else None))
        return send(method, url, params, body)

    monkeypatch.setattr(org.session, "send", noting)
    return noted
