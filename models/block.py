"""Who does not want to hear of whom."""

from __future__ import annotations

from typing import ClassVar, Final

from beanie import Document
from pymongo import ASCENDING, DESCENDING, IndexModel

CHANGES: Final = "rialto:blocks"
"""The channel on which processes tell each other whose blocks have changed."""


class Block(Document):
    """One user has blocked another.

    Attributes:
        id: `<blocker>#<blocked>`, see `block_id`.
        created_at: ms.
    """

    id: str  # type: ignore[assignment]
    blocker: str
    blocked: str
    created_at: int

    class Settings:
        """Found by id; a user's blocks are listed, the newest first."""

        name = "blocks"
        indexes: ClassVar[list[IndexModel]] = [
            IndexModel([("blocker", ASCENDING), ("created_at", DESCENDING), ("_id", ASCENDING)], name="blocker_created")
        ]


def block_id(blocker: str, blocked: str) -> str:
    """The id of the block of one user by another."""
    return f"{blocker}#{blocked}"


async def blocked_by(blocker: str) -> frozenset[str]:
    """The users whom a user has blocked."""
    found = Block.get_pymongo_collection().find({"blocker": blocker}, {"blocked": 1})
    return frozenset([block["blocked"] async for block in found])
