"""One Socket.IO connection by hand, on picows: no task, no future and no parsed JSON per message.

Engine.IO and Socket.IO are spoken as far as a server needs it: open, CONNECT with a token, ping, events with acks. What a
server pushes is looked up, not parsed: all members of a room get the same bytes, so the first of them parses a frame and all
others find the result by it (`Ledger.spans`). So every member checks that what it got is dense and in order, for the price of one look
into a dictionary, or of one comparison of bytes (`loadtest.bench.client.reader`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

import orjson
from picows import WSError, WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from loadtest.bench.client.ledger import Ledger, Span
from loadtest.bench.client.reader import Reader
from loadtest.wire import packets

NAMESPACE: Final = "/bidding"

_CONNECTED: Final = b"40/bidding,"
_EVENT: Final = b"42/bidding,"
_EVENTS: Final = b'42/bidding,["events",'
_ACK: Final = b"43/bidding,"
_GOOD: Final = b'[{"ok":true'

PATIENCE_S: Final = 60.0
"""For anything that is waited for."""

_RETRY_S: Final = 0.5
"""Before a subscription is tried again that was refused for now."""

_BUFFER: Final = 4096
"""Bytes of each connection's read buffer to begin with; it grows."""

Acknowledged = Callable[["Link", bytes], None]
"""(link, body of the ack as JSON, an array of one object)."""


class Lost(Exception):
    """The connection could not be opened, or broke."""


class Refused(Lost):
    """A subscription was refused."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(str(error))
        self.retryable = bool(error.get("retryable"))


class Link(WSListener):
    """One client's connection to one namespace.

    Args:
        ledger: what all links count in.
        url: the server's, `http://host:port`.
        token: sent when the namespace is entered.

    Attributes:
        seqs: the last seq seen of each watched stream.
        lost: called when the connection ends without being asked to.
    """

    def __init__(self, ledger: Ledger, url: str, token: str) -> None:
        self.seqs: dict[str, int] = {}
        self.lost: Callable[[Link], None] | None = None
        self._ledger = ledger
        self._spans = ledger.spans
        self._url = url
        self._token = token
        self._transport: WSTransport | None = None
        self._entered: asyncio.Future[None] | None = None
        self._pending: dict[int, Acknowledged] = {}
        self._asked: asyncio.Future[dict[str, Any]] | None = None
        self._number = 0
        self._closing = False

    # -- life ---------------------------------------------------------------------------------------------------------

    async def open(self, url: str | None = None, patience_s: float = PATIENCE_S) -> None:
        """Connect and enter the namespace; streams that were watched before are watched no longer until `resume`.

        Args:
            url: another server from now on.
            patience_s: for the WebSocket's handshake, and for the rest.

        Raises:
            Lost: refused, or broken on the way.
        """
        self._url = url or self._url
        self._entered = asyncio.get_running_loop().create_future()
        address = f"ws{self._url.removeprefix('http')}/socket.io/?EIO=4&transport=websocket"
        try:
            self._transport, _ = await ws_connect(
                lambda: self,
                address,
                websocket_handshake_timeout=patience_s,
                read_buffer_init_size=_BUFFER,
                use_aiofastnet=False,
            )
            async with asyncio.timeout(patience_s):
                await self._entered
        except (OSError, WSError, TimeoutError) as error:
            self.close()
            raise Lost(f"{type(error).__name__}: {error}") from error

    def close(self) -> None:
        """Drop the connection."""
        self._closing = True
        if self._transport is not None:
            self._transport.disconnect(graceful=False)

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Of WSListener."""
        self._transport = transport
        self._closing = False

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """Of WSListener."""
        if transport is not self._transport:  # a former one
            return
        self._pending.clear()
        if self._entered is not None and not self._entered.done():
            self._entered.set_exception(Lost("closed while it was being opened"))
        elif self._asked is not None and not self._asked.done():
            self._asked.set_exception(Lost("closed while it subscribed"))
        elif not self._closing:
            if self.lost is not None:
                self.lost(self)
            else:
                self._ledger.fault("a connection was lost")

    def compare(self) -> None:
        """Read with a `Reader` until the connection ends; worth it where frames are long."""
        assert self._transport is not None
        Reader(self._transport.underlying_transport, self._take, self._receive)

    # -- what comes in ------------------------------------------------------------------------------------------------

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Of WSListener; the hot path, unless it is a reader's."""
        if frame.msg_type is WSMsgType.TEXT:
            self._receive(frame.get_payload_as_bytes())

    def _receive(self, payload: bytes) -> Span | None:
        """Take in one packet; its span if it is of events."""
        span = self._spans.get(payload)
        if span is None and payload.startswith(_EVENTS):
            span = self._ledger.parse(payload, len(_EVENTS))
        if span is not None:
            self._take(span)
        elif payload.startswith(_ACK):
            start = payload.index(b"[")
            acknowledged = self._pending.pop(int(payload[len(_ACK) : start]))
            if not payload.startswith(_GOOD, start):
                self._ledger.refused(payload[start:])
            acknowledged(self, payload[start:])
        elif payload == b"2":
            self._send(b"3")
        elif not payload.startswith(_EVENT):  # an event of another name is nothing to count
            self._greet(payload)
        return span

    def _take(self, span: Span) -> None:
        seqs = self.seqs
        seq = seqs.get(span.stream)
        if seq is None:
            self._ledger.fault(f"{span.stream} is not watched")
            return
        if seq + 1 != span.first:
            self._ledger.fault(f"{span.stream}: {span.first} to {span.last} after {seq}")
        seqs[span.stream] = span.last
        self._ledger.take(span)

    def _greet(self, payload: bytes) -> None:
        if payload.startswith(b"0"):
            self._send(packets.connect(NAMESPACE, {"token": self._token}))
        elif payload.startswith(_CONNECTED):
            assert self._entered is not None
            if not self._entered.done():
                self._entered.set_result(None)
        else:
            reason = f"the server sent {payload[:200]!r}"
            if self._entered is not None and not self._entered.done():
                self._entered.set_exception(Lost(reason))
            else:
                self._ledger.fault(reason)

    # -- what goes out ------------------------------------------------------------------------------------------------

    def command(self, event: str, body: dict[str, Any], acknowledged: Acknowledged) -> None:
        """Send a command; its ack is handed to `acknowledged`, refusals are counted in the ledger first."""
        self._number = number = self._number + 1
        self._pending[number] = acknowledged
        self._send(packets.command(NAMESPACE, number, event, body))

    def _send(self, payload: bytes) -> None:
        assert self._transport is not None
        self._transport.send(WSMsgType.TEXT, payload)

    async def watch(self, stream: str) -> None:
        """Subscribe, from now on. Raises Lost."""

        def joined(body: dict[str, Any]) -> None:
            self.seqs[stream] = body["seq"]

        await self._subscribe({"stream": stream}, joined)

    async def resume(self) -> None:
        """Subscribe to all streams that were watched, each from the last seq seen, until there is no more.

        Raises:
            Lost: the connection broke, or a refusal says that trying again is of no use.
        """
        for stream in list(self.seqs):
            while await self._resume(stream):
                pass

    async def _resume(self, stream: str) -> bool:
        """Whether there is more."""

        def resumed(body: dict[str, Any]) -> None:
            if body["events"]:
                self._take(Span.of(body))

        while True:
            try:
                body = await self._subscribe({"stream": stream, "after": self.seqs[stream]}, resumed)
            except Refused as refused:
                if not refused.retryable:
                    raise
                await asyncio.sleep(_RETRY_S)
            else:
                return bool(body["more"])

    async def _subscribe(self, body: dict[str, Any], done: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
        """Subscribe and wait for the ack; `done` is called at once, as events may follow it in the very same read."""
        answered: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()

        def acknowledged(_link: Link, answer: bytes) -> None:
            (ack,) = orjson.loads(answer)
            if ack["ok"]:
                done(ack)
            if answered.done():
                return
            if ack["ok"]:
                answered.set_result(ack)
            else:
                answered.set_exception(Refused(ack["error"]))

        self._asked = answered
        self.command("subscribe", body, acknowledged)
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await answered
        except TimeoutError:
            raise Lost(f"{body}: no answer") from None
        finally:
            self._asked = None
