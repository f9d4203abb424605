"""The port between instances: the fast path of delivery, never the truth. What it loses is read from the store."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

OnEvents = Callable[[str, bytes], None]
"""(stream, packed events): called in the order of publication as far as the bus keeps it."""


class Bus(Protocol):
    """Publications per stream; interest only where somebody watches."""

    @property
    def up(self) -> bool:
        """Whether publications are expected to arrive now."""
        ...

    def listen(self, on_events: OnEvents, on_up: Callable[[], None]) -> None:
        """Set who is told of publications, and of the bus having come (back) up."""
        ...

    async def watch(self, stream: str) -> None:
        """Have publications of the stream arrive from when this returns; returns at once while the bus is down."""
        ...

    def unwatch(self, stream: str) -> None:
        """End the interest."""
        ...

    def send(self, stream: str, packed: bytes) -> None:
        """Send to the other instances' watchers, without waiting; dropped while the bus is down."""
        ...


class MemoryBus:
    """The memory twin: instances in one process, joined by one `MemoryBus.Exchange`. `up` can be switched in tests."""

    class Exchange:
        """What connects the buses of one test's instances."""

        def __init__(self) -> None:
            self.members: list[MemoryBus] = []

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._watched: set[str] = set()
        self._up = True
        self._on_events: OnEvents | None = None
        self._on_up: Callable[[], None] | None = None
        exchange.members.append(self)

    @property
    def up(self) -> bool:
        """See Bus."""
        return self._up

    @up.setter
    def up(self, up: bool) -> None:
        came_back = up and not self._up
        self._up = up
        if came_back and self._on_up is not None:
            self._on_up()

    def listen(self, on_events: OnEvents, on_up: Callable[[], None]) -> None:
        """See Bus."""
        self._on_events, self._on_up = on_events, on_up

    async def watch(self, stream: str) -> None:
        """See Bus."""
        self._watched.add(stream)

    def unwatch(self, stream: str) -> None:
        """See Bus."""
        self._watched.discard(stream)

    def send(self, stream: str, packed: bytes) -> None:
        """See Bus."""
        if not self._up:
            return
        for member in self._exchange.members:
            if member is not self and member.up and stream in member._watched and member._on_events is not None:
                member._on_events(stream, packed)
