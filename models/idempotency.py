"""Answers of mutations, kept for a day so that a retry with the same Idempotency-Key gets the same answer."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from beanie import Document
from pymongo import ASCENDING, IndexModel


class IdempotencyRecord(Document):
    """One (user, key). Without `status` the request is running, or its process died.

    Attributes:
        id: derived from user and key.
        user: who sent the key.
        digest: fingerprint of the request; another one under the same key is a mismatch.
        lease_until: ms; until then only the process that wrote this may run the request.
        status, body, location: the stored answer.
        expires_at: when MongoDB deletes the record.
    """

    id: str  # type: ignore[assignment]
    user: str
    digest: str
    lease_until: int
    status: int | None = None
    body: bytes | None = None
    location: str | None = None
    expires_at: datetime

    class Settings:
        """Found by id; removed by MongoDB."""

        name = "idempotency"
        indexes: ClassVar[list[IndexModel]] = [
            IndexModel([("expires_at", ASCENDING)], name="expiry", expireAfterSeconds=0)
        ]
