"""What is shown of an auction, and to whom (bidding.md, rule 19)."""

from __future__ import annotations

from itertools import islice
from typing import Any, Final

from models.rules.auction.ledger import Bid
from models.rules.auction.naming import pseudonym
from models.rules.auction.resolution import ranked
from models.rules.auction.state import ACCEPTED, AWARDED, CLOSED, OPEN, PAUSED, Counter, Offer, State
from models.rules.times import to_rfc3339

OWN_BIDS: Final = 100
"""How many of one's own bids `own_view` lists."""


def status(state: State, now: int) -> str:
    """`scheduled`, `open`, `paused`, `closed`, `awarded`, `accepted` or `cancelled` at `now`; empty before it was opened.

    An auction whose time is up is `closed`, also while its `closed` event is still on its way.
    """
    if state.phase != OPEN:
        return state.phase
    if now < state.terms.start_at:
        return "scheduled"
    return CLOSED if now >= state.end_at else OPEN


def public_view(state: State) -> dict[str, Any]:
    """The `state` of `subscribe`: the same for everybody, also when it is made from the stream of truth.

    Shape: `{seq, phase, job, format, direction, currency, terms, visibility, start_at, end_at, hard_end_at, paused_at, price,
    leader, bid_count, min_next, reserve_met, reserve_commitment, reserve, revision, outcome, winner, award, envelopes}`.
    `phase` is `status` without the time. `min_next` is the weakest amount a challenger may bid, None if none or unknown.
    `bid_count` is None while it is secret. `reserve` is `{amount, salt}` since the close. `award` is `{bidder, amount,
    accept_by, accepted}`. `envelopes` are a sealed auction's bids once opened: `[{bidder, amount, placed_at}]`, best first.
    """
    if not state.seq:
        return {"seq": 0, "phase": state.phase}
    terms = state.terms
    runs = state.phase in (OPEN, PAUSED)
    return {
        "seq": state.next_public_seq - 1,
        "phase": state.phase,
        "job": state.job,
        "format": terms.format,
        "direction": terms.direction,
        "currency": terms.currency,
        "terms": terms.to_json(),
        "visibility": state.visibility,
        "start_at": to_rfc3339(terms.start_at),
        "end_at": to_rfc3339(state.end_at),
        "hard_end_at": _time(state.hard_end_at),
        "paused_at": _time(state.paused_at),
        "price": state.price,
        "leader": state.leader(),
        "bid_count": state.bid_count if state.shows_count else None,
        "min_next": terms.next_amount(state.price) if runs and not terms.hidden else None,
        "reserve_met": state.reserve_met,
        "reserve_commitment": state.commitment,
        "reserve": None if state.revealed is None else state.revealed._asdict(),
        "revision": state.revision,
        "outcome": state.outcome,
        "winner": pseudonym(state.winner) if state.winner else None,
        "award": _public_award(state),
        "envelopes": None if state.envelopes is None else [dict(row) for row in state.envelopes],
    }


def _public_award(state: State) -> dict[str, Any] | None:
    award = state.award
    if award is None:
        return None
    return {
        "bidder": pseudonym(award.bidder),
        "amount": None if state.terms.format == "proposal" else award.amount,
        "accept_by": to_rfc3339(award.accept_by),
        "accepted": state.phase == ACCEPTED,
    }


def listing(state: State) -> dict[str, Any]:
    """The fields that lists of auctions keep: `{format, price, leader, end_at (ms), bid_count, seq, reserve_met}`.

    `seq` is that of the public stream, also when it is made from a hidden format's stream of truth.
    """
    return {
        "format": state.terms.format,
        "price": state.price,
        "leader": state.leader(),
        "end_at": state.end_at,
        "bid_count": state.bid_count if state.shows_count else None,
        "seq": state.next_public_seq - 1,
        "reserve_met": state.reserve_met,
    }


def own_view(state: State, user_id: str) -> dict[str, Any]:
    """What a bidder sees of itself, from the stream of truth.

    Shape: `{pseudonym, bids: [{seq, t, kind, amount, status}], limit, rank, leading, suspended, offer, counter, award}`, the newest
    bids first, at most 100; `status` is `active`, `suspended`, `retracted` (or replaced, in hidden formats). `limit` is the
    own best strength that counts. `rank` and `leading` are None while the format hides them. While the count is secret so
    is the pseudonym, whose number would tell it. `offer` and `counter` belong to proposals, `award` to the winner.
    """
    number = state.numbers.get(user_id, 0)
    hidden = state.terms.hidden
    offer = state.offers.get(number)
    standing = state.standings.get(number)
    rank = _rank(state, number)
    return {
        "pseudonym": pseudonym(number) if number and state.shows_count else None,
        "bids": _own_bids(state, number) if number else [],
        "limit": _own_limit(state, number, offer) if hidden else standing.limit if standing else None,
        "rank": rank,
        "leading": None if state.terms.format == "proposal" or (hidden and not _is_over(state)) else rank == 1,
        "suspended": number in state.suspended,
        "offer": _offer_view(offer) if offer and not offer.withdrawn and state.terms.format == "proposal" else None,
        "counter": _counter_view(state.counters.get(number)),
        "award": _own_award(state, number),
    }


def _is_over(state: State) -> bool:
    return state.phase in (CLOSED, AWARDED, ACCEPTED)


def _own_limit(state: State, number: int, offer: Offer | None) -> int | None:
    return offer.amount if offer and state.offer_stands(number) else None


def _rank(state: State, number: int) -> int | None:
    """From 1; None without an active bid, and where ranks are hidden."""
    if state.terms.format == "proposal" or (state.terms.hidden and not _is_over(state)):
        return None
    order = [it for it, _ in state.ranked_offers()] if state.terms.hidden else ranked(state.standings, state.terms.sign)
    return order.index(number) + 1 if number in order else None


def _own_bids(state: State, number: int) -> list[dict[str, Any]]:
    own = list(islice((bid for bid in reversed(state.ledger) if bid.bidder == number), OWN_BIDS))
    last = state.offers.get(number)
    shown = []
    for age, bid in enumerate(own):
        shown.append(
            {
                "seq": bid.seq if last is None else last.ordinal - age,
                "t": to_rfc3339(bid.t),
                "kind": "exact" if bid.exact else "auto",
                "amount": bid.amount,
                "status": _bid_status(state, bid, last),
            }
        )
    return shown


def _bid_status(state: State, bid: Bid, last: Offer | None) -> str:
    if last is not None:
        if bid.seq != last.seq:
            return "replaced"
        if last.withdrawn:
            return "retracted"
        return "active" if state.offer_stands(bid.bidder) else "suspended"
    if state.counts(bid):
        return "active"
    if bid.seq in state.retracted or bid.seq <= state.dropped.get(bid.bidder, 0):
        return "retracted"
    return "suspended"


def _offer_view(offer: Offer) -> dict[str, Any]:
    return {
        "seq": offer.ordinal,
        "t": to_rfc3339(offer.t),
        "amount": offer.amount,
        "delivery_days": offer.delivery_days,
        "cover_letter": offer.cover_letter,
    }


def _counter_view(counter: Counter | None) -> dict[str, Any] | None:
    return None if counter is None else {**counter._asdict(), "t": to_rfc3339(counter.t)}


def _own_award(state: State, number: int) -> dict[str, Any] | None:
    award = state.award
    if award is None or award.bidder != number:
        return None
    return {"amount": award.amount, "accept_by": to_rfc3339(award.accept_by), "accepted": state.phase == ACCEPTED}


def owner_view(state: State) -> dict[str, Any]:
    """What the client sees beyond the public, from the stream of truth.

    Shape: `{bidders: {pseudonym: user id}, reserve_amount, bid_count, offers}`. Nobody is named while a sealed auction runs. `offers`
    of proposals: `[{bidder, user, seq, t, amount, delivery_days, cover_letter, suspended, counter}]`, best first; else None.
    """
    sealed = state.terms.format == "sealed" and not _is_over(state)
    named = {} if sealed else {pseudonym(number): user for number, user in enumerate(state.users, 1)}
    return {
        "bidders": named,
        "reserve_amount": state.terms.reserve_amount,
        "bid_count": state.bid_count if state.shows_count else None,
        "offers": _offers(state) if state.terms.format == "proposal" else None,
    }


def _offers(state: State) -> list[dict[str, Any]]:
    sign = state.terms.sign
    kept = [(number, offer) for number, offer in state.offers.items() if not offer.withdrawn]
    kept.sort(key=lambda item: (-sign * item[1].amount, item[1].seq))
    return [
        {
            "bidder": pseudonym(number),
            "user": state.user(number),
            **_offer_view(offer),
            "suspended": number in state.suspended,
            "counter": _counter_view(state.counters.get(number)),
        }
        for number, offer in kept
    ]


def _time(ms: int | None) -> str | None:
    return None if ms is None else to_rfc3339(ms)
