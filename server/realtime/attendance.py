"""Who watches a stream now, on any device: for whoever would otherwise tell people what they see anyway.

Each instance writes its own watchers to a sorted set per stream, `"<user> <process>"` with the time until which that holds. It is
told to Redis alone, and with Redis away nobody attends: better one notification too many than one too few.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import structlog

from server.clock import Clock, new_id
from server.realtime.connection import Connection
from server.realtime.lifesigns import EXPIRY_S, FAULTS, Entry, LifeSigns, RedisSource

_KEY: Final = "rialto:attend:"

_TRAIL_S: Final = 120.0
"""For so long it can be told that somebody was there: who is asked about hears of things a little after they happened."""

log = structlog.get_logger(__name__)


class Attendance:
    """An observer of namespaces that keeps Redis informed of who watches what here.

    Args:
        kinds: of the streams that matter.
        expiry_s: how long somebody counts whose instance has died.
    """

    def __init__(
        self, link: RedisSource, clock: Clock, *, kinds: Iterable[str] = ("room",), expiry_s: float = EXPIRY_S
    ) -> None:
        self._kinds = frozenset(kinds)
        self._process = new_id()
        self.signs = LifeSigns("attendance", link, clock, expiry_s=expiry_s, trail_s=_TRAIL_S)

    def entered(self, connection: Connection) -> None:
        """See Observer."""

    def left(self, connection: Connection) -> None:
        """See Observer."""

    def subscribed(self, connection: Connection, stream: str) -> None:
        """See Observer."""
        if (entry := self._entry(connection, stream)) is not None:
            self.signs.add(entry)

    def unsubscribed(self, connection: Connection, stream: str) -> None:
        """See Observer."""
        if (entry := self._entry(connection, stream)) is not None:
            self.signs.drop(entry)

    async def stop(self) -> None:
        """See Observer."""
        await self.signs.stop()

    def _entry(self, connection: Connection, stream: str) -> Entry | None:
        if connection.principal is None or stream.partition(":")[0] not in self._kinds:
            return None
        return Entry(_KEY + stream, f"{connection.principal.id} {self._process}")


async def attendance(link: RedisSource, stream: str) -> dict[str, int]:
    """Until when (ms) those who watch the stream, or did in the last two minutes, are known to be there; later than now for those
    who still are, on whatever device and instance. Empty while Redis is down. Never raises.
    """
    if not link.up:
        return {}
    try:
        found: Any = await link.client.zrange(_KEY + stream, 0, -1, withscores=True)
    except FAULTS as error:
        log.info("attendance.not_read", error=str(error))
        return {}
    return {member.decode().partition(" ")[0]: int(until) for member, until in found}  # ascending: the latest stays
