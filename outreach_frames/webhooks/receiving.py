"""The receiver: an ASGI application that verifies a delivery, stores it, and only then answers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from outreach_frames._hidden import hidden
from outreach_frames.errors import DocumentError, SignatureError
from outreach_frames.webhooks.deliveries import SIGNATURE, parse, verify
from outreach_frames.webhooks.store import DeliveryStore

MAX_BODY = 1 << 20
"""Largest body taken [bytes]; a resource without message bodies has a few thousand."""


class _TooLargeError(Exception):
    """The body is larger than what is taken."""


def receiver(store: str | Path, *, secret: str, max_body: int = MAX_BODY) -> Starlette:
    """
    Make an application that receives deliveries; serve it with any ASGI server.

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
        ``POST`` to any path: 200 when a signed delivery is on the disk (a repeated one too), 401 without the right
        signature, 413 above ``max_body``, 400 for what is no payload. Nothing but a 200 changes the store.

    Raises
    ------
    ValueError
        The secret is empty: anybody could sign.
    """
    if not secret:
        raise ValueError("A receiver needs the webhook's secret.")
    secret = hidden(secret)
    kept: list[DeliveryStore] = []

    @asynccontextmanager
    async def life(_application: Starlette) -> AsyncIterator[None]:
        kept.append(DeliveryStore(store))
        try:
            yield
        finally:
            kept.pop().close()

    async def receive(request: Request) -> PlainTextResponse:
        try:
            body = hidden(await _read(request, max_body))
            verify(body, request.headers.get(SIGNATURE), secret=secret)
            parse(body)
        except _TooLargeError:
            return PlainTextResponse("too large", status_code=413)
        except SignatureError:
            return PlainTextResponse("not signed as it must be", status_code=401)
        except DocumentError:
            return PlainTextResponse("no webhook payload", status_code=400)
        await run_in_threadpool(kept[-1].add, body)
        return PlainTextResponse("stored")

    return Starlette(routes=[Route("/{path:path}", receive, methods=["POST"])], lifespan=life)


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
