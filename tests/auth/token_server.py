"""A small authority over real HTTP: rotating refresh tokens, the old one dead at once, one token a minute."""

import itertools
import threading
from collections.abc import Callable
from urllib.parse import parse_qsl

from outreach_frames._auth import App
from tests.scripted_server import Request, Scripted, Server

CLIENT_SECRET = "client-secret-that-must-not-leak"


class Authority(Server):
    """Issues tokens and checks them; both are counted."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.lock = threading.Lock()
        self.numbers = itertools.count(1)
        self.access: dict[str, float] = {}
        self.refresh: set[str] = set()
        self.codes: set[str] = set()
        self.forms: list[dict[str, str]] = []
        self.refused_reads = 0
        self.life = 7200.0
        self.status: int | None = None
        self.minted_at = 0.0
        self.revokes_all = False
        super().__init__(self._answer)

    @property
    def app(self) -> App:
        """The one app."""
        return App("client", "https://example.com/callback", self.base_url)

    def issue(self) -> dict[str, object]:
        """Make a token."""
        number = next(self.numbers)
        access, refresh = f"access-token-{number}-secret", f"refresh-token-{number}-secret"
        self.access[access] = self.clock() + self.life
        self.refresh.add(refresh)
        self.minted_at = self.clock()
        return {"access_token": access, "refresh_token": refresh, "expires_in": self.life, "scope": "prospects.read"}

    def token(self, form: dict[str, str]) -> tuple[int, dict[str, object]]:
        """Answer a form."""
        with self.lock:
            self.forms.append(form)
            if self.status is not None:
                return self.status, {}
            if form.get("client_secret") != CLIENT_SECRET:
                return 401, {"error": "invalid_client"}
            refreshes = form["grant_type"] == "refresh_token"
            grants, word = (self.refresh, "refresh_token") if refreshes else (self.codes, "code")
            if form[word] not in grants:
                return 400, {"error": "invalid_grant", "error_description": form[word]}
            if self.clock() < self.minted_at + 60:
                return 429, {}
            grants.discard(form[word])
            return 200, self.issue()

    def read(self, authorization: str) -> tuple[int, dict[str, object]]:
        """Answer a read with data or 401."""
        with self.lock:
            if not self.revokes_all and self.clock() < self.access.get(authorization.removeprefix("Bearer "), 0.0):
                return 200, {"data": []}
            self.refused_reads += 1
            return 401, {"errors": [{"id": "unauthorized"}]}

    def _answer(self, request: Request) -> Scripted:
        if request.method == "POST":
            status, document = self.token(dict(parse_qsl(request.body.decode())))
        else:
            status, document = self.read(request.headers["Authorization"])
        return Scripted.of(document, status, {"Content-Type": "application/json"})
