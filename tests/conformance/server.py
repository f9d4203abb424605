"""What the official suites expect of a server, on the production classes.

Overridden are: pings, the payload limit, CORS, the connect timeout, authentication and rate limits. Everything else is as shipped.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from aiohttp import web

from server.auth.principal import Principal
from server.auth.tokens import Tokens
from server.clock import Clock, new_id
from server.limits.address import ClientAddresses
from server.limits.limits import Limits
from server.realtime import Connection, Namespace, Sockets, frames
from server.realtime.engine import Engine, Server
from server.realtime.frames import Frame
from server.realtime.session import Receive, Session
from server.settings import Settings
from server.streams.bus import MemoryBus
from server.streams.memory import MemoryEventStore
from server.streams.streams import Streams
from server.web.origins import Origins

PAYLOAD_LIMIT: Final = 1_000_000
CONNECT_TIMEOUT_S: Final = 1.5
"""Between what the official suites need for three pings (0.9 s), and the 2 s after which they give up waiting for it."""

NAMESPACES: Final = ("/", "/custom")
ECHO_PATH: Final = "/engine.io/"


class NobodyRevoked:
    """A denylist without entries."""

    def remembers(self, session: str) -> bool:
        """No session."""
        return False

    async def denies(self, session: str) -> bool:
        """No session."""
        return False


class Everybody(Tokens):
    """Authentication that takes any token to be somebody's."""

    async def authenticate(self, token: str) -> Principal:
        """Somebody, until kingdom come."""
        return Principal("somebody", new_id(), "both", expires_at=2**53)


class Echo:
    """Sends each message of a session back as it came."""

    def opened(self, session: Session) -> Receive:
        """Nothing is sent by itself."""

        def send_back(data: str | bytes) -> None:
            session.write(Frame(b"4" + data.encode()) if isinstance(data, str) else Frame(b"", (data,)))

        return send_back

    def closed(self, session: Session, reason: str) -> None:
        """Nothing was kept of it."""


def _namespace(name: str) -> Namespace:
    namespace = Namespace(name, anonymous=True)

    async def message(connection: Connection, arguments: list[Any]) -> None:
        connection.send("message-back", *arguments)

    async def message_with_ack(_connection: Connection, arguments: list[Any]) -> list[Any]:
        return arguments

    namespace.greeting = lambda connection, auth: connection.send("auth", auth)
    if name == "/":
        namespace.raw("message", message)
        namespace.raw("message-with-ack", message_with_ack)
    return namespace


class Conformance:
    """The application.

    Attributes:
        app: to be served.
        sockets: the socket edge below /socket.io/.
        echo: the engine below /engine.io/.
    """

    def __init__(self, sockets: Sockets, echo: Engine) -> None:
        self.sockets = sockets
        self.echo = echo
        self.app = web.Application()
        sockets.attach(self.app)
        echo.attach(self.app, ECHO_PATH)
        self.app.router.add_get("/healthz", self._health)

    @property
    def open_sessions(self) -> int:
        """Sessions on both paths."""
        return self.sockets.open_transports + len(self.echo.sockets)

    async def stop(self) -> None:
        """Close all sessions."""
        await self.echo.shutdown()
        await self.sockets.stop()

    async def _health(self, _request: web.Request) -> web.Response:
        modules = {"server": type(self.echo).__module__, "session": Session.__module__, "json": frames.orjson.__name__}
        return web.json_response({"status": "ok", **modules})


@asynccontextmanager
async def conformance(
    ping_interval_s: float, ping_timeout_s: float, connect_timeout_s: float = CONNECT_TIMEOUT_S
) -> AsyncIterator[Conformance]:
    """Both engines on streams in memory, ready to be served; `await stop()` closes what is open."""
    settings = Settings(
        ping_interval_s=ping_interval_s,
        ping_timeout_s=ping_timeout_s,
        max_body=PAYLOAD_LIMIT,
        cors_origins=("*",),
        rate_limits=False,
    )
    clock = Clock()
    limits = Limits(settings, None)
    streams = Streams(MemoryEventStore(), MemoryBus(MemoryBus.Exchange()), clock, settings, source=new_id())
    tokens = Everybody(secrets.token_bytes(32), clock, settings.access_token_s, NobodyRevoked())
    sockets = Sockets(settings, clock, streams, streams.hub, tokens, limits, connect_timeout_s=connect_timeout_s)
    for name in NAMESPACES:
        sockets.add(_namespace(name))
    await streams.start()
    try:
        yield Conformance(sockets, _echo(settings, limits))
    finally:
        await streams.stop()


def _echo(settings: Settings, limits: Limits) -> Engine:
    """The same engine with the same settings, whose messages go nowhere else."""
    echo = Server(
        Echo(),
        ping_interval=settings.ping_interval_s,
        ping_timeout=settings.ping_timeout_s,
        max_http_buffer_size=settings.max_body,
    ).eio
    echo.limits = limits
    echo.addresses = ClientAddresses(settings.trusted_proxies)
    echo.origins = Origins(settings.cors_origins, echo.addresses)
    return echo
