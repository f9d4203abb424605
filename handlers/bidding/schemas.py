"""Bidding: commands in, views out, events emitted."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints

from handlers.bidding.events import AuctionTerms, Envelope
from server.web.fields import Answer, Body, Id, Moment, Printable, Timestamp
from server.web.paging import PageQuery

Key = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[\x21-\x7e]+$")]
"""Made by the client, the same for every try of one command."""

Seq = Annotated[int, Field(ge=1, le=2**53 - 1)]
Letter = Annotated[Printable, StringConstraints(max_length=10_000)]
Note = Annotated[Printable, StringConstraints(max_length=2_000)]
Pseudonym = Annotated[Printable, StringConstraints(min_length=1, max_length=64)]


class _Strict(Body):
    """Money is at stake: a misspelt field is refused, not ignored."""

    model_config = ConfigDict(strict=True, extra="forbid")


class BidBody(_Strict):
    """A bid of one's own choice, or a limit up to which the server bids."""

    amount: int = Field(description="minor units of the auction's currency; the limit of an `auto` bid")
    kind: Literal["exact", "auto"] = "exact"
    if_seq: int | None = Field(None, description="refuse with STALE_STATE unless the auction is at this seq")
    confirm: bool = Field(False, description="yes, the amount is meant, although it jumps far")
    currency: str | None = Field(None, description="checked if given", max_length=3)
    delivery_days: int | None = Field(None, description="proposals: how long the work takes")
    cover_letter: Letter | None = Field(None, description="proposals: why you")


class SocketBid(BidBody):
    """`bid` on a socket."""

    auction: Id
    key: Key


class RetractBody(_Strict):
    """Why a bid is taken back."""

    reason: str | None = Field(
        None, description="`typo` or `scope_changed`; optional for hidden formats", max_length=40
    )


class SocketRetract(RetractBody):
    """`retract` on a socket. `seq` is the bid's, in hidden formats its ordinal."""

    auction: Id
    seq: Seq
    key: Key


class AwardBody(_Strict):
    """Whom to choose; the best who has not declined when left out."""

    bidder: Pseudonym | None = Field(None, description="pseudonym or user id")


class DeclineBody(_Strict):
    """Why the award is not taken."""

    reason: Note | None = None


class ReopenBody(_Strict):
    """Until when the auction runs again."""

    end_at: Moment
    hard_end_at: Moment | None = None


class ReconfirmBody(_Strict):
    """The revision of the job that one agrees to; the newest when left out."""

    revision: Seq | None = None


class CounterBody(_Strict):
    """A counter-offer on a proposal; the client names the bidder."""

    amount: int
    bidder: Pseudonym | None = None
    delivery_days: int | None = None
    message: Note | None = None
    confirm: bool | None = Field(None, description="a bidder's yes to an amount that jumps far")


class NoBody(_Strict):
    """Nothing to say."""


class Placed(Answer):
    """A bid that counts."""

    seq: int = Field(description="of the bid's event; in hidden formats one's own ordinal")
    price: int | None
    leading: bool | None
    end_at: Timestamp
    replayed: bool | None = Field(None, description="true when the same key was answered before")


class PlacedRest(Placed):
    """The socket's ack over HTTP."""

    ok: Literal[True] = True


class Done(Answer):
    """What an accepted command came to: at least `seq` of its event."""

    model_config = ConfigDict(extra="allow", serialize_by_alias=True)

    ok: Literal[True] = True
    seq: int | None = None
    replayed: bool | None = None


class Retracted(Answer):
    """A bid taken back."""

    seq: int
    replayed: bool | None = None


class Reserve(Answer):
    """The reserve of an auction, with what proves that it was fixed from the beginning."""

    amount: int
    salt: str = Field(
        description="hexadecimal; SHA-256 over its 32 bytes and the decimal digits of the amount is `reserve_commitment`"
    )


class Award(Answer):
    """To whom an auction went."""

    bidder: str = Field(description="pseudonym")
    amount: int | None = Field(description="null where it isn't public")
    accept_by: Timestamp
    accepted: bool


class OwnBid(Answer):
    """A bid of the caller's."""

    seq: int = Field(description="of the bid's event; in hidden formats the caller's own ordinal")
    t: Timestamp
    kind: Literal["exact", "auto"]
    amount: int
    status: Literal["active", "suspended", "retracted", "replaced"]


class Offer(Answer):
    """A proposal."""

    seq: int = Field(description="which of its bidder's proposals it is")
    t: Timestamp
    amount: int
    delivery_days: int | None
    cover_letter: str | None


class Counter(Answer):
    """The last counter-offer between the client and a bidder."""

    by: Literal["client", "bidder"]
    t: Timestamp
    amount: int
    delivery_days: int | None
    message: str | None


class OwnAward(Answer):
    """An award to the caller."""

    amount: int | None
    accept_by: Timestamp
    accepted: bool


class OwnView(Answer):
    """What a bidder sees of itself."""

    pseudonym: str | None = Field(description="null while it would tell how many bid")
    bids: list[OwnBid] = Field(description="the newest first, at most 100")
    limit: int | None = Field(description="the own best amount that counts")
    rank: int | None = Field(description="from 1; null without a bid that counts, and while the format hides it")
    leading: bool | None = Field(description="null while the format hides it")
    suspended: bool = Field(description="whether bids wait for a yes to the changed job")
    offer: Offer | None = Field(description="of proposals: the one that stands")
    counter: Counter | None
    award: OwnAward | None


class Bidder(Answer):
    """Who is behind a pseudonym."""

    id: str
    name: str | None


class Proposal(Offer):
    """A proposal as the client sees it."""

    bidder: str = Field(description="pseudonym")
    user: str | None = Field(description="the bidder's id")
    suspended: bool
    counter: Counter | None


class OwnerView(Answer):
    """What the client and admins see beyond the public."""

    bidders: dict[str, Bidder] = Field(description="by pseudonym; nobody while a sealed auction runs")
    reserve_amount: int | None
    bid_count: int | None = Field(description="null while it is secret from the client, too")
    offers: list[Proposal] | None = Field(description="of proposals: best first; null in other formats")


class AuctionView(Answer):
    """An auction as the caller may see it."""

    id: str
    job: str
    format: Literal["reverse", "english", "sealed", "proposal"]
    status: Literal["scheduled", "open", "paused", "closed", "awarded", "accepted", "cancelled"]
    phase: Literal["open", "paused", "closed", "awarded", "accepted", "cancelled"] = Field(
        description="the status as far as events tell it, without what the time adds"
    )
    direction: Literal["forward", "reverse"]
    currency: str
    visibility: Literal["public", "invited"]
    seq: int
    terms: AuctionTerms
    start_at: Timestamp
    end_at: Timestamp
    hard_end_at: Timestamp | None = Field(description="no extension passes it")
    paused_at: Timestamp | None
    price: int | None
    leader: str | None = Field(description="pseudonym")
    bid_count: int | None = Field(description="null while it is secret")
    min_next: int | None = Field(description="the weakest amount that a challenger may bid now")
    reserve_met: bool | None
    reserve_commitment: str | None = Field(description="fixes the reserve without telling it")
    reserve: Reserve | None = Field(description="told at the close")
    revision: int = Field(description="of the job, that bids are for")
    outcome: Literal["sold", "reserve_not_met", "no_bids", "undecided"] | None
    winner: str | None = Field(description="pseudonym")
    award: Award | None
    envelopes: list[Envelope] | None = Field(description="a sealed auction's bids, once opened, best first")
    mine: OwnView | None = Field(None, description="the caller's own bids, limit, rank and whether it leads")
    owner: OwnerView | None = Field(None, description="for the client: who the bidders are, offers, the reserve")


class EnteredAuction(AuctionView):
    """An auction in which the caller has bid, as the caller may see it."""

    mine: OwnView


class OwnBidsQuery(PageQuery):
    """Which of the auctions in which one has bid."""

    status: Literal["running", "won", "over"] | None = Field(
        None, description="still running, awarded to the caller, or over without that; all unless given"
    )


class BidJob(Answer):
    """The job of an auction, in short."""

    id: str
    owner: str
    title: str
    category: str
    status: str


class OwnBids(Answer):
    """An auction in which the caller has bid."""

    joined_at: Timestamp = Field(description="of the first bid")
    job: BidJob
    auction: EnteredAuction
