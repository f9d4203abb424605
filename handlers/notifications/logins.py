"""Telling people of new logins. The login's own write says that it is to be told of, so that none is forgotten."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import structlog
from pymongo.errors import PyMongoError

from handlers.notifications.service import Inboxes
from models.rules.inbox.notices import Notice
from models.session import Session
from server.clock import to_rfc3339
from server.errors import AppError

if TYPE_CHECKING:
    from server.context import Context

_BATCH: Final = 200
_PAUSE_S: Final = 1.0

log = structlog.get_logger(__name__)


class Logins:
    """Looks for logins that their users have not been told of.

    Args:
        inboxes: where notices go.
    """

    def __init__(self, inboxes: Inboxes) -> None:
        self._inboxes = inboxes

    async def run(self, context: Context) -> None:
        """Sweep until cancelled; any number of workers may."""
        while True:
            try:
                swept = await self.sweep()
            except (AppError, PyMongoError) as error:
                log.warning("logins.sweep_failed", error=str(error))
                swept = 0
            if swept < _BATCH:
                await asyncio.sleep(_PAUSE_S)

    async def sweep(self) -> int:
        """Tell of the oldest logins; how many there were.

        Raises:
            AppError, PyMongoError: try again later; nothing is told twice.
        """
        sessions = Session.get_pymongo_collection()
        wanted = {"unannounced": {"$gt": 0}}
        shown = {"user": 1, "device": 1, "unannounced": 1}
        found = await sessions.find(wanted, shown).sort("unannounced", 1).limit(_BATCH).to_list()
        await self._inboxes.deliver(_notice(session) for session in found)
        if found:
            told = {"_id": {"$in": [session["_id"] for session in found]}}
            await sessions.update_many(told, {"$unset": {"unannounced": ""}})
        return len(found)


def _notice(session: dict[str, Any]) -> Notice:
    data = {
        "event": "login",
        "session": session["_id"],
        "device": session["device"],
        "at": to_rfc3339(session["unannounced"]),
    }
    return Notice(session["user"], "security", f"session:{session['_id']}", 1, data=data)
