"""How many watch a stream: over two instances, with Redis and without."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from server.clock import Clock
from server.realtime import Namespace
from server.realtime.watchers import Watchers
from server.streams.redis_link import RedisLink
from tests.server.realtime.conftest import Market, Open
from tests.server.realtime.wire import Wire
from tests.waiting import until

SHOW = "/show"


def with_show(market: Market) -> None:
    market.sockets.add(Namespace(SHOW, anonymous=True, watchers=True))


@pytest.fixture
async def link(clean_redis_url: str) -> AsyncIterator[RedisLink]:
    link = RedisLink(clean_redis_url)
    await link.start()
    yield link
    await link.stop()


async def watch(market: Market, stream: str = "tally:a") -> Wire:
    wire = await market.wire()
    await wire.connect(SHOW)
    assert (await wire.command("subscribe", {"stream": stream}, namespace=SHOW))["ok"]
    return wire


async def told(wire: Wire, count: int) -> None:
    """Return once the client has been told this number."""
    while (news := await wire.event("watchers"))["count"] != count:
        assert news["stream"] == "tally:a"


async def test_all_instances_are_counted(open_market: Open, link: RedisLink) -> None:
    edge: dict[str, Any] = {"redis": link, "watchers_interval_s": 0.02}
    here, there = [await open_market(edge=edge, prepare=with_show) for _ in range(2)]
    for market in (here, there):
        await market.add("tally:a")
        await market.add("tally:b")
    first = await watch(here)
    await told(first, 1)
    second, third = await watch(there), await watch(there)
    for wire in (first, second, third):
        await told(wire, 3)
    await second.command("unsubscribe", {"stream": "tally:a"}, namespace=SHOW)
    await told(first, 2)
    await third.send("1")
    await told(first, 1)
    await watch(there)
    await told(first, 2)
    await there.sockets.stop()
    await told(first, 1)
    await first.command("unsubscribe", {"stream": "tally:a"}, namespace=SHOW)
    await until(lambda: here.sockets._watchers._task is None)
    assert await link.client.keys("rialto:watchers:*") == []


async def test_without_redis_the_instance_counts_its_own(open_market: Open) -> None:
    market = await open_market(edge={"watchers_interval_s": 0.02}, prepare=with_show)
    await market.add("tally:a")
    wires = [await watch(market), await watch(market)]
    for wire in wires:
        await told(wire, 2)
    assert market.sockets._watchers._task is not None


async def test_what_a_dead_instance_left_behind_expires(link: RedisLink) -> None:
    clock = Clock()
    key = "rialto:watchers:tally:a"
    await link.client.hset(key, mapping={"dead": f"7 {clock.now() - 1}", "alive": f"2 {clock.now() + 10_000}"})
    watchers = Watchers(link, clock)
    assert await watchers._totals(["tally:a", "tally:none"], clock.now()) == {"tally:a": 2, "tally:none": 0}


async def test_other_namespaces_are_not_told(market: Market) -> None:
    await market.add("tally:a")
    wire = await market.member()
    await wire.command("subscribe", {"stream": "tally:a"})
    assert market.sockets._watchers._task is None
