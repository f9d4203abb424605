"""What one client has seen of one stream, held to the promise: every seq once, in order, whatever happened to its sockets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple


class Fault(NamedTuple):
    """A broken promise. `kind`: `gap`, `repeat`, `stray` (not asked for) or `missing` (never came); `detail` is for a person."""

    kind: str
    detail: str


class Follow:
    """One stream of one client.

    Attributes:
        stream: its name.
        seq: of the last event seen; None until the first subscription was answered.
    """

    __slots__ = ("seq", "stream")

    def __init__(self, stream: str) -> None:
        self.stream = stream
        self.seq: int | None = None

    def begin(self, seq: int) -> None:
        """A subscription without `after` was answered with the state at this seq."""
        self.seq = seq

    def take(self, events: Sequence[dict[str, Any]], seq: int) -> list[Fault]:
        """Events that came, by a subscription's answer or live, and the `seq` that came with them."""
        if self.seq is None:
            return [Fault("stray", f"{self.stream}: events before the subscription was answered")]
        faults = []
        for event in events:
            came, wanted = event["seq"], self.seq + 1
            if came > wanted:
                faults.append(Fault("gap", f"{self.stream}: {came} came after {self.seq}"))
            elif came < wanted:
                faults.append(Fault("repeat", f"{self.stream}: {came} came after {self.seq}"))
            self.seq = max(self.seq, came)
        if seq != self.seq:
            faults.append(Fault("gap", f"{self.stream}: said to be at {seq}, and its last event is {self.seq}"))
            self.seq = max(self.seq, seq)
        return faults
