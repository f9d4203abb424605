"""The documents of rooms: which room a place has, and what lists know of it."""

from __future__ import annotations

from typing import Any

from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from models.room import Room
from models.rules.room.naming import room_id
from models.rules.room.state import State
from server.clock import Clock, new_id


class Places:
    """Rooms by what they are about."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def find(self, place: str) -> str | None:
        """The id of a place's room, if it was opened."""
        found = await Room.get_pymongo_collection().find_one({"place": place, "seq": {"$gt": 0}}, {"_id": 1})
        return None if found is None else str(found["_id"])

    async def allot(self, place: str, kind: str) -> str:
        """The id of a place's room, the same for whoever asks and whenever.

        It is a write even if the id is there already: answered by a majority, it can't be taken back any more.
        """
        fresh = {"_id": new_id(), "kind": kind, "members": [], "seq": 0, "active_at": self._clock.now()}
        while True:
            try:
                room = await Room.get_pymongo_collection().find_one_and_update(
                    {"place": place}, {"$setOnInsert": fresh}, upsert=True, return_document=ReturnDocument.AFTER
                )
            except DuplicateKeyError:
                continue  # somebody else's upsert came between the look and the write
            assert room is not None, "an upsert finds what it made"
            return str(room["_id"])

    async def enlist(self, stream: str, state: State) -> None:
        """Bring what lists know of a room up to a state, unless something newer is there."""
        fields: dict[str, Any] = {
            "members": [member.user for member in state.current_members()],
            "seq": state.seq,
        }
        if last := state.messages.part(len(state.messages) - 1, len(state.messages)):
            fields["active_at"] = last[0].t
        older = {"_id": room_id(stream), "seq": {"$lt": state.seq}}
        await Room.get_pymongo_collection().update_one(older, {"$set": fields})
