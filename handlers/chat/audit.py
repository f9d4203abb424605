"""The audit log: what moderators and admins did, and what users did against each other, each act entered once.

An act on a document is written in one transaction with its entry. An act on a stream is an event, which is its own record: a
follower enters it, under an id made of the event's place.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from pymongo import WriteConcern
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern

from models.audit import AuditEntry
from models.rules.auction.naming import PUBLIC_KIND, SEALED_KIND
from models.rules.room.naming import ROOM_KIND
from server.clock import Clock
from server.streams.event import StoredEvent

T = TypeVar("T")

KINDS: Final = (ROOM_KIND, PUBLIC_KIND, SEALED_KIND)
"""Streams with events that are entered."""

_ATTEMPTS: Final = 8

Write = Callable[[AsyncClientSession], Awaitable[T]]


class NothingToDo(Exception):
    """Raised within a transaction that would change nothing, to undo it."""


class AuditLog:
    """The entries.

    Args:
        clock: the cluster's clock.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def with_entry(
        self,
        act: str,
        actor: str,
        action: str,
        subject: str,
        write: Write[T],
        details: Mapping[str, Any] | None = None,
    ) -> T:
        """Do something to documents and enter it: both or neither.

        Args:
            act: id of the entry. The same act can't be done twice.
            write: does it, within the transaction; may run several times. What it raises undoes everything.

        Raises:
            DuplicateKeyError: the act was done before. PyMongoError: MongoDB is away, or what `write` raised.
        """
        entry = {
            "_id": act,
            "t": self._clock.now(),
            "actor": actor,
            "action": action,
            "subject": subject,
            "details": dict(details or {}),
        }
        entries = AuditEntry.get_pymongo_collection()
        majority = WriteConcern("majority", j=True)
        for attempt in range(_ATTEMPTS):
            try:
                async with (
                    entries.database.client.start_session() as session,
                    await session.start_transaction(ReadConcern("snapshot"), majority),
                ):
                    done = await write(session)
                    await entries.insert_one(entry, session=session)
                return done
            except PyMongoError as error:
                if attempt == _ATTEMPTS - 1 or not error.has_error_label("TransientTransactionError"):
                    raise
                await asyncio.sleep(random.uniform(0.005, 0.05))
        raise AssertionError("unreachable")

    async def follow(self, events: Sequence[StoredEvent]) -> None:
        """Enter what was done to rooms and auctions by those who may; the follower `chat.audit`."""
        for event in events:
            found = _act(event)
            if found is not None:
                await AuditEntry.get_pymongo_collection().update_one(
                    {"_id": f"{event.stream}#{event.seq}"}, {"$setOnInsert": {"t": event.t, **found}}, upsert=True
                )


def _act(event: StoredEvent) -> dict[str, Any] | None:
    """`{actor, action, subject, details}` of an event that belongs into the log."""
    public, private = event.public, event.private
    if event.kind != ROOM_KIND:
        admin = private.get("admin")
        return _entry(admin, f"auction.{event.type}", f"auction:{event.subject}") if admin else None
    if public.get("by") != "moderator":
        return None
    if event.type == "deleted":
        return _entry(private["actor"], "message.removed", event.stream, message=public["message"])
    return _entry(private["actor"], "member.removed", event.stream, member=public["user"])


def _entry(actor: str, action: str, subject: str, **details: Any) -> dict[str, Any]:
    return {"actor": actor, "action": action, "subject": subject, "details": details}
