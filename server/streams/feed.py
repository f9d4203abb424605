"""The subscribers of one stream on this instance, and what is on its way to them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import orjson

from server.streams import metrics
from server.streams.event import Batch, PublicEvent, Signal
from server.streams.kinds import Companion

CHUNK: Final = 500
"""Events in one delivery at most."""

SLICE: Final = 1_000
"""Subscribers served at a stretch: some 5 ms, the sending included; then everything else has its turn."""

RECENT: Final = 1_000
"""Events that are kept for those who come back."""

_KEPT_S: Final = 30.0
"""How long they are kept after the last of those."""

_REST_FROM_S: Final = 0.000_5
"""Shorter rests between deliveries are not worth a timer."""


class Sink(Protocol):
    """A subscriber of one stream."""

    def deliver(self, batch: Batch) -> None:
        """Take the next events of the stream. Must neither block nor raise."""
        ...

    def signal(self, signal: Signal) -> None:
        """Take something ephemeral, or leave it. Must neither block nor raise."""
        ...

    async def permitted(self) -> bool:
        """Whether the reader may still read. Raises AppError UNAVAILABLE when that can't be told now."""
        ...

    def close(self, reason: str) -> None:
        """Nothing follows: the reader may not read any more."""
        ...


@dataclass(eq=False, slots=True)
class _Delivery:
    """A batch on its way to those who were there when it set out. `done`: how many of them have had their turn."""

    batch: Batch
    recipients: list[tuple[Sink, int]]
    began: float
    done: int = 0

    @property
    def complete(self) -> bool:
        """Whether all have."""
        return self.done >= len(self.recipients)


@dataclass(eq=False, slots=True)
class Feed:
    """One stream here.

    A batch goes to its recipients in slices, with a turn of the loop for others between them. How long that took, in which the
    rest of the load has its share, says how long events may gather before the next: on an idle instance nothing waits.

    Attributes:
        stream: its name.
        tick_s: how long events may gather at most, unless a delivery takes even longer; 0: not at all.
        companion: what goes with each batch.
        seq: the last seq taken in; -1 until the feed has been opened.
        sinks: subscribers, and the seq after which each gets events.
        users: callers that are about to subscribe.
        early: events that came before the feed was opened.
        torn: whether another gap showed itself while one is being filled.
        unsure: whether the last event may have taken somebody's right to read: nothing is handed on until all have been asked.
        quiet: whether nothing has come since the last anti-entropy read.
        recalling: reads recent events for those who come back.
    """

    stream: str
    tick_s: float
    companion: Companion | None
    seq: int = -1
    sinks: dict[Sink, int] = field(default_factory=dict)
    users: int = 0
    early: list[PublicEvent] = field(default_factory=list)
    opening: asyncio.Task[None] | None = None
    repairing: asyncio.Task[None] | None = None
    torn: bool = False
    unsure: bool = False
    quiet: bool = True
    linger: asyncio.TimerHandle | None = None
    recalling: asyncio.Task[None] | None = None
    _recent: list[PublicEvent] | None = None
    _recalled: float = 0.0
    _pending: list[PublicEvent] = field(default_factory=list)
    _delivery: _Delivery | None = None
    _rest: asyncio.TimerHandle | None = None

    @property
    def tasks(self) -> list[asyncio.Task[None]]:
        """What is under way for it."""
        return [task for task in (self.opening, self.repairing, self.recalling) if task is not None]

    def since(self, seq: int) -> list[PublicEvent] | None:
        """The events behind `seq` up to the feed's own, if they are kept. When an instance dies thousands ask for the same few."""
        recent = self._recent
        if not recent or recent[0].seq > seq + 1:
            return None
        self._recalled = asyncio.get_running_loop().time()
        return recent[seq + 1 - recent[0].seq :]

    def recall(self, events: Sequence[PublicEvent]) -> None:
        """Keep recent events from now on, beginning with these, which were read from the store."""
        recent = self._recent or []
        end = recent[0].seq if recent else self.seq + 1
        older = [event for event in events if event.seq < end]
        if older and older[-1].seq == end - 1:
            self._recent = older + recent
            self._recalled = asyncio.get_running_loop().time()

    def deliver(self, events: Sequence[PublicEvent]) -> None:
        """Hand events on to those who subscribe now, soon and in order."""
        if self._recent is not None:
            self._recent += events
            if asyncio.get_running_loop().time() > self._recalled + _KEPT_S:
                self._recent = None
            elif len(self._recent) > 2 * RECENT:
                del self._recent[:-RECENT]
        if self.sinks:
            self._pending += events
            if self._delivery is None and self._rest is None:
                self._set_out()

    def complete(self) -> None:
        """Hand on at once what is still on its way or gathering."""
        while self._delivery is not None or self._pending:
            if self._delivery is None:
                self._set_out()
            else:
                self._hand_on(self._delivery)
            if self._delivery is not None and self._delivery.complete:
                self._delivery = None

    def signal(self, signal: Signal) -> None:
        """Hand on something ephemeral."""
        self._signal_some(signal, list(self.sinks))

    def stop(self) -> None:
        """Drop what is on its way, and all subscribers."""
        for timer in (self.linger, self._rest):
            if timer is not None:
                timer.cancel()
        self._delivery = None
        self._pending.clear()
        self.sinks.clear()

    def _set_out(self) -> None:
        loop = asyncio.get_running_loop()
        events, self._pending = self._pending[:CHUNK], self._pending[CHUNK:]
        metrics.DELIVERED.inc(len(events) * len(self.sinks))
        self._delivery = _Delivery(Batch(self.stream, events), list(self.sinks.items()), loop.time())
        self._hand_on(self._delivery)
        loop.call_soon(self._go_on, self._delivery)

    def _go_on(self, delivery: _Delivery) -> None:
        if delivery is not self._delivery:
            return  # it was completed at one go meanwhile
        loop = asyncio.get_running_loop()
        if not delivery.complete:
            self._hand_on(delivery)
            loop.call_soon(self._go_on, delivery)
            return
        self._delivery = None
        took = loop.time() - delivery.began
        rest = min(2 * took, max(took, self.tick_s)) if self.tick_s else 0.0
        if rest >= _REST_FROM_S:
            self._rest = loop.call_later(rest, self._rested)
        elif self._pending:
            self._set_out()

    def _rested(self) -> None:
        self._rest = None
        if self._pending and self._delivery is None:
            self._set_out()

    def _hand_on(self, delivery: _Delivery) -> None:
        """Give the batch to the next slice of its recipients."""
        batch, begin = delivery.batch, delivery.done
        first = batch.events[0].seq
        delivery.done = begin + SLICE
        for sink, joined in delivery.recipients[begin : begin + SLICE]:
            if begin and sink not in self.sinks:
                continue  # it left while others had their turn
            if joined < first:
                sink.deliver(batch)
            elif joined < batch.seq:  # it came while these events were gathering
                sink.deliver(batch.after(joined))
        if delivery.complete and self.companion is not None:
            beside = self.companion(batch.events[-1].wire)
            if beside is not None:
                self.signal(Signal(self.stream, beside[0], orjson.dumps(beside[1])))

    def _signal_some(self, signal: Signal, sinks: list[Sink]) -> None:
        for sink in sinks[:SLICE]:
            if sink in self.sinks:
                sink.signal(signal)
        if len(sinks) > SLICE:
            asyncio.get_running_loop().call_soon(self._signal_some, signal, sinks[SLICE:])
