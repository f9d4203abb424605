"""One login with sockets everywhere, and how its end reaches them all."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Final, NamedTuple, Self

import aiohttp

from tests.server.realtime.wire import Wire

NAMESPACES: Final = ("/bidding", "/chat", "/notifications")
TRANSPORTS: Final = ("websocket", "polling")

_POLLS_WAIT_S: Final = 0.1
"""Until a polling client's next request is at its instance."""


class Logout(NamedTuple):
    """When a logout was asked for, when it was answered, and when the last socket was closed: seconds of the loop's clock."""

    asked: float
    answered: float
    over: float


class Devices:
    """The sockets of one login, at each URL one per transport, in the namespaces by turns; an asynchronous context manager.

    Args:
        urls: instances and proxies.
        token: the login's access token.

    Attributes:
        wires: the sockets; first all by WebSocket, then all by polling.
    """

    def __init__(self, urls: Sequence[str], token: str) -> None:
        self.token = token
        self._places = [(url, transport) for transport in TRANSPORTS for url in urls]
        self.wires: list[Wire] = []
        self._opened = AsyncExitStack()

    def __len__(self) -> int:
        return len(self.wires)

    async def __aenter__(self) -> Self:
        """Open all."""
        for number, (url, transport) in enumerate(self._places):
            wire = await self._opened.enter_async_context(Wire(url, transport))
            answer = await wire.connect(NAMESPACES[number % len(NAMESPACES)], {"token": self.token})
            assert "sid" in answer, f"{url} refused to connect: {answer}"
            self.wires.append(wire)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close what is still open."""
        await self._opened.aclose()

    @property
    def homes(self) -> set[str]:
        """The instances that hold them."""
        return {wire.opening["sid"].partition(".")[0] for wire in self.wires}

    async def answer(self) -> None:
        """Check that every socket is still there."""
        for number, wire in enumerate(self.wires):
            namespace = NAMESPACES[number % len(NAMESPACES)]
            assert (await wire.command("sync_time", {"t0": 1}, namespace=namespace))["ok"]

    async def log_out(self, http: aiohttp.ClientSession, url: str) -> Logout:
        """Log out at an instance; returns when every socket was closed."""
        loop = asyncio.get_running_loop()
        closing = asyncio.gather(*(wire.closing() for wire in self.wires))
        await asyncio.sleep(_POLLS_WAIT_S)
        assert not closing.done(), "closed before anybody logged out"
        asked = loop.time()
        headers = {"Authorization": f"Bearer {self.token}"}
        async with http.post(f"{url}/api/v1/auth/logout", headers=headers) as answer:
            assert answer.status == 204, await answer.text()
        answered = loop.time()
        await closing
        return Logout(asked, answered, loop.time())
