"""A WebSocket client that chooses every byte it sends, and holds what the server sends to RFC 6455."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Final, NamedTuple

from yarl import URL

CONTINUATION: Final = 0x0
TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA

MASK: Final = b"\xa5\x01\xfe\x5a"

_ACCEPT: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Frame(NamedTuple):
    """One frame of the server's."""

    opcode: int
    payload: bytes

    @property
    def code(self) -> int | None:
        """The code of a CLOSE; None when it has none."""
        return int.from_bytes(self.payload[:2], "big") if self.payload else None


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    final: bool = True,
    reserved: int = 0,
    mask: bytes | None = MASK,
    length: int | None = None,
) -> bytes:
    """A client's frame.

    Args:
        reserved: RSV1 to RSV3 as a number from 0 to 7.
        mask: four bytes; None sends it unmasked, as a client may not.
        length: bytes of the length field, 0, 2 or 8; None takes the shortest.
    """
    size = len(payload)
    if length is None:
        length = 0 if size < 126 else 2 if size < 65_536 else 8
    marker = {0: size, 2: 126, 8: 127}[length]
    head = bytes(((0x80 if final else 0) | reserved << 4 | opcode, (0x80 if mask is not None else 0) | marker))
    head += size.to_bytes(length, "big") if length else b""
    if mask is None:
        return head + payload
    return head + mask + masked(payload, mask)


def masked(payload: bytes, mask: bytes) -> bytes:
    """The payload under a mask, or what was under it."""
    key = (mask * (len(payload) // 4 + 1))[: len(payload)]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")).to_bytes(len(payload), "big")


def text(packet: str, **options: object) -> bytes:
    """A packet in one text frame."""
    return frame(TEXT, packet.encode(), **options)  # type: ignore[arg-type]


def close(code: int | None = 1000, reason: bytes = b"") -> bytes:
    """A CLOSE frame."""
    return frame(CLOSE, b"" if code is None else code.to_bytes(2, "big") + reason)


def request(url: str, path: str, *, key: str | None = None, headers: Mapping[str, str | None] | None = None) -> bytes:
    """The opening handshake. Headers given replace those of the same name; None leaves one out."""
    fields: dict[str, str | None] = {
        "Host": URL(url).authority,
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": key or base64.b64encode(os.urandom(16)).decode(),
        **(headers or {}),
    }
    lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items() if value is not None)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


class RawSocket:
    """Such a client. It reads nothing unless it is told to, and answers nothing by itself."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def write(self, *parts: bytes) -> None:
        """Any bytes, in one segment if they fit. Raises ConnectionError once the server has cut the connection."""
        self._writer.write(b"".join(parts))
        await self._writer.drain()

    async def trickle(self, data: bytes) -> None:
        """The bytes one by one, each in a segment of its own."""
        for index in range(len(data)):
            self._writer.write(data[index : index + 1])
            await asyncio.sleep(0)
        await self._writer.drain()

    async def frame(self) -> Frame:
        """The server's next frame, which must be whole, unmasked, without reserved bits and in its shortest form.

        Raises:
            EOFError: the connection ended before it.
            ConnectionError: it was cut.
        """
        head, size = await self._reader.readexactly(2)
        assert not size & 0x80, "a server may not mask"
        if size == 126:
            size = int.from_bytes(await self._reader.readexactly(2), "big")
            assert size >= 126
        elif size == 127:
            size = int.from_bytes(await self._reader.readexactly(8), "big")
            assert size >= 65_536
        assert head & 0xF0 == 0x80, "the server fragments nothing and negotiated nothing"
        opcode = head & 0x0F
        assert opcode in {TEXT, BINARY, CLOSE, PING, PONG}
        assert opcode < CLOSE or size < 126
        return Frame(opcode, await self._reader.readexactly(size))

    async def message(self) -> str | bytes:
        """The next message. Raises what `frame` does; AssertionError for a control frame."""
        received = await self.frame()
        assert received.opcode in {TEXT, BINARY}, received
        return received.payload.decode() if received.opcode == TEXT else received.payload

    async def closing(self) -> int | None:
        """The code with which the server closes; None if it cut the connection without one, or gave none.

        What comes before is dropped. The close is answered; that nothing comes after is checked, and that the connection ends.
        """
        with suppress(EOFError, ConnectionError):
            while True:
                received = await self.frame()
                if received.opcode == CLOSE:
                    with suppress(ConnectionError):
                        await self.write(frame(CLOSE, received.payload))
                        self.finish()
                    assert await self.ended() == b""
                    return received.code
        return None

    async def ended(self) -> bytes:
        """What comes until the connection ends."""
        received = b""
        with suppress(ConnectionError):
            while more := await self._reader.read(65_536):
                received += more
        return received

    def abort(self) -> None:
        """Cut the connection; the server sees a reset."""
        self._writer.transport.abort()

    def finish(self) -> None:
        """Send nothing from here on; the server sees the end of the stream."""
        self._writer.write_eof()

    def deafen(self) -> None:
        """Read nothing from here on, so that the server's buffers fill up."""
        self._writer.transport.pause_reading()  # type: ignore[attr-defined]


@asynccontextmanager
async def dial(url: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A TCP connection."""
    where = URL(url)
    reader, writer = await asyncio.open_connection(where.host, where.port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()
        with suppress(ConnectionError):
            await writer.wait_closed()


@asynccontextmanager
async def raw_socket(
    url: str,
    path: str = "/socket.io/",
    *,
    sid: str | None = None,
    behind: bytes = b"",
    headers: Mapping[str, str | None] | None = None,
) -> AsyncIterator[RawSocket]:
    """A client after its handshake.

    Args:
        sid: of a polling session that it would upgrade.
        behind: what is sent in one segment with the handshake, before it was answered.
    """
    async with dial(url) as (reader, writer):
        query = "EIO=4&transport=websocket" + (f"&sid={sid}" if sid else "")
        key = base64.b64encode(os.urandom(16)).decode()
        writer.write(request(url, f"{path}?{query}", key=key, headers=headers) + behind)
        answer = (await reader.readuntil(b"\r\n\r\n")).decode()
        assert answer.startswith("HTTP/1.1 101 "), answer
        expected = base64.b64encode(hashlib.sha1(key.encode() + _ACCEPT, usedforsecurity=False).digest()).decode()
        assert f"sec-websocket-accept: {expected.lower()}\r\n" in answer.lower(), answer
        assert "sec-websocket-extensions" not in answer.lower(), answer
        yield RawSocket(reader, writer)
