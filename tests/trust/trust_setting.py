"""An organization to be trusted with: small enough for many pages of few rows, watched from the sandbox's own side."""

from pathlib import Path
from typing import Any

import pandas as pd
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

import outreach_frames as of
from outreach_frames._auth import App, Profiles, RefreshingTokenAuth, Token
from outreach_frames._http import Session, TokenEndpoint, Waiter
from outreach_frames._sandbox import Sandbox, SandboxSettings
from outreach_frames.client import Client

ACCOUNTS, PAGE = 23, 5


def organization() -> list[dict[str, Any]]:
    """Return the resources of the organization."""
    people = [{"type": "user", "id": n, "attributes": {"email": f"user{n}@example.com"}} for n in range(1, 4)]
    sequence = {"type": "sequence", "id": 1, "attributes": {"name": "Spring", "enabled": True}}
    return [*people, sequence, *(account(n) for n in range(1, ACCOUNTS + 1))]


def account(number: int, name: str | None = None) -> dict[str, Any]:
    """Return an account; its number tells when it was created."""
    attributes = {
        "name": name or f"Account {number}",
        "named": True,
        "createdAt": f"2025-03-{number:02}T09:00:00.000Z",
        "updatedAt": f"2025-03-{number:02}T09:00:00.000Z",
    }
    return {"type": "account", "id": number, "attributes": attributes, "relationships": {}}


def as_new(sandbox: Sandbox) -> None:
    """Undo what a test did to a sandbox that several share, and let the minute pass in which it hands out one token."""
    sandbox.faults.clear()
    vars(sandbox.settings).update(vars(SandboxSettings()))
    sandbox.advance(61.0)
    for record in list(sandbox.store.records("account")):
        sandbox.remove("account", record.id)
    sandbox.put(*organization())
    sandbox.reset_budget()
    sandbox.clear_log()


def signed_in(sandbox: Sandbox, folder: Path, **reply: Any) -> RefreshingTokenAuth:
    """
    Return somebody's sign-in, made long ago and kept as a profile.

    Parameters
    ----------
    sandbox
        Who handed the tokens out, and whose time passes.
    folder
        Where the profile is kept.
    **reply
        See `Authority.issue`: ``user``, ``scopes``, ``lifetime``.
    """
    keep_profile(sandbox, folder, **reply)
    return token_auth(sandbox, folder)


def token_auth(sandbox: Sandbox, folder: Path) -> RefreshingTokenAuth:
    """Return what signs requests for the profile that is kept in a folder."""
    exchange = TokenEndpoint(sandbox.base_url, waiter=Waiter(sandbox.seconds, sandbox.advance))
    return Profiles(folder).token_auth(exchange=exchange, clock=sandbox.seconds, wait=sandbox.advance)


def keep_profile(
    sandbox: Sandbox, folder: Path | None, *, name: str = "default", said_lifetime: float | None = None, **reply: Any
) -> Token:
    """Sign in without a browser; return the token. A `said_lifetime` is what the client takes it to be [s]."""
    issued = sandbox.oauth.issue(**reply)
    now = sandbox.seconds()
    token = Token(
        access=issued["access_token"],
        refresh=issued["refresh_token"],
        minted_at=now - 3600.0,
        expires_at=now + (issued["expires_in"] if said_lifetime is None else said_lifetime),
    )
    app = App(sandbox.oauth.client_id, "http://127.0.0.1:8765/callback", sandbox.base_url)
    Profiles(folder).save(name, app, token, sandbox.oauth.client_secret)
    return token


def app_key() -> tuple[str, str]:
    """Return a new key of an app in PEM: the private half and the public one."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return private.decode(), key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def connect(sandbox: Sandbox, folder: Path, auth: Any, **options: Any) -> Client:
    """Connect as somebody, with the sandbox's time, which passes only by waiting."""
    settings = {"account": "someone", "cache_dir": folder, "waiter": Waiter(sandbox.seconds, sandbox.advance)}
    return Client(Session(sandbox.base_url, auth, **(settings | options)))


def rows(frame: pd.DataFrame) -> list[tuple[int, str]]:
    """Return id and name of each row."""
    return list(zip(frame["id"].tolist(), frame["name"].tolist(), strict=True))


def true_rows(sandbox: Sandbox) -> list[tuple[int, str]]:
    """Return what the organization holds, by id."""
    return sorted((record.id, record.attributes["name"]) for record in sandbox.store.records("account"))


def sent(sandbox: Sandbox, method: str) -> list[int]:
    """Return the statuses of the requests of one method, in order; 0 for no answer."""
    return [record.status for record in sandbox.requests if record.method == method and record.is_data]


def snapshot_rows(folder: Path) -> list[tuple[int, str]]:
    """Return id and name of each row of the accounts in the version in force."""
    return rows(of.open_snapshot(folder).frame("accounts"))
