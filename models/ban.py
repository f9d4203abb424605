"""Who may say nothing any more."""

from __future__ import annotations

from typing import ClassVar, Final

from beanie import Document
from pymongo import ASCENDING, DESCENDING, IndexModel

CHANGES: Final = "rialto:bans"
"""The channel on which processes tell each other whose ban has changed."""


class Ban(Document):
    """A user who may neither say anything nor enter a room.

    Attributes:
        id: of the user.
        by: id of the moderator. reason: in words.
        created_at: ms.
    """

    id: str  # type: ignore[assignment]
    by: str
    reason: str = ""
    created_at: int

    class Settings:
        """Found by user; listed, the newest first."""

        name = "bans"
        indexes: ClassVar[list[IndexModel]] = [
            IndexModel([("created_at", DESCENDING), ("_id", ASCENDING)], name="created")
        ]
