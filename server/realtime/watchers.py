"""How many clients watch a stream, over all instances, told to those who watch it; at most once a second.

Each instance keeps its own number per stream in a Redis hash and reads the sum for the streams that are watched here. It is a
figure for people: with Redis away it is the local number, and what a dead instance left behind expires.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Final, Protocol

import orjson
import structlog
from pydantic import BaseModel, Field
from redis.asyncio import Redis
from redis.exceptions import RedisError

from server.background import end
from server.clock import Clock, new_id
from server.realtime import frames
from server.realtime.connection import Connection
from server.realtime.frames import Frame
from server.streams.feed import SLICE

INTERVAL_S: Final = 1.0

_KEY: Final = "rialto:watchers:"
_REFRESH_MS: Final = 10_000
_EXPIRES_MS: Final = 30_000
_SLICE: Final = 1_000
"""Streams read per interval at most; with more of them each has its turn later."""

log = structlog.get_logger(__name__)


class StreamWatchers(BaseModel):
    """How many watch a stream."""

    stream: str
    count: int = Field(description="connections on all instances")


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


class Watchers:
    """The watched streams of this instance, and who watches them.

    Args:
        redis: where the numbers of all instances meet; None counts this one alone.
    """

    def __init__(self, redis: RedisSource | None, clock: Clock, *, interval_s: float = INTERVAL_S) -> None:
        self._redis = redis
        self._clock = clock
        self._interval_s = interval_s
        self._instance = new_id()
        self._rooms: dict[str, dict[Connection, None]] = {}
        self._told: dict[str, int] = {}
        self._published: dict[str, tuple[int, int]] = {}
        self._turn = 0
        self._task: asyncio.Task[None] | None = None

    def attach(self, connection: Connection, stream: str) -> None:
        """A connection watches a stream from now on; it will be told the number."""
        self._rooms.setdefault(stream, {})[connection] = None
        self._told.pop(stream, None)
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="watchers")

    def detach(self, connection: Connection, stream: str) -> None:
        """A connection watches a stream no more."""
        room = self._rooms.get(stream, {})
        room.pop(connection, None)
        if not room:
            self._rooms.pop(stream, None)
            self._told.pop(stream, None)

    async def stop(self) -> None:
        """Withdraw this instance's numbers and end."""
        if self._task is not None:
            await end([self._task])
            self._task = None
        self._rooms.clear()
        await self._publish(self._clock.now())

    async def _run(self) -> None:
        while self._rooms or self._published:
            await asyncio.sleep(self._interval_s)
            try:
                await self._count()
            except Exception:  # a figure for people must not end for good
                log.exception("watchers.failed")
        self._task = None

    async def _count(self) -> None:
        now = self._clock.now()
        streams = list(self._rooms)
        start = self._turn % len(streams) if streams else 0
        streams = (streams[start:] + streams[:start])[:_SLICE]
        self._turn = start + len(streams)
        reached = await self._publish(now)
        totals = await self._totals(streams, now) if reached else {}
        for stream in streams:
            room = self._rooms.get(stream, {})
            total = max(totals.get(stream, 0), len(room))
            if room and self._told.get(stream) != total:
                self._told[stream] = total
                await _tell(room, stream, total)

    async def _publish(self, now: int) -> bool:
        """Write the numbers that changed or grew old; whether Redis took them."""
        due = {
            stream: len(room)
            for stream, room in self._rooms.items()
            if self._published.get(stream, (0, 0))[0] != len(room) or self._published[stream][1] < now - _REFRESH_MS
        }
        gone = [stream for stream in self._published if stream not in self._rooms]
        if self._redis is None or not self._redis.up:
            self._published.clear()  # what is left there expires; with Redis back everything is written again
            return False
        try:
            async with self._redis.client.pipeline(transaction=False) as pipeline:
                for stream, count in due.items():
                    pipeline.hset(_KEY + stream, self._instance, f"{count} {now + _EXPIRES_MS}")
                    pipeline.pexpire(_KEY + stream, _EXPIRES_MS)
                for stream in gone:
                    pipeline.hdel(_KEY + stream, self._instance)
                await pipeline.execute()
        except (RedisError, OSError) as error:
            log.info("watchers.not_published", error=str(error))
            self._published.clear()
            return False
        for stream in gone:
            del self._published[stream]
        self._published |= {stream: (count, now) for stream, count in due.items()}
        return True

    async def _totals(self, streams: list[str], now: int) -> dict[str, int]:
        assert self._redis is not None
        try:
            async with self._redis.client.pipeline(transaction=False) as pipeline:
                for stream in streams:
                    pipeline.hgetall(_KEY + stream)
                answers: list[Mapping[bytes, bytes]] = await pipeline.execute()
        except (RedisError, OSError) as error:
            log.info("watchers.not_read", error=str(error))
            return {}
        return {stream: _sum(answer.values(), now) for stream, answer in zip(streams, answers, strict=True)}


def _sum(entries: Iterable[bytes], now: int) -> int:
    numbers = (entry.split() for entry in entries)
    return sum(int(count) for count, expires in numbers if int(expires) > now)


async def _tell(room: Mapping[Connection, None], stream: str, count: int) -> None:
    encoded: dict[str, Frame] = {}
    payload = orjson.dumps({"stream": stream, "count": count})
    for number, connection in enumerate(list(room), 1):
        namespace = connection.namespace.name
        if namespace not in encoded:
            encoded[namespace] = frames.event(namespace, "watchers", payload)
        if connection in room:
            connection.write(encoded[namespace])
        if number % SLICE == 0:
            await asyncio.sleep(0)
