"""Which room belongs to whom or what, and what lists know of it."""

from __future__ import annotations

from typing import ClassVar

from beanie import Document
from pydantic import Field
from pymongo import ASCENDING, DESCENDING, IndexModel


class Room(Document):
    """The one room of a place, and a read model of its stream.

    Attributes:
        id: random. Were it derived from the place, a stranger could find out who talks to whom.
        place: `dm:<user>:<user>`, `job:<id>` or `contract:<id>`, see `models.rules.room.naming`.
        kind: `dm`, `job` or `contract`.
        members: user ids of those who are in it now; empty until it is opened.
        seq: of the last event that is in these fields.
        active_at: ms of the last message, of the opening before there is one.
    """

    id: str  # type: ignore[assignment]
    place: str
    kind: str
    members: list[str] = Field(default_factory=list)
    seq: int = 0
    active_at: int = 0

    class Settings:
        """A place has one room; a person's rooms are listed by their activity."""

        name = "rooms"
        indexes: ClassVar[list[IndexModel]] = [
            IndexModel([("place", ASCENDING)], unique=True, name="place"),
            IndexModel([("members", ASCENDING), ("active_at", DESCENDING), ("_id", ASCENDING)], name="members_active"),
        ]
