"""One Engine.IO session: a client's connection, over polling, WebSocket, or the one upgraded to the other.

Writing is direct: an upgraded session writes the encoded frame to the transport at once, in order, without task or queue.
Back-pressure is judged by the transport's buffer, and a client that lets it grow past the limit is aborted, because closing
politely waits for ever on a stalled peer. An idle session has no task and no timer of its own.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web
from engineio.base_server import BaseServer

from server.realtime import frames
from server.realtime.frames import SEPARATOR, Frame
from server.realtime.metrics import SLOW_CLIENTS, TRAFFIC
from server.realtime.websocket import BadHandshake, WebSocket

if TYPE_CHECKING:
    from server.realtime.engine import Engine

PAYLOAD_PACKETS: Final = 10_000
"""Packets in one polling payload at most."""

TURN_PACKETS: Final = 64
"""After so many packets of a payload others have a turn."""

UPGRADE_TIMEOUT_S: Final = 10.0

SERVER_DISCONNECT: Final[str] = BaseServer.reason.SERVER_DISCONNECT
CLIENT_DISCONNECT: Final[str] = BaseServer.reason.CLIENT_DISCONNECT
PING_TIMEOUT: Final[str] = BaseServer.reason.PING_TIMEOUT
TRANSPORT_CLOSE: Final[str] = BaseServer.reason.TRANSPORT_CLOSE
TRANSPORT_ERROR: Final[str] = BaseServer.reason.TRANSPORT_ERROR
PARSE_ERROR: Final = "parse error"
SLOW_CLIENT: Final = "slow client"

_MESSAGE, _PONG, _CLOSE = "4", "3", "1"


Receive = Callable[[str | bytes], None]
"""What takes a session's messages."""


def _nobody(_data: str | bytes) -> None:
    return None


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


class Session:
    """A client's connection.

    Attributes:
        sid: its id, which begins with the instance's name.
        address: of the client, past trusted proxies.
        user: whatever the listener keeps with it.
        receive: takes its messages, as the listener said.
        connected: whether the opening was answered.
        upgraded: whether a WebSocket is its transport.
        upgrading: whether one is about to be.
        held: whether reading is suspended; the client's PONG may be among what is unread, so it isn't missed.
        closed: whether it has ended.
    """

    __slots__ = (
        "_corked",
        "_deflate",
        "_gate",
        "_poller",
        "_posting",
        "_probe",
        "_queue",
        "_queued_bytes",
        "_transport",
        "_websocket",
        "address",
        "closed",
        "connected",
        "held",
        "receive",
        "server",
        "sid",
        "upgraded",
        "user",
    )

    def __init__(self, server: Engine, sid: str, address: str) -> None:
        self.server = server
        self.sid = sid
        self.address = address
        self.user: Any = None
        self.receive: Receive = _nobody
        self.connected = False
        self.upgraded = False
        self.held = False
        self.closed = False
        self._queue: list[Frame] = []
        self._queued_bytes = 0
        self._poller: asyncio.Future[None] | None = None
        self._posting = False
        self._gate: asyncio.Future[None] | None = None
        self._deflate = False
        self._corked: list[bytes] | None = None
        self._probe: WebSocket | None = None
        self._websocket: WebSocket | None = None
        self._transport: asyncio.Transport | None = None

    @property
    def upgrading(self) -> bool:
        """Whether a WebSocket is being tried out."""
        return self._probe is not None

    # outgoing

    def write(self, frame: Frame) -> None:
        """Send a frame, after all frames before it. Never blocks; on a closed session it does nothing."""
        transport = self._transport
        if transport is None:
            if not self.closed:
                self._enqueue(frame)
        elif transport.get_write_buffer_size() > self.server.outbound_limit:
            self._cut_off()
        elif not transport.is_closing():
            data = frame.deflated if self._deflate else frame.websocket
            TRAFFIC.sent += len(data)
            if self._corked is None:
                transport.write(data)
            else:
                self._corked.append(data)

    def send(self, packet: bytes) -> None:
        """As `write`, for a packet that nobody else gets."""
        transport = self._transport
        if transport is None or self._deflate or transport.get_write_buffer_size() > self.server.outbound_limit:
            self.write(Frame(packet))
        elif not transport.is_closing():
            data = frames.text(packet)
            TRAFFIC.sent += len(data)
            if self._corked is None:
                transport.write(data)
            else:
                self._corked.append(data)

    def cork(self) -> None:
        """Keep what is written until `uncork`: the answers to what is read at one go travel together, in one system call."""
        if self._transport is not None:
            self._corked = []

    def uncork(self) -> None:
        """Write what was kept."""
        self.flush()
        self._corked = None

    def flush(self) -> None:
        """Write what was kept until now."""
        corked = self._corked
        if corked and self._transport is not None:
            self._transport.write(corked[0] if len(corked) == 1 else b"".join(corked))
            corked.clear()

    @property
    def unsent(self) -> bool:
        """Whether something waits for the client's next poll."""
        return bool(self._queue) and not self.closed

    def end(self, reason: str, *, abort: bool = False) -> None:
        """Close the session, the transport included. `abort` drops what isn't written yet. Idempotent."""
        if self.closed:
            return
        self.closed = True
        self.server.forget(self)
        if abort:
            self._queue.clear()
        # A waiting poll is answered: NOOP to who closed by itself, else CLOSE.
        self._queue.append(frames.NOOP if reason == CLIENT_DISCONNECT else frames.CLOSE)
        self._wake()
        self._open_gate()
        if not abort:
            self.uncork()
        self._transport = None
        for websocket in (self._websocket, self._probe):
            if websocket is not None and abort:
                websocket.abort()
            elif websocket is not None:
                websocket.close()
        self._probe = None
        self.receive = _nobody
        self.server.listener.closed(self, reason)
        self.user = None

    def ping(self) -> None:
        """Ask the client whether it is there; it must answer within the ping timeout."""
        self.write(frames.PING)

    def _enqueue(self, frame: Frame) -> None:
        if self._queued_bytes > self.server.outbound_limit:
            self._cut_off()
            return
        self._queue.append(frame)
        self._queued_bytes += len(frame.polling)
        self._wake()

    def _wake(self) -> None:
        if self._poller is not None and not self._poller.done():
            self._poller.set_result(None)

    def _cut_off(self) -> None:
        SLOW_CLIENTS.inc()
        self.end(SLOW_CLIENT, abort=True)

    # incoming

    def hold(self) -> None:
        """Read no more from the client for now: it sends faster than it is served. TCP slows it down."""
        self.held = True
        if self._websocket is not None:
            self._websocket.hold()

    def release(self) -> None:
        """Read on."""
        if self.held:
            self.held = False
            self._open_gate()
            if self._websocket is not None:
                self._websocket.release()

    def accept(self, packet: str) -> None:
        """Take in one Engine.IO packet; a malformed one ends the session."""
        kind = packet[:1]
        if kind == _MESSAGE:
            self.receive(packet[1:])
        elif kind == _PONG:
            self.server.alive(self)
        elif kind == _CLOSE:
            self.end(CLIENT_DISCONNECT)
        else:
            self.end(PARSE_ERROR)

    def _open_gate(self) -> None:
        if self._gate is not None and not self._gate.done():
            self._gate.set_result(None)

    # polling

    async def poll(self, request: web.Request) -> bytes:
        """The payload of a polling GET: waits until there is something to send.

        Raises:
            Refused: another GET is waiting; the protocol allows one, so the session is closed.
            ConnectionError: the client gave up; so is the session, since what would be answered is lost.
        """
        if self._poller is not None:
            self.end(TRANSPORT_ERROR)
            raise Refused(3)
        if not self._queue and not self.upgrading:
            self._poller = asyncio.get_running_loop().create_future()
            request._payload = self._poller  # type: ignore[assignment]  # fails when the connection is lost
            try:
                if request.transport is None:
                    raise ConnectionResetError
                await self._poller
            except OSError as error:
                self.end(TRANSPORT_CLOSE)
                raise ConnectionResetError("the client gave up its poll") from error
            finally:
                self._poller = None
        payload = SEPARATOR.join([frame.polling for frame in self._queue]) or frames.NOOP.packet
        self._queue.clear()
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
                if self.held:
                    self._gate = asyncio.get_running_loop().create_future()
                    await self._gate
                elif count % TURN_PACKETS == 0:
                    await asyncio.sleep(0)
                if self.closed:
                    break
                if packet[:1] == "b":
                    self.receive(base64.b64decode(packet[1:].encode(), validate=True))
                else:
                    self.accept(packet)
        except (UnicodeDecodeError, binascii.Error) as error:
            self.end(PARSE_ERROR)
            raise Refused(3) from error
        finally:
            self._posting = False
            self._gate = None

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
        packets = body.decode().split(SEPARATOR.decode())
        if len(packets) > PAYLOAD_PACKETS or any(packet[:1] not in {"1", "3", "4", "b"} for packet in packets):
            self.end(PARSE_ERROR)
            raise Refused(3)
        return packets

    # WebSocket

    def serve_websocket(self, request: web.Request) -> web.StreamResponse:
        """Run the session, or its upgrade, on a WebSocket; it goes on when the request has been answered.

        Raises:
            Refused: not the handshake of a WebSocket.
            ConnectionError: the client left.
        """
        websocket = WebSocket(self, self.server.max_http_buffer_size, self.server.closings)
        try:
            answer = websocket.open(request, compression=self.server.compression)
        except BadHandshake:
            raise Refused(3) from None
        if not self.connected:
            self.connected = True
            self._adopt(websocket)
        elif self.closed or self.upgrading or self.upgraded:
            websocket.close()
        else:
            self._probe = websocket
            self.server.upgrades.add(self)
        websocket.release()
        return answer

    def message(self, websocket: WebSocket, data: str | bytes) -> None:
        """A message came in on a WebSocket of this session."""
        if websocket is self._websocket:
            if self.closed:
                return
            if type(data) is not str:
                self.receive(data)
            elif data[:1] == _MESSAGE:
                self.receive(data[1:])
            else:
                self.accept(data)
        elif websocket is self._probe:
            self._upgrade(websocket, data)

    def lost(self, websocket: WebSocket) -> None:
        """A WebSocket of this session is gone. Idempotent."""
        if websocket is self._websocket:
            self.end(TRANSPORT_CLOSE)
            self._websocket = None  # so that nothing of it waits for the cycle collector, which looks seldom
        elif websocket is self._probe:
            self.stop_upgrade()

    def overrun(self, websocket: WebSocket) -> None:
        """A WebSocket of this session asks for more than it reads."""
        if websocket is self._websocket:
            self._cut_off()
        else:
            websocket.abort()

    def stop_upgrade(self) -> None:
        """The WebSocket that was tried out failed or took too long: the session stays on polling, as it was."""
        probe, self._probe = self._probe, None
        if probe is not None:
            self.server.upgrades.discard(self)
            probe.close()

    def _upgrade(self, websocket: WebSocket, data: str | bytes) -> None:
        """The upgrade's own handshake: a probe, its answer, and the client's decision."""
        if data == "2probe":
            websocket.answer(Frame(b"3probe").websocket)
            self._wake()
        elif data == "5" and not self.closed:
            self._probe = None
            self.server.upgrades.discard(self)
            self._adopt(websocket)
        else:
            self.stop_upgrade()

    def _adopt(self, websocket: WebSocket) -> None:
        """From here on the WebSocket is the transport; what was queued for polling goes out first."""
        self.upgraded = True
        self._websocket = websocket
        transport = websocket.transport
        if self.closed or transport is None or transport.is_closing():
            websocket.close()
            self.end(TRANSPORT_CLOSE)
            return
        for frame in self._queue:
            transport.write(frame.websocket)
        self._queue.clear()
        self._queued_bytes = 0
        self._transport = transport
        self._deflate = websocket.deflate
        self._wake()
        if self.held:
            websocket.hold()
