"""Who decides the commands of a stream that several instances write to at once.

Each lost race costs everything that was decided for it, and the winner of one is likely to win the next: it knows its own events
already. So an instance that meets a rival hands its commands over to it, and goes on doing so for as long as that one answers:
the rival is its host for this stream. Nothing depends on this. No instance owns a stream; hosts are chosen by each on its own,
commands with a key can be decided twice without harm, and what a host does not answer in time is decided at home.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from server.errors import AppError
from server.streams.pending import Answer, Pending
from server.streams.relay import Relay
from server.streams.waiting import Waiting

log = structlog.get_logger(__name__)

_MEMORY_S: Final = 0.5
"""Who was not heard of for so long is no host, and no guest, any more."""

_PATIENCE_S: Final = 1.0
"""So long a host may take for an answer. It may have died, or the bus may have lost the question or the answer."""

_DISTRUST_S: Final = 5.0
"""So long after that everything is decided at home."""


class Handover:
    """One stream's commands of this instance that are with another one, and the choice of that one.

    A sender's commands keep their order: while some are with a host, those after them go to that host, or wait until it has answered.

    Args:
        stream: its name. source: name of this instance. waiting: the commands. relay: the way to other instances.
        go_on: called when there may be something to decide here.

    Attributes:
        host: who decides this instance's own commands; None: this one.
    """

    # There is one of these for every stream in memory.
    __slots__ = (
        "_asked", "_away", "_go_on", "_guests", "_heard_at", "_home_until", "_relay", "_scheduled", "_source", "_stream", "_timer",
        "_waiting", "host",
    )  # fmt: skip

    def __init__(self, stream: str, source: str, waiting: Waiting, relay: Relay, go_on: Callable[[], None]) -> None:
        self.host: str | None = None
        self._stream = stream
        self._source = source
        self._waiting = waiting
        self._relay = relay
        self._go_on = go_on
        self._away: dict[str, tuple[Pending, float]] = {}
        """By id, in the order of asking: what is with `_asked`, and since when."""
        self._asked: str | None = None
        self._heard_at = 0.0
        self._home_until = 0.0
        self._guests: dict[str, float] = {}
        self._scheduled = False
        self._timer: asyncio.TimerHandle | None = None

    @property
    def idle(self) -> bool:
        """Whether nothing is with another instance."""
        return not self._away

    def met(self, rival: str) -> None:
        """Another instance writes the stream: it may be the host, unless it is itself a guest here, and has the greater name."""
        now = asyncio.get_running_loop().time()
        if self.host is not None or rival == self._source or now < self._home_until or not self._relay.up:
            return
        if now - self._guests.get(rival, -_MEMORY_S) < _MEMORY_S and self._source < rival:
            return
        self.host = rival
        self._heard_at = now
        self._hold()
        self.soon()

    def visited(self, guest: str) -> None:
        """Another instance takes this one for its host. Of several that take each other for that, the one with the least name is."""
        now = asyncio.get_running_loop().time()
        self._guests[guest] = now
        if self.host is not None and self._source < self.host:
            self._go_home(now + _MEMORY_S)
            self._go_on()

    def soon(self) -> None:
        """Hand over what has come, once this turn of the loop has brought all of it."""
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._hand_over_scheduled)

    def hand_over(self) -> None:
        """Send the host what waits, if there is a host."""
        loop = asyncio.get_running_loop()
        if self.host is not None and not self._relay.up:
            return self._give_up("the bus is down")
        if self.host is not None and not self._away and loop.time() - self._heard_at > _MEMORY_S:
            self._go_home()
            self._go_on()
        host = self.host
        if host is None or (self._away and host != self._asked):
            return None
        leaving = self._waiting.take_for_another()
        if leaving:
            self._asked = host
            self._away.update((pending.id, (pending, loop.time())) for pending in leaving)
            if not self._relay.ask(host, self._stream, leaving, _PATIENCE_S):
                return self._give_up("the commands can't be sent")
            if self._timer is None:
                self._timer = loop.call_later(_PATIENCE_S, self._look)
        if self._waiting:
            self._go_on()
        return None

    def answered(self, host: str, elsewhere: str | None, outcomes: Sequence[tuple[str, Answer | AppError]]) -> None:
        """The host has decided some. `elsewhere`: who decides its own commands."""
        now = asyncio.get_running_loop().time()
        if host == self._asked:
            self._heard_at = now
        willing = True
        for id_, outcome in outcomes:
            if id_ not in self._away:
                continue  # it was decided at home meanwhile, or its caller's time was up
            if isinstance(outcome, AppError) and outcome.code == "UNAVAILABLE":
                willing = False  # it stops, or can't reach the store: this instance tries itself
                continue
            pending, _ = self._away.pop(id_)
            pending.settle(outcome)
            self._waiting.forget([pending])
        if not willing:
            return self._give_up("the host can't decide")
        if elsewhere is not None and host == self.host and elsewhere != self._source:
            self.host = None
            self.met(elsewhere)
            if self.host is None:
                self._go_home(now + _MEMORY_S)
        if not self._away:
            self._hold()
            self.hand_over()
            self._go_on()
        return None

    def close(self) -> None:
        """Nothing is handed over any more; whoever waits is answered by `Waiting.end`."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._away.clear()
        self._go_home(float("inf"))

    def _hand_over_scheduled(self) -> None:
        self._scheduled = False
        self.hand_over()

    def _go_home(self, until: float = 0.0) -> None:
        self.host = None
        self._home_until = max(self._home_until, until)
        self._hold()

    def _hold(self) -> None:
        """This instance's own commands are not decided here as long as there is a host, or one has yet to answer."""
        self._waiting.held = self.host is not None or bool(self._away)

    def _look(self) -> None:
        """Has the host taken too long?"""
        self._timer = None
        loop = asyncio.get_running_loop()
        self._away = {id_: (pending, at) for id_, (pending, at) in self._away.items() if not pending.future.done()}
        if not self._away:
            self._hold()
            return self._go_on()
        oldest = min(at for _, at in self._away.values())
        if loop.time() - oldest >= _PATIENCE_S:
            return self._give_up("the host does not answer")
        self._timer = loop.call_at(oldest + _PATIENCE_S, self._look)
        return None

    def _give_up(self, reason: str) -> None:
        """Decide at home what is away, before everything that has come after it."""
        log.info("streams.handed_back", stream=self._stream, host=self._asked, reason=reason, commands=len(self._away))
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for pending, _ in self._away.values():
            pending.doubtful = True
        self._waiting.put_back([pending for pending, _ in self._away.values()])
        self._away.clear()
        self._go_home(asyncio.get_running_loop().time() + _DISTRUST_S)
        self._go_on()
