"""The denylist with Redis, without Redis, and between instances."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from prometheus_client import REGISTRY
from pymongo import AsyncMongoClient
from redis.asyncio import Redis

from server.auth.denylist import LONGEST_S, Denylist
from server.auth.revocation import CHANNEL, Revocations
from server.clock import Clock
from server.streams.redis_link import RedisLink
from tests.waiting import until


@pytest.fixture
async def link(clean_redis_url: str) -> AsyncIterator[RedisLink]:
    link = RedisLink(clean_redis_url)
    await link.start()
    yield link
    await link.stop()


@pytest.fixture
async def no_link() -> AsyncIterator[RedisLink]:
    link = RedisLink("redis://127.0.0.1:1", timeout_ms=50)
    await link.start()
    yield link
    await link.stop()


def unchecked() -> float:
    return REGISTRY.get_sample_value("auth_denylist_unchecked_total") or 0.0


async def test_one_process_denies_and_another_refuses(link: RedisLink) -> None:
    here, there = (Denylist(link, Clock(), 900) for _ in range(2))
    assert not await there.denies("s")
    await here.deny("s")
    assert here.remembers("s")
    assert not there.remembers("s")
    assert await there.denies("s")
    assert there.remembers("s")
    assert not await there.denies("other")


async def test_many_ask_together_and_each_gets_its_own_answer(link: RedisLink, redis_url: str) -> None:
    denylist = Denylist(link, Clock(), 900)
    for revoked in range(0, 500, 7):
        await Denylist(link, Clock(), 900).deny(f"s{revoked}")
    async with Redis.from_url(redis_url) as redis:
        before = (await redis.info("stats"))["total_reads_processed"]
        asking = [asyncio.create_task(denylist.denies(f"s{number}")) for number in range(500)]
        gone = asyncio.create_task(denylist.denies("s7"))
        await asyncio.sleep(0)
        gone.cancel()
        answers = await asyncio.gather(*asking)
        after = (await redis.info("stats"))["total_reads_processed"]
    assert answers == [number % 7 == 0 for number in range(500)]
    assert after - before < 100
    assert gone.cancelled()
    assert not await denylist.denies("another")


async def test_entries_live_as_long_as_a_token_and_a_week_at_most(link: RedisLink, redis_url: str) -> None:
    await Denylist(link, Clock(), 900).deny("a")
    await Denylist(link, Clock(), 10**9).deny("b")
    async with Redis.from_url(redis_url) as redis:
        assert 900 <= await redis.ttl("rialto:{denied}:a") <= 960
        assert LONGEST_S - 5 <= await redis.ttl("rialto:{denied}:b") <= LONGEST_S


async def test_without_redis_nobody_is_refused_but_it_is_counted(no_link: RedisLink) -> None:
    denylist = Denylist(no_link, Clock(), 900)
    before = unchecked()
    assert not await denylist.denies("s")
    assert unchecked() == before + 1
    await denylist.deny("s")
    assert await denylist.denies("s")


async def test_redis_that_dies_under_us_counts_as_down(no_link: RedisLink) -> None:
    class StillCalledUp:
        client = no_link.client
        up = True

    denylist = Denylist(StillCalledUp(), Clock(), 900)
    before = unchecked()
    assert not await denylist.denies("s")
    await denylist.deny("s")
    assert unchecked() == before + 1
    assert await denylist.denies("s")


async def test_memory_forgets_what_no_token_can_have(link: RedisLink, monkeypatch: pytest.MonkeyPatch) -> None:
    class Moving(Clock):
        ms = 1_800_000_000_000

        def now(self) -> int:
            return self.ms

    clock = Moving()
    denylist = Denylist(link, clock, 900)
    denylist.remember("old")
    monkeypatch.setattr("server.auth.denylist._PRUNE_EVERY_S", 0.0)
    clock.ms += 961_000
    denylist.remember("new")
    assert denylist.remembers("new")
    assert not denylist.remembers("old")


async def test_noise_on_the_control_channel_does_no_harm(link: RedisLink, mongodb_url: str, database: str) -> None:
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(mongodb_url)
    closed: list[str] = []
    denylist = Denylist(link, Clock(), 900)
    revocations = Revocations(client[database]["sessions"], link, Clock(), denylist, closed.append)
    await revocations.start()
    for noise in (b"", b"\xff", b"[]", b"{}", b'{"revoke_session": 7}', b'{"drain": true}'):
        await link.publish(CHANNEL, noise)
    await link.publish(CHANNEL, b'{"revoke_session": "s"}')
    await link.publish(CHANNEL, b'{"revoke_session": "s"}')
    await link.publish(CHANNEL, b'{"revoke_session": "t"}')
    await until(lambda: "t" in closed)
    assert closed == ["s", "t"]
    await revocations.stop()
    await client.close()
