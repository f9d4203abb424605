"""Which pages may call: those of this market's own address, and of the origins in the settings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from aiohttp import web

from server.forms import origin_scheme, without_default_port
from server.limits.address import ClientAddresses

ANY: Final = "*"


class Origins:
    """Judges the `Origin` that a browser names; who sends none is no browser, or on the same page.

    Args:
        allowed: as in the settings, `*` for any.
        addresses: knows whose `X-Forwarded-Host` may be believed.
    """

    def __init__(self, allowed: Sequence[str], addresses: ClientAddresses) -> None:
        self._allowed = frozenset(allowed)
        self._addresses = addresses

    def __bool__(self) -> bool:
        """Whether pages of any other origin may call."""
        return bool(self._allowed)

    @property
    def any(self) -> bool:
        """Whether pages of all origins may call."""
        return ANY in self._allowed

    def lists(self, origin: str) -> bool:
        """Whether the settings allow it."""
        return self.any or origin in self._allowed

    def admits(self, origin: str, request: web.BaseRequest) -> bool:
        """Whether the settings allow it, or it is where the request was sent to.

        The scheme is not compared: TLS may end at a proxy before us.
        """
        if self.lists(origin):
            return True
        scheme = origin_scheme(origin)
        if scheme is None:
            return False
        place = without_default_port(origin.partition("://")[2], scheme)
        return any(place == without_default_port(host, scheme) for host in self._asked_for(request))

    def _asked_for(self, request: web.BaseRequest) -> list[str]:
        hosts = [request.headers.get("Host", "")]
        if "X-Forwarded-Host" in request.headers and self._addresses.from_proxy(request):
            # Of several entries the last is our proxy's own, whatever came before it.
            hosts.append(request.headers.getall("X-Forwarded-Host")[-1].rpartition(",")[2].strip())
        return hosts
