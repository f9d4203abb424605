"""Banning people: they neither say anything nor enter a room any more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import DuplicateKeyError

from handlers.chat.audit import AuditLog, NothingToDo
from models.ban import CHANGES, Ban
from models.rules.room.state import State
from models.user import User
from server.auth.principal import Principal
from server.clock import Clock, to_rfc3339
from server.errors import AppError
from server.recent import ControlLink, Recent


class Bans:
    """Who is banned.

    A ban is in force on the instance where it was made at once, on the others as soon as they hear of it, which takes a few seconds
    at most (`server.recent`).

    Args:
        audit: where each ban is entered. clock: the cluster's clock. link: where changes are announced.
    """

    def __init__(self, audit: AuditLog, clock: Clock, link: ControlLink) -> None:
        self._audit = audit
        self._clock = clock
        self._banned = Recent(link, CHANGES, _is_banned)

    async def add(self, principal: Principal, user: str, reason: str, act: str) -> dict[str, Any]:
        """Ban a user; whoever is banned already stays so, for the same reason.

        Args:
            act: id of this request's entry in the audit log.

        Raises:
            AppError: as `require_bannable`.
        """
        await self.require_bannable(principal, user)
        return ban_view(await self.put(principal.id, user, reason, act))

    async def put(self, by: str, user: str, reason: str, act: str) -> dict[str, Any]:
        """As `add`, for a decision that was judged before; the ban that is in force. A ban that was lifted is not put again."""
        ban: dict[str, Any] = {"_id": user, "by": by, "reason": reason, "created_at": self._clock.now()}
        bans = Ban.get_pymongo_collection()

        async def insert(session: AsyncClientSession) -> None:
            await bans.insert_one(ban, session=session)

        known = await bans.find_one({"_id": user})
        if known is None:
            try:
                await self._audit.with_entry(act, by, "ban.added", f"user:{user}", insert, {"reason": reason})
                known = ban
            except DuplicateKeyError:  # another request was first
                known = await bans.find_one({"_id": user}) or ban
        await self._banned.changed(user)
        return known

    async def require_bannable(self, principal: Principal, user: str) -> None:
        """Whether the caller may ban a user.

        Raises:
            AppError: NOT_FOUND for nobody; FORBIDDEN for oneself, for admins, and for moderators unless by an admin.
        """
        found = await User.get_pymongo_collection().find_one({"_id": user}, {"admin": 1, "moderator": 1})
        if found is None:
            raise AppError("NOT_FOUND", "No such user")
        if user == principal.id or found.get("admin") or (found.get("moderator") and not principal.admin):
            raise AppError("FORBIDDEN", "You cannot ban this user")

    async def lift(self, principal: Principal, user: str, act: str) -> None:
        """End a ban; whoever isn't banned stays so."""

        async def delete(session: AsyncClientSession) -> None:
            if not (await Ban.get_pymongo_collection().delete_one({"_id": user}, session=session)).deleted_count:
                raise NothingToDo

        try:
            await self._audit.with_entry(act, principal.id, "ban.lifted", f"user:{user}", delete)
        except (NothingToDo, DuplicateKeyError):
            return
        await self._banned.changed(user)

    async def check(self, principal: Principal, state: State, stream: str, payload: Mapping[str, Any]) -> None:
        """Before something is said, see `handlers.chat.service.Check`.

        Raises:
            AppError: FORBIDDEN.
        """
        await self.check_entry(principal, "")

    async def check_entry(self, principal: Principal, user: str) -> None:
        """Before the caller enters a room.

        Raises:
            AppError: FORBIDDEN.
        """
        if await self._banned.get(principal.id):
            raise AppError("FORBIDDEN", "You are banned")


async def _is_banned(user: str) -> bool:
    return await Ban.get_pymongo_collection().find_one({"_id": user}, {"_id": 1}) is not None


def ban_view(ban: Mapping[str, Any]) -> dict[str, Any]:
    """`BanOut` of the schemas."""
    return {"user": ban["_id"], "by": ban["by"], "reason": ban["reason"], "created_at": to_rfc3339(ban["created_at"])}
