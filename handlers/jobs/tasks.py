"""The worker's part of jobs: following their auctions, finishing what was begun, adding up views."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import structlog
from pymongo.errors import PyMongoError
from redis.exceptions import RedisError

from handlers.jobs.auctions import store_summary
from handlers.jobs.service import Jobs
from handlers.jobs.view_counts import ViewCounts
from models.job import Job
from server.clock import Clock
from server.errors import AppError
from server.streams.event import StoredEvent
from server.streams.streams import Streams

if TYPE_CHECKING:
    from server.context import Context

KINDS: Final = ("auction", "sealed")

_PAUSE_S: Final = 3.0
_ABANDONED_MS: Final = 15_000
"""What was begun so long ago has lost its process: no request lasts that long."""

_BATCH: Final = 200

log = structlog.get_logger(__name__)


class Tasks:
    """Background work for jobs.

    Args:
        jobs: the use cases. views: the counter. streams: where auctions live. clock: the cluster's clock.
    """

    def __init__(self, jobs: Jobs, views: ViewCounts, streams: Streams, clock: Clock) -> None:
        self._jobs = jobs
        self._views = views
        self._streams = streams
        self._clock = clock

    async def follow(self, events: Sequence[StoredEvent]) -> None:
        """Bring the jobs of these auctions' events up to date; the follower `jobs.auctions`."""
        for stream in dict.fromkeys(event.stream for event in events):
            state = (await self._streams.current(stream)).state
            if not state.is_projection:  # the job of a hidden format follows its stream of truth
                await store_summary(state)

    async def run(self, context: Context) -> None:
        """Sweep and flush until cancelled."""
        while True:
            for work in (self.sweep, self._views.flush):
                try:
                    await work()
                except (AppError, PyMongoError, RedisError, OSError) as error:
                    log.warning("jobs.task_failed", task=work.__name__, error=str(error))
            await asyncio.sleep(_PAUSE_S)

    async def sweep(self) -> int:
        """Finish openings and edits whose process has died; how many were looked at.

        Raises:
            AppError, PyMongoError: try again later.
        """
        before = self._clock.now() - _ABANDONED_MS
        opening = await Job.find({"opening": {"$gt": 0, "$lt": before}}).limit(_BATCH).to_list()
        for job in opening:
            await self._jobs.openings.finish(job)
        pending = await Job.find({"pending.since": {"$gt": 0, "$lt": before}}).limit(_BATCH).to_list()
        for job in pending:
            await self._jobs.edits.finish(job)
        return len(opening) + len(pending)
