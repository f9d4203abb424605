"""A small market: real streams on the memory store, real tokens, a real aiohttp server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from pydantic import BaseModel
from pymongo.errors import AutoReconnect

from models.rules.stream import Command
from server.auth.principal import Principal
from server.auth.tokens import Tokens
from server.clock import Clock, new_id
from server.errors import AppError
from server.limits.limits import Limits
from server.realtime import Connection, Namespace, Sockets
from server.settings import Settings
from server.streams.bus import MemoryBus
from server.streams.kinds import StreamKind
from server.streams.memory import MemoryEventStore
from server.streams.streams import Streams
from tests.server.realtime.wire import Wire
from tests.server.streams.tally import TallyRules


class Add(BaseModel):
    """Move a total."""

    stream: str
    n: int
    key: str | None = None


class Added(BaseModel):
    """What it became."""

    seq: int
    total: int


class Nothing(BaseModel):
    """No fields."""


class Revoked:
    """The denylist's twin: a set."""

    def __init__(self) -> None:
        self.sessions: set[str] = set()

    def remembers(self, session: str) -> bool:
        return session in self.sessions

    async def denies(self, session: str) -> bool:
        return session in self.sessions


@dataclass
class Market:
    """One running instance.

    `hold` stops the command `wait` until it is set; `log` tells what the commands did, in order.
    """

    url: str
    app: web.Application
    streams: Streams
    sockets: Sockets
    tokens: Tokens
    revoked: Revoked
    clock: Clock
    settings: Settings
    hold: asyncio.Event = field(default_factory=asyncio.Event)
    log: list[str] = field(default_factory=list)
    wires: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def wire(self, transport: str = "websocket", **options: Any) -> Wire:
        """A transport without a namespace yet."""
        return await self.wires.enter_async_context(Wire(self.url, transport, **options))

    async def member(self, transport: str = "websocket", *, auth: Any = None) -> Wire:
        """A transport in /market."""
        wire = await self.wire(transport)
        assert "sid" in await wire.connect(auth=auth)
        return wire

    async def add(self, stream: str, n: int = 1) -> None:
        """Append one event."""
        await self.streams.append(stream, Command("add", "system", {"n": n}))

    def token(self, user: str = "ann", session: str = "s1") -> str:
        """An access token."""
        return self.tokens.issue(user, session, "both")


async def _owners_only(principal: Principal | None, stream: str) -> None:
    if principal is None:
        raise AppError("UNAUTHENTICATED")
    if principal.id != stream.partition(":")[2]:
        raise AppError("FORBIDDEN")


async def _everyone(principal: Principal | None, stream: str) -> None:
    return None


async def _view(principal: Principal | None, stream: str, state: Any) -> dict[str, Any]:
    return {"total": state.total, "reader": principal.id if principal else None}


def _namespace(market: Market) -> Namespace:
    namespace = Namespace("/market", anonymous=True)

    async def add(connection: Connection, body: Add) -> dict[str, Any]:
        actor = connection.principal.id if connection.principal else "guest"
        answer = await market.streams.append(body.stream, Command("add", actor, {"n": body.n}, key=body.key))
        return dict(answer.fields)

    async def wait(connection: Connection, body: Nothing) -> dict[str, Any]:
        market.log.append("wait")
        await market.hold.wait()
        market.log.append("done")
        return {}

    async def note(connection: Connection, body: BaseModel) -> dict[str, Any]:
        market.log.append("note")
        connection.emit("noted", {"by": connection.require().id})
        return {}

    async def crash(connection: Connection, body: Nothing) -> dict[str, Any]:
        raise RuntimeError("an internal name")

    async def dig(connection: Connection, body: Nothing) -> dict[str, Any]:
        raise AutoReconnect("an internal name")

    async def muddle(connection: Connection, body: Nothing) -> dict[str, Any]:
        return {"unencodable": object()}

    namespace.command("add", Add, add, answer=Added, summary="Add", errors=("BID_TOO_WEAK",))
    for name, handler in {"wait": wait, "note": note, "crash": crash, "dig": dig, "muddle": muddle}.items():
        namespace.command(name, Nothing, handler, answer=Nothing, summary=name)
    return namespace


Open = Callable[..., Awaitable[Market]]


@pytest.fixture
async def open_market() -> AsyncIterator[Open]:
    """`await open_market(**settings)`; `edge=` goes to Sockets, `prepare=` gets the market before it serves."""
    async with AsyncExitStack() as stack:

        async def start(
            *, edge: dict[str, Any] | None = None, prepare: Callable[[Market], None] | None = None, **overrides: Any
        ) -> Market:
            settings = Settings(**{"rate_limits": False, **overrides})
            clock, revoked = Clock(), Revoked()
            streams = Streams(MemoryEventStore(), MemoryBus(MemoryBus.Exchange()), clock, settings, source=new_id())
            streams.register(StreamKind("tally", TallyRules(), authorise=_everyone, view=_view))
            streams.register(StreamKind("own", TallyRules(), authorise=_owners_only))
            streams.register(StreamKind("hidden", TallyRules()))
            await streams.start()
            stack.push_async_callback(streams.stop)
            tokens = Tokens("x" * 32, clock, settings.access_token_s, revoked)
            sockets = Sockets(settings, clock, streams, streams.hub, tokens, Limits(settings, None), **(edge or {}))
            app = web.Application()
            market = Market("", app, streams, sockets, tokens, revoked, clock, settings)
            sockets.add(_namespace(market))
            sockets.add(Namespace("/members"))
            sockets.attach(app)
            if prepare is not None:
                prepare(market)
            runner = web.AppRunner(app)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            stack.push_async_callback(sockets.stop)
            stack.callback(market.hold.set)
            stack.push_async_callback(market.wires.aclose)
            market.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            return market

        yield start


@pytest.fixture
async def market(open_market: Open) -> Market:
    """An instance with default settings."""
    return await open_market()


@pytest.fixture(params=["websocket", "polling", "upgraded"])
def transport(request: pytest.FixtureRequest) -> str:
    """Every way to be connected."""
    return str(request.param)
