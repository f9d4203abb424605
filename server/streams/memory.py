"""The memory twin of the store: the same promises, without durability. For tests and for reading the contract."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence

from server.streams.event import StoredEvent
from server.streams.store import Appended, Snapshot


class MemoryEventStore:
    """An EventStore in a dictionary. Each call gives the loop one turn, so that races of the real one can happen."""

    def __init__(self) -> None:
        self._streams: dict[str, list[StoredEvent]] = {}
        self._keys: dict[tuple[str, str, str], StoredEvent] = {}
        self._snapshots: dict[str, Snapshot] = {}

    async def append(self, events: Sequence[StoredEvent]) -> Appended:
        """See EventStore."""
        await asyncio.sleep(0)
        for inserted, event in enumerate(events):
            log = self._streams.setdefault(event.stream, [])
            if event.seq <= len(log):
                return Appended(inserted, "seq")
            if event.seq != len(log) + 1:
                raise AssertionError(f"{event.stream}: seq {event.seq} would leave a gap after {len(log)}")
            if event.key is not None:
                if (event.stream, event.actor or "", event.key) in self._keys:
                    return Appended(inserted, "key")
                self._keys[event.stream, event.actor or "", event.key] = event
            log.append(event)
        return Appended(len(events))

    async def read(self, stream: str, after: int, limit: int) -> list[StoredEvent]:
        """See EventStore."""
        await asyncio.sleep(0)
        return self._streams.get(stream, [])[after : after + limit]

    async def read_many(self, after: Mapping[str, int], limit: int) -> list[StoredEvent]:
        """See EventStore."""
        await asyncio.sleep(0)
        events = [event for stream in sorted(after) for event in self._streams.get(stream, [])[after[stream] :]]
        return events[:limit]

    async def last_seq(self, stream: str) -> int:
        """See EventStore."""
        await asyncio.sleep(0)
        return len(self._streams.get(stream, []))

    async def find_keys(self, stream: str, keys: Iterable[tuple[str, str]]) -> list[StoredEvent]:
        """See EventStore."""
        await asyncio.sleep(0)
        found = (self._keys.get((stream, actor, key)) for actor, key in keys)
        return [event for event in found if event is not None]

    async def load_snapshot(self, stream: str) -> Snapshot | None:
        """See EventStore."""
        await asyncio.sleep(0)
        return self._snapshots.get(stream)

    async def save_snapshot(self, snapshot: Snapshot) -> None:
        """See EventStore."""
        await asyncio.sleep(0)
        kept = self._snapshots.get(snapshot.stream)
        if kept is None or kept.seq < snapshot.seq:
            self._snapshots[snapshot.stream] = snapshot
