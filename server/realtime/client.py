"""A Socket.IO client for the simulator and for tests; the only place besides the engine that knows the library."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import socketio
from socketio.exceptions import ConnectionError as NotConnected
from socketio.exceptions import SocketIOError


class SocketProblem(Exception):
    """The socket could not be opened, or broke; connect again, perhaps elsewhere."""


class LiveSocket:
    """One connection to one namespace, over WebSocket. It does not reconnect by itself: its owner may go elsewhere.

    Args:
        namespace: such as `/bidding`.
        on_events: called with each `events` message `{stream, events, seq}`.
    """

    def __init__(self, namespace: str, on_events: Callable[[dict[str, Any]], None] | None = None) -> None:
        self._namespace = namespace
        self._client = socketio.AsyncClient(reconnection=False, handle_sigint=False)
        if on_events is not None:
            self._client.on("events", on_events, namespace=namespace)

    @property
    def connected(self) -> bool:
        """Whether commands can be sent."""
        return self._namespace in self._client.namespaces

    async def connect(self, url: str, token: str | None = None) -> None:
        """Open it. Raises SocketProblem, with the server's code (`UNAUTHENTICATED`) if it was refused."""
        try:
            await self._client.connect(
                url,
                auth={"token": token} if token else {},
                transports=["websocket"],
                namespaces=[self._namespace],
                wait_timeout=10,
            )
        except NotConnected as error:
            raise SocketProblem(str(error)) from None

    async def call(self, event: str, data: dict[str, Any], *, timeout_s: float = 15.0) -> dict[str, Any]:
        """Send a command; returns its ack, whether `ok` or not. Raises SocketProblem if none comes."""
        try:
            ack = await self._client.call(event, data, namespace=self._namespace, timeout=timeout_s)
        except SocketIOError as error:  # timed out, or not connected any more
            raise SocketProblem(f"{event}: {error or type(error).__name__}") from None
        return dict(ack)

    async def close(self) -> None:
        """Close it; nothing happens if it is closed."""
        with suppress(SocketIOError):
            await self._client.disconnect()
