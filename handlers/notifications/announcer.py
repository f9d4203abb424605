"""Carrying out announcements: what is told to all who bid, and what is told some time before its moment.

They wait in a durable queue, so that ten thousand bidders of one auction hold up neither its events nor those of others. Any number
of workers takes from it. An announcement that is cut off is begun again: whoever was told already is not told twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import structlog
from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError, PyMongoError

from handlers.notifications.service import Inboxes
from models.announcement import Announcement as Document
from models.rules.auction.state import State
from models.rules.inbox.auctions import Announcement, audience, brought_up_to_date, timing
from server.background import end
from server.clock import Clock
from server.errors import AppError
from server.streams.streams import Streams

if TYPE_CHECKING:
    from server.context import Context

_AT_ONCE: Final = 4
_CHUNK: Final = 200
_LEASE_MS: Final = 30_000
_IDLE_S: Final = 0.5

log = structlog.get_logger(__name__)


async def announce(announcement: Announcement) -> None:
    """Put an announcement into the queue; where only the newest counts, in place of an older one.

    Raises:
        PyMongoError: it may be there; do it again.
    """
    fields = {
        "kind": announcement.kind,
        "source": announcement.source,
        "seq": announcement.seq,
        "data": dict(announcement.data),
        "lead_ms": announcement.lead_ms,
        "latest": announcement.latest,
        "without": announcement.without,
    }
    due = {"due_at": announcement.due_at}
    # What is told at once may be under way: it keeps its lease, and whoever holds that finds it replaced.
    change = {"$set": {**fields, **due}} if announcement.lead_ms else {"$set": fields, "$setOnInsert": due}
    try:
        await Document.get_pymongo_collection().update_one(
            {"_id": announcement.id, "seq": {"$lt": announcement.seq}}, change, upsert=True
        )
    except DuplicateKeyError:
        return  # this one, or a newer one, is there: the filter missed it and the upsert met its id


class Announcer:
    """Takes announcements from the queue.

    Args:
        streams: where auctions live. clock: the cluster's clock. inboxes: where notices go.
    """

    def __init__(self, streams: Streams, clock: Clock, inboxes: Inboxes) -> None:
        self._streams = streams
        self._clock = clock
        self._inboxes = inboxes

    async def run(self, context: Context) -> None:
        """Carry out announcements until cancelled, a few side by side, so that a long one doesn't hold up the rest."""
        lines = [asyncio.create_task(self._serve(), name=f"announcer {number}") for number in range(_AT_ONCE)]
        try:
            await asyncio.gather(*lines)
        finally:
            await end(lines)

    async def _serve(self) -> None:
        while True:
            try:
                served = await self.serve_next()
            except Exception as error:  # whatever it is, its lease runs out, and then it is tried again
                log.warning(
                    "announcer.failed", exc_info=not isinstance(error, (AppError, PyMongoError)), error=str(error)
                )
                served = False
            if not served:
                await asyncio.sleep(_IDLE_S)

    async def serve_next(self) -> bool:
        """Carry out the announcement that is due first; False if none is.

        Raises:
            AppError, PyMongoError: it comes again.
        """
        now = self._clock.now()
        # Moving `due_at` is the lease: if this process dies, another one begins again after it.
        found = await Document.get_pymongo_collection().find_one_and_update(
            {"due_at": {"$lte": now}},
            {"$set": {"due_at": now + _LEASE_MS}},
            sort=[("due_at", 1)],
            return_document=ReturnDocument.BEFORE,
        )
        if found is None:
            return False
        announcement = _announcement(found)
        state: State = (await self._streams.current(announcement.source)).state
        due_at = timing(announcement, state, now)
        if due_at is not None and due_at > now:
            await self._put_back(announcement, due_at)
            return True
        if due_at is not None:
            await self._tell(brought_up_to_date(announcement, state), audience(announcement, state))
        await self._done(announcement)
        return True

    async def _tell(self, announcement: Announcement, users: Sequence[str]) -> None:
        """All of them, in chunks, renewing the lease in between."""
        remaining = iter(users)
        while chunk := list(islice(remaining, _CHUNK)):
            await self._inboxes.deliver(announcement.notice(user) for user in chunk)
            await self._put_back(announcement, self._clock.now() + _LEASE_MS)

    async def _put_back(self, announcement: Announcement, due_at: int) -> None:
        """To come again then: this one, or what has replaced it."""
        await Document.get_pymongo_collection().update_one({"_id": announcement.id}, {"$set": {"due_at": due_at}})

    async def _done(self, announcement: Announcement) -> None:
        done = await Document.get_pymongo_collection().delete_one({"_id": announcement.id, "seq": announcement.seq})
        if not done.deleted_count:  # another one has replaced it, whose turn it is now
            await self._put_back(announcement, self._clock.now())


def _announcement(found: dict[str, Any]) -> Announcement:
    return Announcement(
        found["kind"],
        found["source"],
        found["seq"],
        found["data"],
        found["due_at"],
        found["lead_ms"],
        found["latest"],
        found["without"],
    )
