"""Jobs: commands in, views out."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

from models.place import Location
from server.web.fields import (
    Amount,
    Answer,
    Body,
    Currency,
    Id,
    LocationIn,
    Moment,
    Timestamp,
    absent,
    one_line,
    printable,
    split_list,
)
from server.web.paging import PageQuery

MOST_SKILLS: Final = 30
MOST_INVITED: Final = 100

Status = Literal["draft", "open", "closed", "awarded", "in_progress", "completed", "cancelled"]
Visibility = Literal["public", "invited", "private"]
Priority = Literal["low", "normal", "high", "urgent"]
Sort = Literal[
    "newest", "-created_at", "oldest", "created_at", "budget", "-budget", "ending", "end_at", "popular", "-view_count",
    "distance", "relevance",
]  # fmt: skip
Format = Literal["reverse", "english", "sealed", "proposal"]

Title = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200), AfterValidator(one_line)]
Description = Annotated[str, StringConstraints(min_length=1, max_length=20_000), AfterValidator(printable)]
Category = Annotated[
    str, StringConstraints(strip_whitespace=True, to_lower=True, min_length=1, max_length=60), AfterValidator(one_line)
]
Skill = Annotated[
    str, StringConstraints(strip_whitespace=True, to_lower=True, min_length=1, max_length=50), AfterValidator(one_line)
]


class BudgetIn(Body):
    """The expected price, in minor units."""

    min: Amount = 0
    max: Amount
    currency: Currency

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.min > self.max:
            raise ValueError("min must not be more than max")
        return self


class _Exact(Body):
    """A misspelt term would cost money, so unknown names are refused here."""

    model_config = ConfigDict(strict=True, extra="forbid")


class Increment(_Exact):
    """From this price on a bid must be better by `step` at least."""

    from_: Amount = Field(alias="from")
    step: Amount = Field(ge=1)


class SoftClose(_Exact):
    """A change in the last `window_s` seconds moves the end to `extension_s` seconds later, up to `hard_end_at`."""

    window_s: int = Field(ge=0)
    extension_s: int = Field(ge=0)
    hard_end_at: Moment | None = None


class AuctionIn(_Exact):
    """The terms of an auction; they cannot be changed once it is open."""

    format: Format
    direction: Literal["reverse", "forward"] | None = None
    currency: Currency | None = Field(None, description="the budget's, unless there is none")
    start_amount: Amount = Field(ge=1)
    minimum_amount: Amount | None = Field(None, ge=1)
    reserve_amount: Amount | None = Field(None, ge=1, description="hidden until the close")
    increments: list[Increment] | None = Field(None, max_length=100)
    start_at: Moment | None = Field(None, description="at once if absent")
    end_at: Moment
    soft_close: SoftClose | None = None
    confirm_jump_percent: int | None = Field(None, ge=1)
    show_count: bool | None = Field(None, description="whether the number of sealed bids is public")

    def to_terms(self) -> dict[str, Any]:
        """What `models.rules.auction.terms.parse_terms` takes."""
        return {name: value for name, value in _plain(self).items() if value is not None}


def _plain(model: AuctionIn) -> dict[str, Any]:
    """By alias, with the times as the ms they are held as."""
    terms = {name: getattr(model, name) for name in type(model).model_fields}
    if model.increments is not None:
        terms["increments"] = [{"from": row.from_, "step": row.step} for row in model.increments]
    if model.soft_close is not None:
        soft_close = model.soft_close
        terms["soft_close"] = {name: getattr(soft_close, name) for name in SoftClose.model_fields}
    return terms


class NewJob(Body):
    """A job to post. With `status: "draft"` or `visibility: "private"` it stays a draft until it is published."""

    title: Title
    description: Description
    category: Category
    skills: list[Skill] = Field(default_factory=list, max_length=MOST_SKILLS)
    budget: BudgetIn | None = None
    location: LocationIn | None = None
    visibility: Visibility = "public"
    invited: list[Id] = Field(default_factory=list, max_length=MOST_INVITED, description="user ids")
    priority: Priority = "normal"
    status: Literal["draft", "open"] = "open"
    auction: AuctionIn | None = None


class JobChanges(Body):
    """What to change; absent fields stay. `visibility`, `invited` and `auction` only before the job's auction is open."""

    title: Title = absent()
    description: Description = absent()
    category: Category = absent()
    skills: list[Skill] = absent(max_length=MOST_SKILLS)
    budget: BudgetIn | None = absent()
    location: LocationIn | None = absent()
    visibility: Visibility = absent()
    invited: list[Id] = absent(max_length=MOST_INVITED)
    priority: Priority = absent()
    auction: AuctionIn | None = absent()


class Publication(Body):
    """How a draft is published; a private one becomes public unless this says otherwise."""

    visibility: Literal["public", "invited"] = absent()


class Cancellation(Body):
    """Why; needed once there are bids."""

    reason: Annotated[str, StringConstraints(max_length=500), AfterValidator(printable)] | None = None


def _coordinates(value: object) -> object:
    if not isinstance(value, str):
        return value
    parts = value.split(",")
    try:
        lat, lng = (float(part) for part in parts)
    except ValueError:
        raise ValueError("must be lat,lng") from None
    if not (-90 <= lat <= 90 and -180 <= lng <= 180):
        raise ValueError("must be lat,lng in degrees")
    return lat, lng


class JobQuery(PageQuery):
    """Filters and order of `GET /jobs`."""

    status: Annotated[list[Status], BeforeValidator(split_list)] | None = Field(
        None, description="one or more, by comma"
    )
    category: Annotated[list[Category], BeforeValidator(split_list)] | None = Field(None, description="any of these")
    skills: Annotated[list[Skill], BeforeValidator(split_list)] | None = Field(
        None, max_length=10, description="all of these, by comma"
    )
    min_budget: Amount | None = Field(None, description="budgets that reach this amount")
    max_budget: Amount | None = Field(None, description="budgets that begin at or below this amount")
    currency: Currency | None = Field(None, description="budgets in this currency")
    near: Annotated[tuple[float, float], BeforeValidator(_coordinates)] | None = Field(
        None, description="lat,lng in degrees", json_schema_extra=lambda schema: _as_text(schema)
    )
    radius_km: float = Field(100, gt=0, le=20_000, description="with `near`")
    q: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)] | None = Field(
        None, description="words in title, description and skills"
    )
    sort: Sort | None = Field(None, description="default: relevance with `q`, distance with `near`, else newest")
    mine: bool = Field(False, description="the caller's own jobs, drafts too")
    invited: bool = Field(False, description="jobs that the caller is invited to")


def _as_text(schema: dict[str, Any]) -> None:
    schema.clear()
    schema.update(type="string", pattern="^-?[0-9.]+,-?[0-9.]+$", examples=["45.44,12.33"])


class AuctionOut(Answer):
    """The auction in short; all of it is at `/auctions/{id}`."""

    id: str
    format: str
    direction: str
    status: str = Field(description="draft, scheduled, open, paused, closed, awarded, accepted or cancelled")
    currency: str
    start_amount: int
    price: int | None
    leader: str | None = Field(description="pseudonym")
    bid_count: int | None = Field(description="null while it is secret")
    reserve_met: bool | None
    start_at: Timestamp | None
    end_at: Timestamp
    seq: int


class BudgetOut(Answer):
    """The expected price, in minor units."""

    min: int
    max: int
    currency: str


class JobOut(Answer):
    """A job. `invited` and `terms` are shown to its owner only."""

    id: str
    owner: str
    title: str
    description: str
    category: str
    skills: list[str]
    budget: BudgetOut | None
    location: Location | None
    visibility: str
    invited: list[str] | None = None
    priority: str
    status: str
    revision: int
    view_count: int
    created_at: Timestamp
    updated_at: Timestamp
    published_at: Timestamp | None
    auction: AuctionOut | None
    terms: AuctionIn | None = Field(None, description="of the auction of a draft, as they were given; not in lists")
    distance_km: float | None = Field(None, description="in lists with `near`")
