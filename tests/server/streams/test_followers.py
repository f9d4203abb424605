"""Followers on a real change stream: everything, in order, at least once, by one worker at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase

from models.event import EventDocument
from models.rules.stream import Command
from server.clock import Clock, new_id
from server.streams import followers as module
from server.streams.event import StoredEvent
from server.streams.followers import Follower, Followers
from server.streams.mongo import MongoEventStore
from tests.server.streams.conftest import Instance, Launch
from tests.waiting import until

pytestmark = pytest.mark.parametrize("shared", ["mongo"], indirect=True)


@pytest.fixture
async def db(shared: dict[str, Any]) -> AsyncIterator[AsyncDatabase[dict[str, Any]]]:
    async with AsyncMongoClient(shared["mongodb"]) as client:
        yield client[shared["database"]]


class Seen:
    """A handler that remembers, and fails when told to."""

    def __init__(self) -> None:
        self.events: list[tuple[str, int]] = []
        self.fail = 0

    async def handle(self, events: Sequence[StoredEvent]) -> None:
        if self.fail:
            self.fail -= 1
            raise RuntimeError("the effect failed")
        self.events += [(event.stream, event.seq) for event in events]
        assert all(event.private == {"secret": "of ann"} for event in events if event.type == "added")

    def of(self, stream: str) -> list[int]:
        """In the order in which they came first: at least once is the promise."""
        return list(dict.fromkeys(seq for name, seq in self.events if name == stream))


def follow(db: AsyncDatabase[dict[str, Any]], seen: Seen) -> Followers:
    followers = Followers(db, Clock(), new_id())
    followers.add(Follower("test", ("tally",), seen.handle))
    return followers


async def add(instance: Instance, stream: str, count: int) -> None:
    for _ in range(count):
        await instance.streams.append(stream, Command("add", "ann", {"n": 1}))


async def test_history_first_then_live_and_on_from_the_token(launch: Launch, db: AsyncDatabase[dict[str, Any]]) -> None:
    one = await launch()
    await add(one, "tally:a", 3)
    seen = Seen()
    followers = follow(db, seen)
    await followers.start()
    await until(lambda: seen.of("tally:a") == [1, 2, 3])
    await add(one, "tally:b", 2)
    await until(lambda: seen.of("tally:b") == [1, 2])
    await until(lambda: db["followers"].find_one({"token": {"$type": "object"}}))
    await followers.stop()

    await add(one, "tally:a", 2)
    later = Seen()
    again = follow(db, later)
    await again.start()
    await until(lambda: later.of("tally:a")[-1:] == [5])
    assert later.of("tally:a") == [4, 5]
    await again.stop()


async def test_a_failed_batch_comes_again(
    launch: Launch, db: AsyncDatabase[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_RETRY_S", 0.05)
    one = await launch()
    seen = Seen()
    followers = follow(db, seen)
    await followers.start()
    await add(one, "tally:a", 1)
    await until(lambda: seen.of("tally:a") == [1])
    seen.fail = 2
    await add(one, "tally:a", 3)
    await until(lambda: seen.of("tally:a")[-1:] == [4])
    assert sorted(set(seen.of("tally:a"))) == [1, 2, 3, 4]
    await followers.stop()


async def test_one_worker_at_a_time_and_another_takes_over(
    launch: Launch, db: AsyncDatabase[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_RETRY_S", 0.05)
    one = await launch()
    first, second = Seen(), Seen()
    leader, heir = follow(db, first), follow(db, second)
    await leader.start()
    await add(one, "tally:a", 2)
    await until(lambda: first.of("tally:a") == [1, 2])
    await heir.start()
    await add(one, "tally:a", 2)
    await until(lambda: first.of("tally:a") == [1, 2, 3, 4])
    assert second.events == []
    await leader.stop()
    await add(one, "tally:a", 1)
    await until(lambda: second.of("tally:a")[-1:] == [5])
    await heir.stop()


async def test_names_are_unique(db: AsyncDatabase[dict[str, Any]]) -> None:
    followers = follow(db, Seen())
    with pytest.raises(ValueError, match="registered twice"):
        followers.add(Follower("test", ("tally",), Seen().handle))


async def test_every_query_of_the_store_uses_an_index(launch: Launch, db: AsyncDatabase[dict[str, Any]]) -> None:
    one = await launch()
    await add(one, "tally:a", 5)
    assert isinstance(one.store, MongoEventStore)
    events = db[EventDocument.Settings.name]
    for query, sort in (
        ({"stream": "tally:a", "seq": {"$gt": 2}}, [("seq", 1)]),
        ({"stream": "tally:a"}, [("seq", -1)]),
        ({"$or": [{"stream": "tally:a", "seq": {"$gt": 1}}, {"stream": "tally:b", "seq": {"$gt": 1}}]},
         [("stream", 1), ("seq", 1)]),
        ({"stream": "tally:a", "$or": [{"actor": "ann", "key": {"$eq": "k", "$exists": True}}]}, [("seq", 1)]),
        ({"stream": {"$regex": "^(?:tally):"}}, [("stream", 1), ("seq", 1)]),
    ):  # fmt: skip
        plan = str((await events.find(query).sort(sort).explain())["queryPlanner"]["winningPlan"])
        assert "IXSCAN" in plan
        assert "COLLSCAN" not in plan
