"""WebSockets (RFC 6455) taken off the web server after the handshake.

aiohttp's own class keeps a task, a request, a response, a parser and a queue per connection, and hands on each message through a
future. Here the connection gets a protocol of its own, which gives each message to its session in the same turn of the loop
in which it arrived, and aiohttp forgets it: less than half the memory, and a fifth of the time per message.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import zlib
from asyncio import BaseTransport, Protocol, Transport, get_running_loop
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web
from aiohttp._websocket.helpers import websocket_mask

from server.realtime.deadlines import Deadlines
from server.realtime.frames import header
from server.realtime.metrics import TRAFFIC
from server.web.headers import request_id

if TYPE_CHECKING:
    from server.realtime.session import Session

TURN: Final = 64
"""After so many messages read at one go, a client lets others have a turn,"""

TURN_S: Final = 0.005
"""or after so long."""

CLOSE_TIMEOUT_S: Final = 2.0

_MAGIC: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
_FINAL, _RESERVED, _COMPRESSED, _OPCODE, _MASKED = 0x80, 0x70, 0x40, 0x0F, 0x80
_PLAIN_TEXT: Final = _FINAL | _TEXT
_LONGEST_CONTROL: Final = 125

_NORMAL, _PROTOCOL_ERROR, _NOT_UTF8, _TOO_BIG = 1000, 1002, 1007, 1009
_CLOSE_CODES: Final = frozenset({*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)})

_SWITCHING: Final = (
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nServer: rialto\r\n"
    "Sec-WebSocket-Accept: %s\r\nX-Request-Id: %s\r\nX-Rialto-Instance: %s\r\n"
)
"""Without the headers that tell browsers what to do with a body."""

_PARAMETER: Final = re.compile(r'(?:server|client)_no_context_takeover|client_max_window_bits(?:="?(?:[89]|1[0-5])"?)?')
_DEFLATE: Final = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
"""Without contexts: 64 KB less per connection, and one compressed frame serves all recipients."""
_DEFLATE_TAIL: Final = b"\x00\x00\xff\xff"

_BACKLOG, _YIELD = 1, 2
"""Why reading is held: the session asked for it, or it is others' turn."""


class BadHandshake(Exception):
    """The request is not a WebSocket's handshake."""


class _Broken(Exception):
    """The client broke the protocol; holds the close code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Switched(web.StreamResponse):
    """What aiohttp is told of an answer that was written past it, which takes a third of the time."""

    @property
    def prepared(self) -> bool:
        """It has been sent."""
        return True

    async def prepare(self, request: web.BaseRequest) -> None:
        """Nothing is left to be sent."""

    async def write_eof(self, data: bytes = b"") -> None:
        """See `prepare`."""


class WebSocket(Protocol):
    """The server's end of one WebSocket.

    Attributes:
        session: whom its messages are for.
        transport: what frames are written to, in order.
        deflate: whether compression was agreed upon.
        closing: whether a close frame was sent or the connection is gone.
    """

    __slots__ = (
        "_buffer",
        "_closings",
        "_failed",
        "_held",
        "_limit",
        "_message",
        "_needed",
        "_opcode",
        "closing",
        "deflate",
        "session",
        "transport",
    )

    def __init__(self, session: Session, limit: int, closings: Deadlines[WebSocket]) -> None:
        self.session = session
        self.transport: Transport | None = None
        self.deflate = False
        self.closing = False
        self._limit = limit
        self._closings = closings
        self._failed = False
        self._held = _BACKLOG  # until `release`, when the session is ready for it
        self._buffer: bytearray | None = None
        self._needed = 0
        self._message: bytearray | None = None
        self._opcode = 0

    # opening

    def open(self, request: web.Request, *, compression: bool = False) -> web.StreamResponse:
        """Answer the handshake and take the connection over; reading begins with `release`.

        Raises:
            BadHandshake: the request doesn't ask for a WebSocket as it should.
            ConnectionError: the client is gone.
        """
        answer = _SWITCHING % (_accept(request), request_id(request), self.session.server.instance)
        if compression and any(_is_acceptable(offer) for offer in _offers(request)):
            answer += f"Sec-WebSocket-Extensions: {_DEFLATE}\r\n"
            self.deflate = True
        transport = request.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the client left during the handshake")
        transport.write(f"{answer}\r\n".encode())
        # In this order: what came behind the request is handed over, and then the web server believes the connection lost.
        server: Any = request.protocol
        self.transport = transport
        server.set_parser(self)
        self.transport.set_protocol(self)
        server.transport = None
        server.connection_lost(None)
        return Switched(status=101)

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        """As aiohttp's parsers have it, for what came together with the handshake's request."""
        self.data_received(data)
        return False, b""

    def feed_eof(self) -> None:
        """As aiohttp's parsers have it; the end of its part is not the end of the connection."""

    # asyncio's protocol

    def connection_made(self, transport: BaseTransport) -> None:
        """The connection is older than this protocol, so nobody calls it."""

    def data_received(self, data: bytes) -> None:
        """Bytes came in."""
        TRAFFIC.received += len(data)
        if self._failed:
            return
        buffer = self._buffer
        if buffer is not None:
            buffer += data
            if self._held or len(buffer) < self._needed:
                return
            self._buffer = None
            data = bytes(buffer)
        elif self._held:
            self._buffer = bytearray(data)
            return
        self.session.cork()
        try:
            consumed = self._read(data)
        except _Broken as broken:
            self._fail(broken.code)
        else:
            if consumed < len(data):
                self._buffer = bytearray(data[consumed:] if consumed else data)
        finally:
            self.session.uncork()

    def eof_received(self) -> None:
        """The client will send no more."""

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self.closing = True
        self._buffer = self._message = None
        self._closings.discard(self)
        self.session.lost(self)
        self.transport = None

    # reading

    def hold(self) -> None:
        """Read no more until `release`."""
        self._hold(_BACKLOG)

    def release(self) -> None:
        """Read on."""
        self._release(_BACKLOG)

    def _hold(self, reason: int) -> None:
        if not self._held and self.transport is not None and not self.transport.is_closing():
            self.transport.pause_reading()
        self._held |= reason

    def _release(self, reason: int) -> None:
        self._held &= ~reason
        if self._held or self.transport is None or self.transport.is_closing():
            return
        if self._buffer is not None:
            self._needed = 0
            self.data_received(b"")
        if not self._held and not self.transport.is_closing():
            self.transport.resume_reading()

    def _read(self, data: bytes) -> int:
        """Handle the whole frames at the beginning of `data`; returns how many bytes they were."""
        position, end, count = 0, len(data), 0
        until = monotonic() + TURN_S
        while end - position >= 2 and not self._held:
            first, size = data[position], data[position + 1] & 0x7F
            start = position + 2
            if size > _LONGEST_CONTROL:
                start = position + (4 if size == 126 else 10)
                if end < start:
                    self._needed = start - position
                    return position
                size = int.from_bytes(data[position + 2 : start], "big")
            if not data[position + 1] & _MASKED:
                raise _Broken(_PROTOCOL_ERROR)
            if size > self._limit:
                raise _Broken(_TOO_BIG)
            stop = start + 4 + size
            if end < stop:
                self._check(first, size)
                self._needed = stop - position
                return position
            payload = bytearray(data[start + 4 : stop])
            websocket_mask(data[start : start + 4], payload)
            position = stop
            if first == _PLAIN_TEXT and self._message is None:
                try:
                    text = payload.decode()
                except UnicodeDecodeError:
                    raise _Broken(_NOT_UTF8) from None
                self.session.message(self, text)
            else:
                self._check(first, size)
                self._frame(first, payload)
            count += 1
            if position < end and (count >= TURN or monotonic() > until):
                self._hold(_YIELD)
                get_running_loop().call_soon(self._release, _YIELD)
        self._needed = 2
        return position

    def _check(self, first: int, size: int) -> None:
        opcode, reserved = first & _OPCODE, first & _RESERVED
        if opcode & 0x8:
            sound = opcode in {_CLOSE, _PING, _PONG} and first & _FINAL and size <= _LONGEST_CONTROL and not reserved
        elif opcode == _CONTINUATION:
            sound = self._message is not None and not reserved
        else:
            allowed = (0, _COMPRESSED) if self.deflate else (0,)
            sound = opcode in {_TEXT, _BINARY} and self._message is None and reserved in allowed
        if not sound:
            raise _Broken(_PROTOCOL_ERROR)
        if self._message is not None and not opcode & 0x8 and len(self._message) + size > self._limit:
            raise _Broken(_TOO_BIG)

    def _frame(self, first: int, payload: bytearray) -> None:
        opcode = first & _OPCODE
        if opcode & 0x8:
            self._control(opcode, payload)
            return
        if self._message is None:
            self._message, self._opcode = payload, first
        else:
            self._message += payload
        if first & _FINAL:
            message, self._message = self._message, None
            data = self._inflate(message) if self._opcode & _COMPRESSED else message
            if self._opcode & _OPCODE == _TEXT:
                try:
                    self.session.message(self, data.decode())
                except UnicodeDecodeError:
                    raise _Broken(_NOT_UTF8) from None
            else:
                self.session.message(self, bytes(data))

    def _inflate(self, message: bytearray) -> bytes:
        decompressor = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            data = decompressor.decompress(bytes(message) + _DEFLATE_TAIL, self._limit + 1)
        except zlib.error:
            raise _Broken(_PROTOCOL_ERROR) from None
        if len(data) > self._limit:
            raise _Broken(_TOO_BIG)
        return data

    def _control(self, opcode: int, payload: bytearray) -> None:
        if opcode == _PING:
            self.answer(header(_FINAL | _PONG, len(payload)) + payload)
        elif opcode == _CLOSE:
            code = int.from_bytes(payload[:2], "big") if payload else _NORMAL
            if len(payload) == 1 or code not in _CLOSE_CODES or not _is_utf8(payload[2:]):
                raise _Broken(_PROTOCOL_ERROR)
            self._fail(code)

    def answer(self, frame: bytes) -> None:
        """Send what the client asked for; one that asks and asks and reads nothing is cut off."""
        if self.transport is None or self.closing or self.transport.is_closing():
            return
        if self.transport.get_write_buffer_size() > self.session.server.outbound_limit:
            self.session.overrun(self)
        else:
            self.session.uncork()  # what was sent before it goes before it
            self.transport.write(frame)

    # closing

    def close(self, code: int = _NORMAL) -> None:
        """Send a close frame, and end the connection once the client has answered, or soon. Idempotent."""
        if self.closing or self.transport is None:
            return
        self.session.uncork()
        if not self.transport.is_closing():
            self.transport.write(header(_FINAL | _CLOSE, 2) + code.to_bytes(2, "big"))
        self.closing = True
        self._closings.add(self)
        if self._held:
            self._release(self._held)  # to hear the client's answer

    def abort(self) -> None:
        """End the connection, dropping what isn't written yet: closing politely waits for ever on a stalled client."""
        self.closing = True
        if self.transport is not None:
            self.transport.abort()

    def _fail(self, code: int) -> None:
        """Close, whatever comes yet: the client asked for it, or can't be understood any more.

        The client ends the connection, or time does. If the server did, with bytes unread, the reset could overtake the code.
        """
        self._failed = True
        self.close(code)
        self.session.lost(self)
        if self.transport is not None and not self.transport.is_closing():
            if self.transport.can_write_eof():
                self.transport.write_eof()
            else:
                self.transport.close()


def _offers(request: web.Request) -> list[str]:
    return ",".join(request.headers.getall("Sec-WebSocket-Extensions", ())).split(",")


def _is_acceptable(offer: str) -> bool:
    """Whether it is compression, with no parameter but those that ask for nothing of the server that it doesn't do."""
    name, *parameters = (part.strip().lower() for part in offer.split(";"))
    names = [parameter.partition("=")[0].strip() for parameter in parameters]
    return (
        name == "permessage-deflate"
        and len(set(names)) == len(names)
        and all(_PARAMETER.fullmatch(parameter) for parameter in parameters)
    )


def _accept(request: web.Request) -> str:
    """The answer to the client's key (RFC 6455, 4.2)."""
    headers = request.headers
    if request.method != "GET" or headers.get("Upgrade", "").strip().lower() != "websocket":
        raise BadHandshake("not an upgrade to a WebSocket")
    if "upgrade" not in headers.get("Connection", "").lower() or headers.get("Sec-WebSocket-Version") != "13":
        raise BadHandshake("not version 13")
    key = headers.get("Sec-WebSocket-Key", "")
    try:
        whole = len(base64.b64decode(key, validate=True)) == 16
    except (binascii.Error, ValueError):
        whole = False
    if not whole:
        raise BadHandshake("not a key")
    return base64.b64encode(hashlib.sha1(key.encode() + _MAGIC, usedforsecurity=False).digest()).decode()


def _is_utf8(reason: bytearray) -> bool:
    try:
        reason.decode()
    except UnicodeDecodeError:
        return False
    return True
