"""Who is online, on any device and instance, told to those who watch a stream in common with them.

A user is online while some process vouches for it in Redis (`server.realtime.lifesigns`): one sorted set per user, a member per
process, whose score is the time until which that holds. The greatest score answers everything: in the future it means online, in
the past it is when the user was last seen.

Each instance knows which streams are watched here and who their members are. It reads those users' sets every few seconds, and at
once when a process announces on a channel that somebody came or went, and tells its own watchers what has changed. All of this
is in Redis: without it users of this instance are known, others stay as they were.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, NamedTuple, Protocol

import orjson
import structlog
from redis.asyncio import Redis

from server.background import end, is_cancelled
from server.clock import Clock, new_id, to_rfc3339
from server.errors import AppError
from server.realtime import frames
from server.realtime.connection import Connection
from server.realtime.frames import Frame
from server.realtime.lifesigns import EXPIRY_S, FAULTS, Entry, LifeSigns
from server.streams.event import Batch, Signal
from server.streams.streams import Streams

POLL_S: Final = 3.0
GRACE_S: Final = 2.0
"""How long somebody stays online after the last connection has ended: pages are reloaded, instances restarted."""

_KEY: Final = "rialto:presence:"
_CHANNEL: Final = "rialto:presence"
_KEPT_S: Final = 30 * 86_400
_PIPELINE: Final = 500
_ANNOUNCED_AT_ONCE: Final = 1_000

log = structlog.get_logger(__name__)


class PresenceLink(Protocol):
    """The part of `server.streams.redis_link.RedisLink` that is used here."""

    @property
    def client(self) -> Redis:
        """The shared client."""
        ...

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


class Seen(NamedTuple):
    """Whether a user is online; if not, when it last was (ms), as far as that is remembered."""

    online: bool
    last_seen: int | None = None

    def to_json(self, user: str) -> dict[str, Any]:
        """`{user, online, last_seen}`, `last_seen` being RFC 3339, or null while online or unknown."""
        seen = None if self.last_seen is None else to_rfc3339(self.last_seen)
        return {"user": user, "online": self.online, "last_seen": seen}


_NEVER: Final = Seen(False)


@dataclass(eq=False)
class _Audience:
    """Those who watch a stream here, and its members. It is a sink of the stream, to learn when they change."""

    stream: str
    moved_by: tuple[bytes, ...]
    moved: Callable[[], None]
    connections: dict[Connection, None] = field(default_factory=dict)
    members: frozenset[str] = frozenset()
    stale: bool = True
    attached: bool = False

    def deliver(self, batch: Batch) -> None:
        """See `server.streams.hub.Sink`."""
        if not self.stale and any(mark in event.wire for event in batch.events for mark in self.moved_by):
            self.stale = True
            self.moved()

    def signal(self, signal: Signal) -> None:
        """See `server.streams.hub.Sink`."""

    async def permitted(self) -> bool:
        """See `server.streams.hub.Sink`."""
        return True

    def close(self, reason: str) -> None:
        """See `server.streams.hub.Sink`."""


class Presence:
    """An observer of a namespace: its connections make users online, and are told of others.

    Args:
        members: the users of a stream, of its folded state, who may be known to all that read it.
        kind: of the streams whose members matter.
        moved_by: types of events that may change `members`.
        poll_s: seconds between two looks at everybody who matters here.
        expiry_s: how long a user stays online whose instance has died. grace_s: after its last connection ended.
    """

    def __init__(
        self,
        link: PresenceLink,
        clock: Clock,
        streams: Streams,
        members: Callable[[Any], Iterable[str]],
        *,
        kind: str = "room",
        moved_by: Iterable[str] = ("opened", "member_added", "member_removed"),
        poll_s: float = POLL_S,
        expiry_s: float = EXPIRY_S,
        grace_s: float = GRACE_S,
    ) -> None:
        self._link = link
        self._clock = clock
        self._streams = streams
        self._members = members
        self._kind = kind
        self._moved_by = tuple(b'"type":"%b"' % type_.encode() for type_ in moved_by)
        self._poll_s = poll_s
        self._process = new_id()
        self.signs = LifeSigns(
            "presence", link, clock, expiry_s=expiry_s, linger_s=grace_s, kept_s=_KEPT_S, written=self._written
        )
        self._audiences: dict[str, _Audience] = {}
        self._known: dict[str, Seen] = {}
        self._where: dict[str, set[str]] = {}
        self._asked: set[str] = set()
        self._newcomers: list[tuple[str, Connection | None, frozenset[str] | None]] = []
        self._poll_at = 0.0
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._announcing: set[asyncio.Task[None]] = set()
        link.on_message(_CHANNEL, self._announced)

    # -- what the namespace tells -------------------------------------------------------------------------------------

    def entered(self, connection: Connection) -> None:
        """See Observer."""
        if connection.principal is not None:
            self.signs.add(self._entry(connection.principal.id))

    def left(self, connection: Connection) -> None:
        """See Observer."""
        if connection.principal is not None:
            self.signs.drop(self._entry(connection.principal.id))

    def subscribed(self, connection: Connection, stream: str) -> None:
        """See Observer. The client is told of the members after its ack."""
        if stream.partition(":")[0] == self._kind:
            connection.after_ack(partial(self._join, connection, stream))

    def unsubscribed(self, connection: Connection, stream: str) -> None:
        """See Observer."""
        audience = self._audiences.get(stream)
        if audience is None or connection not in audience.connections:
            return
        del audience.connections[connection]
        if not audience.connections:
            self._close(audience)

    async def stop(self) -> None:
        """See Observer. Whoever was online stays so for a while, to reconnect elsewhere."""
        await end([task for task in (self._task, *self._announcing) if task is not None])
        self._task = None
        await self.signs.stop()

    def _join(self, connection: Connection, stream: str) -> None:
        if connection.closed or stream not in connection.subscriptions:
            return
        audience = self._audiences.get(stream)
        if audience is None:
            audience = self._audiences[stream] = _Audience(stream, self._moved_by, self._wake.set)
        audience.connections[connection] = None
        self._newcomers.append((stream, connection, None))
        self._wake.set()
        if self._task is None:
            loop = asyncio.get_running_loop()
            self._poll_at = loop.time() + self._poll_s
            self._task = loop.create_task(self._run(), name="presence watch")

    def _close(self, audience: _Audience) -> None:
        del self._audiences[audience.stream]
        if audience.attached:
            self._streams.hub.unsubscribe(audience.stream, audience)
        self._move(audience, frozenset())
        self._wake.set()

    def _entry(self, user: str) -> Entry:
        return Entry(_KEY + user, self._process)

    # -- coming and going ---------------------------------------------------------------------------------------------

    def _written(self, entries: Collection[Entry]) -> None:
        """Redis has it now: tell the other instances, and look again here."""
        users = [entry.key.removeprefix(_KEY) for entry in entries]
        self._ask(users)
        task = asyncio.create_task(self._announce(users), name="presence announce")
        self._announcing.add(task)
        task.add_done_callback(self._announcing.discard)

    async def _announce(self, users: list[str]) -> None:
        try:
            for start in range(0, len(users), _ANNOUNCED_AT_ONCE):
                some = " ".join([self._process, *users[start : start + _ANNOUNCED_AT_ONCE]])
                await self._link.publish(_CHANNEL, some.encode())
        except FAULTS as error:
            log.info("presence.not_announced", error=str(error))  # others see it when they look next

    def _announced(self, message: bytes) -> None:
        process, *users = message.decode(errors="replace").split(" ")
        if process != self._process:
            self._ask(users)

    def _ask(self, users: Iterable[str]) -> None:
        asked = [user for user in users if user in self._where]
        if asked:
            self._asked.update(asked)
            self._wake.set()

    # -- looking ------------------------------------------------------------------------------------------------------

    async def look(self, users: Iterable[str]) -> dict[str, Seen]:
        """How each of the users is now. Never raises: of users of other instances nothing new is known while Redis is down."""
        asked = list(dict.fromkeys(users))
        scores: dict[str, float | None] = {}
        if self._link.up:
            try:
                for start in range(0, len(asked), _PIPELINE):
                    scores |= await self._scores(asked[start : start + _PIPELINE])
            except FAULTS as error:
                log.info("presence.not_read", error=str(error))
        now = self._clock.now()
        return {user: self._judge(user, scores, now) for user in asked}

    async def _scores(self, users: list[str]) -> dict[str, float | None]:
        async with self._link.client.pipeline(transaction=False) as pipeline:
            for user in users:
                pipeline.zrevrange(_KEY + user, 0, 0, withscores=True)
            answers: list[list[tuple[bytes, float]]] = await pipeline.execute()
        return {user: answer[0][1] if answer else None for user, answer in zip(users, answers, strict=True)}

    def _judge(self, user: str, scores: Mapping[str, float | None], now: int) -> Seen:
        if self._entry(user) in self.signs:
            return Seen(True)
        if user not in scores:
            return self._known.get(user, _NEVER)
        score = scores[user]
        if score is None:
            return _NEVER
        return Seen(True) if score > now else Seen(False, int(score))

    # -- telling ------------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        while self._audiences:
            try:
                await self._pause()
                await self._tell()
            except asyncio.CancelledError:
                if is_cancelled():
                    raise
            except Exception:
                log.exception("presence.failed")
        self._newcomers.clear()
        self._known.clear()
        self._task = None

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout_at(self._poll_at):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _tell(self) -> None:
        """Read what may have changed, and tell whom it concerns."""
        self._wake.clear()
        await self._learn_members()
        now = asyncio.get_running_loop().time()
        newcomers, self._newcomers = self._newcomers, []
        asked, self._asked = self._asked, set()
        if now >= self._poll_at:
            self._poll_at = now + self._poll_s
            asked.update(self._where)
        asked.update(user for stream, _, some in newcomers for user in self._of(stream, some))
        seen = await self.look(user for user in asked if user in self._where)
        # no await from here on: who is told what, and what is known, go together
        changed = {user: now for user, now in seen.items() if user in self._where and self._known.get(user) != now}
        self._known |= changed
        self._known = {user: was for user, was in self._known.items() if user in self._where}
        due = [(connection, user) for user in changed for connection in self._watching(user)]
        for stream, connection, some in newcomers:
            watching = self._audiences[stream].connections if stream in self._audiences else {}
            told = watching if connection is None else {connection} & watching.keys()
            due += [(one, user) for one in told for user in self._of(stream, some) if user in self._known]
        encoded: dict[tuple[str, str], Frame] = {}
        for one, user in dict.fromkeys(due):
            self._emit(one, user, encoded)

    def _watching(self, user: str) -> Iterable[Connection]:
        return (connection for stream in self._where[user] for connection in self._audiences[stream].connections)

    def _of(self, stream: str, some: frozenset[str] | None) -> frozenset[str]:
        audience = self._audiences.get(stream)
        members = audience.members if audience is not None else frozenset()
        return members if some is None else members & some

    def _emit(self, connection: Connection, user: str, encoded: dict[tuple[str, str], Frame]) -> None:
        if connection.principal is not None and connection.principal.id == user:
            return
        namespace = connection.namespace.name
        frame = encoded.get((namespace, user))
        if frame is None:
            payload = orjson.dumps(self._known[user].to_json(user))
            frame = encoded[namespace, user] = frames.event(namespace, "presence", payload)
        connection.write(frame)

    # -- members ------------------------------------------------------------------------------------------------------

    async def _learn_members(self) -> None:
        """Read the members of streams that are new here or whose members have changed."""
        for audience in [audience for audience in self._audiences.values() if audience.stale]:
            try:
                state = await self._state(audience)
            except AppError as error:
                log.info("presence.members_unknown", stream=audience.stream, error=str(error))  # next time
                continue
            # no await since the state was got
            if self._audiences.get(audience.stream) is audience:
                newcomers = frozenset(self._members(state)) - audience.members
                self._move(audience, frozenset(self._members(state)))
                self._newcomers.append((audience.stream, None, newcomers))

    async def _state(self, audience: _Audience) -> Any:
        """The stream's state, the audience attached to what follows.

        Raises:
            AppError: NOT_FOUND, UNAVAILABLE.
        """
        if audience.attached:
            audience.stale = False
            try:
                return (await self._streams.current(audience.stream)).state
            except AppError:
                audience.stale = True
                raise
        hub = self._streams.hub
        opening = await hub.subscribe(audience.stream, None, audience)
        if self._audiences.get(audience.stream) is audience:
            audience.attached, audience.stale = True, False
        else:
            hub.unsubscribe(audience.stream, audience)
        return opening.state

    def _move(self, audience: _Audience, members: frozenset[str]) -> None:
        for user in audience.members - members:
            streams = self._where[user]
            streams.discard(audience.stream)
            if not streams:
                del self._where[user]
        for user in members - audience.members:
            self._where.setdefault(user, set()).add(audience.stream)
        audience.members = members
