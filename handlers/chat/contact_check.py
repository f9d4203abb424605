"""Keeping contact details out of rooms until two people have a contract."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from handlers.chat.contact import find_contact
from handlers.chat.relations import Relations
from models.rules.room.naming import CONTRACT, DM
from models.rules.room.state import State
from server.auth.principal import Principal
from server.errors import AppError


class ContactCheck:
    """Refuses texts with contact details.

    In a direct room until either has accepted an award of the other's; in the room of a job until its award was accepted, and then
    they may come from the client and the winner alone.

    Args:
        relations: knows of awards. own_hosts: names of hosts that may be linked to.
    """

    def __init__(self, relations: Relations, own_hosts: Collection[str]) -> None:
        self._relations = relations
        self._own_hosts = frozenset(own_hosts)

    async def check(self, principal: Principal, state: State, stream: str, payload: Mapping[str, Any]) -> None:
        """Before something is said, see `handlers.chat.service.Check`.

        Raises:
            AppError: CONTACT_SHARING with `details.found`: `email`, `link`, `phone` or `handle`.
        """
        charter = state.charter
        text = payload.get("text")
        if charter.kind == CONTRACT or not isinstance(text, str):
            return
        found = find_contact(text, self._own_hosts)
        if found is None:
            return
        if charter.kind == DM:
            (one, _), (other, _) = charter.parties
            allowed = await self._relations.engaged(one, other) or await self._relations.engaged(other, one)
        else:
            assert charter.job is not None
            allowed = principal.id in await self._relations.contracted(charter.job)
        if not allowed:
            raise AppError("CONTACT_SHARING", details={"found": found})
