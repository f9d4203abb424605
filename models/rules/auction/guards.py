"""What several decisions ask before anything else: is it the time, is it the right person, is it a sound amount."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from models.rules.auction.amounts import is_amount, is_integer
from models.rules.auction.fields import invalid_field
from models.rules.auction.resolution import Resolution
from models.rules.auction.state import ACCEPTED, AWARDED, CANCELLED, CLOSED, OPEN, PAUSED, State
from models.rules.auction.terms import Terms
from models.rules.stream import Command, Rejected
from models.rules.times import to_rfc3339

_OVER = frozenset({CLOSED, AWARDED, ACCEPTED, CANCELLED})


def require_not_over(state: State, t: int) -> None:
    """The auction may be scheduled, running or paused; else AUCTION_CLOSED."""
    if state.phase == CANCELLED:
        raise Rejected("AUCTION_CLOSED", "The auction was cancelled")
    if state.phase in _OVER or (state.phase != PAUSED and t >= state.end_at):
        raise Rejected("AUCTION_CLOSED", "The auction is over")


def require_running(state: State, t: int) -> None:
    """`start_at <= t < end_at` and not paused (bidding.md, rule 3)."""
    if state.phase == OPEN and state.terms.start_at <= t < state.end_at:
        return
    require_not_over(state, t)
    if state.phase == PAUSED:
        raise Rejected("AUCTION_PAUSED", "The auction is paused")
    if t < state.terms.start_at:
        raise Rejected("AUCTION_NOT_OPEN", "The auction has not begun", start_at=to_rfc3339(state.terms.start_at))


def is_admin(command: Command) -> bool:
    """Whether the service vouches for an admin."""
    return command.context.get("admin") is True


def require_owner(state: State, command: Command) -> None:
    """The client or an admin; else FORBIDDEN."""
    if command.actor != state.owner and not is_admin(command):
        raise Rejected("FORBIDDEN", "Only the owner of the job may do this")


def require_admin(command: Command) -> None:
    """An admin; else FORBIDDEN."""
    if not is_admin(command):
        raise Rejected("FORBIDDEN", "Only an admin may do this")


def require_not_blocked(command: Command) -> None:
    """Not blocked by the client, as the service says; else BLOCKED."""
    if command.context.get("blocked") is True:
        raise Rejected("BLOCKED", "The client takes no bids from you")


def acted_as(command: Command) -> str:
    """`admin` or `client`, for the event."""
    return "admin" if is_admin(command) else "client"


def in_soft_close(state: State, t: int) -> bool:
    """Whether the soft-close window of a started auction has begun; during a pause, whether it had when the pause did."""
    moment = t if state.paused_at is None else state.paused_at
    return moment >= max(state.terms.start_at, state.end_at - state.terms.window_ms)


def end_after(state: State, resolution: Resolution, t: int) -> int:
    """`end_at` after a new resolution at `t` (bidding.md, rule 9); hidden formats never extend."""
    terms = state.terms
    end_at = state.end_at
    if t < end_at - terms.window_ms or terms.hidden:
        return end_at
    if resolution.first == state.first and resolution.price == state.price:
        return end_at
    extended = t + terms.extension_ms
    if state.hard_end_at is not None:
        extended = min(extended, state.hard_end_at)
    return max(end_at, extended)


def require_amount(terms: Terms, payload: Mapping[str, Any]) -> int:
    """The payload's `amount`: sound, in the auction's currency, not below its minimum."""
    amount = payload.get("amount")
    if not is_amount(amount):
        raise Rejected("AMOUNT_INVALID", "The amount must be a positive integer in minor units")
    currency = payload.get("currency")
    if currency is not None and currency != terms.currency:
        raise Rejected("CURRENCY_MISMATCH", f"The auction is in {terms.currency}", currency=terms.currency)
    if amount < terms.minimum_amount:
        raise Rejected("AMOUNT_INVALID", "The amount is below the minimum", minimum_amount=terms.minimum_amount)
    return amount


def require_within_start(terms: Terms, amount: int) -> None:
    """Not worse than the start; else BEYOND_START."""
    if terms.sign * amount < terms.sign * terms.start_amount:
        raise Rejected("BEYOND_START", "The amount is worse than the start", start_amount=terms.start_amount)


def require_confirmed(terms: Terms, payload: Mapping[str, Any], amount: int, price: int) -> None:
    """A jump of more than `confirm_jump_percent` over the price must be confirmed (bidding.md, rule 8)."""
    percent = terms.confirm_jump_percent
    if percent is not None and abs(amount - price) * 100 > percent * price and payload.get("confirm") is not True:
        raise Rejected(
            "CONFIRM_REQUIRED", "That is far from the price: confirm it", price=price, confirm_jump_percent=percent
        )


def require_fresh(payload: Mapping[str, Any], seq: int) -> None:
    """`if_seq`, when given, must be the auction's public seq; else STALE_STATE."""
    if_seq = payload.get("if_seq")
    if if_seq is None:
        return
    if not is_integer(if_seq):
        raise invalid_field("must be an integer", "if_seq")
    if if_seq != seq:
        raise Rejected("STALE_STATE", "The auction has moved on", seq=seq)
