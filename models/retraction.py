"""Bids that were taken back, so that a profile can say how many (bidding.md, rule 14)."""

from __future__ import annotations

from typing import ClassVar

from beanie import Document
from pymongo import ASCENDING, IndexModel


class Retraction(Document):
    """One retraction; `id` is its event's place, `<stream>#<seq>`, so that it counts once however often it is read."""

    id: str  # type: ignore[assignment]
    user: str

    class Settings:
        """Counted per user."""

        name = "retractions"
        indexes: ClassVar[list[IndexModel]] = [IndexModel([("user", ASCENDING)], name="user")]
