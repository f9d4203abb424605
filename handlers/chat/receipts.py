"""How far people have read, what was delivered to them, and which rooms they muted. Not events: nobody needs their history."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from handlers.chat.service import Rooms
from models.membership import Membership, membership_id
from models.rules.room.naming import room_stream
from server.auth.principal import Principal
from server.errors import AppError
from server.streams.hub import Hub

NOTHING: Mapping[str, Any] = {"read_seq": 0, "delivered_seq": 0, "muted": False}
"""Of somebody who has done nothing yet."""


class Receipts:
    """What one person did with one room."""

    def __init__(self, rooms: Rooms, hub: Hub) -> None:
        self._rooms = rooms
        self._hub = hub

    async def read(self, principal: Principal, room: str, seq: int) -> None:
        """Everything up to a seq was read, on whatever device; never goes back.

        Raises:
            AppError: NOT_FOUND, FORBIDDEN; VALIDATION_FAILED beyond the room's last event.
        """
        await self._mark(principal, room, {"read_seq": seq, "delivered_seq": seq})

    async def delivered(self, principal: Principal, room: str, seq: int) -> None:
        """Everything up to a seq has arrived on a device; never goes back.

        Raises:
            AppError: as `read`.
        """
        await self._mark(principal, room, {"delivered_seq": seq})

    async def mute(self, principal: Principal, room: str, muted: bool) -> None:
        """Whether messages of the room shall not be notified.

        Raises:
            AppError: NOT_FOUND, FORBIDDEN.
        """
        await self._rooms.require_reader(principal, room)
        await _change(room, principal.id, {"$set": {"muted": muted}})

    async def of(self, user: str, rooms: Iterable[str]) -> dict[str, Mapping[str, Any]]:
        """What a user did, by room."""
        ids = {membership_id(room, user): room for room in rooms}
        found = Membership.get_pymongo_collection().find({"_id": {"$in": list(ids)}})
        done: dict[str, Mapping[str, Any]] = dict.fromkeys(ids.values(), NOTHING)
        async for document in found:
            done[document["room"]] = {**NOTHING, **document}
        return done

    async def everybody(self, room: str) -> dict[str, Mapping[str, Any]]:
        """What was done with a room, by user."""
        found = Membership.get_pymongo_collection().find({"room": room})
        return {document["user"]: {**NOTHING, **document} async for document in found}

    async def _mark(self, principal: Principal, room: str, seqs: Mapping[str, int]) -> None:
        state = await self._rooms.require_reader(principal, room)
        if seqs["delivered_seq"] > state.seq:
            error = {"loc": ["seq"], "msg": f"beyond the last event of the room, {state.seq}"}
            raise AppError("VALIDATION_FAILED", errors=[error])
        before = {**NOTHING, **(await _change(room, principal.id, {"$max": dict(seqs)}) or {})}
        after = {field: max(before[field], seqs.get(field, 0)) for field in ("read_seq", "delivered_seq")}
        name = state.name_of(principal.id)
        if name is not None and any(after[field] > before[field] for field in after):
            self._hub.signal(room_stream(room), "receipt", {"room": room, "user": name, **after})


async def _change(room: str, user: str, change: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Change the document of a (room, user), and return it as it was before."""
    place = {"room": room, "user": user}
    while True:
        try:
            return await Membership.get_pymongo_collection().find_one_and_update(
                {"_id": membership_id(room, user)},
                {**change, "$setOnInsert": place},
                upsert=True,
                return_document=ReturnDocument.BEFORE,
            )
        except DuplicateKeyError:
            continue  # two devices at once; the document is there now
