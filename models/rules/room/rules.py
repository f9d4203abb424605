"""The room as a state machine that `server.streams` can run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from models.rules.room import fold, membership, messages
from models.rules.room.state import UNOPENED, State
from models.rules.room.view import public_view
from models.rules.stream import Command, Decision, Draft, Event, Rejected

_DECISIONS: Final[Mapping[str, Callable[[State, Command, int], Decision]]] = {
    "join": membership.decide_join,
    "remove": membership.decide_remove,
    "reveal": membership.decide_reveal,
    "send": messages.decide_send,
    "edit": messages.decide_edit,
    "delete": messages.decide_delete,
    "react": messages.decide_react,
}


class RoomRules:
    """`models.rules.stream.Rules` for rooms of all kinds.

    Commands: `open join remove reveal send edit delete react`; the decisions' docstrings give payloads and answers.
    `context["moderator"]` is true when the service vouches for a moderator; `send` needs `context["id"]`.
    """

    version = 1
    chained = False

    def initial(self) -> State:
        """A room that was not opened."""
        return State()

    def due(self, state: State, now: int) -> Draft | None:
        """A party that is still to be added."""
        return membership.due(state, now)

    def next_due(self, state: State) -> int | None:
        """Nothing is due to time itself."""
        return None

    def decide(self, state: State, command: Command, now: int) -> Decision:
        """Decide a command at `max(now, t of the last event)`; every draft carries that time, so it is what was judged.

        Raises:
            Rejected: NOT_FOUND before `open`, UNKNOWN_COMMAND, the context's `refusal {code, message, details}`, and what the
                decisions say.
        """
        t = max(now, state.t)
        if command.name == "open":
            return membership.decide_open(state, command, t)
        decide = _DECISIONS.get(command.name)
        if decide is None:
            raise Rejected("UNKNOWN_COMMAND", f"No such command: {command.name}")
        if state.charter == UNOPENED:
            raise Rejected("NOT_FOUND", "No such room")
        # What is refused for reasons outside the room is refused here, where a repetition has been answered already.
        if (refusal := command.context.get("refusal")) is not None:
            raise Rejected(refusal["code"], refusal["message"], **refusal["details"])
        return decide(state, command, t)

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
        """The room as all of its members may see it."""
        return public_view(state)


ROOM_RULES: Final = RoomRules()
