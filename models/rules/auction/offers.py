"""Hidden formats (`sealed`, `proposal`): submitting, withdrawing, countering. All of it stays in the stream of truth.

To the outside a submission is known by its ordinal, 1, 2, 3 ... per bidder: the seq of the stream of truth would tell how
many others there are.
"""

from __future__ import annotations

from typing import Any, Final

from models.rules.auction.amounts import is_integer
from models.rules.auction.bids import RETRACTION_REASONS, kind_of, require_may_bid
from models.rules.auction.commitments import bidder_commitment, offer_commitment, salt_from
from models.rules.auction.fields import MAX_LETTER, Fields, invalid_field
from models.rules.auction.guards import (
    require_amount,
    require_confirmed,
    require_fresh,
    require_not_blocked,
    require_running,
    require_within_start,
)
from models.rules.auction.naming import number_of, pseudonym
from models.rules.auction.state import Offer, State
from models.rules.stream import Command, Decision, Draft, Rejected
from models.rules.times import to_rfc3339

MAX_DELIVERY_DAYS: Final = 3_650


def decide_offer(state: State, command: Command, t: int) -> Decision:
    """`{amount, if_seq?, confirm?, currency?}`, in proposals `delivery_days?` and `cover_letter?` too; replaces the last one.

    `if_seq` is compared to the seq of the auction's public stream. Answer: `{seq, price, leading, end_at}`: `seq` is the
    bidder's own ordinal, `price` and `leading` are None.

    Raises:
        Rejected: as for open bids, save those that compare with other bidders.
    """
    payload, user, terms = command.payload, command.actor, state.terms
    require_running(state, t)
    require_may_bid(state, command)
    if kind_of(payload) != "exact":
        raise invalid_field("must be exact in this format", "kind")
    amount = require_amount(terms, payload)
    require_within_start(terms, amount)
    require_fresh(payload, state.public_seq)
    require_confirmed(terms, payload, amount, terms.start_amount)
    delivery_days, cover_letter = _proposal_fields(state, command)

    number = state.numbers.get(user, 0) or len(state.users) + 1
    last = state.offers.get(number)
    is_new = last is None or last.withdrawn
    ordinal = 1 if last is None else last.ordinal + 1
    salt = salt_from(command.context)
    public = {
        "bidder": pseudonym(number),
        "amount": None,
        "bid_count": state.bid_count + is_new,
        "bidder_commitment": bidder_commitment(salt, user),
        "offer_commitment": offer_commitment(salt, amount, delivery_days, cover_letter),
    }
    private = {
        "bidder": user,
        "kind": "exact",
        "m": amount,
        "salt": salt,
        "delivery_days": delivery_days,
        "cover_letter": cover_letter,
        "ordinal": ordinal,
        "counted": is_new and terms.show_count,
    }
    answer = {"seq": ordinal, "price": None, "leading": None, "end_at": to_rfc3339(state.end_at)}
    return Decision((Draft("bid", public, private, t),), answer)


def _proposal_fields(state: State, command: Command) -> tuple[int | None, str | None]:
    fields = Fields(command.payload)
    delivery_days = fields.optional_integer("delivery_days", 1, MAX_DELIVERY_DAYS)
    cover_letter = fields.text("cover_letter", MAX_LETTER)
    if state.terms.format != "proposal" and (delivery_days is not None or cover_letter is not None):
        fields.complain("belongs to proposals", "delivery_days")
    fields.raise_errors()
    return delivery_days, cover_letter


def decide_withdraw(state: State, command: Command, t: int) -> Decision:
    """`{seq?, reason?}`: withdraw the last submission, whose ordinal `seq` must be if given. Answer: `{seq}`, the ordinal.

    Raises:
        Rejected: RETRACT_NOT_ALLOWED, VALIDATION_FAILED, AUCTION_CLOSED, AUCTION_PAUSED, AUCTION_NOT_OPEN.
    """
    require_running(state, t)
    seq, reason = command.payload.get("seq"), command.payload.get("reason")
    if seq is not None and not is_integer(seq):
        raise invalid_field("must be an integer", "seq")
    if reason is not None and reason not in RETRACTION_REASONS:
        raise invalid_field("must be one of " + ", ".join(RETRACTION_REASONS), "reason")
    number = state.numbers.get(command.actor, 0)
    offer = state.offers.get(number)
    if offer is None or offer.withdrawn:
        raise Rejected("RETRACT_NOT_ALLOWED", "You have no submission")
    if seq is not None and seq != offer.ordinal:
        raise Rejected("RETRACT_NOT_ALLOWED", "That is not your last submission", seq=offer.ordinal)
    public = {
        "bidder": pseudonym(number),
        "ordinal": offer.ordinal,
        "reason": reason,
        "bid_count": state.bid_count - 1,
    }
    private = {"counted": state.terms.show_count}
    return Decision((Draft("retracted", public, private, t),), {"seq": offer.ordinal})


def decide_counter(state: State, command: Command, t: int) -> Decision:
    """`{bidder?, amount, delivery_days?, message?, confirm?}` on a proposal: the client names the bidder, a bidder speaks for itself.

    A bidder's counter-offer becomes its standing offer, so that the client can award it; the client's is a wish that the
    bidder takes up by offering the same. Answer: `{bidder, by, amount, delivery_days}`.

    Raises:
        Rejected: VALIDATION_FAILED, AMOUNT_INVALID, FORBIDDEN for whoever has no proposal; for a bidder BLOCKED, BEYOND_START
            and CONFIRM_REQUIRED too.
    """
    require_running(state, t)
    if state.terms.format != "proposal":
        raise Rejected("FORBIDDEN", "Only proposals are negotiated")
    by = "client" if command.actor == state.owner else "bidder"
    number, offer = _counterpart(state, command, by)
    amount = require_amount(state.terms, command.payload)
    fields = Fields(command.payload)
    delivery_days = fields.optional_integer("delivery_days", 1, MAX_DELIVERY_DAYS)
    message = fields.text("message", MAX_LETTER)
    fields.raise_errors()
    if by == "bidder":  # it becomes the standing offer, so it has to be one that could be bid
        require_within_start(state.terms, amount)
        require_confirmed(state.terms, command.payload, amount, state.terms.start_amount)
    answer: dict[str, Any] = {
        "bidder": pseudonym(number),
        "by": by,
        "amount": amount,
        "delivery_days": offer.delivery_days if delivery_days is None else delivery_days,
    }
    return Decision((Draft("countered", {**answer, "message": message}, {}, t),), answer)


def _counterpart(state: State, command: Command, by: str) -> tuple[int, Offer]:
    if by == "client":
        name = command.payload.get("bidder")
        if not isinstance(name, str):
            raise invalid_field("is required", "bidder")
        number = number_of(name)
        if not state.offer_stands(number):
            raise invalid_field("has no proposal", "bidder")
    else:
        number = state.numbers.get(command.actor, 0)
        if not state.offer_stands(number):
            raise Rejected("FORBIDDEN", "You have no proposal here")
        require_not_blocked(command)
    return number, state.offers[number]
