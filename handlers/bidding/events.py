"""The events of an auction's public stream as clients receive them, for the generated documents.

`models.rules.auction` makes the events; these models only describe them, and a test holds every event that comes out of the rules
against them. What the descriptions call open formats are `reverse` and `english`; hidden ones are `sealed` and `proposal`.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, WithJsonSchema, model_validator

from server.web.fields import absent

_TIME: Final = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$"

Time = Annotated[
    str,
    StringConstraints(pattern=_TIME),
    WithJsonSchema(
        {"type": "string", "format": "date-time", "pattern": _TIME, "examples": ["2026-11-21T10:00:00.000Z"]}
    ),
]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="hexadecimal")]
Seq = Annotated[int, Field(ge=1, le=2**53 - 1)]
Money = Annotated[int, Field(ge=1, le=2**53 - 1)]
"""Minor units of the auction's currency."""

Count = Annotated[int, Field(ge=0)]
Name = Annotated[str, Field(pattern=r"^Bidder [1-9]\d*$", description="pseudonym", examples=["Bidder 1"])]

_N = TypeVar("_N")
Same = Annotated[_N, Field(description="as in the terms")]


class _Exact(BaseModel):
    """What is described is all there is."""

    model_config = ConfigDict(strict=True, extra="forbid", serialize_by_alias=True)


class _AuctionEvent(_Exact):
    """What every event of an auction carries."""

    seq: Seq = Field(description="position in the stream, dense from 1")
    t: Time = Field(description="when it happened; never before the event before it")
    hash: Digest = Field(description="SHA-256 over the hash before it and this event without `hash`, as canonical JSON")


class _Outcome(_Exact):
    """Where an open format stands after the event."""

    price: Money | None = Field(description="the visible price; null while there is no bid that counts")
    leader: Name | None = Field(description="pseudonym of who leads; null while there is no bid that counts")
    end_at: Time = Field(description="when it ends, extensions included")
    bid_count: Count = Field(description="bids placed and not taken back")
    reserve_met: bool | None = Field(description="whether the leader's bid meets the reserve; null without a reserve")


class IncrementRow(_Exact):
    """From this price on, this step."""

    from_: Count = Field(alias="from", description="the price, minor units")
    step: Money = Field(description="the least improvement, minor units")


class SoftCloseTerms(_Exact):
    """A bid within the last `window_s` seconds that changes price or leader moves the end to `extension_s` after it."""

    window_s: Count
    extension_s: Count
    hard_end_at: Time | None = Field(description="no extension passes it; null when there is no such limit")


class AuctionTerms(_Exact):
    """What an auction is held under, without the reserve."""

    format: Literal["reverse", "english", "sealed", "proposal"]
    direction: Literal["reverse", "forward"] = Field(description="`reverse`: less is better; `forward`: more is")
    currency: str = Field(description="ISO 4217", examples=["EUR"])
    start_amount: Money = Field(description="no bid may be worse")
    minimum_amount: Money = Field(description="no bid may be less")
    increments: list[IncrementRow] = Field(description="by rising price, the first from 0")
    confirm_jump_percent: Annotated[int, Field(ge=1)] | None = Field(
        description="a bid further than this from the price needs `confirm`; null: none does"
    )
    show_count: bool = Field(description="whether the number of sealed bids is public while they run")
    start_at: Time
    end_at: Time = Field(description="as first planned")
    soft_close: SoftCloseTerms


class AuctionOpened(_AuctionEvent):
    """The auction is there; bids are taken from `start_at` on. Always the first event."""

    type: Literal["opened"]
    phase: Literal["auction"]
    job: str = Field(description="id of the job")
    format: Same[Literal["reverse", "english", "sealed", "proposal"]]
    direction: Same[Literal["reverse", "forward"]]
    currency: Same[str]
    terms: AuctionTerms
    start_at: Same[Time]
    end_at: Same[Time]
    visibility: Literal["public", "invited"]
    reserve_commitment: Digest | None = Field(
        description="SHA-256 over the reserve's salt and the reserve, both revealed by `closed`; null without a reserve"
    )
    parties_commitment: Digest = Field(description="commitment to the client and the invited")


class Envelope(_Exact):
    """A sealed bid, opened."""

    bidder: Name
    amount: Money
    placed_at: Time


class EnvelopesOpened(_AuctionEvent):
    """A sealed auction is over and all its bids are shown at once; `closed` follows."""

    type: Literal["opened"]
    phase: Literal["envelopes"]
    bids: list[Envelope] = Field(description="one per bidder, best first, of equal ones the earlier")


class BidPlaced(_Outcome, _AuctionEvent):
    """A bid counts. Hidden formats have `counted` instead, where the count is public."""

    type: Literal["bid"]
    bidder: Name
    amount: Money = Field(description="the bid; of an automatic one the price after it, since its limit is secret")
    bidder_commitment: Digest = Field(description="commitment to who bid")
    limit_commitment: Digest = absent(description="commitment to the limit; automatic bids only")
    price: Money = Field(description="the visible price")
    leader: Name = Field(description="pseudonym of who leads, after this bid")


class EndExtended(_AuctionEvent):
    """The soft close moved the end; follows the event that did it."""

    type: Literal["extended"]
    end_at: Time
    previous_end_at: Time


class BidRetracted(_Outcome, _AuctionEvent):
    """A bid was taken back."""

    type: Literal["retracted"]
    bidder: Name
    bid_seq: Seq = Field(description="of the event that placed it")
    reason: Literal["typo", "scope_changed"]


class BidsCounted(_AuctionEvent):
    """A hidden submission came or was withdrawn, and the count is public."""

    type: Literal["counted"]
    bid_count: Count = Field(description="submissions that stand")


class _PerhapsOutcome(_Exact):
    """The fields of the outcome that only open formats have: all of them or none."""

    price: Money | None = absent(description="open formats: the visible price; null without a bid that counts")
    leader: Name | None = absent(description="open formats: pseudonym of who leads; null without a bid that counts")
    reserve_met: bool | None = absent(
        description="open formats: whether the leader's bid meets the reserve; null without"
    )

    @model_validator(mode="after")
    def _all_or_none(self) -> Self:
        perhaps = {name for name, field in type(self).model_fields.items() if not field.is_required()}
        if self.model_fields_set & perhaps not in (set(), perhaps):
            raise ValueError("the outcome's fields come together")
        return self


class BidsSuspended(_PerhapsOutcome, _AuctionEvent):
    """The job was edited materially: no bid counts until its bidder reconfirms it or bids anew."""

    type: Literal["suspended"]
    revision: Seq = Field(description="of the job")
    changes: list[str] = Field(description="names of the fields that were edited")
    by: Literal["client", "admin"]
    end_at: Time = absent(description="open formats: when it ends, extensions included")
    bid_count: Count = absent(description="open formats: bids placed and not taken back")


class BidsReconfirmed(_Outcome, _AuctionEvent):
    """A bidder stands by its suspended bids, which count again in their original order."""

    type: Literal["reconfirmed"]
    bidder: Name


class AuctionPaused(_AuctionEvent):
    """An admin stopped the auction: no bids until `resumed`."""

    type: Literal["paused"]


class AuctionResumed(_AuctionEvent):
    """The auction goes on; its ends have moved by the length of the pause."""

    type: Literal["resumed"]
    end_at: Time
    hard_end_at: Time | None = Field(description="no extension passes it; null when there is no such limit")


class AuctionClosed(_AuctionEvent):
    """The auction is over. `t` is exactly its end, unless the client chose among proposals earlier."""

    type: Literal["closed"]
    outcome: Literal["sold", "reserve_not_met", "no_bids", "undecided"] = Field(
        description="`undecided`: there are proposals and the client is to choose"
    )
    winner: Name | None = Field(description="null unless `sold`")
    price: Money | None = Field(description="of the best bid; null without one, and always for proposals")
    bid_count: Count
    reserve_met: bool | None = Field(description="null without a reserve, and always for proposals")
    reserve_amount: Money | None = Field(description="the reserve, no longer secret; null without one")
    reserve_salt: Digest | None = Field(
        description="32 bytes that with the reserve give `reserve_commitment`; null without a reserve"
    )


class AuctionAwarded(_AuctionEvent):
    """A bidder was chosen, by the rules or by the client, and may accept."""

    type: Literal["awarded"]
    bidder: Name
    amount: Money | None = Field(description="null for proposals: it stays between the client and the bidder")
    accept_by: Time = Field(description="the award lapses then")


class AwardAccepted(_AuctionEvent):
    """The bidder took the award."""

    type: Literal["accepted"]
    bidder: Name
    amount: Money | None = Field(description="null for proposals")


class AwardDeclined(_AuctionEvent):
    """The bidder did not take the award; the client may choose another or reopen."""

    type: Literal["declined"]
    bidder: Name
    reason: str | None = Field(description="`expired` when the bidder never answered")


class AuctionReopened(_PerhapsOutcome, _AuctionEvent):
    """The auction runs again with the bids of all who did not decline."""

    type: Literal["reopened"]
    end_at: Time
    hard_end_at: Time | None = Field(description="no extension passes it; null when there is no such limit")
    bid_count: Count | None = Field(description="null while it is secret")


class AuctionCancelled(_AuctionEvent):
    """The auction ended without a result."""

    type: Literal["cancelled"]
    reason: str | None = Field(description="given whenever there were bids")
    by: Literal["client", "admin"]


AuctionEvent = Annotated[
    Annotated[AuctionOpened | EnvelopesOpened, Field(discriminator="phase")]
    | BidPlaced
    | EndExtended
    | BidRetracted
    | BidsCounted
    | BidsSuspended
    | BidsReconfirmed
    | AuctionPaused
    | AuctionResumed
    | AuctionClosed
    | AuctionAwarded
    | AwardAccepted
    | AwardDeclined
    | AuctionReopened
    | AuctionCancelled,
    Field(discriminator="type"),
]
"""Any public event of an auction."""
