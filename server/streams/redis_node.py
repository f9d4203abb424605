"""The two connections to one Redis server: one listens, one publishes.

Both are made anew by this module, with every channel subscribed again, because the client library's own retries give up after two
tries and would lose the rest in silence. `up` tells the truth about the listening connection: it stands, and the server has
confirmed every subscription that was asked for when it was made.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple, Protocol

import structlog
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import MovedError, RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from server.background import end, run_for_ever
from server.streams import metrics

log = structlog.get_logger(__name__)

FAULTS: Final = (RedisError, OSError, asyncio.TimeoutError, ValueError)
"""What a connection may raise when it or its server fails."""

_SILENCE_S: Final = 1.0
_OUTBOX_LIMIT: Final = 50_000
_AT_ONCE: Final = 500
_RECONNECT_S: Final = (0.05, 1.0)


class Publication(NamedTuple):
    """A message on its way to a sharded channel."""

    channel: bytes
    message: bytes


class Owner(Protocol):
    """Who is told of what happens at a server. None of it may block or raise."""

    def shard_message(self, channel: bytes, message: bytes) -> None:
        """A message on a sharded channel."""
        ...

    def plain_message(self, channel: bytes, message: bytes) -> None:
        """A message on a plain channel."""
        ...

    def subscribed(self, channel: bytes) -> None:
        """What is published on a sharded channel arrives from now on."""
        ...

    def changed(self, node: Node) -> None:
        """`up` of the node has changed."""
        ...

    def displaced(self, channels: Iterable[bytes], undelivered: Iterable[Publication] = ()) -> None:
        """These subscriptions are none any more, and these publications were refused: the server does not own their channels."""
        ...


class Node:
    """One server.

    Args:
        connect: makes a connection to it, not yet connected. timeout_s: of connecting and of an answer.

    Attributes:
        up: whether publications are expected to arrive from here now.
    """

    def __init__(self, name: str, connect: Callable[[], AbstractConnection], timeout_s: float, owner: Owner) -> None:
        self.name = name
        self.up = False
        self._connect = connect
        self._timeout_s = timeout_s
        self._owner = owner
        self._shards: set[bytes] = set()
        self._plain: set[bytes] = set()
        self._told: set[bytes] = set()
        self._confirmed: set[bytes] = set()
        self._changes: set[bytes] = set()
        self._listening: AbstractConnection | None = None
        self._telling: asyncio.Task[None] | None = None
        self._outbox: deque[Publication] = deque()
        self._wake = asyncio.Event()
        self._was_up = False
        self._losses = 0
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Connect in the background, and stay connected until `stop()`."""
        self._tasks = [
            run_for_ever(self._listen_for_ever, f"redis listen {self.name}"),
            run_for_ever(self._publish_for_ever, f"redis publish {self.name}"),
        ]

    async def stop(self) -> None:
        """Close both connections."""
        await end([*self._tasks, *([self._telling] if self._telling is not None else [])])
        self._tasks = []

    # -- what the owner wants -----------------------------------------------------------------------------------------

    def want(self, channel: bytes) -> None:
        """Subscribe to a sharded channel; `subscribed` tells when that is done."""
        self._shards.add(channel)
        if channel in self._confirmed:
            self._owner.subscribed(channel)
        else:
            self._change(channel)

    def unwant(self, channel: bytes) -> None:
        """The opposite of `want`."""
        self._shards.discard(channel)
        self._change(channel)

    def listen_to(self, plain: Iterable[bytes]) -> None:
        """The plain channels to be subscribed to, from now on these and no others."""
        wanted = set(plain)
        changed = wanted ^ self._plain
        self._plain = wanted
        for channel in changed:
            self._change(channel)

    def publish(self, publication: Publication) -> None:
        """Publish on a sharded channel, without waiting; dropped while the server is away."""
        if len(self._outbox) >= _OUTBOX_LIMIT or not self.up:
            metrics.REDIS_DROPPED.inc()
            return
        self._outbox.append(publication)
        self._wake.set()

    # -- listening ----------------------------------------------------------------------------------------------------

    async def _listen_for_ever(self) -> None:
        least, most = _RECONNECT_S
        delay = least
        while True:
            try:
                await self._listen()
            except FAULTS as error:
                if self._was_up:  # once per outage, not at each try to reconnect
                    log.warning("redis.lost", server=self.name, error=str(error), hint="delivery goes on from MongoDB")
            finally:
                self._lost()
            await asyncio.sleep(delay * random.uniform(0.5, 1.0))
            delay = least if self._was_up else min(delay * 2, most)
            self._was_up = False

    async def _listen(self) -> None:
        connection = self._connect()
        try:
            await connection.connect()  # type: ignore[no-untyped-call]
            self._told.clear()
            self._confirmed.clear()
            self._changes = self._shards | self._plain
            self._listening = connection
            await self._tell()
            await connection.send_command("PING")  # its answer follows all confirmations
            while True:
                await self._hear(connection)
        finally:
            await connection.disconnect(nowait=True)

    async def _hear(self, connection: AbstractConnection) -> None:
        """Take the next message; a connection that stays mute is pinged, and given up when it does not answer that.

        Raises:
            RedisTimeoutError: it stayed mute.
        """
        try:
            message = await connection.read_response(timeout=_SILENCE_S, disconnect_on_error=False)
            if message is None:  # that is how this client library tells a timeout
                await connection.send_command("PING")
                message = await connection.read_response(timeout=self._timeout_s, disconnect_on_error=False)
        except MovedError:  # it does not say of which channel
            self._disown(self._told - self._confirmed - self._plain)
            return
        if message is None:
            raise RedisTimeoutError("no answer to a ping")
        self._received(message)

    def _received(self, message: Any) -> None:
        if not isinstance(message, list):
            self._stands()  # an answer to a ping of a connection that is subscribed to nothing
            return
        kind = bytes(message[0])
        if kind == b"smessage":
            self._owner.shard_message(message[1], message[2])
        elif kind == b"message":
            self._owner.plain_message(message[1], message[2])
        elif kind == b"pong":
            self._stands()
        elif kind == b"ssubscribe":
            channel = message[1]
            if channel in self._told:
                self._confirmed.add(channel)
                self._owner.subscribed(channel)
        elif kind == b"sunsubscribe" and message[1] in self._told:
            self._disown({message[1]})  # not asked for: its slot has gone to another server

    def _disown(self, channels: set[bytes]) -> None:
        for kept in (self._shards, self._told, self._confirmed):
            kept -= channels
        self._owner.displaced(channels)

    def _stands(self) -> None:
        if self.up:
            return
        self.up = self._was_up = True
        log.info("redis.connected", server=self.name)
        self._owner.changed(self)

    def _lost(self) -> None:
        self._listening = None
        self._losses += 1
        self._confirmed.clear()
        self._outbox.clear()
        if self.up:
            self.up = False
            self._owner.changed(self)

    def _change(self, channel: bytes) -> None:
        """Tell the server, once for all changes of one turn of the loop; while there is no connection, making one will."""
        self._changes.add(channel)
        if self._listening is not None and self._telling is None:
            self._telling = asyncio.create_task(self._tell_soon(), name=f"redis tell {self.name}")

    async def _tell_soon(self) -> None:
        try:
            await self._tell()
        except FAULTS as error:
            log.warning("redis.subscribe_failed", server=self.name, error=str(error))
        finally:
            self._telling = None

    async def _tell(self) -> None:
        while self._changes and self._listening is not None:
            commands = []
            for channel in self._changes:
                wanted, told = channel in self._shards or channel in self._plain, channel in self._told
                if wanted == told:
                    continue
                (self._told.add if wanted else self._told.discard)(channel)
                self._confirmed.discard(channel)
                verb = b"SUBSCRIBE" if wanted else b"UNSUBSCRIBE"
                commands.append(_packed(verb if channel in self._plain else b"S" + verb, channel))
            self._changes.clear()
            if commands:  # one command per channel: in a cluster those of one command must be of one slot
                await self._listening.send_packed_command([b"".join(commands)], check_health=False)

    # -- publishing ---------------------------------------------------------------------------------------------------

    async def _publish_for_ever(self) -> None:
        connection, losses = self._connect(), 0
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                if losses != self._losses:  # the server was away: what leads there is most likely dead
                    losses = self._losses
                    await connection.disconnect(nowait=True)
                while self._outbox:
                    some = [self._outbox.popleft() for _ in range(min(_AT_ONCE, len(self._outbox)))]
                    try:
                        await self._publish(connection, some)
                    except FAULTS as error:
                        metrics.REDIS_DROPPED.inc(len(some))
                        log.warning("redis.publish_failed", server=self.name, lost=len(some), error=str(error))
                        await connection.disconnect(nowait=True)
        finally:
            await connection.disconnect(nowait=True)

    async def _publish(self, connection: AbstractConnection, some: list[Publication]) -> None:
        if not connection.is_connected:
            await connection.connect()  # type: ignore[no-untyped-call]
        packed = b"".join([_packed(b"SPUBLISH", *publication) for publication in some])
        await connection.send_packed_command([packed], check_health=False)
        refused = []
        for publication in some:
            try:
                if await connection.read_response(timeout=self._timeout_s) is None:
                    raise RedisTimeoutError("no answer to a publication")
            except MovedError:
                refused.append(publication)
            except ResponseError as error:
                metrics.REDIS_DROPPED.inc()
                log.warning("redis.publication_refused", server=self.name, error=str(error))
        if refused:
            self._owner.displaced((), refused)


def _packed(*words: bytes) -> bytes:
    return b"*%d\r\n" % len(words) + b"".join([b"$%d\r\n%b\r\n" % (len(word), word) for word in words])
