"""The port between the append engine and a durable store of events.

`memory.MemoryEventStore` and `mongo.MongoEventStore` implement it; one contract suite runs on both.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from server.streams.event import StoredEvent


class StoreUnavailable(Exception):
    """The store did not answer. After an append its outcome is unknown: read the tail before deciding anything."""


@dataclass(frozen=True, slots=True)
class Appended:
    """The outcome of an append.

    Attributes:
        inserted: how many of the events, from the first, were written.
        conflict: why the next one wasn't: `seq` (another instance was first) or `key` (that idempotency key is used);
            None when all were.
    """

    inserted: int
    conflict: Literal["seq", "key"] | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A folded state. `state` is the rules' dumped JSON; `hash` the link of event `seq`."""

    stream: str
    seq: int
    t: int
    hash: str | None
    version: int
    state: Mapping[str, Any]


class EventStore(Protocol):
    """Durable events, unique on (stream, seq) and on (stream, actor, key). Every method raises StoreUnavailable."""

    async def append(self, events: Sequence[StoredEvent]) -> Appended:
        """Write events of one stream, in order, stopping at the first conflict; durable on a majority when it returns."""
        ...

    async def read(self, stream: str, after: int, limit: int) -> list[StoredEvent]:
        """Events with seq > after, ascending, at most `limit`; only such as can't be rolled back."""
        ...

    async def read_many(self, after: Mapping[str, int], limit: int) -> list[StoredEvent]:
        """Events of many streams after each one's seq, ordered by (stream, seq), at most `limit` in all."""
        ...

    async def last_seq(self, stream: str) -> int:
        """The seq of the last event that can't be rolled back; 0 for a stream without events."""
        ...

    async def find_keys(self, stream: str, keys: Iterable[tuple[str, str]]) -> list[StoredEvent]:
        """The events that carry these (actor, key) pairs."""
        ...

    async def load_snapshot(self, stream: str) -> Snapshot | None:
        """The newest snapshot."""
        ...

    async def save_snapshot(self, snapshot: Snapshot) -> None:
        """Keep a snapshot unless a newer one is kept already."""
        ...
