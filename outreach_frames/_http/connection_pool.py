"""Connections that are kept open: each process has its own, and what comes through them has a deadline and a size."""

import http.client
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from queue import LifoQueue
from typing import Any

import urllib3.connection
from requests.adapters import HTTPAdapter
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from outreach_frames._fork import OfOneProcess
from outreach_frames._sockets import Allowance, limited

CONNECTIONS = 16
"""Kept open to a host."""

_allowance: ContextVar[Allowance] = ContextVar("_allowance")


@contextmanager
def allowing(allowance: Allowance) -> Iterator[None]:
    """Read answers that begin meanwhile, in this thread, within limits."""
    before = _allowance.set(allowance)
    try:
        yield
    finally:
        _allowance.reset(before)


class PooledAdapter(HTTPAdapter):
    """
    Sends requests over connections that it keeps open.

    After a fork it is replaced, not used: its locks may be held by a thread that is not in the child.
    """

    def __init__(self) -> None:
        super().__init__(pool_maxsize=CONNECTIONS)

    def init_poolmanager(self, *args: Any, **settings: Any) -> None:
        """Make the pools of direct connections."""
        super().init_poolmanager(*args, **settings)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **settings: Any) -> Any:
        """Return the pools of connections through a proxy."""
        manager = super().proxy_manager_for(proxy, **settings)
        manager.pool_classes_by_scheme = _POOLS
        return manager


class _Response(http.client.HTTPResponse):
    """An answer that is read within limits, from its first byte."""

    def __init__(self, sock: socket.socket, *args: Any, **settings: Any) -> None:
        super().__init__(sock, *args, **settings)
        self.fp = limited(self.fp, sock, _allowance.get())


class _Idle(LifoQueue[Any], OfOneProcess):
    """Connections that wait for the next request, until the process is forked."""

    def __init__(self, maxsize: int = 0) -> None:
        super().__init__(maxsize)
        self.follow_forks()

    def after_fork_in_child(self) -> None:
        """Close the parent's connections, here only, and have locks that nobody holds."""
        for connection in filter(None, self.queue):
            connection.close()
        LifoQueue.__init__(self, self.maxsize)


class _PlainConnection(urllib3.connection.HTTPConnection):
    response_class = _Response


class _TLSConnection(urllib3.connection.HTTPSConnection):
    response_class = _Response


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _PlainConnection
    QueueCls = _Idle


class _TLSPool(HTTPSConnectionPool):
    ConnectionCls = _TLSConnection
    QueueCls = _Idle


_POOLS = {"http": _PlainPool, "https": _TLSPool}
