"""What one person did with one room that is nobody else's event: how far it was read, whether it is muted."""

from __future__ import annotations

from typing import ClassVar

from beanie import Document
from pymongo import ASCENDING, IndexModel


class Membership(Document):
    """One (room, user). Absent: nothing read, not muted.

    Attributes:
        id: `membership_id(room, user)`.
        read_seq, delivered_seq: seqs of the room; they only grow, and what was read was delivered.
        muted: whether messages of the room shall not be notified.
    """

    id: str  # type: ignore[assignment]
    room: str
    user: str
    read_seq: int = 0
    delivered_seq: int = 0
    muted: bool = False

    class Settings:
        """Found by id, by room, and by user."""

        name = "memberships"
        indexes: ClassVar[list[IndexModel]] = [
            IndexModel([("room", ASCENDING)], name="room"),
            IndexModel([("user", ASCENDING)], name="user"),
        ]


def membership_id(room: str, user: str) -> str:
    """The id of a Membership."""
    return f"{room}#{user}"
