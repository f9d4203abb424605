"""Rooms over HTTP: parse, authorise, call the service, render."""

from __future__ import annotations

from typing import Any, Final

from handlers.chat.history import History
from handlers.chat.receipts import Receipts
from handlers.chat.schemas import (
    ChangedRest,
    DoneRest,
    EditBody,
    Found,
    MessageBody,
    Messages,
    MessagesQuery,
    MuteBody,
    Muted,
    NewRoom,
    ReactionBody,
    RoomQuery,
    RoomSummary,
    RoomView,
    SearchQuery,
    SentRest,
    SeqBody,
    Unread,
    Versions,
)
from handlers.chat.service import Rooms
from handlers.chat.views import RoomViews
from models.rules.room.emoji import canonical_emoji
from server.errors import AppError
from server.streams.pending import Answer
from server.web.fields import MOST_MINOR_UNITS
from server.web.paging import Listed
from server.web.router import Call, Router

_TAGS: Final = ("rooms",)
READ_ERRORS: Final = ("NOT_FOUND", "FORBIDDEN", "UNAVAILABLE")
CHANGE_ERRORS: Final = (*READ_ERRORS, "CONFLICT", "IDEMPOTENCY_MISMATCH")
SEND_ERRORS: Final = (*CHANGE_ERRORS, "BLOCKED", "CONTACT_SHARING")


def add_routes(router: Router, rooms: Rooms, views: RoomViews, history: History, receipts: Receipts) -> None:
    """Add the routes of rooms."""
    _add_rooms(router, _RoomRoutes(rooms, views, receipts))
    _add_messages(router, _MessageRoutes(rooms, history))


def _add_rooms(router: Router, rest: _RoomRoutes) -> None:
    router.add(
        "GET",
        "/rooms",
        rest.list,
        summary="One's rooms, the most recently active first",
        tags=_TAGS,
        query=RoomQuery,
        answer=Listed[RoomSummary],
        errors=("UNAVAILABLE",),
    )
    router.add(
        "POST",
        "/rooms",
        rest.open,
        summary="The room with somebody or of a job; opened if it is not there",
        description="Two people have one room, once either has bid on a job of the other's or was invited to one; bids in a "
        "sealed auction that still runs or was cancelled don't count, for nobody may know of them. The room of a job is for its client, its "
        "bidders and those it invited; while a sealed auction or one for proposals runs, all but the client have pseudonyms.",
        tags=_TAGS,
        body=NewRoom,
        answer=RoomView,
        status=201,
        errors=(*READ_ERRORS, "BLOCKED"),
    )
    router.add(
        "GET",
        "/rooms/unread",
        rest.unread,
        summary="What is unread, in all and per room",
        tags=_TAGS,
        answer=Unread,
        errors=("UNAVAILABLE",),
    )
    router.add("GET", "/rooms/{id}", rest.show, summary="A room", tags=_TAGS, answer=RoomView, errors=READ_ERRORS)
    for name, summary in (("read", "Everything up to a seq was read"), ("delivered", "Everything up to a seq arrived")):
        router.add(
            "POST",
            f"/rooms/{{id}}/{name}",
            rest.marking(name),
            summary=summary,
            tags=_TAGS,
            body=SeqBody,
            answer=DoneRest,
            errors=READ_ERRORS,
        )
    router.add(
        "PUT",
        "/rooms/{id}/mute",
        rest.mute,
        summary="Have the room's messages notified or not",
        tags=_TAGS,
        body=MuteBody,
        answer=Muted,
        errors=READ_ERRORS,
    )
    router.add(
        "DELETE",
        "/rooms/{id}/members/{user}",
        rest.remove,
        summary="Remove a member for good",
        description="By moderators, and in the room of a job by its client. `user` is what the member is called in the room.",
        tags=_TAGS,
        answer=ChangedRest,
        errors=(*READ_ERRORS, "IDEMPOTENCY_MISMATCH"),
        own_key=True,
    )


def _add_messages(router: Router, rest: _MessageRoutes) -> None:
    messages, message = "/rooms/{id}/messages", "/rooms/{id}/messages/{seq}"
    router.add(
        "GET",
        messages,
        rest.page,
        summary="The history, newest last",
        tags=_TAGS,
        query=MessagesQuery,
        answer=Messages,
        errors=READ_ERRORS,
    )
    router.add(
        "POST",
        messages,
        rest.send,
        summary="Say something",
        tags=_TAGS,
        body=MessageBody,
        answer=SentRest,
        status=201,
        errors=SEND_ERRORS,
        needs_key=True,
    )
    router.add(
        "PATCH",
        message,
        rest.edit,
        summary="Change one's own message, for 15 minutes",
        tags=_TAGS,
        body=EditBody,
        answer=ChangedRest,
        errors=(*SEND_ERRORS, "EDIT_TOO_LATE"),
        own_key=True,
    )
    router.add(
        "DELETE",
        message,
        rest.delete,
        summary="Delete one's own message, or as a moderator anybody's",
        tags=_TAGS,
        answer=ChangedRest,
        errors=CHANGE_ERRORS,
        own_key=True,
    )
    router.add(
        "GET",
        message + "/versions",
        rest.versions,
        summary="All texts of a message, for its author and moderators",
        tags=_TAGS,
        answer=Versions,
        errors=READ_ERRORS,
    )
    router.add(
        "POST",
        message + "/reactions",
        rest.react,
        summary="React with an emoji",
        tags=_TAGS,
        body=ReactionBody,
        answer=ChangedRest,
        errors=SEND_ERRORS,
        own_key=True,
    )
    router.add(
        "DELETE",
        message + "/reactions/{emoji}",
        rest.unreact,
        summary="Take a reaction back",
        tags=_TAGS,
        answer=ChangedRest,
        errors=CHANGE_ERRORS,
        own_key=True,
    )
    router.add(
        "GET",
        "/rooms/{id}/search",
        rest.search,
        summary="Find words in a room, newest first",
        tags=_TAGS,
        query=SearchQuery,
        answer=Found,
        errors=READ_ERRORS,
    )


class _RoomRoutes:
    def __init__(self, rooms: Rooms, views: RoomViews, receipts: Receipts) -> None:
        self._rooms = rooms
        self._views = views
        self._receipts = receipts

    async def list(self, call: Call) -> object:
        return await self._views.list(call.user, call.query)

    async def open(self, call: Call) -> object:
        body: NewRoom = call.body
        if body.kind == "dm":
            room = await self._rooms.dm(call.user, _required(body.user, "user"))
        else:
            room = await self._rooms.job_room(call.user, _required(body.job, "job"))
        return await self._views.room(call.user, room)

    async def unread(self, call: Call) -> object:
        return await self._views.unread(call.user)

    async def show(self, call: Call) -> object:
        return await self._views.room(call.user, call.path["id"])

    def marking(self, name: str) -> Any:
        """The handler of `read` or `delivered`."""
        mark = {"read": self._receipts.read, "delivered": self._receipts.delivered}[name]

        async def handle(call: Call) -> object:
            await mark(call.user, call.path["id"], call.body.seq)
            return {"ok": True}

        return handle

    async def mute(self, call: Call) -> object:
        await self._receipts.mute(call.user, call.path["id"], call.body.muted)
        return {"ok": True, "muted": call.body.muted}

    async def remove(self, call: Call) -> object:
        return _done(await self._rooms.remove(call.user, call.path["id"], {"user": call.path["user"]}, call.key))


class _MessageRoutes:
    def __init__(self, rooms: Rooms, history: History) -> None:
        self._rooms = rooms
        self._history = history

    async def page(self, call: Call) -> object:
        query: MessagesQuery = call.query
        before, after = query.before, query.after
        if query.cursor is not None:
            before, after = (before, query.cursor) if after is not None else (query.cursor, None)
        return await self._history.page(call.user, call.path["id"], before=before, after=after, limit=query.limit)

    async def send(self, call: Call) -> object:
        assert call.key is not None  # the route needs one
        return _done(await self._rooms.send(call.user, call.path["id"], message_payload(call.body), call.key))

    async def edit(self, call: Call) -> object:
        payload = {"seq": _seq(call), **message_payload(call.body)}
        return _done(await self._rooms.edit(call.user, call.path["id"], payload, call.key))

    async def delete(self, call: Call) -> object:
        return _done(await self._rooms.delete(call.user, call.path["id"], {"seq": _seq(call)}, call.key))

    async def versions(self, call: Call) -> object:
        return {"items": await self._history.versions(call.user, call.path["id"], _seq(call))}

    async def react(self, call: Call) -> object:
        return await self._reaction(call, call.body.emoji, True)

    async def unreact(self, call: Call) -> object:
        emoji = canonical_emoji(call.path["emoji"])
        if emoji is None:
            raise AppError("NOT_FOUND", "No such reaction")
        return await self._reaction(call, emoji, False)

    async def _reaction(self, call: Call, emoji: str, on: bool) -> object:
        payload = {"seq": _seq(call), "emoji": emoji, "on": on}
        return _done(await self._rooms.react(call.user, call.path["id"], payload, call.key))

    async def search(self, call: Call) -> object:
        query: SearchQuery = call.query
        room = call.path["id"]
        return await self._history.search(call.user, room, query.q, before=query.cursor, limit=query.limit)


def message_payload(body: MessageBody | EditBody) -> dict[str, Any]:
    """What the rules see of a message: only what was said, so that a retry may spell out defaults or leave them."""
    given = body.model_dump(include={"text", "reply_to", "mentions"})
    return {field: value for field, value in given.items() if value not in (None, [])}


def _done(answer: Answer) -> dict[str, Any]:
    return {"ok": True, **answer.fields, **({"replayed": True} if answer.replayed else {})}


def _required(value: str | None, name: str) -> str:
    if value is None:
        raise AppError(
            "VALIDATION_FAILED", errors=[{"loc": ["body", name], "msg": "is required for this kind of room"}]
        )
    return value


def _seq(call: Call) -> int:
    text = call.path["seq"]
    if not (text.isascii() and text.isdigit() and len(text) <= 16 and int(text) <= MOST_MINOR_UNITS):
        raise AppError("NOT_FOUND", "There is no such message in this room")
    return int(text)
