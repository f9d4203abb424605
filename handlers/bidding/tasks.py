"""The worker's part of bidding: read models, projections, and what time owes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

import structlog
from pymongo.errors import DuplicateKeyError, PyMongoError

from handlers.bidding.projection import Projection
from models.auction import Auction
from models.retraction import Retraction
from models.rules.auction.naming import SEALED_KIND, auction_id, number_of
from models.rules.auction.rules import AUCTION_RULES
from models.rules.auction.state import State
from models.rules.auction.view import listing
from models.rules.stream import Command
from models.user import User
from server.context import Context
from server.errors import AppError
from server.streams.event import StoredEvent
from server.streams.streams import Streams

log = structlog.get_logger(__name__)

_LOOK_AHEAD_MS: Final = 3_000
_LOOK_EVERY_S: Final = 1.0
_AT_ONCE: Final = 200


class Retractions:
    """Follows open auctions and keeps each profile's count of retractions."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams

    async def handle(self, events: Sequence[StoredEvent]) -> None:
        """Enter each retraction once, then count: repeating it changes nothing."""
        users = set()
        for event in events:
            if event.type != "retracted":
                continue
            state: State = (await self._streams.current(event.stream)).state
            user = state.user(number_of(event.public["bidder"]))
            if user is None:
                continue
            await Retraction.get_pymongo_collection().update_one(
                {"_id": f"{event.stream}#{event.seq}"}, {"$set": {"user": user}}, upsert=True
            )
            users.add(user)
        for user in users:
            count = await Retraction.get_pymongo_collection().count_documents({"user": user})
            await User.get_pymongo_collection().update_one({"_id": user}, {"$set": {"retraction_count": count}})


class Listings:
    """Follows auctions' streams of truth and keeps `models.auction.Auction` level with them."""

    def __init__(self, streams: Streams, projection: Projection) -> None:
        self._streams = streams
        self._projection = projection

    async def handle(self, events: Sequence[StoredEvent]) -> None:
        """Once per stream in the batch, from its newest state: what comes again finds itself done."""
        for stream in dict.fromkeys(event.stream for event in events):
            if stream.partition(":")[0] == SEALED_KIND:
                await self._projection.complete(stream)
            await self._list(stream)

    async def _list(self, stream: str) -> None:
        head = await self._streams.current(stream)
        state: State = head.state
        if not state.seq or state.is_projection:
            return
        fields: dict[str, Any] = {
            **listing(state),
            "stream": stream,
            "truth_seq": head.seq,
            "job": state.job,
            "owner": state.owner,
            "phase": state.phase,
            "due_at": AUCTION_RULES.next_due(state),
        }
        try:
            await Auction.get_pymongo_collection().update_one(
                {"_id": auction_id(stream), "truth_seq": {"$lt": head.seq}}, {"$set": fields}, upsert=True
            )
        except DuplicateKeyError:
            return  # a newer one is there: the filter missed it and the upsert met its id


async def keep_time(context: Context) -> None:
    """Let each auction have what is due to it, at its time: the close, an award that lapses, a reveal.

    Any number of workers may do this; a `closed` event comes once whoever notices, and stamped with its due time.
    """
    under_way: dict[str, asyncio.Task[None]] = {}
    auctions = Auction.get_pymongo_collection()
    while True:
        horizon = context.clock.now() + _LOOK_AHEAD_MS
        try:
            due = auctions.find({"due_at": {"$lte": horizon, "$type": "number"}}, {"stream": 1, "due_at": 1})
            async for found in due.sort("due_at", 1).limit(_AT_ONCE):
                stream = found["stream"]
                if stream not in under_way:
                    task = asyncio.create_task(_tick(context, stream, found["due_at"]), name=f"due {stream}")
                    under_way[stream] = task
                    task.add_done_callback(partial(_forget, under_way, stream))
        except PyMongoError as error:
            log.warning("timers.unavailable", error=str(error))
        await asyncio.sleep(_LOOK_EVERY_S)


def _forget(under_way: dict[str, asyncio.Task[None]], stream: str, _done: asyncio.Task[None]) -> None:
    under_way.pop(stream, None)


async def _tick(context: Context, stream: str, due_at: int) -> None:
    await asyncio.sleep(max(0, due_at - context.clock.now() + 1) / 1000)
    try:
        await context.streams.append(stream, Command("tick", "system"))
        # the follower will move `due_at` on; until then the next look would find the same again
        await asyncio.sleep(_LOOK_EVERY_S)
    except AppError as error:
        log.warning("timers.tick_failed", stream=stream, error=str(error))
