"""The market's time, as a client learns it by `sync_time`."""

from __future__ import annotations

import time
from typing import Final

_FORGETS_MS_PER_S: Final = 0.05
"""How much less a measurement is trusted with every second of its age: clocks drift."""


class MarketClock:
    """Keeps the measurement with the least round trip; one for all clients of a process, since they share its clock."""

    def __init__(self) -> None:
        self.offset_ms = 0.0
        self._round_trip_ms = float("inf")
        self._learnt_at = 0.0

    @property
    def known(self) -> bool:
        """Whether there was a measurement."""
        return self._learnt_at > 0

    def now(self) -> float:
        """The market's time, ms."""
        return time.time() * 1000 + self.offset_ms

    def learn(self, t0: float, t1: float, t2: float, t3: float) -> None:
        """Sent, received there, answered there, received: ms, the first and the last on this clock."""
        round_trip_ms = (t3 - t0) - (t2 - t1)
        now = time.monotonic()
        if round_trip_ms <= self._round_trip_ms + (now - self._learnt_at) * _FORGETS_MS_PER_S:
            self._round_trip_ms, self._learnt_at = round_trip_ms, now
            self.offset_ms = ((t1 - t0) + (t2 - t3)) / 2
