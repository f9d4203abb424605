"""One stream in this process: its folded state in memory and the group commit of its commands.

Commands queue up; the runner takes what has gathered, decides it in order on a copy of the state and writes the events
with one ordered insert. What wins becomes the state and is answered. When another instance was first, its
events are read and folded, and the rest is decided again. Rejections are answered only once the state they were decided
on has been confirmed: by the insert of the same batch, or by reading the tail. So every answer is linearizable.

No lock is needed: folding is idempotent by seq and never awaits, so that it does not matter who read an event first.
"""

from __future__ import annotations

import asyncio
import random
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, Protocol

import structlog

from models.rules.stream import Command, Rejected
from server.background import end, is_cancelled
from server.clock import Clock
from server.errors import AppError
from server.settings import Settings
from server.streams import metrics
from server.streams.event import GENESIS, StoredEvent
from server.streams.kinds import StreamKind
from server.streams.pending import Answer, KnownKey, Pending, rejection, replay
from server.streams.stage import Stage
from server.streams.store import EventStore, Snapshot, StoreUnavailable

log = structlog.get_logger(__name__)

_KEYS_KEPT: Final = 20_000
"""Idempotency keys remembered per stream; older ones are found by the unique index."""

_RIVAL_MEMORY_S: Final = 0.25
_WINNER_WAIT_S: Final = (0.002, 0.004)
"""When a rival was met lately, the winner of a race waits this long before its next batch, so that all get their turn
(measured in design.md: losers that back off starve, winners that wait share evenly)."""

_SETTLE_BACKOFF_S: Final = (0.02, 0.5)
_READ_LIMIT: Final = 2_000


class Committed(Protocol):
    """Told of every event that this process has folded, in order, once."""

    def __call__(self, stream: str, events: Sequence[StoredEvent]) -> None:
        """Deliver; must not raise."""
        ...


class ActiveStream:
    """The state of one stream and the queue of its commands. Lives in one event loop."""

    def __init__(
        self,
        name: str,
        kind: StreamKind,
        *,
        store: EventStore,
        clock: Clock,
        settings: Settings,
        source: str,
        committed: Committed,
    ) -> None:
        self.name = name
        self.kind = kind
        self._rules = kind.rules
        self._store = store
        self._clock = clock
        self._settings = settings
        self._source = source
        self._committed = committed

        self.opened = False
        self.seq = 0
        self.t = 0
        self.state: Any = self._rules.initial()
        self._link = GENESIS
        self._keys: OrderedDict[tuple[str, str], KnownKey] = OrderedDict()
        self._keys_complete = True
        self._snapshot_seq = 0

        self._queue: deque[Pending] = deque()
        self._inflight: dict[str, Pending] = {}
        self._runner: asyncio.Task[None] | None = None
        self._watchdog: asyncio.TimerHandle | None = None
        self._opening: asyncio.Task[None] | None = None
        self._saving: asyncio.Task[None] | None = None
        self._met_rival_at = -1.0

    # -- callers ------------------------------------------------------------------------------------------------------

    @property
    def idle(self) -> bool:
        """Whether nothing is under way, so that the stream may be forgotten."""
        return self._runner is None and self._opening is None and self._saving is None

    def submit(self, command: Command) -> asyncio.Future[Answer]:
        """Queue a command; the future gives its Answer or raises AppError, at the latest after `append_timeout_ms`."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        pending = Pending(command, future, loop.time() + self._settings.append_timeout_ms / 1000)
        if len(self._queue) >= self._settings.append_backlog:
            pending.settle(AppError("UNAVAILABLE", "Too many commands wait for this stream"))
            return future
        self._queue.append(pending)
        if self._watchdog is None:
            self._watchdog = loop.call_at(pending.deadline, self._expire)
        if self._runner is None:
            self._runner = asyncio.create_task(self._run(), name=f"append {self.name}")
        return future

    async def catch_up(self) -> None:
        """Fold every event that is durable by now.

        Raises:
            StoreUnavailable: the store did not answer.
        """
        await self._open()
        while True:
            events = await self._store.read(self.name, self.seq, _READ_LIMIT)
            self._fold(events)
            if len(events) < _READ_LIMIT:
                return

    async def close(self) -> None:
        """End the runner; callers still waiting are answered UNAVAILABLE: what is under way may or may not happen."""
        tasks = [task for task in (self._runner, self._opening, self._saving) if task is not None]
        await end(tasks)
        self._fail([*self._inflight.values(), *self._queue], "The instance is stopping")
        self._queue.clear()
        self._inflight.clear()
        if self._watchdog is not None:
            self._watchdog.cancel()
            self._watchdog = None

    # -- opening and folding ------------------------------------------------------------------------------------------

    async def _open(self) -> None:
        """Load the newest snapshot, once, however many callers wait for it."""
        while not self.opened:
            if self._opening is None:
                self._opening = asyncio.create_task(self._load(), name=f"open {self.name}")
                self._opening.add_done_callback(self._opening_done)
            await asyncio.shield(self._opening)

    def _opening_done(self, task: asyncio.Task[None]) -> None:
        self._opening = None
        if not task.cancelled():
            task.exception()  # seen by whoever awaited it; marks it as retrieved when nobody did

    async def _load(self) -> None:
        snapshot = await self._store.load_snapshot(self.name)
        if snapshot is not None and snapshot.version == self._rules.version and snapshot.seq > self.seq:
            self.state = self._rules.load(snapshot.state)
            self.seq = self._snapshot_seq = snapshot.seq
            self.t = snapshot.t
            self._link = bytes.fromhex(snapshot.hash) if snapshot.hash else GENESIS
            self._keys_complete = False
        while True:
            events = await self._store.read(self.name, self.seq, _READ_LIMIT)
            self._fold(events)
            if len(events) < _READ_LIMIT:
                break
            await asyncio.sleep(0)
        self.opened = True

    def _begin_anew(self) -> None:
        """Forget everything and open from the store again: after a defect the state in memory can't be trusted."""
        self.opened = False
        self.seq = self.t = self._snapshot_seq = 0
        self.state = self._rules.initial()
        self._link = GENESIS
        self._keys.clear()
        self._keys_complete = True

    def _fold(self, events: Sequence[StoredEvent]) -> None:
        """Apply durable events that are new here, answer the commands they belong to, and pass them on."""
        news = [event for event in events if event.seq > self.seq]
        if not news:
            return
        for seq, event in enumerate(news, self.seq + 1):
            if event.seq != seq:
                raise AssertionError(f"{self.name}: event {event.seq} where {seq} belongs")
            self._rules.apply(self.state, event)
        self._take_note(news)

    def _take_note(self, news: Sequence[StoredEvent]) -> None:
        """Of durable events that are in the state by now."""
        last = news[-1]
        self.seq = last.seq
        self.t = last.t
        if last.hash is not None:
            self._link = bytes.fromhex(last.hash)
        for event in news:
            if event.key is not None:
                self._remember(event)
            if event.source != self._source:
                self._met_rival_at = asyncio.get_running_loop().time()
            if event.command is not None and (pending := self._inflight.pop(event.command, None)) is not None:
                pending.settle(Answer(dict(event.answer or {})))
        if self.opened:  # while it opens, it reads what was delivered long ago
            self._committed(self.name, news)

    def _remember(self, event: StoredEvent) -> None:
        self._keys[event.actor or "", event.key or ""] = KnownKey(event.digest or "", dict(event.answer or {}))
        if len(self._keys) > _KEYS_KEPT:
            self._keys.popitem(last=False)
            self._keys_complete = False

    # -- the runner ---------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        batch: list[Pending] = []
        try:
            while self._queue:
                batch = self._take()
                await self._commit(batch)
                self._inflight.clear()
        except StoreUnavailable as error:
            log.warning("streams.unavailable", stream=self.name, error=str(error))
        except Exception:
            log.exception("streams.append_failed", stream=self.name)
            self._begin_anew()
            for pending in batch:
                pending.settle(AppError("INTERNAL"))
        finally:
            self._fail(batch, "The store does not answer")  # only those that nobody answered
            self._inflight.clear()
            self._runner = None
            if self._queue and not is_cancelled():
                self._runner = asyncio.create_task(self._run(), name=f"append {self.name}")

    def _take(self) -> list[Pending]:
        """The next commands whose callers still wait."""
        batch: list[Pending] = []
        while self._queue and len(batch) < self._settings.append_batch:
            pending = self._queue.popleft()
            if not pending.future.done():
                batch.append(pending)
                self._inflight[pending.id] = pending
        return batch

    async def _commit(self, batch: list[Pending]) -> None:
        """Bring every command of the batch to its answer.

        Raises:
            StoreUnavailable: the store could not be asked before all callers were gone.
        """
        await self._opened(batch)
        todo = batch
        while todo := [pending for pending in todo if not pending.future.done()]:
            staged = self._decide(todo)
            if staged.events:
                won = await self._append(staged, todo)
            else:
                before = self.seq
                await self._settle_by_reading(todo)
                won = self.seq == before
            if won:
                await self._answer(todo)
                self._maybe_snapshot()
                if staged.events:
                    await self._let_rivals_in()
                return

    async def _opened(self, batch: list[Pending]) -> None:
        delays = _backoff()
        while not self.opened:
            try:
                await self._open()
            except StoreUnavailable:
                await self._patience(batch, delays)

    def _decide(self, todo: Iterable[Pending]) -> Stage:
        """Decide commands in order on a copy of the state; leaves each one's outcome on it and returns the new events."""
        rules = self._rules
        stage = Stage(
            self.name, rules, self._source, state=rules.copy(self.state), seq=self.seq, t=self.t, link=self._link
        )
        for pending in todo:
            command = pending.command
            known = self._known(command, stage)
            if known is not None:
                pending.outcome = replay(pending, known)
                continue
            now = max(self._clock.now(), stage.t)
            while (owed := rules.due(stage.state, now)) is not None:
                stage.add(owed, now)
            try:
                decision = rules.decide(stage.state, command, now)
            except Rejected as rejected:
                pending.outcome = rejection(rejected)
                continue
            except Exception:  # a defect in deciding one command; it has changed nothing, the others go on
                log.exception("streams.decide_failed", stream=self.name, command=command.name)
                pending.outcome = AppError("INTERNAL")
                continue
            answer = dict(decision.answer)
            pending.outcome = Answer(answer)
            for index, draft in enumerate(decision.drafts):
                stage.add(draft, now, pending if index == 0 else None, answer)
        return stage

    def _known(self, command: Command, stage: Stage) -> KnownKey | None:
        if command.key is None:
            return None
        place = (command.actor, command.key)
        return self._keys.get(place) or stage.keys.get(place)

    async def _append(self, staged: Stage, todo: Sequence[Pending]) -> bool:
        """Write what was decided. False: somebody else's events came first, they are folded, decide again."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            appended = await self._store.append(staged.events)
        except StoreUnavailable as error:
            log.warning("streams.append_unknown", stream=self.name, error=str(error))
            metrics.APPENDS.labels("unknown").inc()
            await self._settle_by_reading(todo)
            return False
        metrics.COMMIT_SECONDS.observe(loop.time() - started)
        metrics.COMMIT_EVENTS.observe(appended.inserted)
        if appended.conflict is None:
            metrics.APPENDS.labels("committed").inc()
            if self.seq == staged.base:
                self.state = staged.state  # it has these events applied already
                self._take_note(staged.events)
            else:
                self._fold(staged.events)  # a reader has met the first of them in the store and folded them
            return True
        metrics.APPENDS.labels("conflict").inc()
        if appended.conflict == "key":
            await self._learn_keys([staged.events[appended.inserted]], todo)
        else:
            self._met_rival_at = loop.time()
        await self._settle_by_reading(todo)
        return False

    async def _settle_by_reading(self, todo: Sequence[Pending]) -> None:
        """Read the tail until the store answers: what is in it of ours is thereby answered, what is of others is folded."""
        delays = _backoff()
        while True:
            try:
                await self.catch_up()
                return
            except StoreUnavailable:
                await self._patience(todo, delays)

    async def _learn_keys(self, events: Sequence[StoredEvent], todo: Sequence[Pending]) -> None:
        """Find keys that were used before what is in memory."""
        wanted = [(event.actor or "", event.key or "") for event in events]
        delays = _backoff()
        while True:
            try:
                for found in await self._store.find_keys(self.name, wanted):
                    self._remember(found)
                return
            except StoreUnavailable:
                await self._patience(todo, delays)

    async def _answer(self, todo: Sequence[Pending]) -> None:
        """Answer what the confirmed state allows to be answered: rejections, repeats, commands without events."""
        if not self._keys_complete:
            await self._recheck_rejected(todo)
        for pending in todo:
            if not pending.future.done():
                pending.settle(pending.outcome or AppError("UNAVAILABLE"))

    async def _recheck_rejected(self, todo: Sequence[Pending]) -> None:
        """A refused command may be the repeat of one that was accepted before the oldest key in memory."""
        refused = {
            (pending.command.actor, pending.command.key or ""): pending
            for pending in todo
            if pending.command.key is not None and isinstance(pending.outcome, AppError) and not pending.future.done()
        }
        for found in await self._store.find_keys(self.name, refused):
            pending = refused[found.actor or "", found.key or ""]
            pending.outcome = replay(pending, KnownKey(found.digest or "", dict(found.answer or {})))

    async def _let_rivals_in(self) -> None:
        if asyncio.get_running_loop().time() - self._met_rival_at < _RIVAL_MEMORY_S:
            await asyncio.sleep(random.uniform(*_WINNER_WAIT_S))

    async def _patience(self, todo: Sequence[Pending], delays: Iterator[float]) -> None:
        """Wait before the store is asked again; give up when no caller waits any more.

        Giving up forgets nothing: the stream is opened anew, from the store, by the next command.
        """
        if all(pending.future.done() for pending in todo):
            raise StoreUnavailable("nobody waits any more")
        await asyncio.sleep(next(delays))

    # -- deadlines ----------------------------------------------------------------------------------------------------

    def _expire(self) -> None:
        """Answer UNAVAILABLE to callers whose time is up. Deadlines are in the order of the queue: one timer suffices."""
        self._watchdog = None
        loop = asyncio.get_running_loop()
        waiting = [p for p in (*self._inflight.values(), *self._queue) if not p.future.done()]
        late = [pending for pending in waiting if pending.deadline <= loop.time()]
        self._fail(late, "The command could not be settled in time")
        rest = [pending.deadline for pending in waiting if not pending.future.done()]
        if rest:
            self._watchdog = loop.call_at(min(rest), self._expire)

    def _fail(self, pendings: Iterable[Pending], message: str) -> None:
        for pending in pendings:
            pending.settle(AppError("UNAVAILABLE", message))

    # -- snapshots ----------------------------------------------------------------------------------------------------

    def _maybe_snapshot(self) -> None:
        """Keep a snapshot each `snapshot_every` events, on long streams each quarter more, so that it stays cheap."""
        if self._saving is not None:
            return
        if self.seq - self._snapshot_seq < max(self._settings.snapshot_every, self._snapshot_seq // 4):
            return
        self._snapshot_seq = self.seq
        link = self._link.hex() if self._rules.chained else None
        snapshot = Snapshot(self.name, self.seq, self.t, link, self._rules.version, self._rules.dump(self.state))
        self._saving = asyncio.create_task(self._save(snapshot), name=f"snapshot {self.name}")

    async def _save(self, snapshot: Snapshot) -> None:
        try:
            await self._store.save_snapshot(snapshot)
        except StoreUnavailable as error:
            log.warning("streams.snapshot_failed", stream=self.name, error=str(error))
        finally:
            self._saving = None


def _backoff() -> Iterator[float]:
    """Growing, jittered delays in seconds, without end."""
    least, most = _SETTLE_BACKOFF_S
    delay = least
    while True:
        yield delay * random.uniform(0.5, 1.0)
        delay = min(delay * 2, most)
