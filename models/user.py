"""A person with an account."""

from __future__ import annotations

from typing import Any, ClassVar

from beanie import Document
from pydantic import BaseModel, Field
from pymongo import ASCENDING, GEOSPHERE, IndexModel

from models.place import Location


class HourlyRate(BaseModel):
    """What an hour costs, in minor units of a currency."""

    amount: int
    currency: str


class User(Document):
    """An account and its public profile.

    Attributes:
        id: random id.
        email: normalised: lower case, domain in ASCII.
        password_hash: Argon2id, encoded.
        role: `client`, `freelancer` or `both`; later also `contractor` and `subcontractor`.
        admin: may do what only the operator may. moderator: keeps order in rooms.
        active: whether the person takes work at the moment.
        rating: mean of the reviews, None without any. rating_count: how many.
        badges: what has been verified about the person.
        created_at: ms.
        registration: digest of the Idempotency-Key of the registration, so that its retry is recognised.
        point: GeoJSON of the location.
    """

    id: str  # type: ignore[assignment]
    email: str
    email_verified: bool = False
    password_hash: str
    name: str
    role: str
    admin: bool = False
    moderator: bool = False
    active: bool = True
    about: str = ""
    skills: list[str] = Field(default_factory=list)
    hourly_rate: HourlyRate | None = None
    location: Location | None = None
    point: dict[str, Any] | None = None
    rating: float | None = None
    rating_count: int = 0
    completed_jobs: int = 0
    retraction_count: int = 0
    badges: list[str] = Field(default_factory=list)
    created_at: int
    registration: str | None = None

    class Settings:
        """An e-mail address has one account; freelancers are found by place."""

        name = "users"
        keep_nulls = False
        indexes: ClassVar[list[IndexModel]] = [
            IndexModel([("email", ASCENDING)], unique=True, name="email"),
            IndexModel([("point", GEOSPHERE)], name="point", sparse=True),
        ]
