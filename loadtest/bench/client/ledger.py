"""What all connections of the load count together: deliveries, refusals, faults and how late events came."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

_KEPT: Final = 4096
"""Frames whose contents are remembered; members that lag further behind parse them again."""

_FORGOTTEN: Final = b"\xff"
"""Instead of the frame of a span that is not kept any more: no frame begins with it, so nobody finds the span by it."""

_SHOWN: Final = 5
_STEPS: Final = 4000
"""Of the clock per second, for arrivals."""


@dataclass(slots=True)
class Span:
    """Consecutive events of one stream, as one frame carries them.

    Attributes:
        amounts: of the bids that they are; 0 for other events.
        sent: when these were sent, if that is noted (`Ledger.sent`), s on this process's clock.
        arrivals: how many members got them how many steps (see `Histogram`) after the clock's zero.
        frame: all bytes of the WebSocket frame that carries them, once it was read by itself.
        following: the span that somebody got next.
    """

    stream: str
    first: int
    last: int
    count: int
    amounts: Sequence[int]
    sent: Sequence[float] = ()
    arrivals: Counter[int] = field(default_factory=Counter)
    frame: bytes = b""
    following: Span | None = None

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Span:
        """The span of an `events` payload, or of the ack of a resumed subscription.

        Raises:
            ValueError: its events are not dense, or do not end where it says.
        """
        events = body["events"]
        first, last = events[0]["seq"], body["seq"]
        if [event["seq"] for event in events] != list(range(first, last + 1)):
            raise ValueError(f"{body['stream']}: {[event['seq'] for event in events]} with seq {last}")
        amounts = [event.get("amount", 0) for event in events]
        return cls(body["stream"], first, last, len(events), amounts)


class Histogram:
    """Counts per quarter of a millisecond, up to a minute."""

    STEP_S: Final = 0.00025

    def __init__(self) -> None:
        self.counts = [0] * 240_000

    def add(self, seconds: float, count: int = 1) -> None:
        """One more, or several."""
        self.counts[min(max(math.floor(seconds / self.STEP_S), 0), len(self.counts) - 1)] += count

    def percentile_ms(self, share: float) -> float:
        """0.5 gives the median, upper edge of its step; 0 if there is nothing."""
        wanted = share * sum(self.counts)
        seen = 0
        for index, count in enumerate(self.counts):
            seen += count
            if seen >= wanted and count:
                return (index + 1) * self.STEP_S * 1000
        return 0.0


class Ledger:
    """Of one load.

    Attributes:
        spans: what frames hold, by their bytes.
        received: events, over all members. frames: that brought them.
        refusals: error codes, and how many.
        faults: what broke a promise, and how often.
        sent: when the bid of an amount was sent; filled by whoever wants `late`.
    """

    def __init__(self) -> None:
        self.spans: dict[bytes, Span] = {}
        self.received = 0
        self.frames = 0
        self.refusals: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.sent: dict[int, float] = {}
        self._late = Histogram()

    def parse(self, payload: bytes, start: int) -> Span:
        """The span in a frame that nobody saw before; remembered by its bytes."""
        try:
            span = Span.of(orjson.loads(payload[start:-1]))
        except (ValueError, KeyError, IndexError) as error:
            self.fault(str(error))
            return Span("", 0, 0, 0, ())
        if self.sent:
            span.sent = [self.sent[amount] for amount in span.amounts if amount in self.sent]
        if len(self.spans) >= _KEPT:
            for old in list(self.spans)[: _KEPT // 2]:
                gone = self.spans.pop(old)
                self._settle(gone)
                gone.frame = _FORGOTTEN
        self.spans[payload] = span
        return span

    def take(self, span: Span) -> None:
        """A member got it."""
        self.received += span.count
        self.frames += 1
        if span.sent:
            span.arrivals[int(time.perf_counter() * _STEPS)] += 1

    def late(self) -> Histogram:
        """From sending to receipt, one entry per event and member; only of events in `sent`."""
        for span in self.spans.values():
            self._settle(span)
        return self._late

    def _settle(self, span: Span) -> None:
        """Enter what was noted once per frame for each of its events."""
        for step, members in span.arrivals.items():
            for sent in span.sent:
                self._late.add((step + 1) / _STEPS - sent, members)
        span.arrivals.clear()

    def refused(self, answer: bytes) -> None:
        """A command was refused."""
        self.refusals[orjson.loads(answer)[0]["error"]["code"]] += 1

    def fault(self, what: str) -> None:
        """Something that must not be."""
        if len(self.faults) < _SHOWN or what in self.faults:
            self.faults[what] += 1
        else:
            self.faults["and others"] += 1
