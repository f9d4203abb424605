"""The worker's part of chat: what lists and searches read, and the end of pseudonyms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from pymongo import UpdateOne
from pymongo.errors import BulkWriteError

from handlers.chat.service import Rooms
from models.message import Message
from models.rules.auction.state import State as Auction
from models.rules.room.naming import ROOM_KIND, room_id
from server.streams.event import StoredEvent
from server.streams.streams import Streams

_DUPLICATE_KEY: Final = 11000
_OVER: Final = frozenset({"closed"})
"""Events of a hidden auction after which its bidders may know of each other."""


class Listings:
    """Follows rooms and keeps `models.room.Room` and `models.message.Message` level with them."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    async def handle(self, events: Sequence[StoredEvent]) -> None:
        """What comes again finds itself done."""
        for stream in dict.fromkeys(event.stream for event in events):
            await self._rooms.enlist(stream)
        texts = [_text(event) for event in events if event.type in _TEXTS]
        if not texts:
            return
        try:
            await Message.get_pymongo_collection().bulk_write(texts, ordered=False)
        except BulkWriteError as error:
            # a newer version is there: the filter missed it and the upsert met its id
            if any(failure["code"] != _DUPLICATE_KEY for failure in error.details["writeErrors"]):
                raise


class Unveiling:
    """Follows rooms of jobs and hidden auctions: whoever has a pseudonym goes by the id once the auction is over.

    Of two events, somebody who comes in by a pseudonym and the end of the auction, whichever is later finds what the other has done.
    """

    def __init__(self, rooms: Rooms, streams: Streams) -> None:
        self._rooms = rooms
        self._streams = streams

    async def handle(self, events: Sequence[StoredEvent]) -> None:
        """Once per room and auction in the batch."""
        came = (event for event in events if event.kind == ROOM_KIND and _came_veiled(event))
        for stream in dict.fromkeys(event.stream for event in came):
            await self._rooms.unveil(room_id(stream))
        for stream in dict.fromkeys(
            event.stream for event in events if event.kind != ROOM_KIND and event.type in _OVER
        ):
            auction: Auction = (await self._streams.current(stream)).state
            await self._rooms.unveil_job(auction.job)


def _came_veiled(event: StoredEvent) -> bool:
    return event.type == "member_added" and bool(event.public["user"] != event.private["id"])


_TEXTS: Final = frozenset({"message", "edited", "deleted"})


def _text(event: StoredEvent) -> UpdateOne:
    """Enter the text that a message has after an event, unless a later event's is there."""
    room = room_id(event.stream)
    seq = event.seq if event.type == "message" else event.public["message"]
    fields: dict[str, Any] = {"room": room, "seq": seq, "version": event.seq, "text": event.public.get("text", "")}
    return UpdateOne({"_id": f"{room}#{seq}", "version": {"$lt": event.seq}}, {"$set": fields}, upsert=True)
