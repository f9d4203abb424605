"""What the client or an admin does to a running auction: suspend its bids, cancel it, pause and resume it; and the
bidder's answer to a suspension."""

from __future__ import annotations

from typing import Final

from models.rules.auction.amounts import MAX_AMOUNT, is_integer
from models.rules.auction.bids import announce_extension, outcome_fields
from models.rules.auction.fields import MAX_REASON, Fields, invalid_field
from models.rules.auction.guards import (
    acted_as,
    end_after,
    in_soft_close,
    is_admin,
    require_admin,
    require_not_blocked,
    require_not_over,
    require_owner,
    require_running,
)
from models.rules.auction.naming import pseudonym
from models.rules.auction.resolution import resolve, standing_of
from models.rules.auction.state import PAUSED, State
from models.rules.stream import Command, Decision, Draft, Rejected
from models.rules.times import to_rfc3339

_MAX_CHANGES: Final = 50
_MAX_CHANGE: Final = 100


def decide_suspend(state: State, command: Command, t: int) -> Decision:
    """`{revision, changes?: [field names]}`: the job was edited materially; its bids wait until they are reconfirmed.

    A revision that is known already changes nothing. Not in the soft-close window except by an admin, as for cancelling:
    else an edit would be a way round that rule. Answer: `{seq, revision}`.

    Raises:
        Rejected: FORBIDDEN, VALIDATION_FAILED, CANCEL_TOO_LATE, AUCTION_CLOSED.
    """
    require_owner(state, command)
    require_not_over(state, t)
    fields = Fields(command.payload)
    revision = fields.integer("revision", 1, MAX_AMOUNT)
    changes = fields.texts("changes", _MAX_CHANGES, _MAX_CHANGE)
    fields.raise_errors()
    if revision <= state.revision:
        return Decision((), {"seq": state.next_public_seq - 1, "revision": state.revision})
    if in_soft_close(state, t) and not is_admin(command):
        raise Rejected("CANCEL_TOO_LATE", "The job cannot be changed in the last minutes of its auction")
    public: dict[str, object] = {"revision": revision, "changes": changes, "by": acted_as(command)}
    extension: tuple[Draft, ...] = ()
    if not state.terms.hidden:
        resolution = resolve(state.terms, {})
        end_at = state.end_at if state.phase == PAUSED else end_after(state, resolution, t)
        public |= outcome_fields(resolution, end_at, state.bid_count)
        extension = announce_extension(state, end_at, t)
    answer = {"seq": state.next_public_seq, "revision": revision}
    return Decision((Draft("suspended", public, {}, t), *extension), answer)


def decide_reconfirm(state: State, command: Command, t: int) -> Decision:
    """`{revision?}`: the actor's suspended bids count again, in their original order.

    Nothing suspended: nothing happens. With `revision`, the job must still be at it. Answer: as for `bid`.

    Raises:
        Rejected: FORBIDDEN for whoever never bid, BLOCKED, STALE_STATE, AUCTION_CLOSED, AUCTION_PAUSED, AUCTION_NOT_OPEN.
    """
    require_running(state, t)
    number = state.numbers.get(command.actor, 0)
    if not number:
        raise Rejected("FORBIDDEN", "You have no bid here")
    require_not_blocked(command)
    revision = command.payload.get("revision")
    if revision is not None and not is_integer(revision):
        raise invalid_field("must be an integer", "revision")
    if revision is not None and revision != state.revision:
        raise Rejected("STALE_STATE", "The job was edited again", revision=state.revision)
    if state.terms.hidden:
        return _reconfirm_offer(state, number, t)
    if number not in state.suspended:
        return Decision((), _answer(state, state.seq, number == state.first, state.end_at, state.price))
    restored = standing_of(
        (bid for bid in state.ledger.of(number) if may_return(state, bid.seq, number)), state.terms.sign
    )
    assert restored is not None, "a bidder is suspended only while it has bids to restore"
    resolution = resolve(state.terms, {**state.standings, number: restored})
    end_at = end_after(state, resolution, t)
    public = {"bidder": pseudonym(number), **outcome_fields(resolution, end_at, state.bid_count)}
    answer = _answer(state, state.seq + 1, resolution.first == number, end_at, resolution.price)
    return Decision((Draft("reconfirmed", public, {}, t), *announce_extension(state, end_at, t)), answer)


def may_return(state: State, seq: int, number: int) -> bool:
    """Whether a bid counts once its bidder has reconfirmed."""
    return seq not in state.retracted and seq > state.dropped.get(number, 0)


def _reconfirm_offer(state: State, number: int, t: int) -> Decision:
    ordinal = state.offers[number].ordinal
    drafts = (Draft("reconfirmed", {"bidder": pseudonym(number)}, {}, t),) if number in state.suspended else ()
    return Decision(drafts, _answer(state, ordinal, None, state.end_at, None))


def _answer(state: State, seq: int, leading: bool | None, end_at: int, price: int | None) -> dict[str, object]:
    return {"seq": seq, "price": price, "leading": leading, "end_at": to_rfc3339(end_at)}


def decide_cancel(state: State, command: Command, t: int) -> Decision:
    """`{reason?}`: free before the first bid, later with a reason; in the soft-close window by an admin only.

    While the count of sealed bids is secret the reason is always needed, since the question for it would tell. Answer: `{seq}`.

    Raises:
        Rejected: FORBIDDEN, CANCEL_TOO_LATE, AUCTION_CLOSED, VALIDATION_FAILED without a needed reason.
    """
    require_owner(state, command)
    require_not_over(state, t)
    if in_soft_close(state, t) and not is_admin(command):
        raise Rejected("CANCEL_TOO_LATE", "An auction cannot be cancelled in its last minutes")
    fields = Fields(command.payload)
    if len(state.ledger) or not state.shows_count:
        reason: str | None = fields.required_text("reason", MAX_REASON)
    else:
        reason = fields.text("reason", MAX_REASON)
    fields.raise_errors()
    public = {"reason": reason, "by": acted_as(command)}
    return Decision((Draft("cancelled", public, {}, t),), {"seq": state.next_public_seq})


def decide_pause(state: State, command: Command, t: int) -> Decision:
    """`{}` by an admin: bids are refused until `resume`. Paused already: nothing happens. Answer: `{seq}`.

    Raises:
        Rejected: FORBIDDEN, AUCTION_NOT_OPEN before the start, AUCTION_CLOSED.
    """
    require_admin(command)
    if state.phase == PAUSED:
        return Decision((), {"seq": state.next_public_seq - 1})
    require_running(state, t)
    return Decision((Draft("paused", {}, {}, t),), {"seq": state.next_public_seq})


def decide_resume(state: State, command: Command, t: int) -> Decision:
    """`{}` by an admin: `end_at` and `hard_end_at` move by the length of the pause. Not paused: nothing happens.

    Answer: `{seq, end_at}`.

    Raises:
        Rejected: FORBIDDEN, AUCTION_CLOSED.
    """
    require_admin(command)
    require_not_over(state, t)
    if state.paused_at is None:
        return Decision((), {"seq": state.next_public_seq - 1, "end_at": to_rfc3339(state.end_at)})
    shift = t - state.paused_at
    hard_end_at = state.hard_end_at
    public = {
        "end_at": to_rfc3339(state.end_at + shift),
        "hard_end_at": None if hard_end_at is None else to_rfc3339(hard_end_at + shift),
    }
    return Decision((Draft("resumed", public, {}, t),), {"seq": state.next_public_seq, "end_at": public["end_at"]})
