"""The connection to Redis or Valkey: sharded channels per stream, plain control channels, and ordinary commands.

There may be one server or a cluster. Each stream's channel lives at the server that owns its slot; that server is listened to and
published at. What is lost while a server is away or a slot moves is read from the store: `up` is false as long as publications
of some stream can't be expected, and whoever listens is told when they can be again.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable
from functools import partial
from typing import Final

import structlog
from redis.asyncio import Redis

from server.background import end, run_for_ever
from server.streams import metrics
from server.streams.bus import OnEvents
from server.streams.redis_node import FAULTS, Node, Publication
from server.streams.redis_servers import servers_at

log = structlog.get_logger(__name__)

_STREAM_CHANNEL: Final = b"rialto:s:"
_KEEPALIVE_CHANNEL: Final = b"rialto:alive"
_LOOK_S: Final = 10.0
_LOOK_AGAIN_S: Final = (0.1, 1.0)

OnMessage = Callable[[bytes], None]


class _Interest:
    """Of this instance in one channel."""

    __slots__ = ("confirmed", "node", "was_confirmed")

    def __init__(self) -> None:
        self.node: Node | None = None
        self.confirmed = asyncio.Event()
        self.was_confirmed = False


class RedisLink:
    """A Bus over Redis, and the client for everything else that lives there.

    Args:
        url: `redis://host:port/0`, or `redis+cluster://host:port[,host:port ...]`, see `server.streams.redis_servers`.

    Attributes:
        client: for commands; its failures are `redis.exceptions.RedisError` or OSError within `redis_timeout_ms`. In a cluster,
            pipelines may hold commands of any keys, but one command only keys of one slot.
    """

    def __init__(self, url: str, *, timeout_ms: int = 1_000) -> None:
        self._timeout = timeout_ms / 1000
        self._servers = servers_at(url, self._timeout)
        self.client: Redis = self._servers.client
        self._up = False
        self._on_events: OnEvents | None = None
        self._on_up: Callable[[], None] | None = None
        self._controls: dict[bytes, OnMessage] = {}
        self._control_node: Node | None = None
        self._watched: dict[bytes, _Interest] = {}
        self._nodes: dict[str, Node] = {}
        self._undelivered: list[Publication] = []
        self._look_now = asyncio.Event()
        self._connected = asyncio.Event()
        self._known = True
        self._task: asyncio.Task[None] | None = None
        self._leaving: set[asyncio.Task[None]] = set()

    @property
    def up(self) -> bool:
        """See Bus."""
        return self._up

    def listen(self, on_events: OnEvents, on_up: Callable[[], None]) -> None:
        """See Bus."""
        self._on_events, self._on_up = on_events, on_up

    def on_message(self, channel: str, callback: OnMessage) -> None:
        """Call back with each message on a plain channel."""
        self._controls[channel.encode()] = callback
        if self._control_node is not None:
            self._control_node.listen_to([_KEEPALIVE_CHANNEL, *self._controls])

    async def start(self) -> None:
        """Connect in the background; returns when connected or after `redis_timeout_ms`, whichever is first."""
        self._task = run_for_ever(self._look_for_ever, "redis servers")
        try:
            async with asyncio.timeout(self._timeout):
                await self._connected.wait()
        except TimeoutError:
            log.warning("redis.down", hint="delivery goes on from MongoDB")

    async def stop(self) -> None:
        """Close all connections."""
        await end([*([self._task] if self._task is not None else []), *self._leaving])
        await asyncio.gather(*(node.stop() for node in self._nodes.values()))
        self._nodes.clear()
        await self.client.aclose()

    async def publish(self, channel: str, message: bytes) -> None:
        """Publish on a plain channel, which every process that listens on it hears.

        Raises:
            redis.exceptions.RedisError, OSError: Redis did not take it.
        """
        await self.client.publish(channel, message)

    # -- Bus ----------------------------------------------------------------------------------------------------------

    async def watch(self, stream: str) -> None:
        """See Bus."""
        channel = _STREAM_CHANNEL + stream.encode()
        interest = self._watched.get(channel)
        if interest is None:
            interest = self._watched[channel] = _Interest()
            self._place(channel, interest)
        if self._up:
            try:
                async with asyncio.timeout(self._timeout):
                    await interest.confirmed.wait()
            except TimeoutError:
                log.warning("redis.subscribe_unconfirmed", stream=stream)  # the anti-entropy read covers it

    def unwatch(self, stream: str) -> None:
        """See Bus."""
        channel = _STREAM_CHANNEL + stream.encode()
        interest = self._watched.pop(channel, None)
        if interest is not None and interest.node is not None:
            interest.node.unwant(channel)

    def send(self, stream: str, packed: bytes) -> None:
        """See Bus."""
        self._send(Publication(_STREAM_CHANNEL + stream.encode(), packed))

    def _send(self, publication: Publication) -> None:
        owner = self._servers.owner(publication.channel)
        node = self._nodes.get(owner) if owner is not None else None
        if node is None:
            metrics.REDIS_DROPPED.inc()
        else:
            node.publish(publication)

    # -- servers ------------------------------------------------------------------------------------------------------

    async def _look_for_ever(self) -> None:
        """Keep knowing which servers there are, and what each of them owns."""
        least, most = _LOOK_AGAIN_S
        delay = least
        while True:
            self._look_now.clear()
            try:
                await self._servers.look()
            except FAULTS as error:
                if self._known:  # once per outage
                    log.warning("redis.servers_unknown", error=str(error))
                self._known = False
            else:
                self._known = True
            self._arrange()
            self._judge()
            delay = least if self._up and not self._look_now.is_set() else min(delay * 2, most)
            try:
                async with asyncio.timeout(_LOOK_S if self._up else delay):
                    await self._look_now.wait()
            except TimeoutError:
                continue
            await asyncio.sleep(
                delay * random.uniform(0.5, 1.0)
            )  # a server that has just lost a slot may not know its new owner

    def _arrange(self) -> None:
        """Give every channel to the server that owns it now."""
        names = self._servers.names
        for name in names - self._nodes.keys():
            node = self._nodes[name] = Node(name, partial(self._servers.connection, name), self._timeout, self)
            node.listen_to([_KEEPALIVE_CHANNEL])
            node.start()
        for channel, interest in self._watched.items():
            self._place(channel, interest)
        for name in self._nodes.keys() - names:
            task = asyncio.create_task(self._nodes.pop(name).stop(), name=f"redis leave {name}")
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)
        undelivered, self._undelivered = self._undelivered, []
        for publication in undelivered:
            self._send(publication)

    def _place(self, channel: bytes, interest: _Interest) -> None:
        owner = self._servers.owner(channel)
        node = self._nodes.get(owner) if owner is not None else None
        if node is interest.node:
            return
        if interest.node is not None:
            interest.node.unwant(channel)
        interest.node = node
        interest.confirmed.clear()
        if node is not None:
            node.want(channel)

    def _judge(self) -> None:
        """Whether publications of all streams are expected to arrive; plain channels are heard at one server that stands."""
        standing = [node for node in self._nodes.values() if node.up]
        if self._control_node not in standing:
            if self._control_node is not None:
                self._control_node.listen_to([_KEEPALIVE_CHANNEL])
            self._control_node = standing[0] if standing else None
            if self._control_node is not None:
                self._control_node.listen_to([_KEEPALIVE_CHANNEL, *self._controls])
        up = self._known and 0 < len(standing) == len(self._nodes)
        if up == self._up:
            return
        self._up = up
        metrics.REDIS_UP.set(up)
        if up:
            self._connected.set()
            self._tell_up()
        else:
            self._look_now.set()

    def _tell_up(self) -> None:
        if self._on_up is not None:
            self._on_up()

    # -- what nodes tell ----------------------------------------------------------------------------------------------

    def shard_message(self, channel: bytes, message: bytes) -> None:
        """See `redis_node.Owner`."""
        if self._on_events is not None and channel in self._watched:
            self._on_events(channel[len(_STREAM_CHANNEL) :].decode(), message)

    def plain_message(self, channel: bytes, message: bytes) -> None:
        """See `redis_node.Owner`."""
        if (callback := self._controls.get(channel)) is not None:
            callback(message)

    def subscribed(self, channel: bytes) -> None:
        """See `redis_node.Owner`."""
        interest = self._watched.get(channel)
        if interest is None or interest.confirmed.is_set():
            return
        interest.confirmed.set()
        if interest.was_confirmed and self._up:
            self._tell_up()  # it was away for a moment: what came then is in the store
        interest.was_confirmed = True

    def changed(self, node: Node) -> None:
        """See `redis_node.Owner`."""
        if not node.up:
            for interest in self._watched.values():
                if interest.node is node:
                    interest.confirmed.clear()
        self._judge()

    def displaced(self, channels: Iterable[bytes], undelivered: Iterable[Publication] = ()) -> None:
        """See `redis_node.Owner`."""
        self._undelivered += undelivered
        for channel in channels:
            if (interest := self._watched.get(channel)) is not None:
                interest.node = None
                interest.confirmed.clear()
        self._look_now.set()
