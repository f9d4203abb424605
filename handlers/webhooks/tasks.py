"""The worker's part of webhooks: hearing what happens, and delivering it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import structlog
from pymongo.errors import PyMongoError

from handlers.webhooks.deliveries import Deliveries, Patience
from handlers.webhooks.lanes import Lanes
from handlers.webhooks.occurrences import TOLD_BY, Occurrence, of_event, of_job
from handlers.webhooks.outbox import Outbox
from handlers.webhooks.sender import Sender
from handlers.webhooks.targets import Reach
from models.job import Job
from models.rules.auction.naming import auction_id, truth_stream
from models.rules.auction.state import State
from server.streams.event import StoredEvent
from server.streams.streams import Streams

if TYPE_CHECKING:
    from server.context import Context

_LOOK_EVERY_S: Final = 1.0
_BATCH: Final = 200

log = structlog.get_logger(__name__)


class Ears:
    """Hears what outside consumers want to know.

    Args:
        streams: where auctions live. outbox: where it goes.
    """

    def __init__(self, streams: Streams, outbox: Outbox) -> None:
        self._streams = streams
        self._outbox = outbox

    async def follow(self, events: Sequence[StoredEvent]) -> None:
        """Queue what these events of auctions tell; the follower `webhooks`."""
        telling = [event for event in events if event.type in TOLD_BY[event.kind]]
        truths = {stream: await self._truth(stream) for stream in dict.fromkeys(event.stream for event in telling)}
        occurrences: list[Occurrence] = []
        for event in telling:
            occurrences += of_event(event, truths[event.stream])
        await self._outbox.queue(occurrences)

    async def _truth(self, stream: str) -> State:
        """The state of the stream of truth of the auction that a stream belongs to."""
        state: State = (await self._streams.current(stream)).state
        if state.is_projection:
            state = (await self._streams.current(truth_stream(auction_id(stream), state.terms.format))).state
        return state

    async def announce_jobs(self) -> int:
        """Queue what the publication of jobs tells, and take their marks away; how many.

        The mark was written with the publication itself, so none is missed; one that is found twice is queued once.

        Raises:
            PyMongoError: try again later.
        """
        jobs = Job.get_pymongo_collection()
        found = await jobs.find({"unannounced": {"$gt": 0}}).sort("unannounced", 1).limit(_BATCH).to_list()
        await self._outbox.queue([of_job(job) for job in found])
        for job in found:
            await jobs.update_one(
                {"_id": job["_id"], "unannounced": job["unannounced"]}, {"$unset": {"unannounced": ""}}
            )
        return len(found)

    async def watch_jobs(self, _context: Context) -> None:
        """`announce_jobs` until cancelled; any number of workers may do so."""
        while True:
            try:
                found = await self.announce_jobs()
            except PyMongoError as error:
                log.warning("webhooks.jobs_unavailable", error=str(error))
                found = 0
            if found < _BATCH:
                await asyncio.sleep(_LOOK_EVERY_S)


async def deliver(context: Context) -> None:
    """Deliver what is queued until cancelled; any number of workers may do so."""
    settings = context.settings
    timeout_s, places = settings.webhook_timeout_s, settings.webhook_concurrency
    reach = Reach(settings.webhook_private_addresses, settings.webhook_plain_http)
    async with Sender(reach, timeout_s, places) as sender:
        patience = Patience(settings.webhook_attempts, settings.webhook_retry_s, settings.webhook_disable_after_s)
        lanes = Lanes(places, settings.webhook_host_concurrency)
        await Deliveries(context.clock, sender, lanes, patience, timeout_s).run()
