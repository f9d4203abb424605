"""A job that a client posts."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from beanie import Document
from pydantic import BaseModel, Field
from pymongo import ASCENDING, DESCENDING, GEOSPHERE, TEXT, IndexModel

from models.place import Location

STATUSES: Final = ("draft", "open", "closed", "awarded", "in_progress", "completed", "cancelled")


class Budget(BaseModel):
    """What the client expects to pay, in minor units of a currency."""

    min: int
    max: int
    currency: str


class AuctionSummary(BaseModel):
    """The auction as lists show it, as of its public event `seq`; 0 before it is opened.

    `phase` is the auction's own (`open`, `paused`, `closed`, `awarded`, `accepted`, `cancelled`), empty before. Times are ms.
    """

    id: str
    format: str
    direction: str
    currency: str
    start_amount: int
    phase: str = ""
    price: int | None = None
    leader: str | None = None
    bid_count: int | None = 0
    reserve_met: bool | None = None
    start_at: int | None = None
    end_at: int
    seq: int = 0


class PendingEdit(BaseModel):
    """A material edit that is under way: its event may be appended already, the document is not changed yet."""

    revision: int
    fields: dict[str, Any]
    actor: str
    since: int


class Job(Document):
    """A job and the denormalised summary of its auction.

    Attributes:
        id: random, or derived from the request that made it.
        owner: user id.
        point: GeoJSON of the location.
        visibility: as wished: `public`, `invited` or `private`. scope: as it is: `draft` until published, then `public` or
            `invited`.
        invited: user ids.
        status: one of `STATUSES`.
        revision: counts material edits; the auction's `suspended` events carry it.
        budget_max: 0 without a budget; ends_at: of the auction, far away without one: what lists are sorted by.
        created_at, updated_at, published_at: ms.
        terms: the auction's as `parse_terms` takes them; private, for they hold the reserve.
        opening: ms since when the auction is being opened; absent otherwise.
        pending: see PendingEdit; absent mostly.
        unannounced: ms of the publication, written with it, until the outside world has been told of it; absent mostly.
        winner: user id of who did the work, once it is completed.
    """

    id: str  # type: ignore[assignment]
    owner: str
    title: str
    description: str
    category: str
    skills: list[str] = Field(default_factory=list)
    budget: Budget | None = None
    location: Location | None = None
    point: dict[str, Any] | None = None
    visibility: str = "public"
    scope: str = "draft"
    invited: list[str] = Field(default_factory=list)
    priority: str = "normal"
    status: str = "draft"
    revision: int = 0
    view_count: int = 0
    budget_max: int = 0
    ends_at: int
    created_at: int
    updated_at: int
    published_at: int | None = None
    terms: dict[str, Any] | None = None
    auction: AuctionSummary | None = None
    opening: int | None = None
    pending: PendingEdit | None = None
    unannounced: int | None = None
    winner: str | None = None

    class Settings:
        """One index per order and main filter: equality first, then the sort keys, so that lists are read in order."""

        name = "jobs"
        keep_nulls = False
        indexes: ClassVar[list[IndexModel]] = [
            IndexModel(
                [("scope", ASCENDING), ("status", ASCENDING), ("created_at", DESCENDING), ("_id", ASCENDING)],
                name="newest",
            ),
            IndexModel(
                [("scope", ASCENDING), ("status", ASCENDING), ("budget_max", DESCENDING), ("_id", ASCENDING)],
                name="budget",
            ),
            IndexModel(
                [("scope", ASCENDING), ("status", ASCENDING), ("ends_at", ASCENDING), ("_id", ASCENDING)],
                name="ending",
            ),
            IndexModel(
                [("scope", ASCENDING), ("status", ASCENDING), ("view_count", DESCENDING), ("_id", ASCENDING)],
                name="popular",
            ),
            IndexModel(
                [
                    ("scope", ASCENDING),
                    ("category", ASCENDING),
                    ("status", ASCENDING),
                    ("created_at", DESCENDING),
                    ("_id", ASCENDING),
                ],
                name="category",
            ),
            IndexModel(
                [
                    ("scope", ASCENDING),
                    ("skills", ASCENDING),
                    ("status", ASCENDING),
                    ("created_at", DESCENDING),
                    ("_id", ASCENDING),
                ],
                name="skills",
            ),
            IndexModel(
                [("owner", ASCENDING), ("status", ASCENDING), ("created_at", DESCENDING), ("_id", ASCENDING)],
                name="owner",
            ),
            IndexModel(
                [("invited", ASCENDING), ("status", ASCENDING), ("created_at", DESCENDING), ("_id", ASCENDING)],
                name="invited",
                partialFilterExpression={"scope": "invited"},
            ),
            IndexModel([("point", GEOSPHERE)], name="point", sparse=True),
            IndexModel(
                [("title", TEXT), ("description", TEXT), ("skills", TEXT)],
                name="text",
                weights={"title": 2, "description": 1, "skills": 1},
                default_language="english",
                language_override="text_language",
            ),
            IndexModel(
                [("winner", ASCENDING), ("status", ASCENDING)],
                name="winner",
                partialFilterExpression={"winner": {"$exists": True}},
            ),
            IndexModel([("opening", ASCENDING)], name="opening", partialFilterExpression={"opening": {"$gt": 0}}),
            IndexModel(
                [("unannounced", ASCENDING)], name="unannounced", partialFilterExpression={"unannounced": {"$gt": 0}}
            ),
            IndexModel(
                [("pending.since", ASCENDING)], name="pending", partialFilterExpression={"pending.since": {"$gt": 0}}
            ),
        ]
