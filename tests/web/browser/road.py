"""The way from a browser to an instance, which can be closed: what a tunnel does to a phone."""

from __future__ import annotations

import asyncio
from typing import cast

from yarl import URL


class Road:
    """A TCP forwarder to an instance; an asynchronous context manager.

    Attributes:
        url: where a browser goes for the instance.
        muted: whether what the instance says is lost.
    """

    def __init__(self, url: str) -> None:
        target = URL(url)
        assert target.host is not None
        assert target.port is not None
        self._target = target.host, target.port
        self._closed = False
        self.muted = False
        self._open: set[asyncio.Transport] = set()
        self._server: asyncio.Server | None = None
        self.url = ""

    async def __aenter__(self) -> Road:
        """Begin to forward."""
        self._server = await asyncio.get_running_loop().create_server(lambda: _End(self), "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        """Cut everything, for good."""
        assert self._server is not None
        self._server.close()
        self.close()

    def close(self) -> None:
        """Cut every connection, and let nobody through until `open`."""
        self._closed = True
        for transport in list(self._open):
            transport.abort()

    def mute(self) -> None:
        """Lose what the instance says, until `open`; what the browser says still arrives."""
        self.muted = True

    def open(self) -> None:
        """Let everybody through again; connections with a gap are cut."""
        if self.muted:
            self.close()
        self._closed = self.muted = False

    # -- for its ends -------------------------------------------------------------------------------------------------

    def begun(self, transport: asyncio.Transport) -> bool:
        """Whether a connection that was made may stay."""
        if self._closed:
            transport.abort()
            return False
        self._open.add(transport)
        return True

    def ended(self, transport: asyncio.Transport) -> None:
        """A connection is gone."""
        self._open.discard(transport)

    async def reach(self, near: _End) -> None:
        """Connect the browser's end with the instance's, or cut it."""
        try:
            await asyncio.get_running_loop().create_connection(lambda: _End(self, near), *self._target)
        except OSError:
            near.cut()


class _End(asyncio.Protocol):
    """One end of a forwarded connection. What the browser sends before the instance's end is there waits."""

    def __init__(self, road: Road, other: _End | None = None) -> None:
        self._road = road
        self._is_browser = other is None
        self._other = other
        self._transport: asyncio.Transport | None = None
        self._early: list[bytes] = []
        self._reaching: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one by its methods only
        if not self._road.begun(self._transport):
            return
        if self._other is None:
            self._reaching = asyncio.get_running_loop().create_task(self._road.reach(self))
        else:
            self._other.join(self)

    def join(self, far: _End) -> None:
        """The instance's end is there."""
        self._other = far
        for data in self._early:
            far.write(data)
        self._early.clear()
        if self._transport is None or self._transport.is_closing():
            far.cut()

    def data_received(self, data: bytes) -> None:
        if self._other is None:
            self._early.append(data)
        else:
            self._other.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        assert self._transport is not None
        self._road.ended(self._transport)
        if self._other is not None:
            self._other.cut()

    def write(self, data: bytes) -> None:
        """Send on."""
        if self._road.muted and self._is_browser:
            return
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def cut(self) -> None:
        """End with what was written before."""
        if self._transport is not None:
            self._transport.close()
