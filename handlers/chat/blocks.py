"""Blocking people: between the two no direct message is sent, and the blocker's auctions take no bids of the blocked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import DuplicateKeyError
from pymongo.read_concern import ReadConcern

from handlers.chat.audit import AuditLog, NothingToDo
from models.block import CHANGES, Block, block_id
from models.rules.room.naming import DM
from models.rules.room.state import State
from models.user import User
from server.auth.principal import Principal
from server.clock import Clock, to_rfc3339
from server.errors import AppError
from server.recent import ControlLink, announce

_MAJORITY: Final = ReadConcern("majority")


class Blocks:
    """Who has blocked whom.

    Args:
        audit: where each block is entered. clock: the cluster's clock. link: where changes are announced.
    """

    def __init__(self, audit: AuditLog, clock: Clock, link: ControlLink) -> None:
        self._audit = audit
        self._clock = clock
        self._link = link

    async def add(self, principal: Principal, user: str, act: str) -> dict[str, Any]:
        """Block a user; whoever is blocked already stays so.

        Args:
            act: id of this request's entry in the audit log.

        Raises:
            AppError: VALIDATION_FAILED for oneself, NOT_FOUND for nobody.
        """
        if user == principal.id:
            raise AppError("VALIDATION_FAILED", errors=[{"loc": ["body", "user"], "msg": "must be somebody else"}])
        named = await User.get_pymongo_collection().find_one({"_id": user}, {"name": 1})
        if named is None:
            raise AppError("NOT_FOUND", "No such user")
        block = {
            "_id": block_id(principal.id, user),
            "blocker": principal.id,
            "blocked": user,
            "created_at": self._clock.now(),
        }
        blocks = Block.get_pymongo_collection()

        async def insert(session: AsyncClientSession) -> None:
            await blocks.insert_one(block, session=session)

        known = await blocks.find_one({"_id": block["_id"]})
        if known is None:
            try:
                await self._audit.with_entry(act, principal.id, "block.added", f"user:{user}", insert)
                known = block
            except DuplicateKeyError:  # another request was first
                known = await blocks.find_one({"_id": block["_id"]}) or block
        await announce(self._link, CHANGES, principal.id)
        return block_view(known, {user: named.get("name")})

    async def remove(self, principal: Principal, user: str, act: str) -> None:
        """Block a user no more; whoever isn't blocked stays so."""

        async def delete(session: AsyncClientSession) -> None:
            gone = await Block.get_pymongo_collection().delete_one(
                {"_id": block_id(principal.id, user)}, session=session
            )
            if not gone.deleted_count:
                raise NothingToDo

        try:
            await self._audit.with_entry(act, principal.id, "block.removed", f"user:{user}", delete)
        except (NothingToDo, DuplicateKeyError):
            return
        await announce(self._link, CHANGES, principal.id)

    async def between(self, one: str, other: str) -> bool:
        """Whether either has blocked the other."""
        found = (
            await Block.get_pymongo_collection()
            .with_options(read_concern=_MAJORITY)
            .find_one({"_id": {"$in": [block_id(one, other), block_id(other, one)]}}, {"_id": 1})
        )
        return found is not None

    async def check(self, principal: Principal, state: State, stream: str, payload: Mapping[str, Any]) -> None:
        """Before something is said, see `handlers.chat.service.Check`.

        Raises:
            AppError: BLOCKED in a direct room, either way.
        """
        if state.kind != DM:
            return
        for user, _ in state.charter.parties:
            if user != principal.id:
                await self.check_pair(principal, user)

    async def check_pair(self, principal: Principal, user: str) -> None:
        """Before the caller gets a direct room with a user; for anything else `user` is empty.

        Raises:
            AppError: BLOCKED, either way.
        """
        if user and await self.between(principal.id, user):
            raise AppError("BLOCKED", "One of you has blocked the other")


def block_view(block: Mapping[str, Any], names: Mapping[str, str | None]) -> dict[str, Any]:
    """`BlockOut` of the schemas."""
    user = block["blocked"]
    return {"user": user, "name": names.get(user), "created_at": to_rfc3339(block["created_at"])}
