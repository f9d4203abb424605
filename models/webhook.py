"""Webhooks: who wants to be told of what happens, and what each of them is told."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from beanie import Document
from pydantic import BaseModel, Field
from pymongo import ASCENDING, DESCENDING, IndexModel


class Wanted(BaseModel):
    """A type of event that a webhook takes, and since when (ms): what happened before is none of its business."""

    type: str
    since: int


class FormerSecret(BaseModel):
    """A secret that was replaced and signs along until `until` (ms)."""

    secret: str
    until: int


class Webhook(Document):
    """A receiver of events.

    The secrets are stored in clear, since every delivery is signed with them anew: whoever reads this collection can forge
    deliveries. No route shows a secret again after it was made, save to a retry with the same Idempotency-Key within a day.

    Attributes:
        id: random, or derived from the request that made it.
        owner: user id. scope: `own` for events of the owner's jobs, `all` for everybody's, while the owner is an admin.
        url: normalised; where deliveries are posted.
        wanted: types of events.
        secret: the key of the signatures. former: those that it replaced lately. rotation: id of the request that made it.
        status: `active`, `paused` by the owner, or `disabled` because nothing could be delivered for long.
        failing_since: ms of the first failure after the last success; absent while all is well.
        disabled_at: ms. created_at, updated_at, rotated_at: ms.
    """

    id: str  # type: ignore[assignment]
    owner: str
    scope: str = "own"
    url: str
    description: str = ""
    wanted: list[Wanted]
    secret: str
    former: list[FormerSecret] = Field(default_factory=list)
    rotation: str | None = None
    status: str = "active"
    failing_since: int | None = None
    disabled_at: int | None = None
    created_at: int
    updated_at: int
    rotated_at: int | None = None

    class Settings:
        """Listed per owner; found by the owner of a job, and those for everything together."""

        name = "webhooks"
        keep_nulls = False
        indexes: ClassVar[list[IndexModel]] = [
            IndexModel([("owner", ASCENDING), ("created_at", DESCENDING), ("_id", ASCENDING)], name="owner_created"),
            IndexModel([("scope", ASCENDING)], name="everything", partialFilterExpression={"scope": "all"}),
        ]


class Delivery(Document):
    """One event for one webhook.

    Attributes:
        id: derived from webhook and event, so that it is queued once however often the event is read.
        event: id of the event, the same for every webhook. type: its type. created_at: ms, when it happened.
        place: order among events of the same ms: the seq in its stream, and the place within what one event tells.
        body: the JSON that is posted, the same bytes at every try.
        lane: the host that it goes to; see `handlers.webhooks.lanes`.
        state: `queued`, `delivered` or `dead`.
        next_at: ms; while queued, not before then. While it is being tried this is the end of the lease.
        claim: names the try that holds the lease. attempts: tries begun since it was queued, or replayed last.
        tries: the last ones, `{at, duration_ms, status, error}`. error: why the last one failed, or why it is dead.
        delivered_at: ms. replays: how often it was put back.
        purge_at: when MongoDB deletes the document.
    """

    id: str  # type: ignore[assignment]
    webhook: str
    event: str
    type: str
    created_at: int
    place: int
    body: bytes
    lane: str
    state: str = "queued"
    next_at: int
    claim: str | None = None
    attempts: int = 0
    tries: list[dict[str, Any]] = Field(default_factory=list)
    error: str | None = None
    delivered_at: int | None = None
    replays: int = 0
    purge_at: datetime

    class Settings:
        """The queue is read lane by lane in the order of time; lists of one webhook from the newest on."""

        name = "webhook_deliveries"
        keep_nulls = False
        indexes: ClassVar[list[IndexModel]] = [
            IndexModel(
                [
                    ("state", ASCENDING),
                    ("lane", ASCENDING),
                    ("next_at", ASCENDING),
                    ("created_at", ASCENDING),
                    ("place", ASCENDING),
                ],
                name="queue",
            ),
            IndexModel(
                [("webhook", ASCENDING), ("created_at", DESCENDING), ("_id", ASCENDING)], name="webhook_created"
            ),
            IndexModel(
                [("webhook", ASCENDING), ("state", ASCENDING), ("created_at", DESCENDING), ("_id", ASCENDING)],
                name="webhook_state_created",
            ),
            IndexModel([("purge_at", ASCENDING)], name="expiry", expireAfterSeconds=0),
        ]
