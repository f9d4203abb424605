"""What lists and timers know of an auction: fields copied from its stream, never newer than it, moved on by seq only."""

from __future__ import annotations

from typing import ClassVar

from beanie import Document
from pymongo import ASCENDING, IndexModel


class Auction(Document):
    """A read model. The truth is the stream.

    Attributes:
        id: of the auction.
        stream: the stream of truth, `auction:<id>` or `sealed:<id>`.
        truth_seq: of the last event of it that is in these fields.
        phase: as in `models.rules.auction.state`.
        due_at: when (ms) time next moves the auction, such as its end; None when nothing is due.
        end_at: ms. price, leader, bid_count, reserve_met: as public; None while secret or unknown.
        seq: of the public stream.
    """

    id: str  # type: ignore[assignment]
    stream: str
    truth_seq: int
    job: str
    owner: str
    format: str
    phase: str
    due_at: int | None
    price: int | None
    leader: str | None
    end_at: int
    bid_count: int | None
    seq: int
    reserve_met: bool | None

    class Settings:
        """`due_at` is what the timers ask for."""

        name = "auctions"
        indexes: ClassVar[list[IndexModel]] = [
            IndexModel([("due_at", ASCENDING)], name="due_at", partialFilterExpression={"due_at": {"$type": "number"}}),
            IndexModel([("owner", ASCENDING), ("end_at", ASCENDING)], name="owner_end_at"),
        ]
