"""The smallest rules that can go wrong in every way streams can: a running total that may not fall below zero."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from models.rules.stream import Command, Decision, Draft, Event, Rejected


@dataclass
class Tally:
    seq: int = 0
    total: int = 0
    owed: int = 0


class TallyRules:
    """`add {n}` moves the total, `pair {n}` writes two events, and `round` is owed whenever the total passes a hundred; `leave` changes nothing."""

    version = 1
    chained = True

    def initial(self) -> Tally:
        return Tally()

    def due(self, state: Tally, now: int) -> Draft | None:
        return Draft("round", {"hundreds": state.total // 100}) if state.owed else None

    def next_due(self, state: Tally) -> int | None:
        return None

    def decide(self, state: Tally, command: Command, now: int) -> Decision:
        n = command.payload.get("n", 0)
        if command.name == "crash":
            raise RuntimeError("a defect in the rules")
        if command.name == "poison":
            return Decision((Draft("poison", {}),), {})
        if command.name == "leave":
            return Decision((Draft("left", {"who": command.actor}),), {})
        if command.name == "nothing":
            return Decision((), {"total": state.total})
        if state.total + n < 0:
            raise Rejected("BID_TOO_WEAK", "The total may not fall below zero", min_next=-state.total)
        first = Draft("added", {"n": n, "who": command.actor}, {"secret": f"of {command.actor}"})
        answer = {"seq": state.seq + 1, "total": state.total + n}
        if command.name == "pair":
            return Decision((first, Draft("noted", {"n": n})), answer)
        return Decision((first,), answer)

    def apply(self, state: Tally, event: Event) -> None:
        assert event.seq == state.seq + 1
        if event.type == "poison":
            raise RuntimeError("a defect in folding")
        state.seq = event.seq
        if event.type == "added":
            before = state.total // 100
            state.total += event.public["n"]
            state.owed = int(state.total // 100 > before)
        elif event.type == "round":
            state.owed = 0

    def copy(self, state: Tally) -> Tally:
        return Tally(state.seq, state.total, state.owed)

    def dump(self, state: Tally) -> dict[str, Any]:
        return {"seq": state.seq, "total": state.total, "owed": state.owed}

    def load(self, dumped: Mapping[str, Any]) -> Tally:
        return Tally(**dumped)

    def view(self, state: Tally) -> dict[str, Any]:
        return {"total": state.total}
