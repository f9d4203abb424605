"""Who has bid in which auction, so that a bidder finds them all again. Read by the bidder alone: of a sealed auction it is a secret."""

from __future__ import annotations

from typing import ClassVar

from beanie import Document
from pymongo import ASCENDING, DESCENDING, IndexModel


class Participation(Document):
    """A read model: one (auction, bidder). The truth is the auction's stream.

    Attributes:
        id: `participation_id(auction, user)`.
        joined_at: ms, of the first bid.
        phase: of the auction, as in `models.rules.auction.state`; `paused` may be told as `open`.
        won: whether the auction is awarded to this bidder.
        truth_seq: of the last event of the stream of truth that is in `phase` and `won`.
    """

    id: str  # type: ignore[assignment]
    user: str
    auction: str
    job: str
    joined_at: int
    phase: str
    won: bool
    truth_seq: int

    class Settings:
        """Listed per user, the newest first; moved on per auction."""

        name = "participations"
        indexes: ClassVar[list[IndexModel]] = [
            IndexModel([("user", ASCENDING), ("joined_at", DESCENDING), ("_id", ASCENDING)], name="user_joined_at"),
            IndexModel([("auction", ASCENDING)], name="auction"),
        ]


def participation_id(auction: str, user: str) -> str:
    """The id of a Participation."""
    return f"{auction}#{user}"
