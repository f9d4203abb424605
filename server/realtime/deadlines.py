"""Deadlines of very many connections on very few timers: a timer of its own for each would cost more than the connection's state."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Deadlines(Generic[Item]):
    """Items that are all given the same time, kept in the order in which it ends: one timer, for the first of them.

    Args:
        delay_s: time between `add` and `expired`.
        expired: called with each item whose time is up and that was not discarded before.
    """

    __slots__ = ("_due", "_emptied", "_expired", "_timer", "delay_s")

    def __init__(self, delay_s: float, expired: Callable[[Item], None]) -> None:
        self.delay_s = delay_s
        self._expired = expired
        self._due: dict[Item, float] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._emptied: asyncio.Event | None = None

    def __contains__(self, item: object) -> bool:
        return item in self._due

    def __len__(self) -> int:
        return len(self._due)

    def add(self, item: Item) -> None:
        """Give the item its time, anew if it has some left."""
        loop = asyncio.get_running_loop()
        self._due.pop(item, None)  # so that it goes to the end
        due = self._due[item] = loop.time() + self.delay_s
        if self._timer is None:
            self._timer = loop.call_at(due, self._expire)

    def discard(self, item: Item) -> None:
        """Take the item away; nothing happens if it isn't there."""
        self._due.pop(item, None)
        if self._emptied is not None and not self._due:
            self._emptied.set()

    async def emptied(self) -> None:
        """Return when no item is left, each having been discarded or expired."""
        if self._due:
            self._emptied = asyncio.Event()
            await self._emptied.wait()

    def _expire(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = None
        now = loop.time() + _TOLERANCE_S
        late = []
        for item, due in self._due.items():
            if due > now:
                break
            late.append(item)
        for item in late:
            if self._due.get(item, now + 1) <= now:  # it may have been discarded or renewed on account of one before it
                del self._due[item]
                self._expired(item)
        if self._emptied is not None and not self._due:
            self._emptied.set()
        if self._due and self._timer is None:
            self._timer = loop.call_at(next(iter(self._due.values())), self._expire)


_TOLERANCE_S = 0.001
"""A timer may be up to a tick of the loop's clock early."""


class Alarms(Generic[Item]):
    """Items each with a time of its own, to the second; an item is told soon after it.

    Args:
        now: the time in ms.
        ring: called with each item whose time has come and that was not discarded before.
    """

    __slots__ = ("_now", "_ring", "_seconds", "_timer")

    def __init__(self, now: Callable[[], int], ring: Callable[[Item], None]) -> None:
        self._now = now
        self._ring = ring
        self._seconds: dict[int, dict[Item, None]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def add(self, item: Item, at_ms: int) -> None:
        """Ring for the item once the time is `at_ms`."""
        self._seconds.setdefault(_second(at_ms), {})[item] = None
        if self._timer is None:
            self._look_again()

    def discard(self, item: Item, at_ms: int) -> None:
        """Take away what was added with the same time; nothing happens if it isn't there."""
        second = _second(at_ms)
        items = self._seconds.get(second)
        if items is not None:
            items.pop(item, None)
            if not items:
                del self._seconds[second]

    def _look_again(self) -> None:
        # Once a second rather than at the next time: the clock of the cluster may be corrected meanwhile.
        self._timer = asyncio.get_running_loop().call_later(1.0 - self._now() % 1000 / 1000, self._look)

    def _look(self) -> None:
        self._timer = None
        now = self._now() // 1000
        for second in [second for second in self._seconds if second <= now]:
            for item in self._seconds.pop(second):
                self._ring(item)
        if self._seconds and self._timer is None:
            self._look_again()


def _second(at_ms: int) -> int:
    return -(-at_ms // 1000)
