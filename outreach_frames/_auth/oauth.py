"""OAuth 2.0: requests for an authorization code and for tokens, and their responses, without network access."""

import hmac
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol
from urllib.parse import parse_qs, urlencode, urlunsplit

from outreach_frames._auth.token_refresh import Refresher
from outreach_frames._auth.token_store import Secrets, Token
from outreach_frames._http import split_url
from outreach_frames._secrets import HiddenText, hidden
from outreach_frames.errors import APIError, AuthError

AUTHORIZE_PATH = "/oauth/authorize"
TOKEN_PATH = "/oauth/token"  # noqa: S105  a path
SIGN_IN = "Sign in again: outreach-frames login."

_REFUSALS = {400, 401, 403}
_REASONS = {
    "invalid_client": ("the client id or secret is wrong", "Check OUTREACH_CLIENT_ID and OUTREACH_CLIENT_SECRET."),
    "invalid_scope": ("the app does not have a scope that was requested", "Request only scopes of the app."),
    "access_denied": ("access was declined", "Agree in the browser to sign in."),
}


class Exchange(Protocol):
    """Posts to a sign-in endpoint; `outreach_frames._http.TokenEndpoint` does it over HTTP."""

    def __call__(
        self, path: str, form: Mapping[str, str] | None = None, *, bearer: str | None = None, label: str | None = None
    ) -> bytes:
        """Return the answer's body; raise `APIError` or `TransportError`."""


@dataclass(frozen=True, slots=True)
class App:
    """
    An Outreach app, as far as it is no secret.

    Attributes
    ----------
    client_id
        Of the app.
    redirect_uri
        As registered; the code arrives there.
    base_url
        Base of the API.
    """

    client_id: str
    redirect_uri: str
    base_url: str

    def authorize_url(self, scopes: Iterable[str], state: str, *, challenge: str | None = None) -> str:
        """
        Return where the user agrees to let the app in.

        Parameters
        ----------
        scopes
            What to ask for.
        state
            Comes back with the code.
        challenge
            What only the holder of its verifier can redeem the code with (PKCE, RFC 7636); a server that knows
            nothing of it has to ignore it.
        """
        query = {
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "response_type": "code",
            "scope": " ".join(scopes),
            "state": state,
        }
        if challenge is not None:
            query |= {"code_challenge": challenge, "code_challenge_method": "S256"}
        host = split_url(self.base_url)
        return urlunsplit((host.scheme, host.netloc, AUTHORIZE_PATH, urlencode(query), ""))


def read_redirect(pasted: str, *, state: str) -> str:
    """
    Read the code out of what the browser was redirected to, or of a bare code.

    Parameters
    ----------
    pasted
        The whole address, its query, or the code alone.
    state
        What was sent along. A bare code carries none: who pastes it has seen where it came from.

    Raises
    ------
    AuthError
        Access was declined, there is no code, or the state is not ours: somebody else's sign-in.
    """
    pasted = HiddenText(pasted.strip())
    if not {"=", "?", " "} & set(pasted):
        return code_of({"code": pasted})
    query = query_of(pasted if "?" in pasted else f"?{pasted}")
    if not is_ours(query, state):
        raise AuthError("The answer belongs to another sign-in.", hint="Start again, and use the newest browser tab.")
    return code_of(query)


def query_of(url: str) -> dict[str, str]:
    """Return the parameters of an address; the first, where there are several of a name."""
    query = url.partition("?")[2].partition("#")[0]
    return {name: HiddenText(values[0]) for name, values in parse_qs(query).items()}


def is_ours(query: Mapping[str, str], state: str) -> bool:
    """Tell whether an answer carries the state that was sent along."""
    return hmac.compare_digest(query.get("state", "").encode(), state.encode())


def code_of(query: Mapping[str, str]) -> str:
    """Return the code of an answer that is ours, or raise why there is none."""
    if "error" in query:
        raise _refused("The sign-in was refused", query["error"])
    if not query.get("code"):
        raise AuthError("There is no code in the answer.", hint="Paste the whole address after signing in.")
    return query["code"]


def challenge_of(verifier: str) -> str:
    """Return the challenge of a PKCE verifier."""
    return urlsafe_b64encode(sha256(verifier.encode()).digest()).decode().rstrip("=")


def first_token(
    app: App,
    code: str,
    *,
    client_secret: str,
    exchange: Exchange,
    clock: Callable[[], float],
    verifier: str | None = None,
) -> Token:
    """
    Exchange a code for the first token.

    Raises
    ------
    AuthError
        The code or the app's secret was refused.
    """
    form = _form(app, client_secret) | {"grant_type": "authorization_code", "code": hidden(code)}
    if verifier is not None:
        form["code_verifier"] = hidden(verifier)
    return _requested_token(
        form, exchange, clock, "The code was refused", hint="Codes last minutes: start the sign-in again."
    )


def refresher(
    app: App, *, exchange: Exchange, clock: Callable[[], float], client_secret: str | None = None
) -> Refresher:
    """
    Return a function that gets the next token with the last refresh token.

    Parameters
    ----------
    app
        The app that the token was made for.
    exchange
        Posts to the token endpoint.
    clock
        Wall clock [seconds since 1970].
    client_secret
        Comes before the one that was kept.
    """
    client_secret = hidden(client_secret)

    def next_token(secrets: Secrets) -> Token:
        secret = client_secret or secrets.client_secret
        refresh = secrets.token.refresh if secrets.token else None
        if refresh is None or secret is None:
            raise AuthError("The access token has expired and cannot be refreshed.", hint=SIGN_IN)
        form = _form(app, secret) | {"grant_type": "refresh_token", "refresh_token": refresh}
        return _requested_token(form, exchange, clock, "The sign-in has ended", hint=SIGN_IN)

    return next_token


def _form(app: App, client_secret: str) -> dict[str, str]:
    return {"client_id": app.client_id, "client_secret": hidden(client_secret), "redirect_uri": app.redirect_uri}


def _requested_token(
    form: Mapping[str, str], exchange: Exchange, clock: Callable[[], float], refused: str, *, hint: str
) -> Token:
    requested_at = clock()
    try:
        return Token.of_reply(exchange(TOKEN_PATH, form), requested_at)
    except APIError as error:
        if error.status not in _REFUSALS:
            raise
        word = error.errors[0].id if error.errors else None
        raise _refused(refused, word, hint=hint, status=error.status) from None


def _refused(message: str, word: str | None, *, hint: str = SIGN_IN, status: int | None = None) -> AuthError:
    """Return the error for an OAuth refusal; only words of the standard are repeated in it."""
    reason, hint = _REASONS.get(word or "", (None, hint))
    return AuthError(f"{message}{f': {reason}' if reason else ''}.", status=status, hint=hint)
