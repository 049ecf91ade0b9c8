"""
Read URLs, check to which origins the token may be sent, and keep queries out of the log.

The token for another server may go only to that server's origin, and to those that the caller names.

Links and redirects in answers are data from outside. Each URL is checked with the parser that also opens the
connection, so that the two cannot disagree about the host.

Only log records about hosts for which a session was opened are changed. Other users of urllib3 see their log unchanged.
"""

import logging
import re
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from urllib.parse import SplitResult, urljoin, urlsplit, urlunsplit

from urllib3.exceptions import LocationParseError
from urllib3.util import Url, parse_url

from outreach_frames.errors import OriginError

VENDOR_DOMAIN = "outreach.io"
DEFAULT_PORTS = {"https": 443, "http": 80}

Origin = tuple[str, str, int]
OriginCheck = Callable[[str, str], None]
"""Given a URL and the base URL, refuses what the token must not be sent to."""


def check_base_url(base_url: str) -> str:
    """
    Refuse a base URL that a token must not be sent to; return it without a trailing slash.

    Raises
    ------
    OriginError
        It is not http(s), holds a user name, or is plain http to another machine.
    """
    scheme, host, _ = origin_of(base_url)
    if scheme == "http" and not is_loopback(host):
        raise OriginError(
            f"The base URL is plain http to {host}; a token sent there could be read on the way.",
            hint="Use https://. Plain http is only for this machine itself (127.0.0.1, localhost).",
        )
    return base_url.rstrip("/")


def check_origin(url: str, base_url: str) -> None:
    """
    Refuse a URL outside the allowed origins.

    Raises
    ------
    OriginError
        The host is neither the configured one nor the vendor's over https.
    """
    scheme, host, port = origin = origin_of(url)
    if origin == origin_of(base_url) or (scheme == "https" and port == DEFAULT_PORTS["https"] and is_vendor(host)):
        return
    raise OriginError(
        f"A link points to {scheme}://{host}:{port}, outside this organization's hosts; nothing was sent there.",
        hint="If the organization moved to that host, connect with it as base_url.",
    )


class Bases:
    """
    Where the links of a server other than Outreach lead, and what may be sent there.

    Behind a proxy, links may name an inner host. The caller can map such a host to a base URL; otherwise a link to
    another page of the same collection is requested at the server itself. Nothing is sent elsewhere.

    Parameters
    ----------
    base_url
        The configured base.
    origins
        Base as the links have it → base to ask instead of it.

    Raises
    ------
    OriginError
        One is no http(s) address, or a base to send requests to is plain http to another machine.
    """

    def __init__(self, base_url: str, origins: Mapping[str, str]) -> None:
        self._origins = {inner.rstrip("/"): check_base_url(outer) for inner, outer in origins.items()}
        self._inner = {inner: origin_of(inner) for inner in sorted(self._origins, key=len, reverse=True)}
        self._own = origin_of(base_url)
        self._allowed = {self._own, *map(origin_of, self._origins.values())}

    def check(self, url: str, base_url: str) -> None:  # noqa: ARG002  the rule for Outreach needs it
        """
        Refuse a URL of any origin that is not allowed.

        Raises
        ------
        OriginError
            It is none of them.
        """
        scheme, host, port = origin = origin_of(url)
        if origin not in self._allowed:
            inner = f"{scheme}://{host}" + (f":{port}" if port != DEFAULT_PORTS[scheme] else "")
            raise OriginError(
                f"A link leads away from the server, to {inner}; nothing was sent there.",
                hint=f'If that is the same server, connect with origins={{"{inner}": base_url}}, or name the base to '
                "ask for what stands there. If the server moved to it, connect with it as base_url.",
            )

    def address_of(self, link: str, page: str) -> str:
        """Return the URL at which a link on a page is requested."""
        origin = origin_of(link)
        below = [inner for inner, its in self._inner.items() if its == origin and _is_below(link, inner)]
        if below:
            return self._origins[below[0]] + link[len(below[0]) :]
        if origin not in self._allowed and _path(link) == _path(page) and urlsplit(link).query:
            return urljoin(page, urlunsplit(("", "", *urlsplit(link)[2:])))
        return link


def _is_below(url: str, base: str) -> bool:
    return url.startswith(base) and url[len(base) :][:1] in {"", "/", "?"}


def _path(url: str) -> str:
    return urlsplit(url).path.rstrip("/")


def origin_of(url: str) -> Origin:
    """Return scheme, host and port of a URL that could carry a token."""
    parts = _parsed(url)
    scheme, host = (parts.scheme or "").lower(), (parts.host or "").lower().strip("[]").rstrip(".")
    # urllib3 and browsers read a backslash differently, and a user name would become an Authorization header.
    if scheme not in DEFAULT_PORTS or not host or parts.auth is not None or "\\" in url:
        raise OriginError("A URL is not a plain http(s) address; nothing was sent.", hint="Check base_url.")
    return scheme, host, parts.port or DEFAULT_PORTS[scheme]


def is_loopback(host: str) -> bool:
    """Tell whether a host name is this machine itself."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def is_vendor(host: str) -> bool:
    """Tell whether a host is the vendor's own."""
    return host == VENDOR_DOMAIN or host.endswith(f".{VENDOR_DOMAIN}")


def _parsed(url: str) -> Url:
    try:
        return parse_url(url)
    except LocationParseError:
        raise OriginError("A URL cannot be read; nothing was sent.", hint="Check base_url.") from None


def split_url(url: str) -> SplitResult:
    """
    Take an address apart.

    Raises
    ------
    OriginError
        It cannot be read, or its host or port cannot be one.
    """
    try:
        parts = urlsplit(url)
        is_host = not (parts.hostname or "").startswith(("*", ".")) and (parts.port is None or parts.port)
    except ValueError:
        is_host = False
    if not is_host:
        raise OriginError(
            "An address cannot be read; nothing was sent there.", hint="Check base_url; a link of the server may be it."
        )
    return parts


def join_url(base: str, link: str) -> str:
    """
    Return the whole address of a link.

    Raises
    ------
    OriginError
        It cannot be read, or its host or port cannot be one.
    """
    split_url(link)
    whole = urljoin(base, link)
    split_url(whole)
    return whole


_LOGGER = "urllib3.connectionpool"
_HOST, _TARGET = 1, 4
"""Where host and target stand in the arguments of urllib3's one message about an answer."""
_LONG_SEGMENT = re.compile(r"/[^/]{20,}")
"""Setup tokens stand in a path."""
_ADDRESS_SEGMENT = re.compile(r"[^/]*(?:@|%40)[^/]*")
"""An e-mail address may be passed as an id by mistake."""


class _OnlyPaths(logging.Filter):
    """Removes the query from the URLs that urllib3 logs."""

    def __init__(self) -> None:
        super().__init__()
        self.hosts: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record through, without its query."""
        arguments = record.args
        if isinstance(arguments, tuple) and len(arguments) > _TARGET and self._is_ours(arguments[_HOST]):
            path = _LONG_SEGMENT.sub("/…", without_addresses(str(arguments[_TARGET]).partition("?")[0]))
            record.args = (*arguments[:_TARGET], path, *arguments[_TARGET + 1 :])
        return True

    def _is_ours(self, host: object) -> bool:
        return isinstance(host, str) and (host in self.hosts or is_vendor(host))


_ONLY_PATHS = _OnlyPaths()


def without_addresses(path: str) -> str:
    """Return a path as it may be named in logs and messages."""
    return _ADDRESS_SEGMENT.sub("…", path)


def hide_queries(base_url: str) -> None:
    """From now on, keep queries to this host out of urllib3's log."""
    _ONLY_PATHS.hosts.add(origin_of(base_url)[1])
    logging.getLogger(_LOGGER).addFilter(_ONLY_PATHS)
