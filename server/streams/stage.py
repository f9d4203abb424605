"""A batch as it is decided: commands on top of a state, and their events, not yet written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog

from models.rules.stream import Command, Draft, Rejected, Rules
from server.clock import Clock, local_id
from server.errors import AppError
from server.streams.event import StoredEvent, canonical_json, chain, with_hash
from server.streams.keys import KnownKey, KnownKeys, Place
from server.streams.pending import Answer, Pending, rejection, replay

log = structlog.get_logger(__name__)


class Stage:
    """Commands, what each comes to, and a copy of the state that has their events applied.

    Nothing of it may be told to anybody before it is confirmed: by its events having been written right after `base`, or, when
    it has none, by a look at the store that finds nothing after `base`.

    Args:
        stream, rules, source: names of the stream and of this instance, and what decides and folds.
        state: a copy of the state after event `seq`, whose stamp is `t` and whose hash is `link`.
        known: keys that durable events carry. below: those of the stage that this one stands on.

    Attributes:
        base: the seq of the event before its first.
        pendings: the commands, in order; each one's outcome is on it.
        events: to be written, in order.
        keys: which of its events carry.
    """

    def __init__(
        self,
        stream: str,
        rules: Rules[Any],
        source: str,
        *,
        state: Any,
        seq: int,
        t: int,
        link: bytes,
        known: KnownKeys,
        below: Mapping[Place, KnownKey] | None = None,
    ) -> None:
        self.state = state
        self.t = t
        self.base = self.seq = seq
        self.link = link
        self.pendings: list[Pending] = []
        self.events: list[StoredEvent] = []
        self.keys: dict[Place, KnownKey] = {}
        self._known = known
        self._below = below or {}
        self._stream = stream
        self._rules = rules
        self._source = source

    def on_top(self) -> Stage:
        """An empty stage that begins where this one ends."""
        return Stage(
            self._stream,
            self._rules,
            self._source,
            state=self._rules.copy(self.state),
            seq=self.seq,
            t=self.t,
            link=self.link,
            known=self._known,
            below=self.keys,
        )

    def decide(self, pending: Pending, clock: Clock) -> None:
        """Decide one more command.

        Raises:
            Exception: a defect in folding; the stage is of no use any more.
        """
        command = pending.command
        self.pendings.append(pending)
        if command.key is not None and (known := self._find(command)) is not None:
            pending.outcome = replay(pending, known)
            return
        rules = self._rules
        now = max(clock.now(), self.t)
        while (owed := rules.due(self.state, now)) is not None:
            self._add(owed, now)
        try:
            decision = rules.decide(self.state, command, now)
        except Rejected as rejected:
            pending.outcome = rejection(rejected)
            return
        except Exception:  # a defect in deciding one command; it has changed nothing, the others go on
            log.exception("streams.decide_failed", stream=self._stream, command=command.name)
            pending.outcome = AppError("INTERNAL")
            return
        answer = decision.answer
        for index, draft in enumerate(decision.drafts):
            if index:
                self._add(draft, now)
            else:
                self._add(draft, now, pending, answer)
        pending.outcome = Answer(answer)

    def _find(self, command: Command) -> KnownKey | None:
        place = (command.actor, command.key or "")
        return self._known.get(place) or self._below.get(place) or self.keys.get(place)

    def _add(
        self, draft: Draft, now: int, cause: Pending | None = None, answer: Mapping[str, Any] | None = None
    ) -> None:
        """Number, stamp, link and encode a draft, and apply it to the copy of the state."""
        self.seq += 1
        self.t = max(self.t, now if draft.t is None else draft.t)
        canonical = canonical_json(self.seq, self.t, draft.type, draft.public)
        link: str | None = None
        if self._rules.chained:
            self.link = chain(self.link, canonical)
            link = self.link.hex()
        command = actor = key = digest = None
        if cause is not None:
            command, key = cause.id, cause.command.key
            if key is not None:
                actor, digest = cause.command.actor, cause.digest
                self.keys[actor, key] = KnownKey(digest, answer or {})
        event = StoredEvent(  # by position: by keyword it takes three times as long
            self.seq, self.t, draft.type, draft.public, draft.private, self._stream,
            local_id(), with_hash(canonical, link), link, self._source, command,
            actor, key, digest, answer,
        )  # fmt: skip
        self._rules.apply(self.state, event)
        self.events.append(event)
