"""One Engine.IO session: python-engineio's class, its transport half replaced.

As it comes, python-engineio 4.15 keeps a queue and a writer task per connection and several more tasks while idle, never
bounds what is queued, leaves malformed clients connected, cuts request bodies at 256 KiB and payloads at 16 packets, and
leaves a session upgrading for ever when its probe is dropped.

Here writing is direct: an upgraded session writes the encoded frame to the transport at once, in order, without task or
queue. Back-pressure is judged by the transport's buffer, and a client that lets it grow past the limit is aborted, because
closing politely waits for ever on a stalled peer.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, cast

from aiohttp import WSMsgType, web
from engineio.async_socket import AsyncSocket
from engineio.base_server import BaseServer

from server.realtime import frames
from server.realtime.frames import Frame
from server.realtime.metrics import SLOW_CLIENTS, TRAFFIC

if TYPE_CHECKING:
    from server.realtime.engine import Engine

PAYLOAD_PACKETS: Final = 10_000
"""Packets in one polling payload at most."""

TURN_PACKETS: Final = 64
"""After so many packets a client that has more to be read lets others have a turn."""

UPGRADE_TIMEOUT_S: Final = 10.0
CLOSE_TIMEOUT_S: Final = 2.0

SERVER_DISCONNECT: Final[str] = BaseServer.reason.SERVER_DISCONNECT
CLIENT_DISCONNECT: Final[str] = BaseServer.reason.CLIENT_DISCONNECT
PING_TIMEOUT: Final[str] = BaseServer.reason.PING_TIMEOUT
TRANSPORT_CLOSE: Final[str] = BaseServer.reason.TRANSPORT_CLOSE
TRANSPORT_ERROR: Final[str] = BaseServer.reason.TRANSPORT_ERROR
PARSE_ERROR: Final = "parse error"
SLOW_CLIENT: Final = "slow client"

_SEPARATOR: Final = "\x1e"
_MESSAGE, _PONG, _CLOSE = "4", "3", "1"


class Refused(Exception):
    """A request that is answered with Engine.IO's error object `{code, message}`."""

    MESSAGES: Final = {
        0: "Transport unknown",
        1: "Session ID unknown",
        2: "Bad handshake method",
        3: "Bad request",
        4: "Forbidden",
        5: "Unsupported protocol version",
    }

    def __init__(
        self, code: int, *, status: int = 400, message: str | None = None, retry_after_s: int | None = None
    ) -> None:
        super().__init__(message or self.MESSAGES[code])
        self.code = code
        self.status = status
        self.retry_after_s = retry_after_s


class Session(AsyncSocket):  # type: ignore[misc]  # python-engineio is untyped
    """One client's connection, over polling, WebSocket, or the one upgraded to the other.

    Attributes:
        address: of the client, past trusted proxies.
        blocked: whether the reader waits for earlier commands; the client's PONG may be behind them, so it isn't missed.
    """

    server: Engine
    sid: str
    queue: deque[bytes]
    connected: bool
    upgrading: bool
    upgraded: bool
    closing: bool
    closed: bool

    def __init__(self, server: Engine, sid: str, address: str) -> None:
        super().__init__(server, sid)
        self.address = address
        self.blocked = False
        self._loop = asyncio.get_running_loop()
        self._queued_bytes = 0
        self._poller: asyncio.Future[None] | None = None
        self._posting = False
        self._websocket: web.WebSocketResponse | None = None
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._awaits_pong = False

    # outgoing

    def write(self, frame: Frame) -> None:
        """Send a frame, after all frames before it. Never blocks; on a closed session it does nothing."""
        if self.closed:
            return
        transport = self._transport
        if transport is None:
            if self._queued_bytes > self.server.outbound_limit:
                self._cut_off()
                return
            self.queue.append(frame.packet)
            self._queued_bytes += len(frame.packet)
            self._wake()
        elif transport.is_closing():
            return
        elif transport.get_write_buffer_size() > self.server.outbound_limit:
            self._cut_off()
        else:
            data = frame.websocket
            TRAFFIC.sent += len(data)
            transport.write(data)

    @property
    def unsent(self) -> bool:
        """Whether something waits for the client's next poll."""
        return bool(self.queue) and not self.closed

    def end(self, reason: str, *, abort: bool = False) -> None:
        """Close the session, the transport included. `abort` drops what isn't written yet. Idempotent."""
        if self.closed:
            return
        self.closing = self.closed = True
        if self._timer is not None:
            self._timer.cancel()
        self.server.sockets.pop(self.sid, None)
        if abort:
            self.queue.clear()
        # A waiting poll is answered: NOOP to who closed by itself, else CLOSE.
        self.queue.append((frames.NOOP if reason == CLIENT_DISCONNECT else frames.CLOSE).packet)
        self._wake()
        if self._websocket is not None:
            self.server.spawn(self._close_websocket(self._websocket, self._transport, abort=abort))
        self.server.handlers["disconnect"](self.sid, reason)

    def schedule_ping(self) -> None:
        """Ping after the interval. A timer, not a task: an idle connection costs no task."""
        self._awaits_pong = False
        self._arm(self.server.ping_interval, self._ping)

    def _ping(self) -> None:
        self.write(frames.PING)
        if not self.closed:
            self._awaits_pong = True
            self._arm(self.server.ping_timeout, self._miss_pong)

    def _miss_pong(self) -> None:
        if self.blocked:
            self.schedule_ping()
        else:
            self.end(PING_TIMEOUT)

    def _arm(self, delay_s: float, callback: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(delay_s, callback)

    def _wake(self) -> None:
        if self._poller is not None and not self._poller.done():
            self._poller.set_result(None)

    def _cut_off(self) -> None:
        SLOW_CLIENTS.inc()
        self.end(SLOW_CLIENT, abort=True)

    async def _close_websocket(
        self, websocket: web.WebSocketResponse, transport: asyncio.Transport | None, *, abort: bool
    ) -> None:
        if not abort:
            with contextlib.suppress(TimeoutError, ConnectionError):
                async with asyncio.timeout(CLOSE_TIMEOUT_S):
                    await websocket.close()
        if transport is not None:
            transport.abort()

    # incoming

    async def accept(self, packet: str) -> None:
        """Take in one Engine.IO packet; a malformed one ends the session."""
        kind, data = packet[:1], packet[1:]
        if kind == _MESSAGE:
            await self.server.handlers["message"](self.sid, data)
        elif kind == _PONG:
            if self._awaits_pong:
                self.schedule_ping()
        elif kind == _CLOSE:
            self.end(CLIENT_DISCONNECT)
        else:
            self.end(PARSE_ERROR)

    async def poll(self) -> bytes:
        """The payload of a polling GET: waits until there is something to send.

        Raises:
            Refused: another GET is waiting; the protocol allows one, so the session is closed.
        """
        if self._poller is not None:
            self.end(TRANSPORT_ERROR)
            raise Refused(3)
        if not self.queue and not self.upgrading:
            self._poller = self._loop.create_future()
            try:
                await self._poller
            finally:
                self._poller = None
        payload = _SEPARATOR.encode().join(self.queue) or frames.NOOP.packet
        self.queue.clear()
        self._queued_bytes = 0
        TRAFFIC.sent += len(payload)
        return payload

    async def post(self, request: web.Request) -> None:
        """Take in the payload of a polling POST.

        Raises:
            Refused: too large, malformed, or overlapping another POST; the session is closed.
        """
        if self._posting:
            self.end(TRANSPORT_ERROR)
            raise Refused(3)
        self._posting = True
        try:
            for count, packet in enumerate(await self._read_payload(request), 1):
                if self.closed:
                    break
                if count % TURN_PACKETS == 0:
                    await asyncio.sleep(0)
                if packet[:1] == "b":
                    await self.server.handlers["message"](self.sid, base64.b64decode(packet[1:], validate=True))
                else:
                    await self.accept(packet)
        except (UnicodeDecodeError, binascii.Error) as error:
            self.end(PARSE_ERROR)
            raise Refused(3) from error
        finally:
            self._posting = False

    async def _read_payload(self, request: web.Request) -> list[str]:
        limit = self.server.max_http_buffer_size
        body = bytearray()
        # One read() returns what has arrived, not the body; so read on, and no more than is allowed.
        if (request.content_length or 0) <= limit:
            async for chunk in request.content.iter_any():
                body += chunk
                if len(body) > limit:
                    break
        if (request.content_length or 0) > limit or len(body) > limit:
            self.end(TRANSPORT_ERROR)
            raise Refused(3, status=413, message="Payload too large")
        TRAFFIC.received += len(body)
        packets = body.decode().split(_SEPARATOR)
        if len(packets) > PAYLOAD_PACKETS or any(packet[:1] not in {"1", "3", "4", "b"} for packet in packets):
            self.end(PARSE_ERROR)
            raise Refused(3)
        return packets

    async def serve_websocket(self, request: web.Request) -> web.WebSocketResponse:
        """Run the session, or its upgrade, on a WebSocket until it ends."""
        # Per-message deflate, aiohttp's default, would cost 95 KB a connection and forbid sharing encoded frames.
        websocket = web.WebSocketResponse(
            max_msg_size=self.server.max_http_buffer_size + 1, compress=False, timeout=CLOSE_TIMEOUT_S
        )
        await websocket.prepare(request)
        if self.connected:
            if self.closed or self.upgrading or self.upgraded or not await self._probe(websocket):
                await websocket.close()
                return websocket
        else:
            self.connected = True
        self._adopt(websocket, cast(asyncio.Transport, request.transport))
        await self._read(websocket)
        return websocket

    async def _probe(self, websocket: web.WebSocketResponse) -> bool:
        """The upgrade's handshake; a probe that is dropped or stalls leaves the session on polling, as it was."""
        self.upgrading = True
        self._websocket = websocket
        try:
            async with asyncio.timeout(UPGRADE_TIMEOUT_S):
                if (await websocket.receive()).data != "2probe":
                    return False
                await websocket.send_str("3probe")
                self._wake()
                return (await websocket.receive()).data == "5" and not self.closed
        except (TimeoutError, ConnectionError):
            return False
        finally:
            self.upgrading = False
            self._websocket = None

    def _adopt(self, websocket: web.WebSocketResponse, transport: asyncio.Transport | None) -> None:
        """From here on the WebSocket is the transport; what was queued for polling goes out first."""
        self.upgraded = True
        self._websocket = websocket
        if transport is None or self.closed:
            self.end(TRANSPORT_CLOSE)
            return
        self._transport = transport
        for packet in self.queue:
            transport.write(Frame(packet).websocket)
        self.queue.clear()
        self._wake()

    async def _read(self, websocket: web.WebSocketResponse) -> None:
        count = 0
        while not self.closed:
            message = await websocket.receive()
            count += 1
            if count % TURN_PACKETS == 0:
                await asyncio.sleep(0)
            if message.type is WSMsgType.TEXT:
                TRAFFIC.received += _size(message.data)
                await self.accept(message.data)
            elif message.type is WSMsgType.BINARY:
                TRAFFIC.received += len(message.data)
                await self.server.handlers["message"](self.sid, message.data)
            else:
                break
        self.end(TRANSPORT_CLOSE)


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())
