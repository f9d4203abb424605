"""Folding events into the state: one function per type, in place.

The public fields of an event are the truth of price, end and count; the private ones rebuild what the next decision needs.
On a projection the private fields are missing, and so is what they would build.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from models.rules.auction.ledger import Bid
from models.rules.auction.naming import number_of
from models.rules.auction.oversight import may_return
from models.rules.auction.projection import is_announced
from models.rules.auction.resolution import Resolution, add, promote, resolve, standing_of, top_two
from models.rules.auction.state import (
    ACCEPTED,
    AWARDED,
    CANCELLED,
    CLOSED,
    OPEN,
    PAUSED,
    Award,
    Counter,
    Offer,
    OwedAward,
    Reserve,
    State,
)
from models.rules.auction.terms import public_terms
from models.rules.stream import Event
from models.rules.times import from_rfc3339


def apply(state: State, event: Event) -> None:
    """Fold one committed event."""
    _FOLDS[event.type](state, event)
    state.seq = event.seq
    state.t = event.t
    if state.terms.hidden:
        source = event.private.get("source")
        if source is not None:
            state.source = source
        elif is_announced(event):
            state.announced = event.seq
            state.public_seq += 1


def _opened(state: State, event: Event) -> None:
    public, private = event.public, event.private
    if public["phase"] == "envelopes":
        state.envelopes = tuple(dict(row) for row in public["bids"])
        return
    state.phase = OPEN
    state.job = public["job"]
    state.owner = private.get("owner", "")
    state.visibility = public["visibility"]
    state.invited = frozenset(private.get("invited", ()))
    state.terms = public_terms(public["terms"], private.get("reserve"))
    state.salt = private.get("salt")
    state.commitment = public["reserve_commitment"]
    state.end_at = state.terms.end_at
    state.hard_end_at = state.terms.hard_end_at
    if not state.terms.hidden:
        state.reserve_met = None if state.terms.reserve_amount is None else False


def _bid(state: State, event: Event) -> None:
    private = event.private
    user = private["bidder"]
    number = state.numbers.get(user, 0)
    if not number:
        state.users.append(user)
        number = state.numbers[user] = len(state.users)
    strength, exact = private["m"], private["kind"] == "exact"
    state.ledger.append(Bid(event.seq, event.t, number, strength, exact))
    if state.terms.hidden:
        state.offers[number] = Offer(
            private["ordinal"], event.seq, event.t, strength, private["delivery_days"], private["cover_letter"]
        )
        state.suspended.pop(number, None)
        state.bid_count = event.public["bid_count"]
        return
    sign, standings = state.terms.sign, state.standings
    better = add(standings.get(number), event.seq, strength, exact, sign)
    state.first, state.second = promote(standings, state.first, state.second, number, better, sign)
    standings[number] = better
    _take_outcome(state, event.public)


def _take_outcome(state: State, public: Mapping[str, Any]) -> None:
    """The public outcome of an open format's event; an end that moved is still to be announced."""
    state.price = public["price"]
    state.reserve_met = public["reserve_met"]
    state.bid_count = public["bid_count"]
    end_at = from_rfc3339(public["end_at"])
    if end_at != state.end_at:
        state.extended_from = state.end_at
        state.end_at = end_at


def _extended(state: State, event: Event) -> None:
    state.extended_from = None


def _counted(state: State, event: Event) -> None:
    state.bid_count = event.public["bid_count"]


def _retracted(state: State, event: Event) -> None:
    public = event.public
    number = number_of(public["bidder"])
    if state.terms.hidden:
        state.offers[number] = state.offers[number]._replace(withdrawn=True)
        state.suspended.pop(number, None)
        state.bid_count = public["bid_count"]
        return
    state.retracted.add(public["bid_seq"])
    standing = standing_of((bid for bid in state.ledger.of(number) if state.counts(bid)), state.terms.sign)
    if standing is None:
        del state.standings[number]
    else:
        state.standings[number] = standing
    state.first, state.second = top_two(state.standings, state.terms.sign)
    _take_outcome(state, public)


def _suspended(state: State, event: Event) -> None:
    state.revision = event.public["revision"]
    if state.terms.hidden:
        for number in state.standing_offers():
            state.suspended[number] = event.seq
        return
    for number in state.standings:
        state.suspended[number] = event.seq
    state.standings.clear()
    state.first = state.second = 0
    _take_outcome(state, event.public)


def _reconfirmed(state: State, event: Event) -> None:
    number = number_of(event.public["bidder"])
    del state.suspended[number]
    if state.terms.hidden:
        return
    bids = (bid for bid in state.ledger.of(number) if may_return(state, bid.seq, number))
    standing = standing_of(bids, state.terms.sign)
    assert standing is not None
    state.standings[number] = standing
    state.first, state.second = top_two(state.standings, state.terms.sign)
    _take_outcome(state, event.public)


def _countered(state: State, event: Event) -> None:
    public = event.public
    number = number_of(public["bidder"])
    amount, delivery_days = public["amount"], public["delivery_days"]
    state.counters[number] = Counter(public["by"], event.t, amount, delivery_days, public["message"])
    if public["by"] == "bidder":
        state.offers[number] = state.offers[number]._replace(amount=amount, delivery_days=delivery_days)


def _paused(state: State, event: Event) -> None:
    state.phase = PAUSED
    state.paused_at = event.t


def _resumed(state: State, event: Event) -> None:
    state.phase = OPEN
    state.paused_at = None
    _take_times(state, event.public)


def _take_times(state: State, public: Mapping[str, str | None]) -> None:
    end_at, hard_end_at = public["end_at"], public["hard_end_at"]
    assert end_at is not None
    state.end_at = from_rfc3339(end_at)
    state.hard_end_at = None if hard_end_at is None else from_rfc3339(hard_end_at)


def _closed(state: State, event: Event) -> None:
    public = event.public
    state.phase = CLOSED
    state.paused_at = None
    state.outcome = public["outcome"]
    state.winner = number_of(public["winner"] or "")
    state.bid_count = public["bid_count"]
    if public["reserve_amount"] is not None:
        state.revealed = Reserve(public["reserve_amount"], public["reserve_salt"])
    if state.terms.hidden:
        state.price = public["price"]
        state.reserve_met = public["reserve_met"]
    if state.winner:
        state.owed = OwedAward(state.winner, event.private.get("amount", public["price"]))


def _awarded(state: State, event: Event) -> None:
    public = event.public
    amount = event.private.get("amount", public["amount"])
    state.phase = AWARDED
    state.owed = None
    state.award = Award(number_of(public["bidder"]), amount, from_rfc3339(public["accept_by"]))


def _accepted(state: State, event: Event) -> None:
    state.phase = ACCEPTED


def _declined(state: State, event: Event) -> None:
    state.phase = CLOSED
    state.award = None
    state.declined.add(number_of(event.public["bidder"]))


def _reopened(state: State, event: Event) -> None:
    public = event.public
    state.phase = OPEN
    state.envelopes = state.outcome = None
    state.winner = 0
    _take_times(state, public)
    for number in state.declined:
        state.suspended.pop(number, None)
        state.dropped[number] = event.seq
        state.standings.pop(number, None)
        if number in state.offers:
            state.offers[number] = state.offers[number]._replace(withdrawn=True)
    state.declined.clear()
    if not state.terms.hidden:
        state.take(resolve(state.terms, state.standings))
        return
    state.take(Resolution(0, 0, None, None))
    if public["bid_count"] is not None:
        state.bid_count = public["bid_count"]
    elif not state.is_projection:
        state.bid_count = sum(1 for offer in state.offers.values() if not offer.withdrawn)


def _cancelled(state: State, event: Event) -> None:
    state.phase = CANCELLED
    state.paused_at = None


_FOLDS: Final[Mapping[str, Callable[[State, Event], None]]] = {
    "opened": _opened,
    "bid": _bid,
    "counted": _counted,
    "extended": _extended,
    "retracted": _retracted,
    "suspended": _suspended,
    "reconfirmed": _reconfirmed,
    "countered": _countered,
    "paused": _paused,
    "resumed": _resumed,
    "closed": _closed,
    "awarded": _awarded,
    "accepted": _accepted,
    "declined": _declined,
    "reopened": _reopened,
    "cancelled": _cancelled,
}
