"""The outbox of e-mail: written with what causes a mail, sent by a worker."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from beanie import Document
from pymongo import ASCENDING, IndexModel


class Mail(Document):
    """One message to one person.

    Attributes:
        id: random, or derived from the cause so that it is queued once.
        user: whom it is for.
        state: `queued`, `sent` or `failed` (given up).
        text: emptied once sent, since it may hold a link that lets in whoever has it.
        attempts: how often sending was begun. next_at: ms; not before then.
        purge_at: when MongoDB deletes the document.
    """

    id: str  # type: ignore[assignment]
    user: str
    to: str
    subject: str
    text: str
    state: str = "queued"
    attempts: int = 0
    created_at: int
    next_at: int
    purge_at: datetime

    class Settings:
        """The queue is read in the order of `next_at`."""

        name = "mails"
        indexes: ClassVar[list[IndexModel]] = [
            IndexModel([("state", ASCENDING), ("next_at", ASCENDING)], name="queue"),
            IndexModel([("user", ASCENDING), ("created_at", ASCENDING)], name="user_created"),
            IndexModel([("purge_at", ASCENDING)], name="expiry", expireAfterSeconds=0),
        ]
