"""The connection to Redis or Valkey: sharded channels per stream, plain control channels, and ordinary commands.

One connection listens, one sends; both are made anew by this module, with every channel subscribed again, because the
client library's own retries give up after two tries and would lose the rest in silence. `up` tells the truth about the
listening connection: publications can only arrive while it stands.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Final

import structlog
from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from server.background import end, run_for_ever
from server.streams import metrics
from server.streams.bus import OnEvents

log = structlog.get_logger(__name__)

_STREAM_CHANNEL: Final = b"rialto:s:"
_KEEPALIVE_CHANNEL: Final = b"rialto:alive"
_SILENCE_S: Final = 1.0
_OUTBOX_LIMIT: Final = 50_000
_PIPELINE: Final = 500
_RECONNECT_S: Final = (0.05, 1.0)
_FAULTS: Final = (RedisError, OSError, asyncio.TimeoutError, ValueError)

OnMessage = Callable[[bytes], None]


class RedisLink:
    """A Bus over Redis, and the client for everything else that lives there.

    Attributes:
        client: for commands; its failures are `redis.exceptions.RedisError` or OSError within `redis_timeout_ms`.
    """

    def __init__(self, url: str, *, timeout_ms: int = 1_000) -> None:
        timeout = timeout_ms / 1000
        self.client: Redis = Redis.from_url(
            url,
            protocol=2,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            retry=Retry(NoBackoff(), 0),
            retry_on_error=[],
            health_check_interval=0,
        )
        self._timeout = timeout
        self._up = False
        self._was_up = False
        self._on_events: OnEvents | None = None
        self._on_up: Callable[[], None] | None = None
        self._controls: dict[bytes, OnMessage] = {}
        self._watched: dict[bytes, asyncio.Event] = {}
        self._outbox: deque[tuple[bytes, bytes, bytes]] = deque()
        self._wake = asyncio.Event()
        self._listening: AbstractConnection | None = None
        self._tasks: list[asyncio.Task[None]] = []

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
        self._spawn(self._tell("SUBSCRIBE", channel.encode()))

    async def start(self) -> None:
        """Connect in the background; returns when connected or after `redis_timeout_ms`, whichever is first."""
        connected = asyncio.Event()
        self._tasks = [
            run_for_ever(partial(self._listen_for_ever, connected), "redis listen"),
            run_for_ever(self._send_for_ever, "redis send"),
        ]
        try:
            async with asyncio.timeout(self._timeout):
                await connected.wait()
        except TimeoutError:
            log.warning("redis.down", hint="delivery goes on from MongoDB")

    async def stop(self) -> None:
        """Close both connections."""
        await end(self._tasks)
        self._tasks = []
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
        confirmed = self._watched.get(channel)
        if confirmed is None:
            confirmed = self._watched[channel] = asyncio.Event()
            await self._tell("SSUBSCRIBE", channel)
        if self._up:
            try:
                async with asyncio.timeout(self._timeout):
                    await confirmed.wait()
            except TimeoutError:
                log.warning("redis.subscribe_unconfirmed", stream=stream)  # the anti-entropy read covers it

    def unwatch(self, stream: str) -> None:
        """See Bus."""
        channel = _STREAM_CHANNEL + stream.encode()
        if self._watched.pop(channel, None) is not None:
            self._spawn(self._tell("SUNSUBSCRIBE", channel))

    def send(self, stream: str, packed: bytes) -> None:
        """See Bus."""
        if len(self._outbox) >= _OUTBOX_LIMIT or not self._up:
            metrics.REDIS_DROPPED.inc()
            return
        self._outbox.append((b"SPUBLISH", _STREAM_CHANNEL + stream.encode(), packed))
        self._wake.set()

    # -- sending ------------------------------------------------------------------------------------------------------

    async def _send_for_ever(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._outbox:
                some = [self._outbox.popleft() for _ in range(min(_PIPELINE, len(self._outbox)))]
                try:
                    async with self.client.pipeline(transaction=False) as pipeline:
                        for command in some:
                            pipeline.execute_command(*command)
                        await pipeline.execute()
                except _FAULTS as error:
                    metrics.REDIS_DROPPED.inc(len(some))
                    log.warning("redis.publish_failed", lost=len(some), error=str(error))

    # -- listening ----------------------------------------------------------------------------------------------------

    async def _listen_for_ever(self, connected: asyncio.Event) -> None:
        least, most = _RECONNECT_S
        delay = least
        while True:
            try:
                await self._listen(connected)
            except _FAULTS as error:
                if self._was_up:  # once per outage, not at each try to reconnect
                    log.warning("redis.lost", error=str(error), hint="delivery goes on from MongoDB")
            finally:
                self._lost()
            await asyncio.sleep(delay * random.uniform(0.5, 1.0))
            delay = least if self._was_up else min(delay * 2, most)
            self._was_up = False

    async def _listen(self, connected: asyncio.Event) -> None:
        connection: AbstractConnection = self.client.connection_pool.make_connection()  # type: ignore[no-untyped-call]
        try:
            await connection.connect()  # type: ignore[no-untyped-call]
            self._listening = connection
            await connection.send_command("SUBSCRIBE", _KEEPALIVE_CHANNEL, *self._controls)
            channels = list(self._watched)
            for start in range(0, len(channels), _PIPELINE):
                await connection.send_command("SSUBSCRIBE", *channels[start : start + _PIPELINE])
            self._up = self._was_up = True
            metrics.REDIS_UP.set(1)
            log.info("redis.connected")
            connected.set()
            if self._on_up is not None:
                self._on_up()
            while True:
                self._received(await self._next(connection))
        finally:
            await connection.disconnect(nowait=True)

    async def _next(self, connection: AbstractConnection) -> Any:
        """The next message; a connection that stays mute is pinged, and given up when it does not answer that.

        Raises:
            RedisTimeoutError: it stayed mute.
        """
        message = await connection.read_response(timeout=_SILENCE_S, disconnect_on_error=False)
        if message is None:  # that is how this client library tells a timeout
            await connection.send_command("PING")
            message = await connection.read_response(timeout=self._timeout, disconnect_on_error=False)
        if message is None:
            raise RedisTimeoutError("no answer to a ping")
        return message

    def _lost(self) -> None:
        self._listening = None
        self._up = False
        metrics.REDIS_UP.set(0)
        self._outbox.clear()
        for confirmed in self._watched.values():
            confirmed.clear()

    def _spawn(self, change: Coroutine[Any, Any, None]) -> None:
        if self._listening is None:
            change.close()
            return
        task = asyncio.create_task(change)
        self._tasks.append(task)
        task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[None]) -> None:
        if task in self._tasks:
            self._tasks.remove(task)

    async def _tell(self, command: str, channel: bytes) -> None:
        """Change a subscription on the listening connection; while there is none, reconnecting will do it."""
        if self._listening is None:
            return
        try:
            await self._listening.send_command(command, channel)
        except _FAULTS as error:
            log.warning("redis.subscribe_failed", error=str(error))

    def _received(self, message: Any) -> None:
        if not isinstance(message, list) or len(message) < 3:
            return
        kind, channel, data = bytes(message[0]), message[1], message[2]
        if kind == b"smessage":
            if self._on_events is not None and channel in self._watched:
                self._on_events(channel[len(_STREAM_CHANNEL) :].decode(), data)
        elif kind == b"message":
            if (callback := self._controls.get(channel)) is not None:
                callback(data)
        elif kind == b"ssubscribe" and (confirmed := self._watched.get(channel)) is not None:
            confirmed.set()
