"""The commands of one stream whose callers wait for an answer: queued, being decided, or on their way to the store."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Final

from models.rules.stream import Command
from server.errors import AppError
from server.streams.event import StoredEvent
from server.streams.pending import Answer, Pending

_LATE: Final = "The command could not be settled in time"


class Waiting:
    """Every command gets an answer, at the latest after `patience_s`.

    Args:
        backlog: commands that may be queued; what is more is answered UNAVAILABLE at once.

    Attributes:
        held: whether only what is to be decided here is taken, since this instance's own commands are with another one.
    """

    def __init__(self, backlog: int, patience_s: float) -> None:
        self._backlog = backlog
        self._patience_s = patience_s
        self.held = False
        self._queue: deque[Pending] = deque()
        self._staying: deque[Pending] = deque()
        self._taken: dict[str, Pending] = {}
        """By id: those that were decided at least once, until they are answered; an event may name any of them."""
        self._watchdog: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        """How many are there to be taken."""
        return len(self._staying) + (0 if self.held else len(self._queue))

    def add(
        self, command: Command, *, id_: str | None = None, patience_s: float | None = None
    ) -> asyncio.Future[Answer]:
        """Queue a command; the future gives its Answer or raises AppError.

        With the id that another instance gave it, it stays here. That one waits for so long, and then decides it itself.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        pending = Pending(command, future, loop.time() + min(self._patience_s, patience_s or self._patience_s), id_)
        if len(self._queue) + len(self._staying) >= self._backlog:
            pending.settle(AppError("UNAVAILABLE", "Too many commands wait for this stream"))
            return future
        (self._staying if pending.stays else self._queue).append(pending)
        if self._watchdog is None:
            self._watchdog = loop.call_at(pending.deadline, self._expire)
        return future

    def take(self) -> Pending | None:
        """The next one to decide."""
        now = asyncio.get_running_loop().time()
        while self:
            pending = (self._staying or self._queue).popleft()
            if pending.deadline <= now:
                fail([pending], _LATE)  # what is decided after that could contradict what was told
            if not pending.future.done():
                self._taken[pending.id] = pending
                return pending
            self._taken.pop(pending.id, None)
        return None

    def take_for_another(self) -> list[Pending]:
        """Everything that another instance may decide: what has a key, so that deciding it twice does no harm. The rest stays."""
        leaving = []
        while self._queue:
            pending = self._queue.popleft()
            if pending.future.done():
                self._taken.pop(pending.id, None)
            elif pending.command.key is None:
                pending.stays = True
                self._staying.append(pending)
            else:
                self._taken[pending.id] = pending
                leaving.append(pending)
        return leaving

    def put_back(self, pendings: Sequence[Pending]) -> None:
        """Have commands decided once more, before those that are queued; those whose callers still wait."""
        self.forget(pending for pending in pendings if pending.future.done())
        for pending in reversed(pendings):
            if not pending.future.done():
                (self._staying if pending.stays else self._queue).appendleft(pending)

    def forget(self, pendings: Iterable[Pending]) -> None:
        """These are answered."""
        for pending in pendings:
            self._taken.pop(pending.id, None)

    def recognise(self, events: Iterable[StoredEvent]) -> None:
        """Answer the commands that durable events belong to."""
        for event in events:
            if event.command is not None and (pending := self._taken.pop(event.command, None)) is not None:
                pending.settle(Answer(event.answer or {}))

    def anybody(self) -> bool:
        """Whether a caller of what is queued still waits; those who don't are dropped."""
        queued = [*self._staying, *self._queue]
        self._staying.clear()
        self._queue.clear()
        self.put_back(queued)
        return bool(self)

    def end(self, message: str) -> None:
        """Answer UNAVAILABLE to all."""
        fail([*self._taken.values(), *self._staying, *self._queue], message)
        self._staying.clear()
        self._queue.clear()
        self._taken.clear()
        if self._watchdog is not None:
            self._watchdog.cancel()
            self._watchdog = None

    def _expire(self) -> None:
        """Answer UNAVAILABLE to callers whose time is up. Deadlines are in the order of the queue: one timer suffices."""
        self._watchdog = None
        loop = asyncio.get_running_loop()
        waiting = [p for p in (*self._taken.values(), *self._staying, *self._queue) if not p.future.done()]
        fail(
            (pending for pending in waiting if pending.deadline <= loop.time()),
            _LATE,
        )
        rest = [pending.deadline for pending in waiting if not pending.future.done()]
        if rest:
            self._watchdog = loop.call_at(min(rest), self._expire)


def fail(pendings: Iterable[Pending], message: str) -> None:
    """Answer UNAVAILABLE to those who have no answer yet."""
    for pending in pendings:
        if not pending.future.done():
            pending.settle(AppError("UNAVAILABLE", message))
