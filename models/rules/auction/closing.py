"""What time owes: the announcement of an extension, the envelopes, the close, the award, its expiry."""

from __future__ import annotations

from typing import Any, Final

from models.rules.auction.bids import HOUR_MS
from models.rules.auction.commitments import reserve_salt
from models.rules.auction.naming import pseudonym
from models.rules.auction.state import AWARDED, CLOSED, OPEN, State
from models.rules.stream import Draft
from models.rules.times import to_rfc3339

ACCEPT_MS: Final = 48 * HOUR_MS
"""How long a winner may take to accept."""

EXPIRED: Final = "expired"


def due(state: State, now: int) -> Draft | None:
    """The next event that is owed at `now`; nothing on a projection, where only the stream of truth decides."""
    if state.is_projection:
        return None
    if state.extended_from is not None:
        # At the time of the bid, not of noticing: else a late `extended` could stand after end_at.
        public = {"end_at": to_rfc3339(state.end_at), "previous_end_at": to_rfc3339(state.extended_from)}
        return Draft("extended", public, {}, state.t)
    if state.phase == OPEN and now >= state.end_at:
        if state.terms.format == "sealed" and state.envelopes is None:
            return _open_envelopes(state)
        return close(state, state.end_at)
    if state.phase == CLOSED and state.owed is not None:
        return award_draft(state, state.owed.bidder, state.owed.amount, max(now, state.t))
    if state.phase == AWARDED and state.award is not None and now >= state.award.accept_by:
        public = {"bidder": pseudonym(state.award.bidder), "reason": EXPIRED}
        return Draft("declined", public, {}, state.award.accept_by)
    return None


def next_due(state: State) -> int | None:
    """When `due` will next have something."""
    if state.is_projection:
        return None
    if state.extended_from is not None or (state.phase == CLOSED and state.owed is not None):
        return state.t
    if state.phase == OPEN:
        return state.end_at
    if state.phase == AWARDED and state.award is not None:
        return state.award.accept_by
    return None


def _open_envelopes(state: State) -> Draft:
    rows = [
        {"bidder": pseudonym(number), "amount": offer.amount, "placed_at": to_rfc3339(offer.t)}
        for number, offer in state.ranked_offers()
    ]
    return Draft("opened", {"phase": "envelopes", "bids": rows}, {}, state.end_at)


def close(state: State, t: int, chosen: int = 0) -> Draft:
    """`closed`; with `chosen`, the early close of a proposal whose client has made its choice."""
    winner, price, reserve_met = _result(state)
    private: dict[str, Any] = {}
    if state.terms.format == "proposal":
        outcome = "sold" if chosen else "undecided" if winner else "no_bids"
        winner, price, reserve_met = chosen, None, None
        if chosen:
            private["amount"] = state.offers[chosen].amount
    else:
        outcome = "no_bids" if not winner else "reserve_not_met" if reserve_met is False else "sold"
    reserve = state.terms.reserve_amount
    public = {
        "outcome": outcome,
        "winner": pseudonym(winner) if outcome == "sold" else None,
        "price": price,
        "bid_count": state.bid_count,
        "reserve_met": reserve_met,
        "reserve_amount": reserve,
        "reserve_salt": None if reserve is None or state.salt is None else reserve_salt(state.salt),
    }
    return Draft("closed", public, private, t)


def _result(state: State) -> tuple[int, int | None, bool | None]:
    """The best bidder's number (0: none), its price, whether that meets the reserve."""
    if not state.terms.hidden:
        return state.first, state.price, state.reserve_met
    ranking = state.ranked_offers()
    if not ranking:
        return 0, None, None if state.terms.reserve_amount is None else False
    number, offer = ranking[0]
    return number, offer.amount, state.terms.meets_reserve(offer.amount)


def award_draft(state: State, number: int, amount: int | None, t: int) -> Draft:
    """`awarded`, to be accepted within 48 h; the amount of a proposal stays between the client and the winner."""
    is_proposal = state.terms.format == "proposal"
    public = {
        "bidder": pseudonym(number),
        "amount": None if is_proposal else amount,
        "accept_by": to_rfc3339(t + ACCEPT_MS),
    }
    return Draft("awarded", public, {"amount": amount} if is_proposal else {}, t)
