"""The auction as a state machine that `server.streams` can run: what is owed, what is decided, what is folded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from models.rules.auction import awards, bids, closing, fold, offers, opening, oversight, projection
from models.rules.auction.guards import is_admin
from models.rules.auction.state import UNOPENED, State
from models.rules.auction.view import public_view
from models.rules.stream import Command, Decision, Draft, Event, Rejected

Decide = Callable[[State, Command, int], Decision]

_COMMON: Final[Mapping[str, Decide]] = {
    "suspend": oversight.decide_suspend,
    "reconfirm": oversight.decide_reconfirm,
    "cancel": oversight.decide_cancel,
    "pause": oversight.decide_pause,
    "resume": oversight.decide_resume,
    "award": awards.decide_award,
    "accept": awards.decide_accept,
    "decline": awards.decide_decline,
    "reopen": awards.decide_reopen,
    "counter": offers.decide_counter,
}
_OPEN_FORMATS: Final[Mapping[str, Decide]] = {**_COMMON, "bid": bids.decide_bid, "retract": bids.decide_retract}
_HIDDEN_FORMATS: Final[Mapping[str, Decide]] = {
    **_COMMON,
    "bid": offers.decide_offer,
    "retract": offers.decide_withdraw,
}
_OVERSIGHT: Final = frozenset({"suspend", "cancel", "pause", "resume", "award", "reopen"})
"""What is the client's to do, or an admin's."""


class AuctionRules:
    """`models.rules.stream.Rules` for auctions of all formats, streams of truth and projections alike.

    Commands: `open bid retract suspend reconfirm award accept decline reopen cancel pause resume counter tick project`;
    the decisions' docstrings give payloads and answers. `context["admin"]` is true when an admin acts, `context["blocked"]` when
    the client has blocked the bidder; `open` and `bid` need `context["salt"]`, 64 hexadecimal digits that are new each time.
    """

    version = 1
    chained = True

    def initial(self) -> State:
        """An auction that was not opened."""
        return State()

    def due(self, state: State, now: int) -> Draft | None:
        """The next event that time or an interrupted decision owes."""
        draft = closing.due(state, now)
        if draft is not None and state.is_hidden_truth:
            (draft,) = projection.linked(state, (draft,))
        return draft

    def next_due(self, state: State) -> int | None:
        """When (ms) `due` will next have something; None for never."""
        return closing.next_due(state)

    def decide(self, state: State, command: Command, now: int) -> Decision:
        """Decide a command at `max(now, t of the last event)`; every draft carries that time, so it is what was judged.

        Raises:
            Rejected: with a code of bidding.md; AUCTION_NOT_FOUND before `open`; UNKNOWN_COMMAND.
        """
        t = max(now, state.t)
        name = command.name
        if name == "tick":
            return Decision((), {})
        if name == "project":
            return projection.decide_project(state, command)
        if name == "open":
            return opening.decide_open(state, command, t)
        decide = (_HIDDEN_FORMATS if state.terms.hidden else _OPEN_FORMATS).get(name)
        if decide is None:
            raise Rejected("UNKNOWN_COMMAND", f"No such command: {name}")
        if state.phase == UNOPENED:
            raise Rejected("AUCTION_NOT_FOUND", "No such auction")
        if state.is_projection:
            raise Rejected("FORBIDDEN", "This stream only mirrors another, which takes the commands")
        decision = decide(state, command, t)
        if name in _OVERSIGHT and decision.drafts and is_admin(command) and command.actor != state.owner:
            decision = replace(decision, drafts=_signed(decision.drafts, command.actor))
        if state.terms.hidden:
            return replace(decision, drafts=projection.linked(state, decision.drafts))
        return decision

    def apply(self, state: State, event: Event) -> None:
        """Fold one committed event into the state, in place."""
        fold.apply(state, event)

    def copy(self, state: State) -> State:
        """An independent copy."""
        return state.copy()

    def dump(self, state: State) -> dict[str, Any]:
        """The state as JSON."""
        return state.dump()

    def load(self, dumped: Mapping[str, Any]) -> State:
        """The state from `dump`'s JSON."""
        return State.load(dumped)

    def view(self, state: State) -> dict[str, Any]:
        """The public `state` of `subscribe`."""
        return public_view(state)


def _signed(drafts: tuple[Draft, ...], admin: str) -> tuple[Draft, ...]:
    """The drafts of a decision, the first of which says, to nobody but the server, what admin made it."""
    first, *others = drafts
    return (replace(first, private={**first.private, "admin": admin}), *others)


AUCTION_RULES: Final = AuctionRules()
