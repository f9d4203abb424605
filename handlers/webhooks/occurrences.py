"""What outside consumers are told, made of what happened in jobs and auctions.

Nothing is told before its time (bidding.md, 12 and 19): of a sealed auction only the opening of its envelopes tells the bids, in
their order; an automatic bid is told with the visible price after it, never with its limit; a proposal is between its bidder
and the job's owner, who is told at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import orjson

from models.rules.auction.naming import PUBLIC_KIND, auction_id, number_of, truth_stream
from models.rules.auction.state import State
from models.rules.times import to_rfc3339
from server.clock import derived_id
from server.streams.event import StoredEvent

JOB_CREATED: Final = "job.created"
BID_SUBMITTED: Final = "bid.submitted"
AUCTION_CLOSED: Final = "auction.closed"
AWARD_ACCEPTED: Final = "award.accepted"
PING: Final = "ping"

TYPES: Final = (JOB_CREATED, BID_SUBMITTED, AUCTION_CLOSED, AWARD_ACCEPTED)
"""What can be subscribed to."""

TOLD_BY: Final[Mapping[str, frozenset[str]]] = {
    "auction": frozenset({"bid", "opened", "closed", "accepted"}),
    "sealed": frozenset({"bid"}),
}
"""Types of events that may tell something, by the kind of stream."""

_PLACES: Final = 1_000_000
"""Above the number of occurrences that one event tells."""


@dataclass(frozen=True)
class Occurrence:
    """Something that happened, as it is told.

    Attributes:
        id: the same whenever it is made of the same thing.
        type: one of `TYPES`, or `ping`. t: ms.
        owner: user id of the job's owner.
        place: order among those of the same ms.
        data: JSON.
    """

    id: str
    type: str
    t: int
    owner: str
    place: int
    data: Mapping[str, Any]

    @cached_property
    def body(self) -> bytes:
        """What is posted: `{id, type, created_at, data}`."""
        return orjson.dumps(
            {"id": self.id, "type": self.type, "created_at": to_rfc3339(self.t), "data": self.data},
        )


def of_event(event: StoredEvent, truth: State) -> Iterator[Occurrence]:
    """What an event of an auction tells.

    Args:
        event: of either of the auction's streams; all but proposals are told by the public one, whose seq everybody knows.
        truth: the state of the stream of truth, after this event or later: nothing is read of it that changes.
    """
    public = event.stream.partition(":")[0] == PUBLIC_KIND
    if event.type == "bid" and public:
        yield _open_bid(event, truth)
    elif event.type == "bid" and truth.terms.format == "proposal":
        yield _proposal(event, truth)
    elif event.type == "opened" and event.public["phase"] == "envelopes" and public:
        yield from _envelopes(event, truth)
    elif event.type == "closed" and public:
        yield _closed(event, truth)
    elif event.type == "accepted" and public:
        yield _accepted(event, truth)


def of_job(job: Mapping[str, Any]) -> Occurrence:
    """What the publication of a job tells; `job` is the stored form of `models.job.Job`. The reserve is not told."""
    told = ("title", "description", "category", "skills", "visibility", "priority", "budget", "location")
    auction = job.get("auction")
    t = job["published_at"]
    data = {
        "project_id": job["_id"],
        "job": job["_id"],
        "client_id": job["owner"],
        **{name: job.get(name) for name in told},
        "published_at": to_rfc3339(t),
        "auction": None if auction is None else _summary(auction),
    }
    return Occurrence(derived_id(JOB_CREATED, job["_id"]), JOB_CREATED, t, job["owner"], 0, data)


def _summary(auction: Mapping[str, Any]) -> dict[str, Any]:
    told = ("id", "format", "direction", "currency", "start_amount")
    start_at = auction.get("start_at")
    return {
        **{name: auction[name] for name in told},
        "start_at": None if start_at is None else to_rfc3339(start_at),
        "end_at": to_rfc3339(auction["end_at"]),
    }


def _about(event: StoredEvent, truth: State) -> dict[str, Any]:
    return {
        "project_id": truth.job,
        "job": truth.job,
        "auction": auction_id(event.stream),
        "format": truth.terms.format,
        "currency": truth.terms.currency,
    }


def _open_bid(event: StoredEvent, truth: State) -> Occurrence:
    data = {
        **_about(event, truth),
        "seq": event.seq,
        "contractor_id": event.private["bidder"],
        "bidder": event.public["bidder"],
        "bid_amount": event.public["amount"],
        "price": event.public["price"],
        "placed_at": to_rfc3339(event.t),
    }
    return Occurrence(_bid_id(event.stream, event.seq), BID_SUBMITTED, event.t, truth.owner, event.seq * _PLACES, data)


def _proposal(event: StoredEvent, truth: State) -> Occurrence:
    private = event.private
    data = {
        **_about(event, truth),
        "seq": private["ordinal"],
        "contractor_id": private["bidder"],
        "bidder": event.public["bidder"],
        "bid_amount": private["m"],
        "price": None,
        "placed_at": to_rfc3339(event.t),
        "delivery_days": private["delivery_days"],
        "cover_letter": private["cover_letter"],
    }
    return Occurrence(_bid_id(event.stream, event.seq), BID_SUBMITTED, event.t, truth.owner, event.seq * _PLACES, data)


def _envelopes(event: StoredEvent, truth: State) -> Iterator[Occurrence]:
    """A bid that lay in an earlier opening already, before the auction was reopened, has the id that it had then."""
    source = event.private["source"]
    submitted = {bid.bidder: bid.seq for bid in truth.ledger if bid.seq < source}  # the last one of each bidder
    stream = truth_stream(auction_id(event.stream), truth.terms.format)
    for index, row in enumerate(event.public["bids"]):
        number = number_of(row["bidder"])
        data = {
            **_about(event, truth),
            "seq": event.seq,
            "contractor_id": truth.user(number),
            "bidder": row["bidder"],
            "bid_amount": row["amount"],
            "price": None,
            "placed_at": row["placed_at"],
        }
        name = _bid_id(stream, submitted[number])
        yield Occurrence(name, BID_SUBMITTED, event.t, truth.owner, event.seq * _PLACES + index, data)


def _bid_id(stream: str, seq: int) -> str:
    return derived_id(BID_SUBMITTED, stream, str(seq))


def _closed(event: StoredEvent, truth: State) -> Occurrence:
    told = ("outcome", "winner", "price", "bid_count", "reserve_met")
    data = {
        **_about(event, truth),
        "seq": event.seq,
        **{name: event.public[name] for name in told},
        "contractor_id": truth.user(number_of(event.public["winner"] or "")),
        "closed_at": to_rfc3339(event.t),
    }
    return _one(AUCTION_CLOSED, event, truth, data)


def _accepted(event: StoredEvent, truth: State) -> Occurrence:
    # An accepted award is the auction's last: nothing comes after it that could change the state's.
    amount = truth.award.amount if truth.award is not None else event.public["amount"]
    data = {
        **_about(event, truth),
        "seq": event.seq,
        "contractor_id": truth.user(number_of(event.public["bidder"])),
        "bidder": event.public["bidder"],
        "amount": amount,
        "accepted_at": to_rfc3339(event.t),
    }
    return _one(AWARD_ACCEPTED, event, truth, data)


def _one(type_: str, event: StoredEvent, truth: State, data: Mapping[str, Any]) -> Occurrence:
    name = derived_id(type_, event.stream, str(event.seq))
    return Occurrence(name, type_, event.t, truth.owner, event.seq * _PLACES, data)
