"""Idempotency keys of one stream, as far as this process remembers them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from models.rules.records import record
from server.streams.event import StoredEvent

Place = tuple[str, str]
"""(actor, key)."""

_GENERATION: Final = 10_000
"""Between so many and twice as many are remembered per stream; older ones are found by the unique index."""


@record
class KnownKey:
    """What is remembered of a key that was used: the payload's digest and the answer."""

    digest: str
    answer: Mapping[str, Any]


class KnownKeys:
    """What is known of keys that durable events carry.

    They are kept in two generations, the older of which is forgotten as a whole: that costs nothing per key.

    Attributes:
        complete: whether no other key was ever used on the stream.
    """

    def __init__(self) -> None:
        self.complete = True
        self._younger: dict[Place, KnownKey] = {}
        self._older: dict[Place, KnownKey] = {}

    def get(self, place: Place) -> KnownKey | None:
        """What is known of a key."""
        return self._younger.get(place) or self._older.get(place)

    def add(self, keys: Mapping[Place, KnownKey]) -> None:
        """Take note of keys."""
        self._younger.update(keys)
        if len(self._younger) >= _GENERATION:
            self.complete = self.complete and not self._older
            self._older, self._younger = self._younger, {}

    def clear(self) -> None:
        """Forget everything, and begin as for a stream without events."""
        self.complete = True
        self._younger.clear()
        self._older.clear()


def keys_of(events: Iterable[StoredEvent]) -> dict[Place, KnownKey]:
    """The keys that events carry."""
    return {
        (event.actor or "", event.key): KnownKey(event.digest or "", event.answer or {})
        for event in events
        if event.key is not None
    }
