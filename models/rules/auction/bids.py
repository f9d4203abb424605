"""Open formats (`reverse`, `english`): placing a bid and taking one back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from models.rules.auction.amounts import is_integer
from models.rules.auction.commitments import bidder_commitment, limit_commitment, salt_from
from models.rules.auction.fields import invalid_field
from models.rules.auction.guards import (
    end_after,
    in_soft_close,
    require_amount,
    require_confirmed,
    require_fresh,
    require_not_blocked,
    require_running,
    require_within_start,
)
from models.rules.auction.ledger import Bid
from models.rules.auction.naming import pseudonym
from models.rules.auction.resolution import Resolution, add, promote, resolve, settle, standing_of
from models.rules.auction.state import State
from models.rules.stream import Command, Decision, Draft, Rejected
from models.rules.times import to_rfc3339

HOUR_MS: Final = 3_600_000
FREE_RETRACTION_MS: Final = 12 * HOUR_MS
"""With more than this left any bid may be taken back; later only one at most `YOUNG_BID_MS` old."""

YOUNG_BID_MS: Final = HOUR_MS
RETRACTION_REASONS: Final = ("typo", "scope_changed")


def outcome_fields(resolution: Resolution, end_at: int, bid_count: int) -> dict[str, Any]:
    """The public fields that every event of an open format carries when it changes the resolution."""
    return {
        "price": resolution.price,
        "leader": pseudonym(resolution.first) if resolution.first else None,
        "end_at": to_rfc3339(end_at),
        "bid_count": bid_count,
        "reserve_met": resolution.reserve_met,
    }


def announce_extension(state: State, end_at: int, t: int) -> tuple[Draft, ...]:
    """The `extended` event that follows a change of `end_at`, if there is one."""
    if end_at == state.end_at:
        return ()
    public = {"end_at": to_rfc3339(end_at), "previous_end_at": to_rfc3339(state.end_at)}
    return (Draft("extended", public, {}, t),)


def require_may_bid(state: State, command: Command) -> None:
    """Not the owner, invited if the auction is by invitation, and not blocked by the owner, as the service says."""
    if command.actor == state.owner:
        raise Rejected("SELF_BID", "The owner of a job cannot bid on it")
    if state.visibility == "invited" and command.actor not in state.invited:
        raise Rejected("NOT_INVITED", "Only invited freelancers may bid")
    require_not_blocked(command)


def kind_of(payload: Mapping[str, Any]) -> str:
    """`exact` unless the payload says `auto`."""
    kind = payload.get("kind")
    if kind is None:
        return "exact"
    if kind not in ("exact", "auto"):
        raise invalid_field("must be one of exact, auto", "kind")
    return str(kind)


def decide_bid(state: State, command: Command, t: int) -> Decision:
    """`{amount, kind?, if_seq?, confirm?, currency?}`.

    Answer: `{seq, price, leading, end_at}`, the state right after the bid.

    Raises:
        Rejected: whatever bidding.md's rules 3, 5, 6 and 8 refuse.
    """
    payload, user, terms = command.payload, command.actor, state.terms
    require_running(state, t)
    require_may_bid(state, command)
    kind = kind_of(payload)
    if payload.get("delivery_days") is not None or payload.get("cover_letter") is not None:
        raise invalid_field("belongs to proposals", "delivery_days")
    strength = require_amount(terms, payload)
    require_within_start(terms, strength)
    require_fresh(payload, state.seq)
    number = state.numbers.get(user, 0)
    exact = kind == "exact"
    _require_strength(state, number, strength, exact)
    require_confirmed(terms, payload, strength, terms.start_amount if state.price is None else state.price)

    number = number or len(state.users) + 1
    resolution = _resolution_with(state, number, strength, exact)
    end_at = end_after(state, resolution, t)
    salt = salt_from(command.context)
    public = {
        "bidder": pseudonym(number),
        "amount": strength if exact else resolution.price,
        "bidder_commitment": bidder_commitment(salt, user),
        **outcome_fields(resolution, end_at, state.bid_count + 1),
    }
    if not exact:
        public["limit_commitment"] = limit_commitment(salt, strength)
    private = {"bidder": user, "kind": kind, "m": strength, "salt": salt}
    answer = {
        "seq": state.seq + 1,
        "price": resolution.price,
        "leading": resolution.first == number,
        "end_at": public["end_at"],
    }
    return Decision((Draft("bid", public, private, t), *announce_extension(state, end_at, t)), answer)


def _require_strength(state: State, number: int, strength: int, exact: bool) -> None:
    """Rule 6: the first bid needs the start only, a challenger a step, the leader a better limit."""
    terms, price = state.terms, state.price
    if not state.first or price is None:
        return
    sign = terms.sign
    if number == state.first:
        if exact:
            raise Rejected("ALREADY_LEADING", "You lead already: only a better limit is of use")
        if sign * strength <= sign * state.standings[number].limit:
            raise Rejected("LIMIT_NOT_IMPROVED", "The limit is not better than your last one")
    elif sign * strength < sign * terms.step(price) or strength == price:
        raise Rejected("BID_TOO_WEAK", "The bid does not beat the price by a step", min_next=terms.next_amount(price))


def _resolution_with(state: State, number: int, strength: int, exact: bool) -> Resolution:
    """The resolution once this bid is in; `fold` does the same to the state."""
    terms, standings = state.terms, state.standings
    better = add(standings.get(number), state.seq + 1, strength, exact, terms.sign)
    first, second = promote(standings, state.first, state.second, number, better, terms.sign)
    leader = better if first == number else standings[first]
    runner_up = better if second == number else standings.get(second)
    return settle(terms, first, second, leader, runner_up)


def decide_retract(state: State, command: Command, t: int) -> Decision:
    """`{seq, reason}`: take back the bid that event `seq` placed. Answer: `{seq}` of the retraction.

    Raises:
        Rejected: RETRACT_NOT_ALLOWED (rule 14), VALIDATION_FAILED, AUCTION_CLOSED, AUCTION_PAUSED, AUCTION_NOT_OPEN.
    """
    require_running(state, t)
    seq, reason = command.payload.get("seq"), command.payload.get("reason")
    if not is_integer(seq):
        raise invalid_field("must be an integer", "seq")
    if reason not in RETRACTION_REASONS:
        raise invalid_field("must be one of " + ", ".join(RETRACTION_REASONS), "reason")
    bid = _require_retractable(state, command.actor, seq, t)
    own = standing_of((it for it in state.ledger.of(bid.bidder) if state.counts(it) and it != bid), state.terms.sign)
    standings = {number: it for number, it in state.standings.items() if number != bid.bidder}
    if own is not None:
        standings[bid.bidder] = own
    resolution = resolve(state.terms, standings)
    public = {
        "bidder": pseudonym(bid.bidder),
        "bid_seq": bid.seq,
        "reason": reason,
        **outcome_fields(resolution, state.end_at, state.bid_count - 1),
    }
    return Decision((Draft("retracted", public, {}, t),), {"seq": state.seq + 1})


def _require_retractable(state: State, user: str, seq: int, t: int) -> Bid:
    bid = state.ledger.find(seq)
    if bid is None or bid.bidder != state.numbers.get(user):
        raise Rejected("RETRACT_NOT_ALLOWED", "You have no such bid")
    if not state.counts(bid):
        raise Rejected("RETRACT_NOT_ALLOWED", "The bid is not active")
    if in_soft_close(state, t):
        raise Rejected("RETRACT_NOT_ALLOWED", "Bids stand once the last minutes have begun")
    if state.end_at - t <= FREE_RETRACTION_MS and t - bid.t > YOUNG_BID_MS:
        raise Rejected("RETRACT_NOT_ALLOWED", "In the last twelve hours only a bid of the last hour can be taken back")
    return bid
