"""Idempotency keys of one stream, as far as this process remembers them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from server.streams.event import StoredEvent

_KEPT: Final = 20_000
"""Keys remembered per stream; older ones are found by the unique index."""


class KnownKey(NamedTuple):
    """What is remembered of a key that was used: the payload's digest and the answer."""

    digest: str
    answer: Mapping[str, Any]


class KnownKeys(OrderedDict[tuple[str, str], KnownKey]):
    """What is known of keys, by (actor, key), the latest last.

    Attributes:
        complete: whether no other key was ever used on the stream.
    """

    complete = True

    def remember(self, events: Iterable[StoredEvent]) -> None:
        """Take note of the keys that durable events carry."""
        for event in events:
            if event.key is not None:
                self[event.actor or "", event.key] = KnownKey(event.digest or "", event.answer or {})
        while len(self) > _KEPT:
            self.popitem(last=False)
            self.complete = False

    def clear(self) -> None:
        """Forget everything, and begin as for a stream without events."""
        super().clear()
        self.complete = True
