"""Who watches a stream now: over two instances, through the death of one, and of Valkey."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from models.rules.stream import Command
from server.clock import Clock
from server.dev.valkey import Valkey
from server.realtime import Namespace
from server.realtime.attendance import Attendance, attendance
from server.streams.redis_link import RedisLink
from tests.server.realtime.conftest import Market, Open
from tests.server.realtime.wire import Wire
from tests.waiting import until

HALL = "/hall"
STREAM = "tally:a"
EVERYBODY = ("ann", "bob", "cid")


@pytest.fixture
async def link(clean_redis_url: str) -> AsyncIterator[RedisLink]:
    link = RedisLink(clean_redis_url)
    await link.start()
    yield link
    await link.stop()


async def enter(market: Market, user: str) -> Wire:
    wire = await market.wire()
    await wire.connect(HALL, auth={"token": market.token(user, f"session of {user}")})
    return wire


async def watch(market: Market, user: str, stream: str = STREAM) -> Wire:
    wire = await enter(market, user)
    assert (await wire.command("subscribe", {"stream": stream}, namespace=HALL))["ok"]
    return wire


class Instance:
    """A market whose hall is observed."""

    def __init__(self, link: RedisLink, expiry_s: float = 30.0) -> None:
        self.attendance = Attendance(link, Clock(), kinds=("tally",), expiry_s=expiry_s)

    async def open(self, open_market: Open) -> Market:
        market = await open_market(prepare=self._prepare)
        await market.add(STREAM)
        await market.streams.append("own:ann", Command("add", "system", {"n": 1}))
        return market

    def _prepare(self, market: Market) -> None:
        market.sockets.add(Namespace(HALL, anonymous=True)).observers.append(self.attendance)


async def who(link: RedisLink, stream: str = STREAM, users: tuple[str, ...] = EVERYBODY) -> set[str]:
    """Those of the users who are there now."""
    known = await attendance(link, stream)
    return {user for user in users if known.get(user, 0) > Clock().now()}


async def test_all_devices_of_all_instances_count(link: RedisLink, open_market: Open) -> None:
    here, there = Instance(link), Instance(link)
    one, two = await here.open(open_market), await there.open(open_market)
    desk, phone, bob = await watch(one, "ann"), await watch(two, "ann"), await watch(one, "bob")
    await enter(one, "cid")  # is connected, but watches nothing
    await until(lambda: _is(link, {"ann", "bob"}))
    assert await who(link, users=("bob", "dan")) == {"bob"}
    assert await who(link, "tally:b") == set()
    await desk.command("unsubscribe", {"stream": STREAM}, namespace=HALL)
    await bob.send("1")
    await until(lambda: _is(link, {"ann"}))
    await until(lambda: here.attendance.signs.idle)
    assert await who(link) == {"ann"}
    await phone.command("unsubscribe", {"stream": STREAM}, namespace=HALL)
    await until(lambda: _is(link, set()))
    await until(lambda: there.attendance.signs.idle)
    # who went is remembered for a while, with the time until which it was there
    left = await attendance(link, STREAM)
    assert left.keys() == {"ann", "bob"}
    assert Clock().now() - 60_000 < left["bob"] <= left["ann"] <= Clock().now()


async def _is(link: RedisLink, expected: set[str]) -> bool:
    return await who(link) == expected


async def test_of_two_connections_the_last_one_counts(link: RedisLink, open_market: Open) -> None:
    instance = Instance(link)
    market = await instance.open(open_market)
    wires = [await watch(market, "ann"), await watch(market, "ann")]
    await until(lambda: _is(link, {"ann"}))
    await wires[0].send("1")
    await watch(market, "bob")
    await until(lambda: _is(link, {"ann", "bob"}))
    again = await wires[1].command("subscribe", {"stream": STREAM, "after": 1}, namespace=HALL)
    assert again["ok"]
    await wires[1].command("unsubscribe", {"stream": STREAM}, namespace=HALL)
    await until(lambda: _is(link, {"bob"}))


async def test_neither_strangers_nor_other_kinds_of_streams_are_entered(link: RedisLink, open_market: Open) -> None:
    instance = Instance(link)
    market = await instance.open(open_market)
    stranger = await market.wire()
    await stranger.connect(HALL)
    assert (await stranger.command("subscribe", {"stream": STREAM}, namespace=HALL))["ok"]
    ann = await enter(market, "ann")
    assert (await ann.command("subscribe", {"stream": "own:ann"}, namespace=HALL))["ok"]
    assert instance.attendance.signs.idle


async def test_it_is_renewed_while_it_lasts_and_lapses_with_its_instance(link: RedisLink, open_market: Open) -> None:
    instance = Instance(link, expiry_s=0.3)
    market = await instance.open(open_market)
    await watch(market, "ann")
    await until(lambda: _is(link, {"ann"}))
    key = f"rialto:attend:{STREAM}"
    [(_, first)] = await link.client.zrange(key, 0, -1, withscores=True)

    async def renewed() -> bool:
        [(_, score)] = await link.client.zrange(key, 0, -1, withscores=True)
        return bool(score > first + 300)

    await until(renewed)
    await link.client.zadd(key, {"bob dead-instance": Clock().now() + 150})
    assert "bob" in await who(link)
    await until(lambda: _is(link, {"ann"}))


async def test_without_valkey_nobody_attends_and_with_it_all_do_again(open_market: Open, tmp_path: Path) -> None:
    valkey = Valkey(tmp_path, log=tmp_path / "valkey.log", persistent=False)
    await valkey.start()
    link = RedisLink(valkey.url, timeout_ms=500)
    await link.start()
    try:
        instance = Instance(link)
        market = await instance.open(open_market)
        ann = await watch(market, "ann")
        await until(lambda: _is(link, {"ann"}))
        await valkey.stop()
        assert await who(link) == set()
        bob = await watch(market, "bob")
        await ann.command("unsubscribe", {"stream": STREAM}, namespace=HALL)
        await until(lambda: not link.up)
        await valkey.start()  # empty
        await until(lambda: _is(link, {"bob"}))
        await bob.send("1")
        await until(lambda: instance.attendance.signs.idle)
        await market.sockets.stop()
    finally:
        await link.stop()
        await valkey.stop()
