"""The network guard: whatever a test connects to must be on this machine."""

from __future__ import annotations

import ipaddress
import socket
from typing import Any

import uvloop

_connect = socket.socket.connect
_connect_ex = socket.socket.connect_ex


class OutsideLoopback(AssertionError):
    """A test tried to reach something beyond this machine."""


def require_loopback(host: Any) -> None:
    """Raise OutsideLoopback unless `host` is an address of this machine, its name `localhost` or no host at all."""
    if host in (None, "", "localhost", b"localhost"):
        return
    text = host.decode() if isinstance(host, bytes) else str(host)
    try:
        if ipaddress.ip_address(text.partition("%")[0]).is_loopback:
            return
    except ValueError:
        pass
    raise OutsideLoopback(f"tests reach nothing but loopback, not {text!r}")


def _require_local(sock: socket.socket, address: Any) -> None:
    if sock.family in (socket.AF_INET, socket.AF_INET6):
        require_loopback(address[0])


def connect(self: socket.socket, address: Any) -> None:
    """`socket.connect`, to loopback only."""
    _require_local(self, address)
    _connect(self, address)


def connect_ex(self: socket.socket, address: Any) -> int:
    """`socket.connect_ex`, to loopback only."""
    _require_local(self, address)
    return _connect_ex(self, address)


class LoopbackLoop(uvloop.Loop):
    """uvloop connects without `socket.connect`, so the guard sits in the loop, too."""

    async def create_connection(self, protocol_factory: Any, host: Any = None, port: Any = None, **options: Any) -> Any:
        """As the base class, to loopback only."""
        if options.get("sock") is None:
            require_loopback(host)
        return await super().create_connection(protocol_factory, host, port, **options)

    async def getaddrinfo(self, host: Any, port: Any, **options: Any) -> Any:
        """As the base class, of loopback names only: not even a name is asked of a stranger."""
        require_loopback(host)
        return await super().getaddrinfo(host, port, **options)

    async def create_datagram_endpoint(
        self, protocol_factory: Any, local_addr: Any = None, remote_addr: Any = None, **options: Any
    ) -> Any:
        """As the base class, to loopback only."""
        if remote_addr is not None:
            require_loopback(remote_addr[0])
        return await super().create_datagram_endpoint(protocol_factory, local_addr, remote_addr, **options)
