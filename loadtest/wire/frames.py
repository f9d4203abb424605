"""WebSocket frames as a client sees them (RFC 6455), without I/O.

Only what a Socket.IO server without compression sends: text in one frame or several, pings and the close. What a client sends
is one masked frame per message.
"""

from __future__ import annotations

import random
from typing import Final

TEXT: Final = 0x1
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA

_FINAL: Final = 0x80
_MASKED: Final = 0x80


class Malformed(Exception):
    """The server sent something that is no frame for a client."""


def encode(payload: bytes, opcode: int = TEXT) -> bytes:
    """One final frame with a mask of its own, as clients must send them."""
    size = len(payload)
    if size < 126:
        header = bytes((_FINAL | opcode, _MASKED | size))
    elif size < 65_536:
        header = bytes((_FINAL | opcode, _MASKED | 126)) + size.to_bytes(2, "big")
    else:
        header = bytes((_FINAL | opcode, _MASKED | 127)) + size.to_bytes(8, "big")
    mask = random.getrandbits(32).to_bytes(4, "big")
    # As one large number: a loop over the bytes would cost more than everything else in this package together.
    stream = (mask * (size // 4 + 1))[:size]
    masked = int.from_bytes(payload, "big") ^ int.from_bytes(stream, "big")
    return header + mask + masked.to_bytes(size, "big")


class Frames:
    """Cuts what is received into frames; fragments of a text are put together."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._text: list[bytes] = []

    @property
    def partial(self) -> bool:
        """Whether the rest of a frame, or of a fragmented text, is still to come."""
        return bool(self._buffer or self._text)

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """What is whole now, as (opcode, payload).

        Raises:
            Malformed: reserved bits, a mask, or an opcode that is not spoken here.
        """
        self._buffer += data
        whole: list[tuple[int, bytes]] = []
        while (frame := self._next()) is not None:
            first, payload = frame
            opcode = first & 0x0F
            if opcode > 0x7:
                whole.append((opcode, payload))
            elif opcode in (0x0, TEXT):
                self._text.append(payload)
                if first & _FINAL:
                    whole.append((TEXT, self._text[0] if len(self._text) == 1 else b"".join(self._text)))
                    self._text = []
            else:
                raise Malformed(f"a frame with opcode {opcode}")
        return whole

    def _next(self) -> tuple[int, bytes] | None:
        """The first byte and the payload of the next frame, taken off the buffer."""
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        if buffer[0] & 0x70 or buffer[1] & _MASKED:
            raise Malformed("a frame with reserved bits or a mask")
        size, start = buffer[1], 2
        if size == 126:
            size, start = int.from_bytes(buffer[2:4], "big"), 4
        elif size == 127:
            size, start = int.from_bytes(buffer[2:10], "big"), 10
        if len(buffer) < max(start, start + size):
            return None
        first, payload = buffer[0], bytes(buffer[start : start + size])
        del buffer[: start + size]
        return first, payload
