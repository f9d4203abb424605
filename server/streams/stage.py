"""A batch as it is decided: events on top of the committed ones, not yet written."""

from __future__ import annotations

from typing import Any

from models.rules.stream import Draft, Rules
from server.clock import local_id
from server.streams.event import StoredEvent, canonical_json, chain, with_hash
from server.streams.pending import KnownKey, Pending


class Stage:
    """Events of one batch, and a copy of the state that has them applied.

    Args:
        stream, rules, source: names of the stream and of this instance, and what folds the events.
        state: a copy of the state after event `seq`, whose stamp is `t` and whose hash is `link`.
    """

    def __init__(
        self, stream: str, rules: Rules[Any], source: str, *, state: Any, seq: int, t: int, link: bytes
    ) -> None:
        self.state = state
        self.t = t
        self.base = self.seq = seq
        self.events: list[StoredEvent] = []
        self.keys: dict[tuple[str, str], KnownKey] = {}
        self._stream = stream
        self._rules = rules
        self._source = source
        self._link = link

    def add(self, draft: Draft, now: int, cause: Pending | None = None, answer: dict[str, Any] | None = None) -> None:
        """Number, stamp, link and encode a draft, and apply it to the copy of the state."""
        self.seq += 1
        self.t = max(self.t, now if draft.t is None else draft.t)
        canonical = canonical_json(self.seq, self.t, draft.type, draft.public)
        link: str | None = None
        if self._rules.chained:
            self._link = chain(self._link, canonical)
            link = self._link.hex()
        keyed = cause is not None and cause.command.key is not None
        event = StoredEvent(
            seq=self.seq,
            t=self.t,
            type=draft.type,
            public=draft.public,
            private=draft.private,
            stream=self._stream,
            id=local_id(),
            wire=with_hash(canonical, link),
            hash=link,
            source=self._source,
            command=cause.id if cause is not None else None,
            actor=cause.command.actor if cause is not None and keyed else None,
            key=cause.command.key if cause is not None and keyed else None,
            digest=cause.digest if cause is not None and keyed else None,
            answer=answer,
        )
        self._rules.apply(self.state, event)
        self.events.append(event)
        if cause is not None and keyed:
            self.keys[cause.command.actor, cause.command.key or ""] = KnownKey(cause.digest, answer or {})
