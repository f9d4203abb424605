"""What this process has folded of one stream: the state after the last durable event that it knows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final

import structlog

from models.rules.stream import Rules
from server.background import end
from server.streams.event import GENESIS, StoredEvent
from server.streams.keys import KnownKeys, keys_of
from server.streams.stage import Stage
from server.streams.store import EventStore, Snapshot, StoreUnavailable

log = structlog.get_logger(__name__)

_READ_LIMIT: Final = 2_000

Noted = Callable[[Sequence[StoredEvent]], None]
"""Told of events once they are in the state: consecutive ones, each once."""


class Folded:
    """The state of one stream, folded from its snapshot and its events.

    No lock is needed: folding is idempotent by seq and never awaits, so that it does not matter who read an event first.

    Args:
        name, rules: of the stream. store: where its events are.
        noted: told of every event that is folded, in order.

    Attributes:
        opened: whether everything was folded that was durable when it was opened.
        seq, t: of the last event. state: after it. link: its hash.
        keys: the idempotency keys that are remembered.
    """

    def __init__(self, name: str, rules: Rules[Any], store: EventStore, noted: Noted) -> None:
        self.name = name
        self.rules = rules
        self._store = store
        self._noted = noted
        self.opened = False
        self.seq = 0
        self.t = 0
        self.state: Any = rules.initial()
        self.link = GENESIS
        self.keys = KnownKeys()
        self._snapshot_seq = 0
        self._opening: asyncio.Task[None] | None = None
        self._saving: asyncio.Task[None] | None = None

    @property
    def idle(self) -> bool:
        """Whether nothing is read or written now."""
        return self._opening is None and self._saving is None

    async def close(self) -> None:
        """End what is under way."""
        await end([task for task in (self._opening, self._saving) if task is not None])

    # -- reading ------------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Load the newest snapshot and what follows it, once, however many callers wait for it.

        Raises:
            StoreUnavailable: the store did not answer.
        """
        while not self.opened:
            if self._opening is None:
                self._opening = asyncio.create_task(self._load(), name=f"open {self.name}")
                self._opening.add_done_callback(self._opening_done)
            await asyncio.shield(self._opening)

    async def catch_up(self) -> None:
        """Fold every event that is durable by now.

        Raises:
            StoreUnavailable: the store did not answer.
        """
        await self.open()
        while True:
            events = await self._store.read(self.name, self.seq, _READ_LIMIT)
            self.fold(events)
            if len(events) < _READ_LIMIT:
                return

    def begin_anew(self) -> None:
        """Forget everything and open from the store again: after a defect the state in memory can't be trusted."""
        self.opened = False
        self.seq = self.t = self._snapshot_seq = 0
        self.state = self.rules.initial()
        self.link = GENESIS
        self.keys.clear()

    def _opening_done(self, task: asyncio.Task[None]) -> None:
        self._opening = None
        if not task.cancelled():
            task.exception()  # seen by whoever awaited it; marks it as retrieved when nobody did

    async def _load(self) -> None:
        snapshot = await self._store.load_snapshot(self.name)
        if snapshot is not None and snapshot.version == self.rules.version and snapshot.seq > self.seq:
            self.state = self.rules.load(snapshot.state)
            self.seq = self._snapshot_seq = snapshot.seq
            self.t = snapshot.t
            self.link = bytes.fromhex(snapshot.hash) if snapshot.hash else GENESIS
            self.keys.complete = False
        while True:
            events = await self._store.read(self.name, self.seq, _READ_LIMIT)
            self.fold(events)
            if len(events) < _READ_LIMIT:
                break
            await asyncio.sleep(0)
        self.opened = True

    # -- folding ------------------------------------------------------------------------------------------------------

    def fold(self, events: Sequence[StoredEvent]) -> None:
        """Apply durable events, those of them that are new here."""
        news = [event for event in events if event.seq > self.seq]
        if not news:
            return
        for seq, event in enumerate(news, self.seq + 1):
            if event.seq != seq:
                raise AssertionError(f"{self.name}: event {event.seq} where {seq} belongs")
            self.rules.apply(self.state, event)
        self.keys.add(keys_of(news))
        self._take_note(news)

    def adopt(self, stage: Stage) -> None:
        """Fold what was decided here, now that it is durable. Its state has these events applied already."""
        if self.seq == stage.base:
            self.state = stage.state
            self.keys.add(stage.keys)
            self._take_note(stage.events)
        else:
            self.fold(stage.events)  # a reader has met the first of them in the store and folded them

    def _take_note(self, news: Sequence[StoredEvent]) -> None:
        last = news[-1]
        self.seq = last.seq
        self.t = last.t
        if last.hash is not None:
            self.link = bytes.fromhex(last.hash)
        self._noted(news)

    # -- snapshots ----------------------------------------------------------------------------------------------------

    def keep_snapshot(self, every: int) -> None:
        """Keep a snapshot each `every` events, on long streams each quarter more, so that it stays cheap."""
        if self._saving is not None or self.seq - self._snapshot_seq < max(every, self._snapshot_seq // 4):
            return
        self._snapshot_seq = self.seq
        link = self.link.hex() if self.rules.chained else None
        snapshot = Snapshot(self.name, self.seq, self.t, link, self.rules.version, self.rules.dump(self.state))
        self._saving = asyncio.create_task(self._save(snapshot), name=f"snapshot {self.name}")

    async def _save(self, snapshot: Snapshot) -> None:
        try:
            await self._store.save_snapshot(snapshot)
        except StoreUnavailable as error:
            log.warning("streams.snapshot_failed", stream=self.name, error=str(error))
        finally:
            self._saving = None
