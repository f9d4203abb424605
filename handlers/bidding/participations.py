"""A bidder's own auctions: kept by a follower, listed page by page with the bidder's own view of each."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any, Final

from pymongo import UpdateOne

from handlers.bidding.schemas import OwnBidsQuery
from handlers.bidding.service import Auctions
from models.job import Job
from models.participation import Participation, participation_id
from models.rules.auction.naming import auction_id
from models.rules.auction.state import OPEN, PAUSED, State
from server.auth.principal import Principal
from server.clock import to_rfc3339
from server.streams.event import StoredEvent
from server.streams.streams import Streams
from server.web.paging import Order, list_page

_NEWEST: Final = Order("joined", (("joined_at", -1), ("_id", 1)), (int, str))
_RUNNING: Final = (OPEN, PAUSED)
_UNMOVED: Final = frozenset({"bid", "extended", "retracted", "countered", "suspended", "reconfirmed"})
"""Events after which an auction is in the phase it was in."""

_SHOWN: Final[Mapping[str, Mapping[str, Any]]] = {
    "running": {"phase": {"$in": list(_RUNNING)}},
    "won": {"won": True},
    "over": {"phase": {"$nin": list(_RUNNING)}, "won": False},
}
_JOB: Final = ("owner", "title", "category", "status")
_MOST_KNOWN: Final = 100_000


class Participations:
    """Follows the streams of truth and keeps `models.participation.Participation` level with them."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams
        self._known: set[str] = set()

    async def handle(self, events: Sequence[StoredEvent]) -> None:
        """Enter whoever bids once, and move all of an auction on together: what comes again finds itself done."""
        for stream, some in groupby(sorted(events, key=attrgetter("stream")), attrgetter("stream")):
            head = await self._streams.current(stream)
            state: State = head.state
            if state.seq and not state.is_projection:
                await self._enter(auction_id(stream), state, head.seq, list(some))

    async def _enter(self, auction: str, state: State, seq: int, events: Sequence[StoredEvent]) -> None:
        participations = Participation.get_pymongo_collection()
        winner = state.user(state.award.bidder) if state.award is not None else None
        new: dict[str, UpdateOne] = {}
        for event in events:
            if event.type != "bid" or event.actor is None:
                continue
            entry = participation_id(auction, event.actor)
            if entry in self._known or entry in new:
                continue
            fields = {
                "user": event.actor,
                "auction": auction,
                "job": state.job,
                "joined_at": event.t,
                "phase": state.phase,
                "won": event.actor == winner,
                "truth_seq": seq,
            }
            new[entry] = UpdateOne({"_id": entry}, {"$setOnInsert": fields}, upsert=True)
        if new:
            await participations.bulk_write(list(new.values()), ordered=False)
            self._remember(new)
        if any(event.type not in _UNMOVED for event in events):
            moved = {"phase": state.phase, "won": {"$eq": ["$user", winner]}, "truth_seq": seq}
            await participations.update_many({"auction": auction, "truth_seq": {"$lt": seq}}, [{"$set": moved}])

    def _remember(self, entries: Mapping[str, UpdateOne]) -> None:
        """So that each further bid asks nothing of the database."""
        if len(self._known) > _MOST_KNOWN:
            self._known.clear()
        self._known.update(entries)


async def list_own_bids(auctions: Auctions, principal: Principal, query: OwnBidsQuery) -> dict[str, Any]:
    """One page of the auctions in which the caller has bid, as `Listed[OwnBids]`.

    Raises:
        AppError: VALIDATION_FAILED for a bad cursor.
    """
    wanted = {"user": principal.id, **(_SHOWN[query.status] if query.status is not None else {})}
    page = await list_page(Participation.get_pymongo_collection(), wanted, _NEWEST, query, dict)
    entries = page["items"]
    found = Job.get_pymongo_collection().find(
        {"_id": {"$in": [entry["job"] for entry in entries]}}, dict.fromkeys(_JOB, 1)
    )
    jobs = {job["_id"]: {"id": job["_id"], **{name: job[name] for name in _JOB}} async for job in found}
    views = await asyncio.gather(*[auctions.view(principal, entry["auction"]) for entry in entries])
    page["items"] = [
        {"joined_at": to_rfc3339(entry["joined_at"]), "job": jobs[entry["job"]], "auction": view}
        for entry, view in zip(entries, views, strict=True)
    ]
    return page
