"""Instances that share a store and a bus: in memory, and on real MongoDB and Valkey. Most tests run on both."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from pymongo import AsyncMongoClient

from models.event import EventDocument
from server.clock import Clock, new_id
from server.settings import Settings
from server.streams.bus import Bus, MemoryBus
from server.streams.event import Batch, Signal
from server.streams.kinds import StreamKind
from server.streams.memory import MemoryEventStore
from server.streams.mongo import MongoEventStore
from server.streams.redis_link import RedisLink
from server.streams.store import EventStore
from server.streams.streams import Streams
from tests.server.streams.tally import TallyRules


class Instance:
    """One server's share of streams."""

    def __init__(self, store: EventStore, bus: Bus, settings: Settings, name: str | None = None) -> None:
        self.store = store
        self.bus = bus
        self.name = name or new_id()
        self.streams = Streams(store, bus, Clock(), settings, source=self.name)
        self.streams.register(StreamKind("tally", TallyRules()))
        self.hub = self.streams.hub


class Watcher:
    """A sink that remembers what it was given."""

    def __init__(self) -> None:
        self.seqs: list[int] = []

    def deliver(self, batch: Batch) -> None:
        self.seqs += [event.seq for event in batch.events]

    def signal(self, signal: Signal) -> None:
        raise AssertionError("nobody signals on these streams")

    async def permitted(self) -> bool:
        raise AssertionError("nobody can lose the right to read these streams")

    def close(self, reason: str) -> None:
        raise AssertionError("nobody is shown out of these streams")


@pytest.fixture(params=["memory", "mongo"])
def shared(request: pytest.FixtureRequest) -> dict[str, Any]:
    """What the instances of one test have in common."""
    if request.param == "memory":
        return {"store": MemoryEventStore(), "exchange": MemoryBus.Exchange()}
    return {
        "mongodb": request.getfixturevalue("mongodb_url"),
        "redis": request.getfixturevalue("clean_redis_url"),
        "database": request.getfixturevalue("database"),
    }


Launch = Callable[..., Any]


@pytest.fixture
async def launch(shared: dict[str, Any]) -> AsyncIterator[Launch]:
    """`await launch(wrap=..., name=..., **settings)` starts one more instance on the same store and bus."""
    async with AsyncExitStack() as stack:

        async def parts(settings: Settings) -> tuple[EventStore, Bus]:
            if "store" in shared:
                return shared["store"], MemoryBus(shared["exchange"])
            client = await stack.enter_async_context(AsyncMongoClient(shared["mongodb"]))
            database = client[shared["database"]]
            await database["events"].create_indexes(EventDocument.Settings.indexes)
            link = RedisLink(shared["redis"], timeout_ms=settings.redis_timeout_ms)
            await link.start()
            stack.push_async_callback(link.stop)
            return MongoEventStore(database), link

        async def start(
            wrap: Callable[[EventStore], EventStore] = lambda store: store, name: str | None = None, **overrides: Any
        ) -> Instance:
            settings = Settings(**overrides)
            store, bus = await parts(settings)
            instance = Instance(wrap(store), bus, settings, name)
            await instance.streams.start()
            stack.push_async_callback(instance.streams.stop)
            return instance

        yield start
