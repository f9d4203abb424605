"""Use cases of notifications. Every rule is in `models.rules.inbox`; this carries commands to the inboxes, and shows what is in them."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any, Final

import structlog
from pymongo.read_concern import ReadConcern

from handlers.notifications.metrics import NOTIFICATIONS
from handlers.notifications.views import notification_view
from models.event import EventDocument
from models.rules.inbox.notices import SYSTEM, Notice, inbox_stream, notice_key
from models.rules.inbox.rules import Inbox
from models.rules.stream import Command
from server.auth.principal import Principal
from server.errors import AppError
from server.streams.event import StoredEvent
from server.streams.streams import Streams

_OPENED_KEPT: Final = 50_000

log = structlog.get_logger(__name__)


class Inboxes:
    """The notifications of users.

    Args:
        streams: where inboxes live.
        at_once: how many inboxes this process writes to at a time, so that a burst leaves the store room for everything else.
    """

    def __init__(self, streams: Streams, at_once: int) -> None:
        self._streams = streams
        self._slots = asyncio.Semaphore(at_once)
        self._opened: OrderedDict[str, None] = OrderedDict()

    # -- their owners -------------------------------------------------------------------------------------------------

    async def authorise(self, viewer: Principal | None, stream: str) -> None:
        """Whether the viewer may read an inbox: its own, which is there from then on also if nothing was ever in it.

        Raises:
            AppError: UNAUTHENTICATED; FORBIDDEN for everybody else's, whether or not there is such a user; UNAVAILABLE.
        """
        if viewer is None:
            raise AppError("UNAUTHENTICATED")
        if stream != inbox_stream(viewer.id):
            raise AppError("FORBIDDEN", "Notifications are their owner's alone")
        if stream in self._opened:
            return
        await self._streams.append(stream, Command("open", SYSTEM))
        self._opened[stream] = None
        if len(self._opened) > _OPENED_KEPT:
            self._opened.popitem(last=False)

    async def page(self, user: Principal, before: int | None, limit: int) -> dict[str, Any]:
        """The newest notifications before a seq, or of all: `{items, unread, next_cursor}`, the newest first.

        Raises:
            AppError: UNAVAILABLE.
        """
        stream = inbox_stream(user.id)
        inbox: Inbox = (await self._streams.current(stream)).state
        unread, read_to = inbox.unread, inbox.read_to
        seqs = inbox.shown.newest_before(before, limit + 1)
        events = await self._events(stream, seqs[:limit])
        return {
            "items": [notification_view(event, read_to) for event in events],
            "unread": unread,
            "next_cursor": str(seqs[limit - 1]) if len(seqs) > limit else None,
        }

    async def read(self, user: Principal, seq: int) -> int:
        """Mark everything up to a seq as read, on all devices; how many are unread then. Going back changes nothing.

        Raises:
            AppError: VALIDATION_FAILED beyond the end; UNAVAILABLE.
        """
        answer = await self._streams.append(inbox_stream(user.id), Command("read", user.id, {"seq": seq}))
        return int(answer.fields["unread"])

    async def _events(self, stream: str, seqs: list[int]) -> list[StoredEvent]:
        events = EventDocument.get_pymongo_collection().with_options(read_concern=ReadConcern("majority"))
        found = events.find({"stream": stream, "seq": {"$in": seqs}}).sort("seq", -1)
        return [StoredEvent.from_document(document) for document in await found.to_list()]

    # -- who tells them -----------------------------------------------------------------------------------------------

    async def deliver(self, notices: Iterable[Notice]) -> None:
        """Append notices, each once however often it is delivered. Those to one user keep their order and share commits.

        Raises:
            AppError: UNAVAILABLE; some may be appended: deliver all of them again.
        """
        by_user: dict[str, list[Notice]] = {}
        for notice in notices:
            by_user.setdefault(notice.user, []).append(notice)
        await _all(self._deliver_to_one(own) for own in by_user.values())

    async def unsay(self, users: Iterable[str], source: str, message: int) -> None:
        """Take the words of a deleted message of a room out of what users were told of it. The notifications stay, for their seqs."""
        told = {
            "stream": {"$in": [inbox_stream(user) for user in users]},
            "actor": SYSTEM,
            "key": {"$in": [notice_key(kind, source, message) for kind in ("message", "mention")]},
        }
        await EventDocument.get_pymongo_collection().update_many(told, {"$set": {"pub.data.excerpt": ""}})

    async def _deliver_to_one(self, notices: list[Notice]) -> None:
        async with self._slots:
            await _all(self._append(notice) for notice in notices)

    async def _append(self, notice: Notice) -> None:
        answer = await self._streams.append(notice.stream, notice.command())
        if not answer.replayed and answer.fields["seq"] is not None:
            NOTIFICATIONS.labels(notice.kind).inc()


async def _all(works: Iterable[Any]) -> None:
    """Do all of it; when something failed, fail after the rest has come to its end."""
    outcomes = await asyncio.gather(*works, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
