"""What kind of host a URL names; nothing here asks a name server."""

import ipaddress


def is_loopback(host: str | None) -> bool:
    """Whether a host is this machine."""
    address = _address(host)
    return host == "localhost" or (address is not None and address.is_loopback)


def is_private(host: str | None) -> bool:
    """Whether a host is an address that only a private network reaches."""
    address = _address(host)
    return address is not None and (address.is_private or address.is_link_local)


def is_unknown(host: str | None) -> bool:
    """Whether a host is of the domain that is reserved for names nobody has (RFC 6761)."""
    return host is None or host.rstrip(".").endswith(".invalid")


def _address(host: str | None) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host or "")
    except ValueError:
        return None
