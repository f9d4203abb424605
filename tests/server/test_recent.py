"""Values that are read now and then, forgotten when somebody says so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from server.recent import Recent, announce
from server.streams.redis_link import RedisLink
from tests.waiting import until

CHANNEL = "rialto:test-recent"


class Shelf:
    """Where the values come from; `hold` keeps readers waiting."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.reads: list[str] = []
        self.hold = asyncio.Event()
        self.hold.set()

    async def load(self, key: str) -> str:
        self.reads.append(key)
        value = self.values[key]
        await self.hold.wait()
        return value


class Deaf:
    """A link over which nothing is heard."""

    async def publish(self, channel: str, message: bytes) -> None:
        raise OSError("away")

    def on_message(self, channel: str, callback: Callable[[bytes], None]) -> None:
        pass


async def test_it_is_read_once_for_all_who_ask_and_not_again_while_it_is_fresh() -> None:
    shelf = Shelf()
    shelf.values["a"] = "one"
    recent = Recent(Deaf(), CHANNEL, shelf.load, age_s=60)
    assert await asyncio.gather(*(recent.get("a") for _ in range(50))) == ["one"] * 50
    shelf.values["a"] = "two"
    assert await recent.get("a") == "one"
    assert shelf.reads == ["a"]


async def test_an_old_value_is_read_again() -> None:
    shelf = Shelf()
    shelf.values["a"] = "one"
    recent = Recent(Deaf(), CHANNEL, shelf.load, age_s=0)
    assert await recent.get("a") == "one"
    shelf.values["a"] = "two"
    assert await recent.get("a") == "two"


async def test_what_is_being_read_while_it_changes_is_not_kept() -> None:
    shelf = Shelf()
    shelf.values["a"] = "one"
    recent = Recent(Deaf(), CHANNEL, shelf.load, age_s=60)
    shelf.hold.clear()
    early = asyncio.create_task(recent.get("a"))
    await until(lambda: shelf.reads == ["a"])
    shelf.values["a"] = "two"
    await recent.changed("a")
    late = asyncio.create_task(recent.get("a"))
    await until(lambda: shelf.reads == ["a", "a"])
    shelf.hold.set()
    assert (await early, await late) == ("one", "two")
    assert await recent.get("a") == "two"


async def test_a_failure_is_told_and_not_kept() -> None:
    shelf = Shelf()
    recent = Recent(Deaf(), CHANNEL, shelf.load, age_s=60)
    with pytest.raises(KeyError):
        await recent.get("a")
    shelf.values["a"] = "one"
    assert await recent.get("a") == "one"


async def test_the_longest_unread_are_forgotten() -> None:
    shelf = Shelf()
    shelf.values = {"a": "1", "b": "2", "c": "3"}
    recent = Recent(Deaf(), CHANNEL, shelf.load, age_s=60, kept=2)
    for key in "abcbca":
        await recent.get(key)
    assert shelf.reads == ["a", "b", "c", "a"]


async def test_a_change_is_heard_by_other_processes(redis_url: str) -> None:
    here, there = RedisLink(redis_url), RedisLink(redis_url)
    shelf = Shelf()
    shelf.values["a"] = "one"
    one, two = [Recent(link, CHANNEL, shelf.load, age_s=60) for link in (here, there)]
    await here.start()
    await there.start()
    try:
        assert (await one.get("a"), await two.get("a")) == ("one", "one")
        shelf.values["a"] = "two"
        await one.changed("a")
        assert await one.get("a") == "two"

        async def heard() -> bool:
            await announce(here, CHANNEL, "a")
            return await two.get("a") == "two"

        await until(heard)
    finally:
        await here.stop()
        await there.stop()
