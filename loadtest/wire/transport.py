"""What carries Engine.IO packets."""

from __future__ import annotations

from typing import Protocol


class Lost(Exception):
    """The connection is no more, or was never there."""


class Transport(Protocol):
    """An Engine.IO session. One greenlet receives; any may send.

    Attributes:
        name: `websocket` or `polling`.
    """

    name: str

    def patience(self, seconds: float) -> None:
        """How long the server may be silent from now on."""
        ...

    def send(self, packet: bytes) -> None:
        """Send one packet. Raises Lost."""
        ...

    def receive(self) -> list[bytes]:
        """Wait for packets, one at least. Raises Lost, also when another greenlet closes the transport."""
        ...

    def close(self) -> None:
        """End the session in order; nothing happens if it is ended."""
        ...

    def abort(self) -> None:
        """Drop the connection as a dead network would; nothing happens if it is ended."""
        ...
