"""Notifications over HTTP: parse, authorise, call the service, render."""

from __future__ import annotations

from typing import Final

from handlers.notifications.schemas import Notifications, PageQuery, Read, ReadBody
from handlers.notifications.service import Inboxes
from server.errors import AppError
from server.web.router import Call, Router

_TAGS: Final = ("notifications",)


def add_routes(router: Router, inboxes: Inboxes) -> None:
    """Add the routes of notifications."""
    rest = _Rest(inboxes)
    router.add(
        "GET",
        "/notifications",
        rest.page,
        summary="The caller's notifications",
        tags=_TAGS,
        query=PageQuery,
        answer=Notifications,
    )
    router.add(
        "POST",
        "/notifications/read",
        rest.read,
        summary="Mark notifications as read, on all devices",
        tags=_TAGS,
        body=ReadBody,
        answer=Read,
        own_key=True,
        description="All up to `seq`. Going back changes nothing.",
    )


class _Rest:
    def __init__(self, inboxes: Inboxes) -> None:
        self._inboxes = inboxes

    async def page(self, call: Call) -> object:
        query: PageQuery = call.query
        if query.before is not None and query.cursor is not None:
            raise AppError(
                "VALIDATION_FAILED", errors=[{"loc": ["query", "cursor"], "msg": "not together with before"}]
            )
        before = query.cursor if query.before is None else query.before
        return await self._inboxes.page(call.user, before, query.limit)

    async def read(self, call: Call) -> object:
        try:
            return {"ok": True, "unread": await self._inboxes.read(call.user, call.body.seq)}
        except AppError as error:
            if error.errors:
                error.errors = [{**each, "loc": ["body", *each["loc"]]} for each in error.errors]
            raise
