"""Token buckets: the same suite on memory and on Redis, then what only one of them has."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.clock import new_id
from server.limits.buckets import Buckets, SharedBuckets
from server.limits.rate import Rate
from server.streams.redis_link import RedisLink

Take = Callable[[str, Rate], Awaitable[float]]

HOURLY = Rate(5, 3_600)


@pytest.fixture
async def link(redis_url: str) -> AsyncIterator[RedisLink]:
    link = RedisLink(redis_url)
    await link.start()
    yield link
    await link.stop()


@pytest.fixture(params=["memory", "redis", "redis down"])
async def take(request: pytest.FixtureRequest, link: RedisLink) -> Take:
    """One take from a bucket."""
    if request.param == "memory":
        buckets = Buckets()

        async def from_memory(key: str, rate: Rate) -> float:
            return buckets.take(key, rate)

        return from_memory
    own = Buckets()
    redis = link if request.param == "redis" else RedisLink("redis://127.0.0.1:1/0", timeout_ms=100)
    return SharedBuckets(redis, own).take


async def test_as_many_as_the_bucket_holds_and_then_one_by_one(take: Take) -> None:
    key = new_id()
    assert [await take(key, HOURLY) for _ in range(5)] == [0] * 5
    waits = [await take(key, HOURLY) for _ in range(3)]
    assert all(700 < wait <= 720 for wait in waits)  # a fifth of an hour, and what is refused does not prolong it
    assert waits == sorted(waits, reverse=True)
    assert await take(new_id(), HOURLY) == 0


async def test_it_fills_again(take: Take) -> None:
    key, rate = new_id(), Rate(2, 1)
    assert [await take(key, rate) for _ in range(2)] == [0, 0]
    wait = await take(key, rate)
    assert 0 < wait <= 0.5
    await asyncio.sleep(wait + 0.01)
    assert await take(key, rate) == 0
    assert await take(key, rate) > 0


async def test_one_at_a_time(take: Take) -> None:
    key, rate = new_id(), Rate(1, 3_600)
    assert await take(key, rate) == 0
    assert 3_590 < await take(key, rate) <= 3_600


async def test_many_at_once_get_no_more_than_there_is(take: Take) -> None:
    key = new_id()
    waits = await asyncio.gather(*(take(key, HOURLY) for _ in range(100)))
    assert sum(wait == 0 for wait in waits) == 5


async def test_a_rate_of_millions(take: Take) -> None:
    key, rate = new_id(), Rate(9_999_999, 1)
    assert [await take(key, rate) for _ in range(50)] == [0] * 50


async def test_instances_share_a_bucket_in_redis(link: RedisLink) -> None:
    instances = [SharedBuckets(link, Buckets()) for _ in range(3)]
    key = new_id()
    waits = await asyncio.gather(*(instances[turn % 3].take(key, HOURLY) for turn in range(60)))
    assert sum(wait == 0 for wait in waits) == 5


async def test_a_bucket_in_redis_vanishes_when_it_is_full_again(link: RedisLink) -> None:
    buckets, key = SharedBuckets(link, Buckets()), new_id()
    await buckets.take(key, HOURLY)
    left_ms = await link.client.pttl(f"rialto:limit:{key}")
    assert 700_000 < left_ms <= 720_000


async def test_when_redis_goes_away_each_instance_goes_on_by_itself(link: RedisLink) -> None:
    class Going:
        up = True
        client = RedisLink("redis://127.0.0.1:1/0", timeout_ms=100).client

    buckets, key = SharedBuckets(Going(), Buckets()), new_id()
    assert [await buckets.take(key, HOURLY) for _ in range(5)] == [0] * 5
    assert await buckets.take(key, HOURLY) > 0


def test_memory_is_bounded() -> None:
    buckets = Buckets(capacity=100)
    for number in range(1_000):
        buckets.take(number, HOURLY)
        assert (buckets.take("often used", HOURLY) == 0) == (number < 5)  # it is not forgotten, refused or not
    assert len(buckets) == 100


@given(
    count=st.integers(1, 50),
    period_ms=st.integers(1, 10_000),
    steps=st.lists(st.integers(0, 2_000), max_size=200),
)
def test_it_is_a_token_bucket(count: int, period_ms: int, steps: list[int]) -> None:
    """Against tokens that are counted one by one, in whole numbers: `count` of them are `period_ms * count` drops."""
    buckets, rate = Buckets(), Rate(count, period_ms / 1000)
    now_ms, drops = 1_000_000, period_ms * count
    for step in steps:
        now_ms += step
        drops = min(period_ms * count, drops + step * count)
        wait = buckets.take("key", rate, now_ms / 1000)
        if drops >= period_ms:
            assert wait == 0
            drops -= period_ms
        else:
            assert wait == pytest.approx((period_ms - drops) / count / 1000, abs=1e-6)
