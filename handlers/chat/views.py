"""Rooms as one person sees them: one whole, or many in short."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from handlers.chat.receipts import NOTHING, Receipts
from handlers.chat.schemas import RoomQuery
from handlers.chat.service import Rooms
from models.room import Room
from models.rules.room.naming import room_id
from models.rules.room.state import State
from models.rules.room.view import message_view, outline, public_view
from models.user import User
from server.auth.principal import Principal
from server.web.paging import Order, list_page

_ACTIVE: Final = Order("active", (("active_at", -1), ("_id", 1)), (int, str))
_AT_ONCE: Final = 16
"""Streams read at the same time for one list."""


class RoomViews:
    """What `GET /rooms` and its like answer."""

    def __init__(self, rooms: Rooms, receipts: Receipts) -> None:
        self._rooms = rooms
        self._receipts = receipts

    async def room(self, principal: Principal, room: str) -> dict[str, Any]:
        """A room with its last messages.

        Raises:
            AppError: NOT_FOUND, FORBIDDEN.
        """
        return await self._whole(principal, room, await self._rooms.require_reader(principal, room))

    async def stream_view(self, principal: Principal | None, stream: str, state: State) -> dict[str, Any]:
        """The `state` of `subscribe`: the same at that very seq."""
        assert principal is not None, "nobody reads a room anonymously"
        return await self._whole(principal, room_id(stream), state.copy())

    async def list(self, principal: Principal, query: RoomQuery) -> dict[str, Any]:
        """The caller's rooms in short, the most recently active first, as `Listed[RoomSummary]`."""
        mine: dict[str, Any] = {"members": principal.id}
        if query.kind is not None:
            mine["kind"] = query.kind
        page = await list_page(Room.get_pymongo_collection(), mine, _ACTIVE, query, lambda room: str(room["_id"]))
        states = await self._states(principal, page["items"])
        done = await self._receipts.of(principal.id, states)
        page["items"] = [_summary(principal, room, state, done[room]) for room, state in states.items()]
        await _add_names(page["items"], states)
        return page

    async def unread(self, principal: Principal) -> dict[str, Any]:
        """`{total, rooms: [{id, unread, muted}]}`: rooms with something unread, muted ones too."""
        found = Room.get_pymongo_collection().find({"members": principal.id}, {"_id": 1}).sort("active_at", -1)
        rooms = [str(room["_id"]) async for room in found]
        states = await self._states(principal, rooms)
        done = await self._receipts.of(principal.id, states)
        counts = [
            {"id": room, "unread": unread, "muted": done[room]["muted"]}
            for room, state in states.items()
            if (unread := state.unread(principal.id, done[room]["read_seq"]))
        ]
        return {"total": sum(int(count["unread"]) for count in counts), "rooms": counts}

    async def _states(self, principal: Principal, rooms: Sequence[str]) -> dict[str, State]:
        """Copies of the rooms that the caller is in now, in the order in which they were given."""
        gate = asyncio.Semaphore(_AT_ONCE)

        async def read(room: str) -> State:
            async with gate:
                return (await self._rooms.state(room)).copy()

        states = await asyncio.gather(*(read(room) for room in rooms))
        pairs = zip(rooms, states, strict=True)
        return {room: state for room, state in pairs if state.is_member(principal.id)}

    async def _whole(self, principal: Principal, room: str, state: State) -> dict[str, Any]:
        """A room with everything, from a state that nobody changes."""
        done = await self._receipts.everybody(room)
        shown = {"id": room, **public_view(state), **_own(principal, state, done.get(principal.id, NOTHING))}
        shown["receipts"] = [
            {"user": member.name, **_known(member.user, state, of)}
            for member in state.current_members()
            if (of := done.get(member.user)) is not None
        ]
        if state.veiled and principal.id == state.charter.owner and await self._rooms.knows_bidders(state):
            shown["people"] = {member.name: member.user for member in state.members if member.name != member.user}
        await _add_names([shown], {room: state})
        return shown


def _own(principal: Principal, state: State, done: Mapping[str, Any]) -> dict[str, Any]:
    """What is only the viewer's: counts, settings, and what the others call it."""
    return {
        "me": state.name_of(principal.id),
        "unread": state.unread(principal.id, done["read_seq"]),
        **_known(principal.id, state, done),
        "muted": done["muted"],
    }


def _known(user: str, state: State, done: Mapping[str, Any]) -> dict[str, int]:
    """What a user has read and got; who says something has read what was said before."""
    read = state.read_to(user, done["read_seq"])
    return {"read_seq": read, "delivered_seq": max(read, done["delivered_seq"])}


def _summary(principal: Principal, room: str, state: State, done: Mapping[str, Any]) -> dict[str, Any]:
    last = next(reversed(state.recent.values()), None)
    return {
        "id": room,
        **outline(state),
        **_own(principal, state, done),
        "last_message": None if last is None else message_view(state, last),
    }


async def _add_names(shown: Iterable[dict[str, Any]], states: Mapping[str, State]) -> None:
    """Put profile names to members; whoever goes by a pseudonym has none."""
    open_ = {member.user for state in states.values() for member in state.members if member.name == member.user}
    found = User.get_pymongo_collection().find({"_id": {"$in": list(open_)}}, {"name": 1})
    names = {user["_id"]: user.get("name") async for user in found}
    for room in shown:
        for member in room["members"]:
            member["name"] = names.get(member["user"])
