"""A market whose webhooks may lead to this machine, with receivers that listen here."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from handlers.webhooks.deliveries import Deliveries, Patience
from handlers.webhooks.lanes import Lanes
from handlers.webhooks.occurrences import TYPES
from handlers.webhooks.outbox import Outbox
from handlers.webhooks.sender import Sender
from handlers.webhooks.targets import Reach
from handlers.webhooks.tasks import Ears
from models.event import FollowerDocument
from models.webhook import Delivery, Webhook
from server.settings import Settings
from tests.handlers.market import Market, Person, opened

Behaviour = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Received:
    """A request that a receiver got."""

    path: str
    headers: Mapping[str, str]
    raw: bytes

    @property
    def body(self) -> Any:
        """The JSON."""
        return orjson.loads(self.raw)

    @property
    def delivery(self) -> str:
        """Which delivery it says it is."""
        return self.headers["Rialto-Delivery"]


async def _agree(_request: web.Request) -> web.StreamResponse:
    return web.Response(text="thanks")


@dataclass
class Receiver:
    """An HTTP server that keeps what it is sent; `behave` answers, with 200 unless a test says otherwise."""

    behave: Behaviour = _agree
    received: list[Received] = field(default_factory=list)
    most_at_once: int = 0
    _at_once: int = 0
    _server: TestServer | None = None

    async def start(self) -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._receive)
        self._server = TestServer(app)
        await self._server.start_server()

    async def stop(self) -> None:
        assert self._server
        await self._server.close()

    def url(self, path: str = "/hook", host: str = "127.0.0.1") -> str:
        assert self._server
        return f"http://{host}:{self._server.port}{path}"

    def status(self, status: int, **headers: str) -> None:
        """Answer so from now on."""

        async def behave(_request: web.Request) -> web.StreamResponse:
            return web.Response(status=status, headers=headers)

        self.behave = behave

    def of_type(self, type_: str) -> list[Any]:
        """The bodies of this type, in the order in which they came."""
        return [one.body for one in self.received if one.headers["Rialto-Event"] == type_]

    def data(self, type_: str) -> list[Any]:
        """Their data."""
        return [body["data"] for body in self.of_type(type_)]

    async def _receive(self, request: web.Request) -> web.StreamResponse:
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            self.received.append(Received(request.path, dict(request.headers), await request.read()))
            return await self.behave(request)
        finally:
            self._at_once -= 1


class Desk:
    """The worker's part of webhooks, done by hand: what is told is queued, what is due is tried."""

    def __init__(self, market: Market, sender: Sender, lanes: Lanes | None = None) -> None:
        settings = market.context.settings
        self.market = market
        self.patience = Patience(settings.webhook_attempts, settings.webhook_retry_s, settings.webhook_disable_after_s)
        self.outbox = Outbox(market.context.clock, settings.webhook_keep_days)
        self.ears = Ears(market.context.streams, self.outbox)
        self.deliveries = Deliveries(
            market.context.clock, sender, lanes or Lanes(32, 4), self.patience, settings.webhook_timeout_s
        )

    async def hear(self, *streams: str) -> None:
        """Everything of these streams from the beginning, as a follower without a token reads it, and the jobs."""
        await self.ears.announce_jobs()
        for stream in streams:
            await self.ears.follow(await self.market.context.streams.read(stream))

    async def deliver(self) -> int:
        """Try what is due now, once each; how many tries."""
        tried = 0
        while begun := await self.deliveries.begin():
            await self.deliveries.settled()
            tried += begun
        return tried

    async def make_due(self, **chosen: Any) -> None:
        """As if the time of all queued deliveries had come."""
        await Delivery.get_pymongo_collection().update_many({"state": "queued", **chosen}, {"$set": {"next_at": 0}})

    async def stored(self, **chosen: Any) -> list[dict[str, Any]]:
        """Deliveries in the order of time."""
        found = Delivery.get_pymongo_collection().find(chosen)
        return await found.sort([("created_at", 1), ("place", 1)]).to_list()

    async def change(self, webhook: str, **fields: Any) -> None:
        """Set fields of a stored webhook."""
        await Webhook.get_pymongo_collection().update_one({"_id": webhook}, {"$set": fields})


async def forget_token(market: Market) -> None:
    """Let the follower begin from the beginning when it starts next, as after a loss of history."""
    followers = market.context.db[FollowerDocument.Settings.name]
    await followers.update_one({"_id": "webhooks"}, {"$unset": {"token": ""}})


async def subscribe(market: Market, who: Person, url: str, **fields: Any) -> Any:
    """A new webhook for everything."""
    body = {"url": url, "events": list(TYPES), **fields}
    status, made = await market.call("POST", "/webhooks", who, body)
    assert status == 201, made
    return made


def never_answers() -> tuple[Behaviour, asyncio.Event]:
    """A receiver's behaviour that lasts until the event is set."""
    released = asyncio.Event()

    async def behave(_request: web.Request) -> web.StreamResponse:
        await released.wait()
        return web.Response()

    return behave, released


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"webhook_private_addresses": True})


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    one = Receiver()
    await one.start()
    yield one
    await one.stop()


@pytest.fixture
async def other_receiver() -> AsyncIterator[Receiver]:
    one = Receiver()
    await one.start()
    yield one
    await one.stop()


@pytest.fixture
def closed_port() -> int:
    """A port of this machine at which nobody listens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return int(unused.getsockname()[1])


@pytest.fixture
async def market(settings: Settings) -> AsyncIterator[Market]:
    """Running, the worker's part included."""
    async with opened(settings) as running:
        yield running


@pytest.fixture
async def quiet(settings: Settings) -> AsyncIterator[Market]:
    """Running, but nothing happens by itself."""
    async with opened(settings, worker=False) as running:
        yield running


@pytest.fixture
async def desk(quiet: Market) -> AsyncIterator[Desk]:
    async with Sender(Reach(private=True), 10.0, 32) as sender:
        yield Desk(quiet, sender)


@pytest.fixture
def person(request: pytest.FixtureRequest) -> Callable[[str], Awaitable[Person]]:
    """Makes people in whichever market the test has."""
    name = "quiet" if "quiet" in request.fixturenames else "market"
    where: Market = request.getfixturevalue(name)
    return where.person


@pytest.fixture
async def client(person: Callable[[str], Awaitable[Person]]) -> Person:
    return await person("client")


@pytest.fixture
async def ann(person: Callable[[str], Awaitable[Person]]) -> Person:
    return await person("freelancer")


@pytest.fixture
async def bob(person: Callable[[str], Awaitable[Person]]) -> Person:
    return await person("freelancer")
