"""Token buckets, in memory and in Redis.

A bucket is kept as the one moment at which it will be full again: what is taken moves it on, and what lies in the past is a full
bucket, the same as none (the "generic cell rate algorithm"). So one number is all there is, and nothing has to be refilled.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Hashable
from typing import Final, Protocol

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from server.limits.rate import Rate

CAPACITY: Final = 50_000
"""Buckets in memory at most: the least lately used is forgotten first, which is to its user's advantage."""

_KEY: Final = "rialto:limit:"

_TAKE: Final = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local each, period = tonumber(ARGV[1]), tonumber(ARGV[2])
local full = math.max(now, tonumber(redis.call('GET', KEYS[1]) or '0'))
local wait = full - now + each - period
if wait > 0 then
  return math.ceil(wait)
end
full = full + each
redis.call('SET', KEYS[1], string.format('%.0f', full), 'PX', math.ceil((full - now) / 1000))
return 0
"""
"""Atomic, and on the clock of Redis, so that instances need not agree on the time. Microseconds in, microseconds out."""

log = structlog.get_logger(__name__)


class RedisSource(Protocol):
    """The part of `server.streams.redis_link.RedisLink` that is used here."""

    @property
    def client(self) -> Redis:
        """The shared client."""
        ...

    @property
    def up(self) -> bool:
        """Whether Redis answered when last asked."""
        ...


class Buckets:
    """The buckets of this process."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._full_at: OrderedDict[Hashable, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._full_at)

    def take(self, key: Hashable, rate: Rate, now: float | None = None) -> float:
        """Take one; 0 if there was one, else the seconds until there is. What is refused costs nothing more."""
        if now is None:
            now = time.monotonic()
        full_at = max(now, self._full_at.get(key, 0.0))
        wait = full_at - now + rate.each_s - rate.period_s
        if wait > 1e-9:
            self._full_at.move_to_end(key)
            return wait
        self._full_at[key] = full_at + rate.each_s
        self._full_at.move_to_end(key)
        if len(self._full_at) > self._capacity:
            self._full_at.popitem(last=False)
        return 0.0


class SharedBuckets:
    """Buckets that hold across instances. With Redis away each instance has its own: nobody is locked out by an outage."""

    def __init__(self, redis: RedisSource | None, own: Buckets) -> None:
        self._redis = redis
        self._own = own

    async def take(self, key: str, rate: Rate) -> float:
        """As `Buckets.take`. Never raises."""
        if self._redis is not None and self._redis.up:
            try:
                micros = await self._redis.client.eval(
                    _TAKE, 1, _KEY + key, math.ceil(rate.each_s * 1e6), math.ceil(rate.period_s * 1e6)
                )
            except (RedisError, OSError, TimeoutError) as error:
                log.warning("limits.redis_failed", error=str(error))
            else:
                return int(micros) / 1e6
        return self._own.take(("shared", key), rate)
