"""After the close: awarding, accepting, declining, reopening (bidding.md, rule 16)."""

from __future__ import annotations

from typing import Any

from models.rules.auction.bids import outcome_fields
from models.rules.auction.closing import EXPIRED, award_draft, close
from models.rules.auction.fields import MAX_REASON, Fields, invalid_field
from models.rules.auction.guards import require_owner, require_running
from models.rules.auction.naming import number_of, pseudonym
from models.rules.auction.resolution import ranked, resolve, standing_amount
from models.rules.auction.state import AWARDED, CANCELLED, CLOSED, OPEN, PAUSED, Award, State
from models.rules.auction.terms import MAX_DURATION_MS
from models.rules.stream import Command, Decision, Draft, Rejected
from models.rules.times import LATEST, to_rfc3339


def decide_award(state: State, command: Command, t: int) -> Decision:
    """`{bidder?}`, a pseudonym or, since the client knows who they are, a user id; else the best who has not declined.

    At the bidder's standing amount: the price for the leader, see `resolution.standing_amount`. A proposal may be awarded
    while it runs, which closes it. Answer: `{seq, bidder, amount, accept_by}`, `seq` in the auction's public stream.

    Raises:
        Rejected: FORBIDDEN, VALIDATION_FAILED, AWARD_CONFLICT (still running, awarded already, nobody to award).
    """
    require_owner(state, command)
    if state.phase == CANCELLED:
        raise Rejected("AUCTION_CLOSED", "The auction was cancelled")
    if state.phase in (OPEN, PAUSED):
        if state.terms.format != "proposal":
            raise Rejected("AWARD_CONFLICT", "The auction is not over yet")
        require_running(state, t)
    elif state.phase != CLOSED or state.owed is not None:
        raise Rejected("AWARD_CONFLICT", "There is an award already")
    candidates = _candidates(state)
    number = _chosen(state, command, candidates)
    amount = candidates[number]
    drafts: tuple[Draft, ...] = (award_draft(state, number, amount, t),)
    if state.phase == OPEN:
        drafts = (close(state, t, number), *drafts)
    answer = {
        "seq": state.next_public_seq + len(drafts) - 1,
        "bidder": pseudonym(number),
        "amount": amount,
        "accept_by": drafts[-1].public["accept_by"],
    }
    return Decision(drafts, answer)


def _candidates(state: State) -> dict[int, int]:
    """Who may be awarded, best first, with the standing amounts."""
    if state.terms.hidden:
        return {number: offer.amount for number, offer in state.ranked_offers() if number not in state.declined}
    standings = {number: it for number, it in state.standings.items() if number not in state.declined}
    order = ranked(standings, state.terms.sign)
    return {number: standing_amount(state.terms, standings, number) for number in order}


def _chosen(state: State, command: Command, candidates: dict[int, int]) -> int:
    wanted = command.payload.get("bidder")
    if wanted is None:
        if state.terms.format == "proposal":
            raise invalid_field("is required", "bidder")
        if not candidates:
            raise Rejected("AWARD_CONFLICT", "Nobody is left to award")
        return next(iter(candidates))
    if not isinstance(wanted, str):
        raise invalid_field("must be text", "bidder")
    number = number_of(wanted) or state.numbers.get(wanted, 0)
    if number in state.declined:
        raise Rejected("AWARD_CONFLICT", "This bidder did not take the award")
    if number not in candidates:
        raise Rejected("AWARD_CONFLICT", "This bidder has no standing bid")
    return number


def decide_accept(state: State, command: Command, t: int) -> Decision:
    """`{}` by the winner. Answer: `{seq, bidder, amount}`.

    Raises:
        Rejected: FORBIDDEN, AWARD_CONFLICT without an award.
    """
    award = _require_award(state, command, t)
    is_proposal = state.terms.format == "proposal"
    public = {"bidder": pseudonym(award.bidder), "amount": None if is_proposal else award.amount}
    answer = {"seq": state.next_public_seq, "bidder": public["bidder"], "amount": award.amount}
    return Decision((Draft("accepted", public, {}, t),), answer)


def decide_decline(state: State, command: Command, t: int) -> Decision:
    """`{reason?}` by the winner. Answer: `{seq, bidder}`.

    Raises:
        Rejected: FORBIDDEN, AWARD_CONFLICT without an award, VALIDATION_FAILED.
    """
    award = _require_award(state, command, t)
    fields = Fields(command.payload)
    reason = fields.text("reason", MAX_REASON)
    if reason == EXPIRED:
        fields.complain("is reserved", "reason")
    fields.raise_errors()
    public = {"bidder": pseudonym(award.bidder), "reason": reason}
    answer = {"seq": state.next_public_seq, "bidder": public["bidder"]}
    return Decision((Draft("declined", public, {}, t),), answer)


def _require_award(state: State, command: Command, t: int) -> Award:
    award = state.award
    if state.phase != AWARDED or award is None or t >= award.accept_by:
        raise Rejected("AWARD_CONFLICT", "There is no award to answer")
    if command.actor != state.user(award.bidder):
        raise Rejected("FORBIDDEN", "Only the winner may answer the award")
    return award


def decide_reopen(state: State, command: Command, t: int) -> Decision:
    """`{end_at, hard_end_at?}` (ms): the auction runs again with the bids of all who did not decline.

    Without `hard_end_at` the new one lies as far behind `end_at` as it did in the terms. Answer: `{seq, end_at}`.

    Raises:
        Rejected: FORBIDDEN, VALIDATION_FAILED, AWARD_CONFLICT unless closed without an active award.
    """
    require_owner(state, command)
    if state.phase == CANCELLED:
        raise Rejected("AUCTION_CLOSED", "The auction was cancelled")
    if state.phase != CLOSED or state.owed is not None:
        raise Rejected("AWARD_CONFLICT", "Only a closed auction without an award can be reopened")
    end_at, hard_end_at = _new_times(state, command, t)
    public: dict[str, Any] = {"hard_end_at": None if hard_end_at is None else to_rfc3339(hard_end_at)}
    if state.terms.hidden:
        count = sum(1 for number, it in state.offers.items() if not it.withdrawn and number not in state.declined)
        public |= {"end_at": to_rfc3339(end_at), "bid_count": count if state.terms.show_count else None}
    else:
        kept = {number: it for number, it in state.standings.items() if number not in state.declined}
        public |= outcome_fields(resolve(state.terms, kept), end_at, state.bid_count)
    return Decision((Draft("reopened", public, {}, t),), {"seq": state.next_public_seq, "end_at": to_rfc3339(end_at)})


def _new_times(state: State, command: Command, t: int) -> tuple[int, int | None]:
    fields = Fields(command.payload)
    end_at = fields.integer("end_at", 0, LATEST)
    hard_end_at = fields.optional_integer("hard_end_at", 0, LATEST)
    if end_at <= t:
        fields.complain("must be in the future", "end_at")
    if end_at - t > MAX_DURATION_MS:
        fields.complain("must be within 365 days", "end_at")
    if hard_end_at is not None and not end_at <= hard_end_at <= t + MAX_DURATION_MS:
        fields.complain("must not be before end_at and within 365 days", "hard_end_at")
    fields.raise_errors()
    planned = state.terms.hard_end_at
    if hard_end_at is None and planned is not None:
        hard_end_at = end_at + planned - state.terms.end_at
    return end_at, hard_end_at
