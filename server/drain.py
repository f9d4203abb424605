"""How a process comes to its end: asked by a signal, hurried by another, and over in time whatever hangs."""

from __future__ import annotations

import asyncio
import math
import os
import signal
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import suppress
from typing import Final, TypeVar

import structlog

log = structlog.get_logger(__name__)

T = TypeVar("T")

LEAVING_SHARE: Final = 0.8
"""Of the time for a drain, for clients to leave; the rest is for closing what is left."""

_CLOSING_SHARE: Final = 0.1
"""Of the same time, what stays when requests are given up: for leases, connections and logs."""

_HURRY_S: Final = 2.0
"""For closing when nobody wants to wait."""

_SAME_REQUEST_S: Final = 1.0
"""Signals this close together are one request: `timeout` and Ctrl-C may reach a process directly and through its parent."""

_INTERVAL_S: Final = 0.1


class Shutdown:
    """The end of this process. SIGTERM or SIGINT ask for it, a second one cuts it short.

    From the first signal on a thread watches the time, since what must end may hang, the event loop included.

    Args:
        limit_s: from the first signal to the end at the latest.

    Attributes:
        asked: set by the first signal.
        serving: whether there is anything to drain; before that a signal ends the process soon.
    """

    def __init__(self, limit_s: float) -> None:
        self.asked = asyncio.Event()
        self.serving = False
        self._limit_s = limit_s
        self._hurried = asyncio.Event()
        self._asked_at = math.inf
        self._ends_at = math.inf
        self._watch: threading.Timer | None = None

    def listen(self) -> None:
        """Take the signals of this process."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.ask)

    def ask(self) -> None:
        """What a signal does."""
        now = time.monotonic()
        if not self.asked.is_set():
            self._asked_at = now
            self.asked.set()
            self._end_within(self._limit_s if self.serving else min(self._limit_s, _HURRY_S))
        elif now - self._asked_at >= _SAME_REQUEST_S and not self._hurried.is_set():
            log.info("drain.cut_short")
            self._hurried.set()
            self._end_within(min(self.left_s, _HURRY_S))

    @property
    def left_s(self) -> float:
        """Seconds until the process ends in any case."""
        return min(self._limit_s, max(0.0, self._ends_at - time.monotonic()))

    async def while_patient(self, work: Awaitable[object]) -> None:
        """Wait for what clients may take their time for, unless the process is hurried."""
        task = asyncio.ensure_future(work)
        hurried = asyncio.create_task(self._hurried.wait())
        try:
            await asyncio.wait({task, hurried}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in (task, hurried):
                one.cancel()
            await asyncio.wait({task, hurried})
        if not task.cancelled():
            task.result()

    async def while_time(self, work: Awaitable[object]) -> None:
        """Wait for work, but leave some of the time for what must come after it."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self.left_s - min(_CLOSING_SHARE * self._limit_s, self.left_s / 2)):
                await work

    def _end_within(self, seconds: float) -> None:
        """Watch from a thread that is never called off: even what comes after the event loop may hang."""
        if self._watch is not None:
            self._watch.cancel()
        self._ends_at = time.monotonic() + seconds
        self._watch = threading.Timer(seconds, _end_at_once)
        self._watch.daemon = True
        self._watch.start()


def _end_at_once() -> None:
    """End without another word to anybody. What was acknowledged is durable; leases and sessions of others' care run out."""
    log.error("drain.out_of_time")
    os._exit(1)


async def paced(items: Sequence[T], over_s: float) -> AsyncIterator[Sequence[T]]:
    """The items in equal batches, ten a second at most, spread over `over_s` seconds."""
    batches = max(1, min(len(items), int(over_s / _INTERVAL_S)))
    size = max(1, math.ceil(len(items) / batches))
    for start in range(0, len(items), size):
        if start:
            await asyncio.sleep(over_s * size / len(items))
        yield items[start : start + size]
