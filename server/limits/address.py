"""Who is on the other end of a connection, past proxies that are trusted to tell."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from aiohttp import web

ADDRESS: Final = web.RequestKey("address", str)

UNKNOWN: Final = "unknown"
"""The address of a client behind a socket that has none, such as one of the file system."""

_LONGEST: Final = 64
"""Characters of an address with its zone, port and brackets at most."""

_V6_BITS: Final = 64
"""What one customer of a provider gets at least: counting single addresses would count nothing."""

_Network = IPv4Network | IPv6Network


class ClientAddresses:
    """Finds the address of a request's client.

    `X-Forwarded-For` counts from its end, entry by entry, for as long as the one who added an entry is trusted. So what a client
    writes into it itself is never believed, and a proxy need not remove it.

    Args:
        trusted: networks of proxies, as in the settings.
    """

    def __init__(self, trusted: Sequence[str]) -> None:
        self._trusted: list[_Network] = [ip_network(text) for text in trusted]
        self._trusts = lru_cache(maxsize=4_096)(self._look_up)

    def of(self, request: web.BaseRequest) -> str:
        """The client's address; kept with the request."""
        if ADDRESS not in request:
            request[ADDRESS] = self._find(request)
        return client_address(request)

    def from_proxy(self, request: web.BaseRequest) -> bool:
        """Whether the connection comes from a trusted proxy, whose `X-Forwarded-*` may be believed."""
        return self._trusts(canonical(request.remote or ""))

    def _find(self, request: web.BaseRequest) -> str:
        address = canonical(request.remote or "")
        if "X-Forwarded-For" not in request.headers or not self._trusts(address):
            return address
        entries = ",".join(request.headers.getall("X-Forwarded-For")).split(",")
        while entries and self._trusts(address):
            before = canonical(entries.pop().strip())
            if before == UNKNOWN:
                break
            address = before
        return address

    def _look_up(self, address: str) -> bool:
        if address == UNKNOWN:
            return False
        parsed = ip_address(address)
        return any(parsed in network for network in self._trusted if network.version == parsed.version)


def client_address(request: web.BaseRequest) -> str:
    """What `ClientAddresses.of` found when the request came in."""
    address: str = request.get(ADDRESS, UNKNOWN)
    return address


@lru_cache(maxsize=4_096)
def canonical(text: str) -> str:
    """An address in its one form: without port, brackets or zone, IPv4 in IPv6 as IPv4; `UNKNOWN` for what is none."""
    parsed = _parse(text)
    if parsed is None:
        return UNKNOWN
    if isinstance(parsed, IPv6Address):
        parsed = parsed.ipv4_mapped or IPv6Address(int(parsed))
    return str(parsed)


@lru_cache(maxsize=4_096)
def counted(address: str) -> str:
    """What a limit counts for a canonical address: IPv4 as it is, of IPv6 the network of 64 bits."""
    if ":" not in address:
        return address
    return str(IPv6Network((int(IPv6Address(address)), 128)).supernet(new_prefix=_V6_BITS))


def _parse(text: str) -> IPv4Address | IPv6Address | None:
    if len(text) > _LONGEST:
        return None
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return ip_address(text)
    except ValueError:
        return None
