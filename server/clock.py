"""The only source of the current time and of new ids.

One cluster clock: every process measures its offset to the clock of the MongoDB primary and keeps the sample with the
least round trip, because half of that round trip bounds the error. Between measurements it runs on the monotonic clock, so
a step of the local wall clock cannot move an auction's end.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import os
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Final, NamedTuple

import structlog

from models.rules.times import to_rfc3339
from server.background import end, run_for_ever

_SYMBOLS: Final = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base 32: no i, l, o, u, so that ids survive being read aloud."""

_PAIRS: Final = tuple(first + second for first in _SYMBOLS for second in _SYMBOLS)
"""All pairs of symbols, 10 bits each: an id is made of eleven."""

_ID_LENGTH: Final = 22
"""22 symbols of 5 bits: 110 random bits. Random rather than time-ordered, so that new streams spread over shards."""

__all__ = ["Clock", "Sample", "derived_id", "local_id", "new_id", "new_salt", "to_datetime", "to_ms", "to_rfc3339"]

log = structlog.get_logger(__name__)


class Sample(NamedTuple):
    """One reading of the reference clock. `offset_ms` is reference minus local; `error_ms` bounds it."""

    offset_ms: float
    error_ms: float
    taken: float


_TO_SYMBOLS: Final = bytes(ord(_SYMBOLS[byte & 31]) for byte in range(256))
"""For `bytes.translate`: every symbol stands for as many bytes, so random bytes give symbols as random."""

_IDS: Final = 64
_ids: Final[list[str]] = []
"""Made in advance, each given out once: asking the system each time costs more than the rest."""


def new_id() -> str:
    """A fresh, unguessable id of 22 lower-case letters and digits (110 bits)."""
    if not _ids:
        symbols = os.urandom(_ID_LENGTH * _IDS).translate(_TO_SYMBOLS).decode()
        _ids.extend(symbols[start : start + _ID_LENGTH] for start in range(0, len(symbols), _ID_LENGTH))
    return _ids.pop()


def local_id() -> str:
    """A unique id that may be guessed, for what nobody addresses: events and commands. Half as dear as `new_id`, and half as long."""
    return f"{_PROCESS}{next(_counter):x}"


def derived_id(*parts: str) -> str:
    """The same id for the same parts, for effects that must happen once however often they are tried."""
    digest = hashlib.sha256("\x00".join(parts).encode()).digest()
    bits = int.from_bytes(digest[:14], "big")
    return "".join([_PAIRS[(bits >> shift) & 1023] for shift in range(0, _ID_LENGTH * 5, 10)])


_PROCESS: Final = new_id() + "-"
_counter: Final = itertools.count(1)

_SALTS: Final = 64
_salts: Final[list[str]] = []
"""Made in advance, as ids are."""


def new_salt() -> str:
    """256 random bits as 64 hexadecimal digits, to salt a commitment."""
    if not _salts:
        digits = os.urandom(32 * _SALTS).hex()
        _salts.extend(digits[start : start + 64] for start in range(0, len(digits), 64))
    return _salts.pop()


def to_datetime(ms: int) -> datetime:
    """An aware UTC datetime for milliseconds since the epoch."""
    return datetime.fromtimestamp(ms / 1000, UTC)


def to_ms(moment: datetime) -> int:
    """Milliseconds since the epoch, rounded to nearest; a naive datetime is taken as UTC (MongoDB's are)."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)


class Clock:
    """The cluster's time in this process.

    `reference` reads the time (ms) of the MongoDB primary; without one (rules' tests, tools) the local clock is the truth.
    """

    def __init__(self, reference: Callable[[], Awaitable[float]] | None = None, *, refresh_s: float = 30.0) -> None:
        self._reference = reference
        self._refresh_s = refresh_s
        self._base_ms = time.time() * 1000 - time.monotonic() * 1000
        self._best: Sample | None = None
        self._task: asyncio.Task[None] | None = None

    def now(self) -> int:
        """Milliseconds since the epoch on the cluster's clock."""
        return self.at(time.monotonic())

    def at(self, moment: float) -> int:
        """The same for a moment of `time.monotonic()`."""
        offset = self._best.offset_ms if self._best else 0.0
        return int(moment * 1000 + self._base_ms + offset)

    def now_datetime(self) -> datetime:
        """`now()` as an aware UTC datetime."""
        return to_datetime(self.now())

    @property
    def error_bound_ms(self) -> float:
        """How far `now()` may be off: half the best round trip plus 50 ppm of drift since. 0 without a reference."""
        if self._best is None:
            return 0.0
        return self._best.error_ms + (time.monotonic() - self._best.taken) * 0.05

    async def synchronise(self, samples: int = 5) -> Sample | None:
        """Take `samples` readings and adopt the one with the least round trip, if it beats the drifted current one."""
        if self._reference is None:
            return None
        best: Sample | None = None
        for _ in range(samples):
            before = time.monotonic()
            reference_ms = await self._reference()
            after = time.monotonic()
            local_ms = (before + after) / 2 * 1000 + self._base_ms
            sample = Sample(reference_ms - local_ms, (after - before) / 2 * 1000, after)
            if best is None or sample.error_ms < best.error_ms:
                best = sample
        assert best is not None
        if self._best is None or best.error_ms <= self.error_bound_ms:
            self._best = best
        return self._best

    async def start(self) -> None:
        """Synchronise once, then keep refreshing in the background until `stop()`."""
        await self.synchronise()
        if self._reference is not None:
            self._task = run_for_ever(self._refresh, "clock")

    async def stop(self) -> None:
        """End the background refresh."""
        if self._task is not None:
            await end([self._task])
            self._task = None

    async def _refresh(self) -> None:
        while True:
            await asyncio.sleep(self._refresh_s)
            try:
                await self.synchronise()
            except Exception as error:  # the primary is away: run on, the error bound grows and is exported
                log.warning("clock.refresh_failed", error=str(error))
