"""Outgoing packets, encoded once.

A frame holds one Engine.IO packet as bytes. A polling client gets those bytes in a payload; a WebSocket client gets them
behind a frame header which is the same for all recipients, since what a server sends is not masked (RFC 6455, 5.1).
"""

from __future__ import annotations

from typing import Any, Final

import orjson

_TEXT: Final = 0x81
"""First byte of a final, uncompressed text frame."""


class Frame:
    """One Engine.IO packet, ready for both transports."""

    __slots__ = ("_websocket", "packet")

    def __init__(self, packet: bytes) -> None:
        self.packet = packet
        self._websocket: bytes | None = None

    @property
    def websocket(self) -> bytes:
        """The packet as one WebSocket text frame; made at first use and kept."""
        if self._websocket is None:
            size = len(self.packet)
            if size < 126:
                header = bytes((_TEXT, size))
            elif size < 65_536:
                header = bytes((_TEXT, 126)) + size.to_bytes(2, "big")
            else:
                header = bytes((_TEXT, 127)) + size.to_bytes(8, "big")
            self._websocket = header + self.packet
        return self._websocket


PING: Final = Frame(b"2")
CLOSE: Final = Frame(b"1")
NOOP: Final = Frame(b"6")


def _address(namespace: str) -> bytes:
    return b"" if namespace == "/" else namespace.encode() + b","


def event(namespace: str, name: str, payload: bytes) -> Frame:
    """A Socket.IO EVENT with one argument, given as JSON."""
    return Frame(b"42%b[%b,%b]" % (_address(namespace), orjson.dumps(name), payload))


def acknowledgement(namespace: str, number: int, answer: dict[str, Any]) -> Frame:
    """A Socket.IO ACK with one argument.

    Raises:
        TypeError: the answer holds something that isn't JSON.
    """
    return Frame(b"43%b%d[%b]" % (_address(namespace), number, orjson.dumps(answer)))


def connected(namespace: str, sid: str) -> Frame:
    """A Socket.IO CONNECT from the server: the namespace is open."""
    return Frame(b"40%b%b" % (_address(namespace), orjson.dumps({"sid": sid})))


def refused(namespace: str, message: str) -> Frame:
    """A Socket.IO CONNECT_ERROR; the official client raises `connect_error` with this message."""
    return Frame(b"44%b%b" % (_address(namespace), orjson.dumps({"message": message})))
