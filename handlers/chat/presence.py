"""Who is there: online, typing, watching a room."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel, Field

from handlers.chat.service import Check, Rooms
from handlers.chat.typists import Typists
from models.rules.room.naming import ROOM_KIND
from models.rules.room.state import State
from server.realtime import Connection, Namespace
from server.realtime.attendance import Attendance
from server.realtime.presence import Presence
from server.web.fields import Answer, Body, Id, Timestamp
from server.web.router import Call

if TYPE_CHECKING:
    from server.context import Context

_MEMBERS_CHANGE: Final = ("opened", "member_added", "member_removed", "revealed")


class TypingBody(Body):
    """Whether the caller types something."""

    room: Id
    on: bool


class TypingSaid(Answer):
    """Nothing but `ok`."""


class TypingSignal(BaseModel):
    """Somebody types, or does so no more. Forgotten after five seconds without another."""

    room: str
    user: str = Field(description="the name in the room")
    on: bool


class PresenceSignal(Answer):
    """Whether a user is online."""

    user: str
    online: bool
    last_seen: Timestamp | None = Field(description="null while online, or when it is not known")


class RoomPresence(Answer):
    """The members of a room; those with pseudonyms are left out."""

    items: list[PresenceSignal]


def add_presence(context: Context, namespace: Namespace, rooms: Rooms, checks: list[Check]) -> None:
    """Register the command `typing`, what is emitted of others, and `GET /rooms/{id}/presence`.

    Args:
        checks: refuse whom nothing is to be heard of.
    """
    settings = context.settings
    presence = Presence(
        context.redis,
        context.clock,
        context.streams,
        known_members,
        kind=ROOM_KIND,
        moved_by=_MEMBERS_CHANGE,
        poll_s=settings.presence_poll_s,
        expiry_s=settings.presence_expiry_s,
        grace_s=settings.presence_grace_s,
    )
    attendance = Attendance(context.redis, context.clock, kinds=(ROOM_KIND,), expiry_s=settings.presence_expiry_s)
    typists = Typists(rooms, context.hub, checks)
    rooms.checks.append(typists.check)
    namespace.observers += [presence, attendance, typists]

    async def typing(connection: Connection, body: TypingBody) -> dict[str, Any]:
        await typists.say(connection, body.room, body.on)
        return {}

    async def show(call: Call) -> Any:
        state = await rooms.require_reader(call.user, call.path["id"])
        seen = await presence.look(known_members(state))
        return {"items": [one.to_json(user) for user, one in seen.items()]}

    namespace.command(
        "typing",
        TypingBody,
        typing,
        answer=TypingSaid,
        summary="Say that one types, every few seconds while one does",
        errors=("NOT_FOUND", "FORBIDDEN", "BLOCKED", "UNAVAILABLE"),
    )
    namespace.emits("typing", TypingSignal, "Another member of a watched room types, or does so no more")
    namespace.emits(
        "presence", PresenceSignal, "A member of a watched room came or went; of all members after subscribing"
    )
    context.router.add(
        "GET",
        "/rooms/{id}/presence",
        show,
        summary="Who of a room's members is online",
        tags=("rooms",),
        answer=RoomPresence,
        errors=("NOT_FOUND", "FORBIDDEN", "UNAVAILABLE"),
    )


def known_members(state: State) -> Iterator[str]:
    """The user ids of a room's members, without those whom the others know by a pseudonym."""
    return (member.user for member in state.current_members() if member.name == member.user)
