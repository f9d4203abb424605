"""The events of an inbox as clients receive them, for the generated documents.

`models.rules.inbox` makes the events; these models only describe them, and tests hold what the market sends against them.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, WithJsonSchema

from server.web.fields import absent

_TIME: Final = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$"

Time = Annotated[
    str,
    StringConstraints(pattern=_TIME),
    WithJsonSchema(
        {"type": "string", "format": "date-time", "pattern": _TIME, "examples": ["2026-11-21T10:00:00.000Z"]}
    ),
]
Seq = Annotated[int, Field(ge=1, le=2**53 - 1)]
Money = Annotated[int, Field(ge=1, le=2**53 - 1)]
"""Minor units of the auction's currency."""

Count = Annotated[int, Field(ge=0)]
Bidder = Annotated[str, Field(pattern=r"^Bidder [1-9]\d*$", description="pseudonym", examples=["Bidder 1"])]


class _Exact(BaseModel):
    """What is described is all there is."""

    model_config = ConfigDict(strict=True, extra="forbid")


class _AuctionData(_Exact):
    """What everything that tells of an auction carries."""

    auction: str = Field(description="id")
    job: str = Field(description="id")
    title: str = Field(description="of the job")
    format: Literal["reverse", "english", "sealed", "proposal"]
    currency: str = Field(description="ISO 4217", examples=["EUR"])


class BidReceivedData(_AuctionData):
    """For the client: a bid counts. Of a sealed one only the count, and only where that is public; else there is none of these."""

    bidder: Bidder = absent()
    user: str = absent(description="id of who bid")
    name: str | None = absent(description="of who bid")
    amount: Money = absent(description="of an automatic bid the price after it")
    price: Money | None = absent(description="the visible price after it; null for proposals")
    bid_count: Count


class _StandingData(_AuctionData):
    """Where an open auction stands after the event."""

    price: Money
    leader: Bidder
    bid_count: Count
    end_at: Time


class OutbidData(_StandingData):
    """Somebody else leads."""

    min_next: Money | None = Field(description="the weakest amount that would take the lead back; null: there is none")


class LeadingData(_StandingData):
    """The addressee leads."""


class ExtendedData(_AuctionData):
    """The soft close moved the end."""

    end_at: Time
    previous_end_at: Time


class ClosingSoonData(_AuctionData):
    """The end is near."""

    end_at: Time
    price: Money | None = Field(description="the visible price; null without a bid, and in hidden formats")


class AwardData(_AuctionData):
    """The addressee was chosen, and may accept."""

    amount: Money
    accept_by: Time = Field(description="the award lapses then")


class AuctionClosedData(_AuctionData):
    """For the client: the auction is over."""

    outcome: Literal["sold", "reserve_not_met", "no_bids", "undecided"] = Field(
        description="undecided: the client has to choose among the proposals"
    )
    price: Money | None = Field(description="of the best bid; null without one, and for proposals")
    bid_count: Count
    winner: Bidder | None = Field(description="null unless sold")
    user: str | None = Field(description="id of the winner")
    name: str | None = Field(description="of the winner")


class _AnswerData(_AuctionData):
    """What became of an award, for the client."""

    bidder: Bidder
    user: str = Field(description="id of the bidder")
    name: str | None = Field(description="of the bidder")


class AwardAcceptedData(_AnswerData):
    """The one who was chosen has accepted."""

    amount: Money


class AwardDeclinedData(_AnswerData):
    """The one who was chosen doesn't want it, or hasn't answered in time."""

    reason: str | None = Field(description="`expired`: there was no answer in time")


class CounterOfferData(_AuctionData):
    """The other side of a proposal's negotiation wants it otherwise."""

    by: Literal["client", "bidder"] = Field(description="whose wish it is; a bidder's is its proposal from now on")
    bidder: Bidder = absent(description="pseudonym; told to the client")
    user: str = absent(description="id of the bidder; told to the client")
    name: str | None = absent(description="of the bidder; told to the client")
    amount: Money
    delivery_days: int | None = Field(ge=1)
    excerpt: str | None = Field(max_length=140, description="of what was written with it")


class LostData(_AuctionData):
    """It came to nothing for the addressee."""

    outcome: Literal["sold", "reserve_not_met", "cancelled"]
    reason: str | None = Field(description="why it was cancelled")
    price: Money | None = Field(description="of the best bid; null for proposals and when cancelled")
    winner: Bidder | None = Field(description="null unless sold")


class MessageData(_Exact):
    """Somebody wrote."""

    room: str = Field(description="id")
    room_kind: Literal["dm", "job", "contract"]
    job: str | None = Field(description="id, of a job's room")
    title: str | None = Field(description="of the job")
    message: Seq = Field(description="its seq in the room")
    user: str = Field(description="who wrote, as the room names it: the id, or a pseudonym while a sealed auction runs")
    name: str | None = Field(description="of who wrote; null for a pseudonym")
    excerpt: str = Field(max_length=140)


class SecurityData(_Exact):
    """Somebody logged in to the addressee's account."""

    event: Literal["login"]
    session: str = Field(description="id, for DELETE /auth/sessions/{id}")
    device: str = Field(description="the User-Agent")
    at: Time


class _InboxEvent(_Exact):
    """What every event of an inbox carries."""

    seq: Seq = Field(description="position in the stream, dense from 1")
    t: Time
    unread: Count = Field(description="notifications that are unread after this event")


class InboxOpened(_InboxEvent):
    """The inbox is there. Always the first event."""

    type: Literal["opened"]


class InboxRead(_InboxEvent):
    """Notifications were read, on whatever device."""

    type: Literal["read"]
    up_to: Seq


class _Notified(_InboxEvent):
    """Something to be told."""

    type: Literal["notification"]
    replaces: Seq = absent(description="the unread notification that this one makes pointless: show it no more")


class BidReceivedNotice(_Notified):
    """A bid on one's own job."""

    kind: Literal["bid_received"]
    data: BidReceivedData


class OutbidNotice(_Notified):
    """Another bidder leads. Replaces what was said of the addressee's standing in that auction before."""

    kind: Literal["outbid"]
    data: OutbidData


class LeadingNotice(_Notified):
    """The addressee leads. Replaces what was said of its standing in that auction before."""

    kind: Literal["leading"]
    data: LeadingData


class ExtendedNotice(_Notified):
    """An auction that one takes part in goes on longer. Replaces the one before."""

    kind: Literal["extended"]
    data: ExtendedData


class ClosingSoonNotice(_Notified):
    """An auction that one takes part in ends soon; once, extensions or not."""

    kind: Literal["closing_soon"]
    data: ClosingSoonData


class WonNotice(_Notified):
    """An award."""

    kind: Literal["won"]
    data: AwardData


class AwardExpiringNotice(_Notified):
    """An award that is still to be accepted lapses soon."""

    kind: Literal["award_expiring"]
    data: AwardData


class CounterOfferNotice(_Notified):
    """A counter-offer. Replaces the one before in the same negotiation."""

    kind: Literal["counter_offer"]
    data: CounterOfferData


class AuctionClosedNotice(_Notified):
    """The auction of one's own job is over. Of one that its client has ended, nothing is told."""

    kind: Literal["auction_closed"]
    data: AuctionClosedData


class AwardAcceptedNotice(_Notified):
    """An award was accepted."""

    kind: Literal["award_accepted"]
    data: AwardAcceptedData


class AwardDeclinedNotice(_Notified):
    """An award was declined, or has lapsed."""

    kind: Literal["award_declined"]
    data: AwardDeclinedData


class LostNotice(_Notified):
    """An auction is over for the addressee."""

    kind: Literal["lost"]
    data: LostData


class MessageNotice(_Notified):
    """A message in a room that nobody of the addressee's devices was watching."""

    kind: Literal["message"]
    data: MessageData


class MentionNotice(_Notified):
    """A message that names the addressee."""

    kind: Literal["mention"]
    data: MessageData


class SecurityNotice(_Notified):
    """A new login."""

    kind: Literal["security"]
    data: SecurityData


Notified = Annotated[
    BidReceivedNotice
    | OutbidNotice
    | LeadingNotice
    | ExtendedNotice
    | ClosingSoonNotice
    | WonNotice
    | AwardExpiringNotice
    | CounterOfferNotice
    | AuctionClosedNotice
    | AwardAcceptedNotice
    | AwardDeclinedNotice
    | LostNotice
    | MessageNotice
    | MentionNotice
    | SecurityNotice,
    Field(discriminator="kind"),
]
InboxEvent = Annotated[InboxOpened | Notified | InboxRead, Field(discriminator="type")]
"""Any event of `user:<id>`."""
