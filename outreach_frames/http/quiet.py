"""
Keeping addresses out of the log: urllib3 writes whole URLs at level DEBUG, and a filter may hold an e-mail address.

Only records about hosts that a session was opened for are changed; other users of urllib3 see theirs as ever.
"""

import logging
import re

from outreach_frames.http.origin import is_vendor, origin_of

_LOGGER = "urllib3.connectionpool"
_HOST, _TARGET = 1, 4
"""Where host and target stand in the arguments of urllib3's one message about an answer."""
_LONG_SEGMENT = re.compile(r"/[^/]{20,}")
"""Setup tokens stand in a path."""
_ADDRESS = re.compile(r"[^/]*(?:@|%40)[^/]*")
"""Somebody may take an e-mail address for an id."""


class _OnlyPaths(logging.Filter):
    """Cuts the query off what urllib3 says it has asked."""

    def __init__(self) -> None:
        super().__init__()
        self.hosts: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record through, without its query."""
        told = record.args
        if isinstance(told, tuple) and len(told) > _TARGET and self._is_ours(told[_HOST]):
            path = _LONG_SEGMENT.sub("/…", without_addresses(str(told[_TARGET]).partition("?")[0]))
            record.args = (*told[:_TARGET], path, *told[_TARGET + 1 :])
        return True

    def _is_ours(self, host: object) -> bool:
        return isinstance(host, str) and (host in self.hosts or is_vendor(host))


_ONLY_PATHS = _OnlyPaths()


def without_addresses(path: str) -> str:
    """Return a path as it may be named in logs and messages."""
    return _ADDRESS.sub("…", path)


def hide_queries(base_url: str) -> None:
    """From now on, keep queries to this host out of urllib3's log."""
    _ONLY_PATHS.hosts.add(origin_of(base_url)[1])
    logging.getLogger(_LOGGER).addFilter(_ONLY_PATHS)
