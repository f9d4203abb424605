"""What was read a moment ago, by key, for questions that come thousands of times a second and whose answers rarely change.

A value is read again once it is a few seconds old, and at once after somebody announced on a channel that it has changed. So
without Redis, or when an announcement is lost, an answer is at most so old.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final, Generic, Protocol, TypeVar

import structlog
from redis.exceptions import RedisError

T = TypeVar("T")

AGE_S: Final = 3.0

_KEPT: Final = 50_000

log = structlog.get_logger(__name__)


class ControlLink(Protocol):
    """The part of `server.streams.redis_link.RedisLink` that is used here."""

    async def publish(self, channel: str, message: bytes) -> None:
        """Publish on a plain channel; raises RedisError or OSError when Redis did not take it."""
        ...

    def on_message(self, channel: str, callback: Callable[[bytes], None]) -> None:
        """Call back with each message on a plain channel; one callback per channel and process."""
        ...


async def announce(link: ControlLink, channel: str, key: str) -> None:
    """Tell every process that the value of a key has changed. Never raises for Redis."""
    try:
        await link.publish(channel, key.encode())
    except (RedisError, OSError, TimeoutError) as error:
        log.info("recent.not_announced", channel=channel, error=str(error))


class Recent(Generic[T]):
    """Values of `load` that are at most `age_s` old.

    Args:
        channel: where changes are announced.
        load: reads the value of a key; what it raises is raised to whoever asks.
        kept: keys whose values are remembered.
    """

    def __init__(
        self,
        link: ControlLink,
        channel: str,
        load: Callable[[str], Awaitable[T]],
        *,
        age_s: float = AGE_S,
        kept: int = _KEPT,
    ) -> None:
        self._link = link
        self._channel = channel
        self._load = load
        self._age_s = age_s
        self._kept = kept
        self._values: OrderedDict[str, tuple[float, T]] = OrderedDict()
        self._loading: dict[str, asyncio.Task[T]] = {}
        link.on_message(channel, lambda message: self.forget(message.decode(errors="replace")))

    async def get(self, key: str) -> T:
        """The value of a key. However many ask at a time, it is read once."""
        found = self._values.get(key)
        if found is not None and asyncio.get_running_loop().time() < found[0]:
            return found[1]
        loading = self._loading.get(key)
        if loading is None:
            loading = self._loading[key] = asyncio.create_task(self._read(key), name=f"read {self._channel}")
            loading.add_done_callback(_retrieved)
        return await asyncio.shield(loading)

    def forget(self, key: str) -> None:
        """Have the value read anew when it is next asked for; also what is being read now may be old."""
        self._values.pop(key, None)
        self._loading.pop(key, None)

    async def changed(self, key: str) -> None:
        """The value of a key has changed: forget it, here and everywhere."""
        self.forget(key)
        await announce(self._link, self._channel, key)

    async def _read(self, key: str) -> T:
        task = asyncio.current_task()
        until = asyncio.get_running_loop().time() + self._age_s
        try:
            value = await self._load(key)
            if self._loading.get(key) is task:  # else it was forgotten meanwhile
                self._values[key] = (until, value)
                self._values.move_to_end(key)
                if len(self._values) > self._kept:
                    self._values.popitem(last=False)
            return value
        finally:
            if self._loading.get(key) is task:
                del self._loading[key]


def _retrieved(task: asyncio.Task[T]) -> None:
    if not task.cancelled():
        task.exception()  # whoever asked has it; marks it as seen if they are gone
