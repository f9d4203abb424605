"""Which sessions are revoked, as far as this process and Redis know.

Access tokens are stateless, so logging out puts the session on a list in Redis until the last token issued for it has
expired. Besides, each process remembers every revocation it hears of (`server.auth.revocation`).

With Redis away nothing that is validly signed is refused for that reason alone: an outage of the cache must not lock everybody
out. What the process remembers still counts, each unchecked token is counted in a metric, and the outage is logged.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Final, Protocol

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from server.clock import Clock
from server.metrics import AUTH_UNCHECKED

LONGEST_S: Final = 604_800
"""No entry outlives the longest life that a token may be given."""

_MARGIN_S: Final = 60
"""A token may still be issued while its session is being revoked."""

_TOGETHER: Final = 200
"""Sessions asked for at a time."""

_LOG_EVERY_S: Final = 10.0
_PRUNE_EVERY_S: Final = 60.0

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


class Denylist:
    """Revoked sessions: Redis for the cluster, a dictionary for this process.

    Args:
        link: the way to Redis.
        clock: the cluster's clock.
        lifetime_s: how long an access token lives, so how long an entry matters.
    """

    def __init__(self, link: RedisSource, clock: Clock, lifetime_s: int) -> None:
        self._link = link
        self._clock = clock
        self.lifetime_s = min(lifetime_s + _MARGIN_S, LONGEST_S)
        self._known: dict[str, int] = {}
        self._pruned = time.monotonic()
        self._logged = -_LOG_EVERY_S
        self._waiting: list[tuple[str, asyncio.Future[bool | None]]] = []
        self._asking: asyncio.Task[None] | None = None

    def remember(self, session: str) -> bool:
        """Note that a session is revoked; False if that was known."""
        self._prune()
        new = session not in self._known
        self._known[session] = self._clock.now() + self.lifetime_s * 1000
        return new

    def remembers(self, session: str) -> bool:
        """Whether this process knows that the session is revoked."""
        return session in self._known

    async def denies(self, session: str) -> bool:
        """Whether the session is revoked, as far as Redis or this process knows. Never raises."""
        if session in self._known:
            return True
        if not self._link.up:
            self._unchecked("Redis is down")
            return False
        found = await self._ask(session)
        if found:
            self.remember(session)
        return bool(found)

    async def deny(self, session: str) -> None:
        """Put a session on the list. With Redis down only this process knows; `Revocations` tells the others."""
        self.remember(session)
        if not self._link.up:
            return
        try:
            await self._link.client.set(_entry(session), b"1", ex=self.lifetime_s)
        except (RedisError, OSError, TimeoutError) as error:
            log.warning("denylist.write_failed", error=str(error))

    async def _ask(self, session: str) -> bool | None:
        """What Redis says; None: nothing. Those who ask while an answer is under way share the next question: when thousands come
        back at once, a round trip for each would cost more than all the rest of their welcome.
        """
        answer: asyncio.Future[bool | None] = asyncio.get_running_loop().create_future()
        self._waiting.append((session, answer))
        if self._asking is None:
            self._asking = asyncio.create_task(self._answer_all(), name="denylist")
        return await answer

    async def _answer_all(self) -> None:
        some: list[tuple[str, asyncio.Future[bool | None]]] = []
        try:
            while self._waiting:
                some, self._waiting = self._waiting[:_TOGETHER], self._waiting[_TOGETHER:]
                answers = await self._look_up([session for session, _ in some])
                for (_, waiting), answer in zip(some, answers, strict=True):
                    if not waiting.done():  # its caller may be gone
                        waiting.set_result(answer)
        finally:
            self._asking = None
            for _, waiting in (*some, *self._waiting):  # only after a failure is there anybody
                waiting.cancel()
            self._waiting.clear()

    async def _look_up(self, sessions: Sequence[str]) -> Sequence[bool | None]:
        try:
            found = await self._link.client.mget([_entry(session) for session in sessions])
            return [entry is not None for entry in found]
        except (RedisError, OSError, TimeoutError) as error:
            for _ in sessions:
                self._unchecked(str(error))
            return [None] * len(sessions)

    def _unchecked(self, reason: str) -> None:
        AUTH_UNCHECKED.inc()
        now = time.monotonic()
        if now - self._logged >= _LOG_EVERY_S:
            self._logged = now
            log.warning("denylist.unchecked", reason=reason)

    def _prune(self) -> None:
        now = time.monotonic()
        if now - self._pruned < _PRUNE_EVERY_S:
            return
        self._pruned = now
        moment = self._clock.now()
        self._known = {session: until for session, until in self._known.items() if until > moment}


def _entry(session: str) -> str:
    # Redis Cluster keeps them all together (`{}`), so that one question can ask about many.
    return f"rialto:{{denied}}:{session}"
