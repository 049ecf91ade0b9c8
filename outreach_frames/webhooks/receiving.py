"""
The receiver: an ASGI application that verifies a delivery, stores it, and only then answers.

Outreach takes every HTTP answer for a delivery and tries again only where none came. What cannot be stored is therefore
not answered, and what is signed is stored whatever it says.
"""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from outreach_frames._hidden import hidden
from outreach_frames.errors import SignatureError
from outreach_frames.webhooks.deliveries import REQUEST_ID, SIGNATURE, identity, verify
from outreach_frames.webhooks.store import DeliveryStore

MAX_BODY = 1 << 22
"""Largest body taken [bytes]; a resource without message bodies has a few thousand, a mailing with pictures more."""

PATIENCE_S = 10.0
"""How long a sender may take to send a delivery; the vendor takes less than the 5 s that it gives for an answer."""

HANG_UP = "outreach_frames.hang_up"
"""ASGI extension: a function that closes the connection; see `serving`."""

_log = logging.getLogger(__name__)


class _TooLargeError(Exception):
    """The body is larger than what is taken."""


def receiver(store: str | Path, *, secret: str, max_body: int = MAX_BODY) -> Starlette:
    """
    Make an application that receives deliveries; serve it with any ASGI server, or mount it in another application.

    Parameters
    ----------
    store
        File that deliveries are kept in; see `read`.
    secret
        The secret given when the webhook was created.
    max_body
        Larger bodies are refused unread [bytes].

    Returns
    -------
    application : Starlette
        ``POST`` to any path: 200 when a signed delivery is on the disk (a repeated one too, and one that is no
        payload), 401 without the right signature, 413 above ``max_body``. Nothing but a 200 changes the store. While
        the store cannot be written (disk full, file locked) no answer is given, so that Outreach tries again: up to
        four times, after which only a comparison with the API finds what was missed.

    Raises
    ------
    ValueError
        The secret is empty: anybody could sign.

    Notes
    -----
    ``outreach-frames webhooks serve`` closes a connection at once where no answer is given, and closes slow and
    supernumerary ones; under another server the sender waits until its own patience ends, and limits are that server's.
    In another application, use ``Route("/hooks", receiver(...))``: Outreach does not follow the redirection that
    Starlette's ``Mount`` answers to a path without a slash at its end.
    """
    if not secret:
        raise ValueError("A receiver needs the webhook's secret.")
    secret, kept = hidden(secret), DeliveryStore(store)

    @asynccontextmanager
    async def life(_application: Starlette) -> AsyncIterator[None]:
        await run_in_threadpool(kept.open)  # told at once; whoever mounts the application may run no lifespan
        try:
            yield
        finally:
            kept.close()

    async def receive(request: Request) -> Response:
        try:
            with anyio.fail_after(PATIENCE_S):
                body = hidden(await _read(request, max_body))
            verify(body, request.headers.get(SIGNATURE), secret=secret)
        except _TooLargeError:
            _log.warning("A delivery of more than %d bytes was refused.", max_body)
            return PlainTextResponse("too large", status_code=413)
        except SignatureError:
            _log.warning("A delivery was refused: its signature is missing or wrong.")
            return PlainTextResponse("not signed as it must be", status_code=401)
        except (ClientDisconnect, TimeoutError):
            return _NoAnswer()
        try:
            await run_in_threadpool(kept.add, body, identity=identity(body, request.headers.get(REQUEST_ID)))
        except Exception as error:  # noqa: BLE001  whatever it is, an answer would lose the delivery
            reason = getattr(error.__cause__ or error, "sqlite_errorname", type(error).__name__)
            _log.error("A delivery could not be stored and was not answered (%s).", reason)
            return _NoAnswer()
        return PlainTextResponse("stored")

    return Starlette(routes=[Route("/{path:path}", receive, methods=["POST"])], lifespan=life)


class _NoAnswer(Response):
    """Sends nothing: has the server close the connection where it can, else waits until the sender is gone."""

    async def __call__(self, scope: Scope, receive: Receive, _send: Send) -> None:
        scope.get("extensions", {}).get(HANG_UP, bool)()
        while (await receive())["type"] != "http.disconnect":
            pass


async def _read(request: Request, most: int) -> bytes:
    """Read a body, and no more than is taken, whatever its announced length."""
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > most:
        raise _TooLargeError
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            raise _TooLargeError
    return bytes(body)
