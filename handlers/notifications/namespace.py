"""Notifications over sockets: parse, authorise, call the service, render."""

from __future__ import annotations

from typing import Any

import orjson

from handlers.notifications.events import InboxEvent
from handlers.notifications.schemas import ReadBody, Unread
from handlers.notifications.service import Inboxes
from server.realtime import Connection, Namespace


def notifications_namespace(inboxes: Inboxes) -> Namespace:
    """The namespace `/notifications`."""
    namespace = Namespace(
        "/notifications", carries=(InboxEvent,), description="The caller's own notifications, the stream `user:<id>`."
    )

    async def read(connection: Connection, body: ReadBody) -> dict[str, Any]:
        return {"unread": await inboxes.read(connection.require(), body.seq)}

    namespace.command("read", ReadBody, read, answer=Unread, summary="Mark all up to `seq` as read, on all devices")
    namespace.emits(
        "unread", Unread, "The number of unread notifications, after each change while the stream is watched"
    )
    return namespace


def unread_after(wire: bytes) -> tuple[str, dict[str, Any]]:
    """What goes beside the events of an inbox: each of them says how many are unread after it."""
    return "unread", {"unread": orjson.loads(wire)["unread"]}
