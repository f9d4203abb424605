"""Outgoing packets, encoded once.

A frame holds one Engine.IO packet and the binary attachments that follow it. A polling client gets it in a payload, the
attachments in base 64; a WebSocket client gets it behind frame headers which are the same for all recipients, since what a
server sends is not masked (RFC 6455, 5.1).
"""

from __future__ import annotations

import zlib
from base64 import b64encode
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

import orjson

_TEXT: Final = 0x81
"""First byte of a final, uncompressed text frame."""

_BINARY: Final = 0x82

_DEFLATED_TEXT: Final = 0xC1
"""The same with RSV1: compressed (RFC 7692, 7.2.1)."""

_DEFLATE_FROM: Final = 1024
"""Bytes; less is sent as it is, as the JavaScript server does."""

_DEFLATE_TAIL: Final = 4
"""Bytes `00 00 FF FF` of the flush, which the sender leaves out (RFC 7692, 7.2.1)."""

Buffer = bytes | bytearray | memoryview


class Frame:
    """One Engine.IO packet, ready for both transports.

    Attributes:
        packet: its type and text; empty for a bare binary message.
        attachments: binary messages that follow it.
    """

    __slots__ = ("_deflated", "_websocket", "attachments", "packet")

    def __init__(self, packet: bytes, attachments: tuple[Buffer, ...] = ()) -> None:
        self.packet = packet
        self.attachments = attachments
        self._websocket: bytes | None = None
        self._deflated: bytes | None = None

    @property
    def websocket(self) -> bytes:
        """The packet as one WebSocket text frame, attachments as binary ones; made at first use and kept."""
        if self._websocket is None:
            data = text(self.packet)
            self._websocket = data + self._binary() if self.attachments else data
        return self._websocket

    @property
    def deflated(self) -> bytes:
        """The same, compressed if it is long: without a context of its own, so that it is the same for all recipients."""
        if self._deflated is None:
            if len(self.packet) < _DEFLATE_FROM:
                self._deflated = self.websocket
            else:
                compressor = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
                data = compressor.compress(self.packet) + compressor.flush(zlib.Z_SYNC_FLUSH)
                data = data[:-_DEFLATE_TAIL]
                self._deflated = header(_DEFLATED_TEXT, len(data)) + data + self._binary()
        return self._deflated

    @property
    def polling(self) -> bytes:
        """The packet and its attachments as polling carries them."""
        packets = [self.packet] if self.packet else []
        return SEPARATOR.join([*packets, *(b"b" + b64encode(data) for data in self.attachments)])

    def _binary(self) -> bytes:
        return b"".join(header(_BINARY, memoryview(data).nbytes) + bytes(data) for data in self.attachments)


SEPARATOR: Final = b"\x1e"
"""Between the packets of a polling payload."""


def header(first: int, size: int) -> bytes:
    """What stands before the payload of an unmasked frame (RFC 6455, 5.2)."""
    if size < 126:
        return bytes((first, size))
    if size < 65_536:
        return bytes((first, 126)) + size.to_bytes(2, "big")
    return bytes((first, 127)) + size.to_bytes(8, "big")


_SHORT: Final = (b"", *(header(_TEXT, size) for size in range(1, 126)))
"""Headers of short packets, which most are; none where there is no packet."""


def text(packet: bytes) -> bytes:
    """A packet as one WebSocket text frame."""
    size = len(packet)
    return (_SHORT[size] if size < len(_SHORT) else header(_TEXT, size)) + packet


PING: Final = Frame(b"2")
CLOSE: Final = Frame(b"1")
NOOP: Final = Frame(b"6")


@lru_cache(64)
def _address(namespace: str) -> bytes:
    return b"" if namespace == "/" else namespace.encode() + b","


def event(namespace: str, name: str, payload: bytes) -> Frame:
    """A Socket.IO EVENT with one argument, given as JSON."""
    return Frame(b"42%b[%b,%b]" % (_address(namespace), orjson.dumps(name), payload))


def acknowledgement(namespace: str, number: int, answer: dict[str, Any]) -> bytes:
    """The packet of a Socket.IO ACK with one argument, which goes to one client only.

    Raises:
        TypeError: the answer holds something that isn't JSON.
    """
    return b"43%b%d[%b]" % (_address(namespace), number, orjson.dumps(answer))


def raw_event(namespace: str, arguments: Sequence[Any]) -> Frame:
    """A Socket.IO EVENT, or BINARY_EVENT if there is binary data anywhere in it; the first argument is its name.

    Raises:
        TypeError: an argument is neither JSON nor binary.
    """
    return _raw(b"2", b"5", namespace, b"", arguments)


def raw_acknowledgement(namespace: str, number: int, arguments: Sequence[Any]) -> Frame:
    """A Socket.IO ACK or BINARY_ACK with any arguments.

    Raises:
        TypeError: an argument is neither JSON nor binary.
    """
    return _raw(b"3", b"6", namespace, b"%d" % number, arguments)


def _raw(text: bytes, binary: bytes, namespace: str, number: bytes, arguments: Sequence[Any]) -> Frame:
    attachments: list[Buffer] = []
    try:
        encoded = orjson.dumps(_without_binary(list(arguments), attachments))
    except RecursionError:
        raise TypeError("nested too deeply") from None
    kind = binary + b"%d-" % len(attachments) if attachments else text
    return Frame(b"4%b%b%b%b" % (kind, _address(namespace), number, encoded), tuple(attachments))


def _without_binary(value: Any, attachments: list[Buffer]) -> Any:
    """The value with placeholders in the places of what is moved to `attachments`."""
    if isinstance(value, bytes | bytearray | memoryview):
        attachments.append(value)
        return {"_placeholder": True, "num": len(attachments) - 1}
    if isinstance(value, dict):
        return {key: _without_binary(each, attachments) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_without_binary(each, attachments) for each in value]
    return value


def connected(namespace: str, sid: str, pid: str | None = None) -> Frame:
    """A Socket.IO CONNECT from the server: the namespace is open. `pid`: private id of a connection that can be recovered."""
    opening = {"sid": sid} if pid is None else {"sid": sid, "pid": pid}
    return Frame(b"40%b%b" % (_address(namespace), orjson.dumps(opening)))


def disconnected(namespace: str) -> Frame:
    """A Socket.IO DISCONNECT from the server: the official client doesn't come back by itself."""
    return Frame(b"41%b" % _address(namespace))


def refused(namespace: str, message: str) -> Frame:
    """A Socket.IO CONNECT_ERROR; the official client raises `connect_error` with this message."""
    # Not by way of what is kept of names: this one is the client's own, and may be as long as a packet.
    return Frame(b"44%b%b" % (_address.__wrapped__(namespace), orjson.dumps({"message": message})))
