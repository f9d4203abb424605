"""One instance with accounts and jobs on real databases, its streams included; the worker's part is called by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from beanie import init_beanie
from pymongo import AsyncMongoClient, WriteConcern

from handlers import auth, jobs
from handlers.jobs.auctions import JobAuctions
from handlers.jobs.service import Jobs
from handlers.jobs.tasks import Tasks
from handlers.jobs.view_counts import ViewCounts
from models.event import EventDocument, FollowerDocument, SnapshotDocument
from models.idempotency import IdempotencyRecord
from models.rules.auction.rules import AUCTION_RULES
from models.session import Session
from server.auth.denylist import Denylist
from server.auth.revocation import Revocations
from server.auth.tokens import Tokens
from server.clock import Clock, to_rfc3339
from server.limits.limits import Limits
from server.settings import Settings
from server.streams.followers import Followers
from server.streams.kinds import StreamKind
from server.streams.mongo import MongoEventStore
from server.streams.redis_link import RedisLink
from server.streams.streams import Streams
from server.web.app import build_web
from server.web.router import Router
from tests.handlers.auth.conftest import Instance


class MovableClock(Clock):
    """The real time, shifted."""

    shift_ms = 0

    def now(self) -> int:
        return super().now() + self.shift_ms


class Market(Instance):
    """An instance with jobs: short ways to post them and to look at what is stored."""

    tasks: Tasks
    jobs: Jobs
    streams: Streams

    async def post(self, token: str, **changes: Any) -> Any:
        """A posted job."""
        status, answer = await self.call("POST", "/jobs", token, json=self.body(**changes))
        assert status == 201, answer
        return answer

    def body(self, **changes: Any) -> dict[str, Any]:
        """A good body of `POST /jobs`; None as a change leaves the field out."""
        whole = {
            "title": "Translate a cookbook",
            "description": "Two hundred pages, with a glossary.",
            "category": "Translation",
            "skills": ["portuguese", "cooking"],
            "budget": {"min": 10_000, "max": 100_000, "currency": "EUR"},
            "location": {"lat": 45.44, "lng": 12.33, "address": "Venezia"},
            "visibility": "public",
            "auction": self.auction(),
        }
        return {name: value for name, value in (whole | changes).items() if value is not None}

    def auction(self, **changes: Any) -> dict[str, Any]:
        """Good terms, ending in an hour."""
        return {"format": "reverse", "start_amount": 90_000, "end_at": self.at(3600), **changes}

    def at(self, seconds: float) -> str:
        """A time so many seconds from now."""
        return to_rfc3339(self.context.clock.now() + int(seconds * 1000))

    async def events(self, auction: str) -> list[str]:
        """Types of an auction's events."""
        return [event.type for event in await self.streams.read(f"auction:{auction}", 0, 1000)]


@pytest.fixture
async def market(settings: Settings) -> AsyncIterator[Market]:
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(settings.mongodb_url, tz_aware=True)
    db = client.get_database(settings.mongodb_database, write_concern=WriteConcern("majority", j=True))
    clock = MovableClock()
    redis = RedisLink(settings.redis_url)
    streams = Streams(MongoEventStore(db), redis, clock, settings, "test")
    for kind in ("auction", "sealed"):
        streams.register(StreamKind(kind, AUCTION_RULES))
    denylist = Denylist(redis, clock, settings.access_token_s)
    closed: list[str] = []
    context: Any = SimpleNamespace(
        settings=settings,
        instance="test",
        limits=Limits(settings, redis),
        clock=clock,
        client=client,
        db=db,
        redis=redis,
        streams=streams,
        followers=Followers(db, clock, "test"),
        tokens=Tokens(settings.token_secret.get_secret_value(), clock, settings.access_token_s, denylist),
        revocations=Revocations(db[Session.Settings.name], redis, clock, denylist, closed.append),
        router=Router(),
        documents=[EventDocument, SnapshotDocument, FollowerDocument, IdempotencyRecord],
        tasks={},
    )
    auth.setup(context)
    jobs.setup(context)
    await init_beanie(database=db, document_models=context.documents)
    await redis.start()
    await streams.start()
    http = TestClient(TestServer(build_web(context)))
    await http.start_server()
    market = Market(context, http, closed)
    market.streams = streams
    market.jobs = Jobs(clock, JobAuctions(streams, clock))
    market.tasks = Tasks(market.jobs, ViewCounts(redis, clock), streams, clock)
    yield market
    await http.close()
    await streams.stop()
    await redis.stop()
    await client.close()


@pytest.fixture
async def client(market: Market) -> str:
    """Access token of somebody who posts jobs."""
    return str((await market.register("client@example.com", "client"))["access_token"])


@pytest.fixture
async def freelancer(market: Market) -> Any:
    """A registered freelancer."""
    return await market.register("freelancer@example.com", "freelancer")
