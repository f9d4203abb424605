"""What members of rooms have complained of."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from beanie import Document
from pydantic import BaseModel
from pymongo import ASCENDING, DESCENDING, IndexModel

OPEN: Final = "open"
RESOLVED: Final = "resolved"


class Resolution(BaseModel):
    """What a moderator decided.

    Attributes:
        action: `none`, `remove_messages`, `remove_member` or `ban`.
        by: id of the moderator. note: in words. at: ms.
        pending: ms since when its effects are on their way; absent once they are there.
    """

    action: str
    by: str
    note: str = ""
    at: int
    pending: int | None = None


class Report(Document):
    """Messages of a room as they were when somebody reported them.

    Attributes:
        id: random, or derived from the request that made it.
        room: id. reporter: id of the user. known_as: what the reporter is called in the room.
        reason: one of a few words. note: in words.
        messages: `{seq, t, user, text, versions: [{seq, t, text}], reply_to?, deleted?}`, people by their names in the room.
        status: `open` or `resolved`.
        created_at: ms.
    """

    id: str  # type: ignore[assignment]
    room: str
    reporter: str
    known_as: str
    reason: str
    note: str = ""
    messages: list[dict[str, Any]]
    status: str = OPEN
    resolution: Resolution | None = None
    created_at: int

    class Settings:
        """Listed by status or altogether, the newest first; resolutions that are under way are looked for."""

        name = "reports"
        keep_nulls = False
        indexes: ClassVar[list[IndexModel]] = [
            IndexModel([("status", ASCENDING), ("created_at", DESCENDING), ("_id", ASCENDING)], name="status_created"),
            IndexModel([("created_at", DESCENDING), ("_id", ASCENDING)], name="created"),
            IndexModel(
                [("resolution.pending", ASCENDING)],
                name="pending",
                partialFilterExpression={"resolution.pending": {"$gt": 0}},
            ),
        ]
