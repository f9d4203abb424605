"""Where processes leave their figures for one another: in Redis, for a few seconds.

All names are of one slot, so that a cluster answers for all of them at once.
"""

from __future__ import annotations

from typing import Final, cast

import structlog
from pydantic import ValidationError
from redis.exceptions import RedisError

from server.clock import Clock
from server.operations.schemas import ProcessFigures
from server.streams.redis_link import RedisLink

FAULTS: Final = (RedisError, OSError, TimeoutError)
"""What a command to Redis may raise."""

EXPIRY_S: Final = 5
"""How long figures hold: a process that says nothing for so long is gone."""

_MOST: Final = 1_000
"""Processes that are told of."""

_NAMES: Final = "rialto:{operations}"
_FIGURES: Final = "rialto:{operations}:"

log = structlog.get_logger(__name__)


class Board:
    """The figures of all processes. Nothing here raises: whoever cannot read or write is told so."""

    def __init__(self, redis: RedisLink, clock: Clock) -> None:
        self._redis = redis
        self._clock = clock

    async def post(self, figures: ProcessFigures) -> None:
        """Leave the figures of this process, and forget those that are gone."""
        now = self._clock.now()
        try:
            async with self._redis.client.pipeline(transaction=False) as pipe:
                pipe.set(_FIGURES + figures.name, figures.model_dump_json(), ex=EXPIRY_S)
                pipe.zadd(_NAMES, {figures.name: now})
                pipe.zremrangebyscore(_NAMES, "-inf", now - EXPIRY_S * 1000)
                pipe.expire(_NAMES, EXPIRY_S)
                await pipe.execute()
        except FAULTS as error:
            log.debug("operations.unposted", error=str(error))

    async def read(self) -> list[ProcessFigures] | None:
        """Those of every process that lives; None if Redis is away."""
        try:
            names = cast("list[bytes]", await self._redis.client.zrange(_NAMES, 0, _MOST - 1))
            posted = await self._redis.client.mget([_FIGURES + name.decode() for name in names]) if names else []
        except FAULTS as error:
            log.debug("operations.unread", error=str(error))
            return None
        return [figures for raw in posted if raw is not None and (figures := _figures(raw)) is not None]

    async def withdraw(self, name: str) -> None:
        """This process ends."""
        try:
            async with self._redis.client.pipeline(transaction=False) as pipe:
                pipe.delete(_FIGURES + name)
                pipe.zrem(_NAMES, name)
                await pipe.execute()
        except FAULTS as error:
            log.debug("operations.unposted", error=str(error))


def _figures(raw: bytes | str) -> ProcessFigures | None:
    try:
        return ProcessFigures.model_validate_json(raw)
    except ValidationError:  # of another release, while instances are replaced one after the other
        return None
