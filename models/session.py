"""A login: the family of refresh tokens that descend from it."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from beanie import Document
from pymongo import ASCENDING, DESCENDING, IndexModel


class Session(Document):
    """One login of a user on one device.

    Attributes:
        id: the `sid` of its access tokens.
        generation: of the refresh token that is valid now; each refresh adds one.
        salt: goes into the refresh tokens, so that a copy of the signing key alone makes none.
        rotated_at: ms of the last refresh. rotated_by: digest of its Idempotency-Key, if it had one.
        expires_at: ms; the end of the valid refresh token.
        revoked_at: ms; absent while the session lives. revoked_for: `logout`, `reuse`, `password` or `user`.
        device: the User-Agent of the login, shortened.
        unannounced: ms of the login, until the user has been told of it; absent afterwards.
        purge_at: when MongoDB deletes the document: after every token of the session has expired.
    """

    id: str  # type: ignore[assignment]
    user: str
    generation: int = 1
    salt: str
    created_at: int
    used_at: int
    rotated_at: int | None = None
    rotated_by: str | None = None
    expires_at: int
    revoked_at: int | None = None
    revoked_for: str | None = None
    device: str = ""
    unannounced: int | None = None
    purge_at: datetime

    class Settings:
        """Found by id, listed per user, and the newly revoked ones read by every instance."""

        name = "sessions"
        keep_nulls = False
        indexes: ClassVar[list[IndexModel]] = [
            IndexModel([("user", ASCENDING), ("created_at", DESCENDING)], name="user_created"),
            IndexModel([("revoked_at", ASCENDING)], name="revoked", partialFilterExpression={"revoked_at": {"$gt": 0}}),
            IndexModel(
                [("unannounced", ASCENDING)], name="unannounced", partialFilterExpression={"unannounced": {"$gt": 0}}
            ),
            IndexModel([("purge_at", ASCENDING)], name="expiry", expireAfterSeconds=0),
        ]
