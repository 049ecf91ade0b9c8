"""
Signing in as an application (server to server): signed app tokens against registered keys, one token an hour.

The signature is checked with `cryptography`; the token is taken apart by hand, so that a mistake of the client's JWT
library cannot agree with itself.
"""

import secrets
import uuid
from base64 import urlsafe_b64decode
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from outreach_frames._sandbox.access import Tokens
from outreach_frames._sandbox.errors import Problem, unauthorized

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

SETUP_LIFETIME = 15 * 60.0
"""Of the token that comes with an installation's redirect [s]."""
TOKEN_LIFETIME = 3600.0
"""Of app tokens at most, and of the access tokens got with them [s]."""
KEY_SIZE = 2048
"""Of the keys that may be registered [bits]."""

_ALL = ("accounts", "calls", "opportunities", "prospects", "sequenceStates", "sequences", "tasks", "webhooks")
_WRITE = ("events", "imports")
_READ = ("auditLogs", "kaiaRecordings", "mailings", "snippets", "templates", "users")
SCOPES = frozenset(
    [f"{name}.all" for name in _ALL]
    + [f"{name}.{level}" for name in _WRITE for level in ("read", "write")]
    + [f"{name}.read" for name in _READ]
)
"""What an application may do without a user."""
NO_USER = 0
"""Whom an application acts for; its requests count against a budget of their own."""


@dataclass(frozen=True)
class _Installation:
    """An application installed in the organization."""

    id: str
    guid: str
    installed_at: datetime


class Installs:
    """
    Applications, their keys and where they are installed.

    Parameters
    ----------
    tokens
        Where access tokens are known.
    seconds
        Tells the time [seconds since 1970].
    """

    def __init__(self, tokens: Tokens, seconds: Callable[[], float]) -> None:
        self._tokens = tokens
        self._seconds = seconds
        self._keys: dict[str, list[RSAPublicKey]] = {}
        self._installed: dict[str, _Installation] = {}
        self._setup: dict[str, tuple[str, float]] = {}

    def register_key(self, pem: str | bytes, *, guid: str | None = None) -> str:
        """
        Register a public key of an application, new or known; return its ``S2S_GUID``.

        Raises
        ------
        ValueError
            It is no RSA public key of 2048 bits in PEM.
        ModuleNotFoundError
            `cryptography` is not installed.
        """
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey  # noqa: PLC0415 - only for S2S
        from cryptography.hazmat.primitives.serialization import load_pem_public_key  # noqa: PLC0415 - as above

        key = load_pem_public_key(pem.encode() if isinstance(pem, str) else pem)
        if not isinstance(key, RSAPublicKey) or key.key_size != KEY_SIZE:
            raise ValueError(f"an application's key is an RSA public key of {KEY_SIZE} bits")
        guid = guid or str(uuid.uuid4())
        self._keys.setdefault(guid, []).append(key)
        return guid

    def install(self, guid: str) -> str:
        """Install an application in the organization; return the installation's id."""
        id_ = str(uuid.uuid4())
        self._installed[id_] = _Installation(id_, guid, datetime.fromtimestamp(self._seconds(), UTC))
        return id_

    def setup_token(self, install_id: str) -> str:
        """Return the token that the redirect after an installation carries, good for a quarter of an hour."""
        token = secrets.token_urlsafe(24)
        self._setup[token] = (install_id, self._seconds() + SETUP_LIFETIME)
        return token

    def set_up(self, token: str, app_token: str, *, origin: str, api: str, organization: int | None) -> dict[str, Any]:
        """
        Tell an application the id of its installation.

        Raises
        ------
        Problem
            The app token or the setup token is refused.
        """
        install_id, expires_at = self._setup.get(token, ("", 0.0))
        if self._seconds() >= expires_at:
            raise _no_installation()
        return self._document(self._checked(install_id, app_token), origin, api, organization)

    def access_token(
        self, install_id: str, app_token: str, *, origin: str, api: str, organization: int | None
    ) -> dict[str, Any]:
        """
        Give an application a token for an hour.

        Raises
        ------
        Problem
            The app token is refused, or the application is not installed.
        """
        document = self._document(self._checked(install_id, app_token), origin, api, organization)
        token = self._tokens.issue(NO_USER, scopes=SCOPES, lifetime=TOKEN_LIFETIME)
        document["data"]["meta"] = {"accessToken": token}
        return document

    def _checked(self, install_id: str, app_token: str) -> _Installation:
        guid = self._signer(app_token)
        installation = self._installed.get(install_id)
        if installation is None or installation.guid != guid:
            raise _no_installation()
        return installation

    def _signer(self, app_token: str) -> str:
        """Return the issuer of an app token whose signature and times are right."""
        try:
            signed, signature = app_token.rsplit(".", 1)
            header, claims = (msgspec.json.decode(_bytes_of(part), type=dict[str, Any]) for part in signed.split("."))
            guid, issued, expires = claims["iss"], float(claims["iat"]), float(claims["exp"])
            proof = _bytes_of(signature)
        except (ValueError, KeyError, TypeError, msgspec.DecodeError):
            raise unauthorized("The app token is no signed JSON Web Token with iss, iat and exp.") from None
        now = self._seconds()
        if not issued - 60.0 <= now < expires or expires - issued > TOKEN_LIFETIME:
            raise unauthorized("The app token is not valid at this time, or for longer than an hour.")
        if header.get("alg") != "RS256" or not self._is_signed(str(guid), signed.encode(), proof):
            raise unauthorized("The app token is not signed with a registered key.")
        return str(guid)

    def _is_signed(self, guid: str, message: bytes, signature: bytes) -> bool:
        from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - only for S2S
        from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15  # noqa: PLC0415 - as above
        from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415 - as above

        for key in self._keys.get(guid, []):
            try:
                key.verify(signature, message, PKCS1v15(), SHA256())
            except InvalidSignature:
                continue
            return True
        return False

    def _document(self, installation: _Installation, origin: str, api: str, organization: int | None) -> dict[str, Any]:
        """Return an installation as replies to such clients show it."""
        return {
            "data": {
                "type": "install",
                "id": installation.id,
                "attributes": {"installedAt": f"{installation.installed_at:%Y-%m-%dT%H:%M:%S.%fZ}"},
                "relationships": {
                    "app": {"data": {"type": "app", "id": installation.guid}},
                    "org": {"data": {"type": "org", "id": organization}, "links": {"api": api}},
                },
                "links": {"self": f"{origin}/api/app/installs/{installation.id}"},
            }
        }


def _bytes_of(part: str) -> bytes:
    return urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _no_installation() -> Problem:
    return Problem(404, "resourceNotFound", "Resource Not Found", "There is no such installation.")
