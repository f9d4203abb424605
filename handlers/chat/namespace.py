"""Chat over sockets: parse, authorise, call the service, render."""

from __future__ import annotations

from typing import Any, Final

from handlers.chat.events import RoomEvent
from handlers.chat.receipts import Receipts
from handlers.chat.rest import CHANGE_ERRORS, READ_ERRORS, SEND_ERRORS, message_payload
from handlers.chat.schemas import (
    Changed,
    Done,
    Receipt,
    Sent,
    SocketDelete,
    SocketEdit,
    SocketReact,
    SocketSend,
    SocketSeq,
)
from handlers.chat.service import Rooms
from server.realtime import Connection, Namespace
from server.streams.pending import Answer

_EDIT_ERRORS: Final = (*SEND_ERRORS, "EDIT_TOO_LATE")


def chat_namespace(rooms: Rooms, receipts: Receipts) -> Namespace:
    """The namespace `/chat`."""
    namespace = Namespace("/chat", carries=(RoomEvent,), description="Rooms. Members only.")

    async def send(connection: Connection, body: SocketSend) -> dict[str, Any]:
        return _ack(await rooms.send(connection.require(), body.room, message_payload(body), body.key))

    async def edit(connection: Connection, body: SocketEdit) -> dict[str, Any]:
        payload = {"seq": body.seq, **message_payload(body)}
        return _ack(await rooms.edit(connection.require(), body.room, payload, body.key))

    async def delete(connection: Connection, body: SocketDelete) -> dict[str, Any]:
        return _ack(await rooms.delete(connection.require(), body.room, {"seq": body.seq}, body.key))

    async def react(connection: Connection, body: SocketReact) -> dict[str, Any]:
        payload = {"seq": body.seq, "emoji": body.emoji, "on": body.on}
        return _ack(await rooms.react(connection.require(), body.room, payload, body.key))

    async def read(connection: Connection, body: SocketSeq) -> dict[str, Any]:
        await receipts.read(connection.require(), body.room, body.seq)
        return {}

    async def delivered(connection: Connection, body: SocketSeq) -> dict[str, Any]:
        await receipts.delivered(connection.require(), body.room, body.seq)
        return {}

    command = namespace.command
    command("send", SocketSend, send, answer=Sent, summary="Say something", errors=SEND_ERRORS)
    command("edit", SocketEdit, edit, answer=Changed, summary="Change one's own message", errors=_EDIT_ERRORS)
    command("delete", SocketDelete, delete, answer=Changed, summary="Delete a message", errors=CHANGE_ERRORS)
    command("react", SocketReact, react, answer=Changed, summary="Set or take back a reaction", errors=SEND_ERRORS)
    command("read", SocketSeq, read, answer=Done, summary="Everything up to a seq was read", errors=READ_ERRORS)
    command(
        "delivered", SocketSeq, delivered, answer=Done, summary="Everything up to a seq has arrived", errors=READ_ERRORS
    )
    namespace.emits("receipt", Receipt, "A member has read or received everything up to a seq of a watched room")
    return namespace


def _ack(answer: Answer) -> dict[str, Any]:
    return {**answer.fields, **({"replayed": True} if answer.replayed else {})}
