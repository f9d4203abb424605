"""What is to be told to many, or later: the durable queue between the events of auctions and people's inboxes."""

from __future__ import annotations

from typing import Any, ClassVar

from beanie import Document
from pymongo import ASCENDING, IndexModel


class Announcement(Document):
    """See `models.rules.inbox.auctions.Announcement`, which it keeps.

    Attributes:
        id: the same for announcements of which only the newest counts.
        due_at: ms; not before then. Moving it is the lease of whoever carries the announcement out.
    """

    id: str  # type: ignore[assignment]
    kind: str
    source: str
    seq: int
    data: dict[str, Any]
    due_at: int
    lead_ms: int
    latest: bool
    without: str | None

    class Settings:
        """The queue is read in the order of `due_at`."""

        name = "announcements"
        indexes: ClassVar[list[IndexModel]] = [IndexModel([("due_at", ASCENDING)], name="due_at")]
