"""Where python-socketio and python-engineio are overridden, and why. The only module that leans on their internals.

`AsyncServer` hard-codes its session class inside its request handling, so that is replaced too: it also accepted PUT, a
missing transport, duplicate polls and invalid bodies. Options, session ids and the connect/message/disconnect events remain
theirs. Above it python-socketio dispatches every event in a task of its own, so that one client's commands interleave, scans
all rooms when a client leaves, and logs a traceback for a malformed packet; here messages go to a `Listener` instead.
"""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

import engineio
import orjson
import socketio
import structlog
from aiohttp import web

from server.errors import AppError
from server.limits.address import ClientAddresses
from server.limits.limits import Limits
from server.realtime import codec
from server.realtime.deadlines import Deadlines
from server.realtime.frames import Frame
from server.realtime.session import (
    PING_TIMEOUT,
    SERVER_DISCONNECT,
    TRANSPORT_CLOSE,
    UPGRADE_TIMEOUT_S,
    Receive,
    Refused,
    Session,
)
from server.realtime.websocket import CLOSE_TIMEOUT_S, WebSocket
from server.web.origins import Origins

log = structlog.get_logger(__name__)


class Listener(Protocol):
    """What is told of the sessions' life, in the turn of the loop in which it happens. Nothing of it may block or raise."""

    def opened(self, session: Session) -> Receive:
        """A session began. What is returned is called with each of its messages, Socket.IO packets and binary attachments;
        `session.hold()` keeps others from following.
        """
        ...

    def closed(self, session: Session, reason: str) -> None:
        """A session ended, its transport included."""
        ...


class Engine(engineio.AsyncServer):  # type: ignore[misc]  # python-engineio is untyped
    """The Engine.IO server.

    Attributes:
        listener: is told of sessions and messages.
        instance: what every session id begins with, so that a proxy can route a client's requests to where its session lives.
        admitting: whether new sessions may begin.
        origins: the pages that may call.
        limits, addresses: how often sockets may be opened, and from where they are.
        outbound_limit: bytes waiting for a client at most; what is written when it is passed already ends the connection.
        compression: whether WebSockets may compress what is long.
        closings: WebSockets that wait for their client's close frame.
        upgrades: sessions that try out a WebSocket.
    """

    sockets: dict[str, Session]
    max_http_buffer_size: int
    ping_interval: float
    ping_timeout: float

    listener: Listener
    origins: Origins
    limits: Limits
    addresses: ClientAddresses

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.instance = "local"
        self.admitting = True
        self.outbound_limit = 1 << 20
        self.compression = False
        self.closings: Deadlines[WebSocket] = Deadlines(CLOSE_TIMEOUT_S, WebSocket.abort)
        self.upgrades: Deadlines[Session] = Deadlines(UPGRADE_TIMEOUT_S, Session.stop_upgrade)
        # Idle sessions are most of all: they wait in one of these, with neither a task nor a timer of their own.
        self._pings: Deadlines[Session] = Deadlines(self.ping_interval, self._ping)
        self._pongs: Deadlines[Session] = Deadlines(self.ping_timeout, self._miss_pong)
        self._requests: set[asyncio.Task[Any]] = set()
        self._stopping = False

    def generate_id(self) -> str:
        """A session id: `<instance>.<random>`."""
        return f"{self.instance}.{super().generate_id()}"

    def attach(self, app: web.Application, engineio_path: str = "socket.io") -> None:
        """Serve below `/<path>/`. Every method: the protocol's own answer to a wrong one is 400."""
        app.router.add_route("*", f"/{engineio_path.strip('/')}/", self.handle_request)

    def forget(self, session: Session) -> None:
        """A session has ended."""
        self.sockets.pop(session.sid, None)
        for deadlines in (self._pings, self._pongs, self.upgrades):
            deadlines.discard(session)

    def alive(self, session: Session) -> None:
        """The client answered the ping, if it was asked."""
        if session in self._pongs:
            self._pongs.discard(session)
            self._pings.add(session)

    def _ping(self, session: Session) -> None:
        session.ping()
        if not session.closed:
            self._pongs.add(session)

    def _miss_pong(self, session: Session) -> None:
        if session.held:
            self._pings.add(session)
        else:
            session.end(PING_TIMEOUT)

    async def handle_request(self, request: web.Request) -> web.StreamResponse:
        """Every request of the endpoint, polling and WebSocket."""
        task = asyncio.current_task()
        assert task is not None
        self._requests.add(task)
        try:
            return await self._serve(request)
        finally:
            self._requests.discard(task)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        origin = request.headers.get("Origin")
        if origin is not None and not self.origins.admits(origin, request):
            return self._refusal(Refused(4, status=403))
        if request.method == "OPTIONS":
            return self._with_origin(web.Response(status=204), origin, preflight=True)
        try:
            answer = await self._route(request)
        except Refused as refused:
            answer = self._refusal(refused)
        except (ConnectionError, web.HTTPException) as error:
            log.info("realtime.request_failed", error=str(error))
            answer = self._refusal(Refused(3))
        # The headers of a WebSocket's answer are gone long ago.
        return answer if answer.prepared else self._with_origin(answer, origin)

    async def shutdown(self) -> None:
        """Close every session, refuse new ones, and wait until all requests are answered and all is closed."""
        self._stopping = True
        for session in list(self.sockets.values()):
            session.end(SERVER_DISCONNECT)
        while self._requests:
            await asyncio.wait(self._requests)
        await self.closings.emptied()

    async def _route(self, request: web.Request) -> web.StreamResponse:
        if self._stopping:
            raise Refused(3, status=503, message="Shutting down", retry_after_s=1)
        transport = request.query.get("transport")
        if transport not in self.transports or "j" in request.query:
            raise Refused(0)
        upgrade = transport == "websocket"
        if upgrade and request.headers.get("Upgrade", "").lower() != "websocket":
            raise Refused(3)
        sid = request.query.get("sid")
        if sid is None:
            return await self._handshake(request, upgrade=upgrade)
        session = self.sockets.get(sid)
        if session is None:
            raise Refused(1)
        if upgrade:
            return session.serve_websocket(request)
        if session.upgraded or not session.connected:
            raise Refused(3)
        if request.method == "GET":
            return _payload(await session.poll(request))
        if request.method == "POST":
            await session.post(request)
            return web.Response(body=b"ok", content_type="text/html")
        raise Refused(2)

    async def _handshake(self, request: web.Request, *, upgrade: bool) -> web.StreamResponse:
        if request.method != "GET":
            raise Refused(2)
        if request.query.get("EIO") != "4":
            raise Refused(5)
        if not self.admitting:
            raise Refused(3, status=503, message="Shutting down", retry_after_s=1)
        address = self.addresses.of(request)
        try:
            self.limits.handshake(address)
        except AppError as error:
            raise Refused(3, status=error.status, message=error.message, retry_after_s=error.retry_after_s) from None
        session = Session(self, self.generate_id(), address)
        self.sockets[session.sid] = session
        opening = {
            "sid": session.sid,
            "upgrades": [] if upgrade else ["websocket"],
            "pingInterval": int(self.ping_interval * 1000),
            "pingTimeout": int(self.ping_timeout * 1000),
            "maxPayload": self.max_http_buffer_size,
        }
        session.receive = self.listener.opened(session)
        session.write(Frame(b"0" + orjson.dumps(opening)))
        self._pings.add(session)
        if not upgrade:
            session.connected = True
            return _payload(await session.poll(request))
        try:
            return session.serve_websocket(request)
        except BaseException:
            session.end(TRANSPORT_CLOSE)  # whatever went wrong, nothing is left behind
            raise

    def _with_origin(
        self, answer: web.StreamResponse, origin: str | None, *, preflight: bool = False
    ) -> web.StreamResponse:
        if origin is not None:
            answer.headers["Access-Control-Allow-Origin"] = origin
            answer.headers["Vary"] = "Origin"
        if preflight:
            answer.headers["Access-Control-Allow-Methods"] = "GET, POST"
            answer.headers["Access-Control-Allow-Headers"] = "Authorization, Content-Type"
        return answer

    def _refusal(self, refused: Refused) -> web.Response:
        body = orjson.dumps({"code": refused.code, "message": str(refused)})
        answer = web.Response(status=refused.status, body=body, content_type="application/json")
        if refused.retry_after_s is not None:
            answer.headers["Retry-After"] = str(refused.retry_after_s)
        return answer


def _payload(body: bytes) -> web.Response:
    return web.Response(body=body, content_type="text/plain", charset="utf-8", headers={"Cache-Control": "no-store"})


class Server(socketio.AsyncServer):  # type: ignore[misc]  # python-socketio is untyped
    """python-socketio's server on our engine, which hands what happens to a listener."""

    eio: Engine

    def __init__(self, listener: Listener, **options: Any) -> None:
        # Python's own json would pass on NaN and 1e400, and every browser in the room would fail to parse them.
        super().__init__(async_mode="aiohttp", json=codec, **options)
        self.eio.listener = listener

    def _engineio_server_class(self) -> type[Engine]:
        return Engine
