"""One stream in this process: the group commit of its commands.

Commands queue up. The runner decides what has gathered, in order, on a copy of the state, and writes the events with one ordered
insert. What wins becomes the state and is answered. When another instance was first, its events are read and folded, and the
rest is decided again. Rejections are answered only once the state they were decided on has been confirmed: by the insert of the
same batch, or by reading the tail. So every answer is linearizable.

While a batch is on its way to the store, what comes in is decided ahead, on top of it, so that neither this process nor the store
waits for the other. Nothing of that is written, told or answered before the batch below is durable; when that one fails,
everything on top of it goes back to the queue and is decided again.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from typing import Final, Protocol

import structlog

from models.rules.stream import Command
from server.background import end, is_cancelled
from server.clock import Clock
from server.errors import AppError
from server.settings import Settings
from server.streams import metrics
from server.streams.event import StoredEvent
from server.streams.folded import Folded
from server.streams.handover import Handover
from server.streams.keys import KnownKey, keys_of
from server.streams.kinds import StreamKind
from server.streams.pending import Answer, Pending, replay
from server.streams.relay import Relay
from server.streams.stage import Stage
from server.streams.store import Appended, EventStore, StoreUnavailable
from server.streams.turns import Turns
from server.streams.waiting import Waiting, fail

log = structlog.get_logger(__name__)

_TURNS_AWAITED: Final = 8
"""After so many turns of others a batch is tried whosever turn it is."""

_LEAST_BATCH: Final = 32
"""A batch takes half of the commands under way, so that one half is decided while the other is written; so many it always takes."""

_SETTLE_BACKOFF_S: Final = (0.02, 0.5)

_COMMITTED: Final = metrics.APPENDS.labels("committed")
_CONFLICT: Final = metrics.APPENDS.labels("conflict")
_UNKNOWN: Final = metrics.APPENDS.labels("unknown")


class Committed(Protocol):
    """Told of every event that this process has folded, in order, once."""

    def __call__(self, stream: str, events: Sequence[StoredEvent]) -> None:
        """Deliver; must not raise."""
        ...


class ActiveStream:
    """The folded state of one stream and the queue of its commands. Lives in one event loop."""

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
        relay: Relay,
    ) -> None:
        self.name = name
        self.kind = kind
        self.folded = Folded(name, kind.rules, store, self._noted)
        self._store = store
        self._clock = clock
        self._settings = settings
        self._source = source
        self._committed = committed

        self._waiting = Waiting(settings.append_backlog, settings.append_timeout_ms / 1000)
        self._flying: Stage | None = None
        self._ahead: Stage | None = None
        self._looking_ahead = False
        self._runner: asyncio.Task[None] | None = None
        self._turns = Turns(source)
        self._handover = Handover(name, source, self._waiting, relay, self._go_on)

    # -- callers ------------------------------------------------------------------------------------------------------

    @property
    def idle(self) -> bool:
        """Whether nothing is under way, so that the stream may be forgotten."""
        return self._runner is None and self.folded.idle and self._handover.idle

    @property
    def host(self) -> str | None:
        """See `server.streams.relay.Local`."""
        return self._handover.host

    def submit(self, command: Command) -> asyncio.Future[Answer]:
        """Queue a command; the future gives its Answer or raises AppError, at the latest after `append_timeout_ms`."""
        future = self._waiting.add(command)
        if self._waiting.held:
            self._handover.soon()
        else:
            self._go_on()
        return future

    def visit(self, guest: str, id_: str, command: Command, patience_s: float) -> asyncio.Future[Answer]:
        """See `server.streams.relay.Local`."""
        self._handover.visited(guest)
        future = self._waiting.add(command, id_=id_, patience_s=patience_s)
        self._go_on()
        return future

    def answered(self, host: str, elsewhere: str | None, outcomes: Sequence[tuple[str, Answer | AppError]]) -> None:
        """See `server.streams.relay.Local`."""
        self._handover.answered(host, elsewhere, outcomes)

    async def close(self) -> None:
        """End the runner; callers still waiting are answered UNAVAILABLE: what is under way may or may not happen."""
        if self._runner is not None:
            await end([self._runner])
        await self.folded.close()
        self._handover.close()
        self._ahead = None
        self._waiting.end("The instance is stopping")

    # -- the runner ---------------------------------------------------------------------------------------------------

    def _go_on(self) -> None:
        """There may be something to decide."""
        if not self._waiting:
            return
        if self._runner is None:
            self._start()
        elif self._flying is not None and not self._looking_ahead:
            self._looking_ahead = True
            asyncio.get_running_loop().call_soon(self._look_ahead)

    def _start(self) -> None:
        self._runner = asyncio.create_task(self._run(), name=f"append {self.name}")

    async def _run(self) -> None:
        stage: Stage | None = None
        try:
            while self._waiting or self._ahead is not None:
                stage = None
                await self._opened()
                if self._handed_over():
                    continue
                await self._await_turn()
                began = asyncio.get_running_loop().time()
                stage = self._take()
                landed = await self._land(stage)
                stage = None  # its commands are answered, or wait again: perhaps for another instance
                if landed:
                    self._turns.took(asyncio.get_running_loop().time() - began)
        except StoreUnavailable as error:
            log.warning("streams.unavailable", stream=self.name, error=str(error))
        except Exception:
            log.exception("streams.append_failed", stream=self.name)
            self.folded.begin_anew()
            for pending in stage.pendings if stage is not None else ():
                pending.settle(AppError("INTERNAL"))
        finally:
            self._flying = None
            if stage is not None:
                fail(stage.pendings, "The store does not answer")  # only those that nobody answered
                self._waiting.forget(stage.pendings)
            self._drop_ahead()
            self._runner = None
            if self._waiting and not is_cancelled():
                self._start()

    async def _opened(self) -> None:
        delays = _backoff()
        while not self.folded.opened:
            try:
                await self.folded.open()
            except StoreUnavailable:
                await _patience(self._waiting.anybody(), delays)

    def _handed_over(self) -> bool:
        """Leave the commands of this instance to another one that is writing the stream. True: that were all."""
        if self._turns.wait_s(asyncio.get_running_loop().time()):
            self._handover.met(self._turns.last)
        if self._handover.host is not None:
            self._drop_ahead()
            self._handover.hand_over()
        return not self._waiting and self._ahead is None

    def _take(self) -> Stage:
        """What was decided ahead, if that still holds, and what has come since."""
        stage, folded = self._ahead, self.folded
        if stage is not None and stage.base != folded.seq:
            self._drop_ahead()
            stage = None
        self._ahead = None
        while stage is None or not self._fill(stage):
            stage = Stage(
                self.name,
                folded.rules,
                self._source,
                state=folded.rules.copy(folded.state),
                seq=folded.seq,
                t=folded.t,
                link=folded.link,
                known=folded.keys,
            )
        return stage

    def _fill(self, stage: Stage) -> bool:
        """Decide what waits. False: a defect in folding has spoilt the stage; who caused it is answered, the rest waits again."""
        limit = self._settings.append_batch
        if not self._contested():
            limit = min(limit, max(_LEAST_BATCH, self._under_way(stage) // 2))
        while len(stage.pendings) < limit and (pending := self._waiting.take()) is not None:
            try:
                stage.decide(pending, self._clock)
            except Exception:
                log.exception("streams.fold_failed", stream=self.name, command=pending.command.name)
                pending.settle(AppError("INTERNAL"))
                self._waiting.put_back(stage.pendings)
                return False
        return True

    def _under_way(self, stage: Stage) -> int:
        """How many commands wait for an answer, `stage` being filled."""
        return (
            len(self._waiting) + len(stage.pendings) + (len(self._flying.pendings) if self._flying is not None else 0)
        )

    def _look_ahead(self) -> None:
        """Decide what waits on top of the batch that is on its way.

        Not when a rival was met lately: that batch will hardly win, and what stands on it would be decided for nothing.
        """
        self._looking_ahead = False
        if self._flying is None or self._contested():
            return
        if self._ahead is None:
            self._ahead = self._flying.on_top()
        if not self._fill(self._ahead):
            self._ahead = None

    def _drop_ahead(self) -> None:
        if self._ahead is not None:
            self._waiting.put_back(self._ahead.pendings)
            self._ahead = None

    async def _await_turn(self) -> None:
        """While others write to the stream, too: wait for one's turn, and learn what they have written."""
        loop, turns, folded = asyncio.get_running_loop(), self._turns, self.folded
        quiet = False
        for _ in range(_TURNS_AWAITED):
            wait_s = turns.grace_s if quiet else turns.wait_s(loop.time())
            if not wait_s:
                return
            await asyncio.sleep(wait_s)
            seq = folded.seq
            try:
                await folded.catch_up()
            except StoreUnavailable:
                return
            if folded.seq > seq:
                quiet = False
            elif quiet:
                return
            else:
                quiet = True  # whoever is before us may just be late

    async def _land(self, stage: Stage) -> bool:
        """Write what was decided, and answer it; what does not win waits again, and so does what was decided on top of it.

        Raises:
            StoreUnavailable: the store could not be asked before all callers were gone.
        """
        if not stage.pendings:
            return False
        self._flying = stage
        if not (await self._append(stage) if stage.events else await self._confirm(stage)):
            self._waiting.put_back(stage.pendings)
            return False
        await self._answer(stage)
        self._waiting.forget(stage.pendings)
        self.folded.keep_snapshot(self._settings.snapshot_every)
        return True

    async def _append(self, stage: Stage) -> bool:
        """Write what was decided. False: somebody else's events came first, they are folded, decide again."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            appended = await self._store.append(stage.events)
        except StoreUnavailable as error:
            log.warning("streams.append_unknown", stream=self.name, error=str(error))
            _UNKNOWN.inc()
            await self._lose(stage)
            return False
        metrics.COMMIT_SECONDS.observe(loop.time() - started)
        metrics.COMMIT_EVENTS.observe(appended.inserted)
        if appended.conflict is None:
            _COMMITTED.inc()
            self.folded.adopt(stage)
            self._flying = None
            return True
        _CONFLICT.inc()
        await self._lose(stage, appended)
        return False

    async def _lose(self, stage: Stage, appended: Appended | None = None) -> None:
        """Learn what happened instead. What is durable of the stage's own events is thereby answered."""
        self._flying = None
        self._drop_ahead()
        if appended is not None and appended.conflict == "key":
            await self._learn_key(stage, stage.events[appended.inserted])
        await self._insist(stage, self.folded.catch_up)
        if appended is not None and appended.conflict == "seq":
            self._handover.met(self._turns.last)

    async def _confirm(self, stage: Stage) -> bool:
        """Look whether anything has happened meanwhile. False: it has."""
        await self._insist(stage, self.folded.catch_up)
        self._flying = None
        if self.folded.seq == stage.base:
            return True
        self._drop_ahead()
        return False

    async def _learn_key(self, stage: Stage, event: StoredEvent) -> None:
        """Find a key that was used before what is in memory."""

        async def look() -> None:
            place = (event.actor or "", event.key or "")
            self.folded.keys.add(keys_of(await self._store.find_keys(self.name, [place])))

        await self._insist(stage, look)

    async def _insist(self, stage: Stage, ask: Callable[[], Awaitable[None]]) -> None:
        """Ask until the store answers. Raises StoreUnavailable once no caller waits any more."""
        delays = _backoff()
        while True:
            try:
                await ask()
                return
            except StoreUnavailable:
                await _patience(any(not pending.future.done() for pending in stage.pendings), delays)

    def _contested(self) -> bool:
        """Whether another instance has lately written to the stream."""
        return self._turns.contested(asyncio.get_running_loop().time())

    # -- answers ------------------------------------------------------------------------------------------------------

    def _noted(self, news: Sequence[StoredEvent]) -> None:
        """Pass durable events on. Those that were not expected are looked through for commands that wait for them."""
        if self._flying is None or news is not self._flying.events:
            self._waiting.recognise(news)
        if self.folded.opened:  # while it opens, it reads what was written and delivered long ago
            self._turns.wrote(news[-1].source, asyncio.get_running_loop().time())
            self._committed(self.name, news)

    async def _answer(self, stage: Stage) -> None:
        """Answer everything, now that the state it was decided on is confirmed."""
        sure = self.folded.keys.complete
        for pending in stage.pendings:
            if sure or pending.command.key is None or not isinstance(pending.outcome, AppError):
                pending.settle(pending.outcome or AppError("UNAVAILABLE"))
        if sure:
            return
        await self._recheck_rejected(stage.pendings)
        for pending in stage.pendings:
            pending.settle(pending.outcome or AppError("UNAVAILABLE"))

    async def _recheck_rejected(self, pendings: Iterable[Pending]) -> None:
        """A refused command may be the repeat of one that was accepted before the oldest key in memory."""
        refused = {
            (pending.command.actor, pending.command.key or ""): pending
            for pending in pendings
            if pending.command.key is not None and isinstance(pending.outcome, AppError) and not pending.future.done()
        }
        if not refused:
            return
        for found in await self._store.find_keys(self.name, refused):
            pending = refused[found.actor or "", found.key or ""]
            pending.outcome = replay(pending, KnownKey(found.digest or "", found.answer or {}))


async def _patience(waited_for: bool, delays: Iterator[float]) -> None:
    """Wait before the store is asked again; give up when no caller waits any more.

    Giving up forgets nothing: the stream is opened anew, from the store, by the next command.
    """
    if not waited_for:
        raise StoreUnavailable("nobody waits any more")
    await asyncio.sleep(next(delays))


def _backoff() -> Iterator[float]:
    """Growing, jittered delays in seconds, without end."""
    least, most = _SETTLE_BACKOFF_S
    delay = least
    while True:
        yield delay * random.uniform(0.5, 1.0)
        delay = min(delay * 2, most)
