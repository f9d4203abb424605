"""How every instance learns within a second that a session has ended.

The truth is `revoked_at` of the session's document. The fast way is a message on a Redis channel; messages can be lost, so each
process also reads the recently revoked sessions from MongoDB: twice a second while Redis is down, now and then otherwise. On
start it reads all that could still have a valid token.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, Protocol

import orjson
import structlog
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import PyMongoError
from redis.exceptions import RedisError

from server.auth.denylist import Denylist
from server.background import end, run_for_ever
from server.clock import Clock
from server.metrics import AUTH_REVOCATIONS

CHANNEL: Final = "rialto:control"

_OVERLAP_MS: Final = 10_000
"""Each look reaches this far behind the one before: `revoked_at` is stamped before the write is visible."""

_SETTLE_MS: Final = 2_000
"""After Redis is back, messages may still be missed for a moment: subscriptions return one by one."""

log = structlog.get_logger(__name__)


class ControlLink(Protocol):
    """The part of `server.streams.redis_link.RedisLink` that is used here."""

    @property
    def up(self) -> bool:
        """Whether Redis answered when last asked."""
        ...

    async def publish(self, channel: str, message: bytes) -> None:
        """Publish on a plain channel; raises RedisError or OSError when Redis did not take it."""
        ...

    def on_message(self, channel: str, callback: Callable[[bytes], None]) -> None:
        """Call back with each message on a plain channel."""
        ...


class Revocations:
    """Spreads revocations and acts on them.

    Args:
        sessions: the collection of `models.session.Session`.
        link: the way to Redis.
        clock: the cluster's clock.
        denylist: where revoked sessions are remembered.
        close_session: closes every socket of a session on this instance.
        poll_s, poll_degraded_s: seconds between two looks at MongoDB, with Redis up and down.
    """

    def __init__(
        self,
        sessions: AsyncCollection[dict[str, Any]],
        link: ControlLink,
        clock: Clock,
        denylist: Denylist,
        close_session: Callable[[str], object],
        *,
        poll_s: float = 5.0,
        poll_degraded_s: float = 0.4,
    ) -> None:
        self._sessions = sessions
        self._link = link
        self._clock = clock
        self._denylist = denylist
        self._close_session = close_session
        self._poll_s = poll_s
        self._poll_degraded_s = poll_degraded_s
        self._seen_ms = 0
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen, learn what is revoked already, and keep looking in the background until `stop()`."""
        self._link.on_message(CHANNEL, self._received)
        self._seen_ms = self._clock.now() - self._denylist.lifetime_s * 1000
        await self._look()
        self._task = run_for_ever(self._poll, "revocations")

    async def stop(self) -> None:
        """End the background look."""
        if self._task is not None:
            await end([self._task])
            self._task = None

    async def announce(self, *sessions: str) -> None:
        """Tell everybody that sessions, revoked in MongoDB before this call, have ended. Never raises for Redis."""
        for session in sessions:
            self._end(session, "local")
            await self._denylist.deny(session)
            try:
                await self._link.publish(CHANNEL, orjson.dumps({"revoke_session": session}))
            except (RedisError, OSError, TimeoutError) as error:  # other instances learn of it from MongoDB
                log.warning("revocations.not_published", error=str(error))

    def _received(self, message: bytes) -> None:
        try:
            session = orjson.loads(message)["revoke_session"]
        except (ValueError, KeyError, TypeError):
            return  # another kind of control message
        if isinstance(session, str):
            self._end(session, "redis")

    def _end(self, session: str, source: str) -> None:
        if not self._denylist.remember(session):
            return
        AUTH_REVOCATIONS.labels(source).inc()
        self._close_session(session)

    async def _poll(self) -> None:
        last_down_ms = 0
        while True:
            await asyncio.sleep(self._poll_degraded_s)
            now = self._clock.now()
            if not self._link.up:
                last_down_ms = now
            settled = now - last_down_ms > _SETTLE_MS
            if settled and now - self._seen_ms < self._poll_s * 1000:
                continue
            try:
                await self._look()
            except PyMongoError as error:
                log.warning("revocations.look_failed", error=str(error))

    async def _look(self) -> None:
        moment = self._clock.now()
        cursor = self._sessions.find({"revoked_at": {"$gte": self._seen_ms - _OVERLAP_MS}}, {"_id": 1})
        async for document in cursor:
            self._end(document["_id"], "database")
        self._seen_ms = moment
