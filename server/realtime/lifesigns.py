"""What this process vouches for in Redis: entries of sorted sets whose score is the time until which they hold.

An entry is written when it is first wanted, renewed while it is, and taken back when it is wanted no more; what a process leaves
behind when it dies lapses by itself. Nothing here blocks or raises: with Redis away nothing is written, and once it is back
everything that is wanted then is.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from typing import Final, NamedTuple, Protocol

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from server.background import end, is_cancelled
from server.clock import Clock

FAULTS: Final = (RedisError, OSError, TimeoutError)
"""What a command to Redis may raise."""

EXPIRY_S: Final = 30.0

_RETRY_S: Final = 0.5
_PIPELINE: Final = 500

log = structlog.get_logger(__name__)


class RedisSource(Protocol):
    """The part of `server.streams.redis_link.RedisLink` that is used here."""

    @property
    def client(self) -> Redis:
        """The shared client."""
        ...

    @property
    def up(self) -> bool:
        """Whether Redis answered when last asked."""
        ...


class Entry(NamedTuple):
    """A member of a sorted set."""

    key: str
    member: str


class LifeSigns:
    """Entries kept alive by this process. An entry may be wanted several times; it is given back with the last `drop`.

    Args:
        name: for logs.
        expiry_s: how long an entry holds without renewal; it is renewed three times as often.
        linger_s: how long after it was dropped an entry is taken back, unless it is wanted again by then.
        trail_s: how long what lapsed or was taken back can still be found, by the time at which it did.
        kept_s: None: what lapsed is removed. Else the set is kept so long after the last change, and the greatest score of what
            lapsed says when that was.
        written: called with the entries that were written for the first time or taken back, once Redis has them.
    """

    def __init__(
        self,
        name: str,
        link: RedisSource,
        clock: Clock,
        *,
        expiry_s: float = EXPIRY_S,
        linger_s: float = 0.0,
        trail_s: float = 0.0,
        kept_s: float | None = None,
        written: Callable[[Collection[Entry]], None] | None = None,
    ) -> None:
        self._name = name
        self._link = link
        self._clock = clock
        self._expiry_s = expiry_s
        self._linger_s = linger_s
        self._trail_ms = round(trail_s * 1000)
        self._kept_s = kept_s
        self._written = written
        self._wanted: Counter[Entry] = Counter()
        self._changed: dict[Entry, float] = {}
        self._complete = True
        self._renew_at = 0.0
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def __contains__(self, entry: object) -> bool:
        return entry in self._wanted

    @property
    def idle(self) -> bool:
        """Whether there is nothing to keep alive or to take back."""
        return self._task is None

    def add(self, entry: Entry) -> None:
        """Keep an entry alive from now on."""
        self._wanted[entry] += 1
        if self._wanted[entry] > 1:
            return
        self._changed[entry] = 0.0
        self._wake.set()
        if self._task is None:
            loop = asyncio.get_running_loop()
            self._renew_at = loop.time() + self._expiry_s / 3
            self._task = loop.create_task(self._run(), name=self._name)

    def drop(self, entry: Entry) -> None:
        """Want an entry once less."""
        self._wanted[entry] -= 1
        if self._wanted[entry] > 0:
            return
        del self._wanted[entry]
        self._changed[entry] = asyncio.get_running_loop().time() + self._linger_s
        self._wake.set()

    async def stop(self) -> None:
        """End the background work. What was dropped and does not linger is taken back, the rest lapses."""
        if self._task is None:
            return
        await end([self._task])
        self._task = None
        try:
            await self._write()
        except FAULTS as error:
            log.info("lifesigns.not_written", of=self._name, error=str(error))

    async def _run(self) -> None:
        while self._wanted or self._changed:
            try:
                await self._pause()
                await self._write()
            except asyncio.CancelledError:
                if is_cancelled():
                    raise
            except FAULTS as error:
                log.info("lifesigns.not_written", of=self._name, error=str(error))
            except Exception:
                log.exception("lifesigns.failed", of=self._name)
        self._complete = True
        self._task = None

    async def _pause(self) -> None:
        """Until there may be something to write."""
        if not self._complete:
            await asyncio.sleep(_RETRY_S)
            return
        until = min(self._renew_at, *self._changed.values()) if self._changed else self._renew_at
        try:
            async with asyncio.timeout_at(until):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _write(self) -> None:
        self._wake.clear()
        now = asyncio.get_running_loop().time()
        if not self._link.up:
            self._complete = False
        if not self._complete:
            # What is to be taken back lapses by itself; what is wanted is written as if it were new.
            self._changed = dict.fromkeys(self._wanted, 0.0)
            self._complete = self._link.up
            if not self._complete:
                self._changed.clear()
                return
        due = [entry for entry, at in self._changed.items() if at <= now]
        for entry in due:
            del self._changed[entry]
        self._complete = False
        if now >= self._renew_at:
            self._renew_at = now + self._expiry_s / 3
            await self._send([*self._wanted, *(entry for entry in due if entry not in self._wanted)])
        else:
            await self._send(due)
        self._complete = True
        if due and self._written is not None:
            self._written(due)

    async def _send(self, entries: Sequence[Entry]) -> None:
        by_key: dict[str, list[str]] = {}
        for entry in entries:
            by_key.setdefault(entry.key, []).append(entry.member)
        keys = list(by_key)
        for start in range(0, len(keys), _PIPELINE):
            now = self._clock.now()
            async with self._link.client.pipeline(transaction=False) as pipeline:
                for key in keys[start : start + _PIPELINE]:
                    scores = {member: self._score(Entry(key, member), now) for member in by_key[key]}
                    pipeline.zadd(key, scores)
                    self._tidy(pipeline, key, max(scores.values()), now)
                await pipeline.execute()

    def _score(self, entry: Entry, now: int) -> int:
        return now + round(self._expiry_s * 1000) if entry in self._wanted else now

    def _tidy(self, pipeline: Redis, key: str, highest: int, now: int) -> None:
        if self._kept_s is None:
            pipeline.zremrangebyscore(key, "-inf", now - self._trail_ms)
            pipeline.pexpire(key, round(self._expiry_s * 1000) + self._trail_ms)
        else:
            if highest > now:  # one that holds: nobody needs to know how long the others did
                pipeline.zremrangebyscore(key, "-inf", now)
            pipeline.pexpire(key, round(self._kept_s * 1000))
