"""Who did what to whom: for the operator, later."""

from __future__ import annotations

from typing import Any, ClassVar

from beanie import Document
from pydantic import Field
from pymongo import ASCENDING, DESCENDING, IndexModel


class AuditEntry(Document):
    """One act of a moderator or an admin, or one of a user against another. Never changed.

    Attributes:
        id: derived from the act, so that it is entered once.
        t: ms.
        actor: id of who did it; where people go by pseudonyms, the name in the room.
        action: such as `ban.added`.
        subject: to what, as `<kind>:<id>`, such as `user:...`, `room:...`.
        details: what else there is to say.
    """

    id: str  # type: ignore[assignment]
    t: int
    actor: str
    action: str
    subject: str
    details: dict[str, Any] = Field(default_factory=dict)

    class Settings:
        """Listed the newest first, altogether or by one of three fields."""

        name = "audit"
        indexes: ClassVar[list[IndexModel]] = [
            IndexModel([("t", DESCENDING), ("_id", ASCENDING)], name="t"),
            IndexModel([("actor", ASCENDING), ("t", DESCENDING), ("_id", ASCENDING)], name="actor_t"),
            IndexModel([("action", ASCENDING), ("t", DESCENDING), ("_id", ASCENDING)], name="action_t"),
            IndexModel([("subject", ASCENDING), ("t", DESCENDING), ("_id", ASCENDING)], name="subject_t"),
        ]
