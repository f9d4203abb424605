"""How often jobs are looked at: once per person and day, counted in Redis, added to the documents by a worker.

A count is no promise: with Redis down views are not counted, and a worker that dies while adding them may add some twice.
"""

from __future__ import annotations

from typing import Final

import structlog
from pymongo import UpdateOne
from redis.exceptions import RedisError

from models.job import Job
from server.auth.denylist import RedisSource
from server.clock import Clock

_COUNTS: Final = "{rialto:views}"
_FLUSHING: Final = "{rialto:views}:flushing"
"""The braces keep both at one server of a cluster, where one key is renamed to the other."""

_DAY_MS: Final = 86_400_000
_KEPT_S: Final = 2 * 86_400

log = structlog.get_logger(__name__)


class ViewCounts:
    """Counts views.

    Args:
        link: the way to Redis. clock: the cluster's clock, for the day.
    """

    def __init__(self, link: RedisSource, clock: Clock) -> None:
        self._link = link
        self._clock = clock

    async def count(self, job: str, viewer: str) -> None:
        """Count a look at a job by somebody, unless it was counted today. Never raises for Redis."""
        if not self._link.up:
            return
        # A HyperLogLog says well enough who is new, in a few bytes for most jobs and 12 KB at most.
        seen = f"rialto:viewers:{self._clock.now() // _DAY_MS}:{job}"
        try:
            if await self._link.client.pfadd(seen, viewer):
                async with self._link.client.pipeline(transaction=False) as pipeline:
                    pipeline.expire(seen, _KEPT_S)
                    pipeline.hincrby(_COUNTS, job, 1)
                    await pipeline.execute()
        except (RedisError, OSError, TimeoutError) as error:
            log.warning("views.not_counted", error=str(error))

    async def flush(self) -> int:
        """Add what was counted to the jobs; how many jobs that were.

        Raises:
            RedisError, PyMongoError: try again later.
        """
        client = self._link.client
        if not await client.exists(_FLUSHING):
            if not await client.exists(_COUNTS):
                return 0
            await client.rename(_COUNTS, _FLUSHING)
        counted = await client.hgetall(_FLUSHING)
        additions = [
            UpdateOne({"_id": job.decode() if isinstance(job, bytes) else job}, {"$inc": {"view_count": int(number)}})
            for job, number in counted.items()
        ]
        if additions:
            await Job.get_pymongo_collection().bulk_write(additions, ordered=False)
        await client.delete(_FLUSHING)
        return len(additions)
