"""What all transports of an instance share, and what their clients have asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from contextvars import copy_context
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from server.auth.tokens import Tokens
from server.limits.limits import Limits
from server.realtime.connection import Connection
from server.realtime.deadlines import Alarms, Deadlines
from server.realtime.namespace import Namespace
from server.realtime.sessions import LiveSessions
from server.streams.submitted import on_submitted

if TYPE_CHECKING:
    from server.realtime.peer import Peer


_EMPTY: Final = copy_context()


@dataclass(frozen=True, slots=True)
class Edge:
    """What all transports share.

    Attributes:
        calls: commands under way; one that takes too long is answered UNAVAILABLE, so that it can't hold up its client for ever.
        arrivals: transports that have entered no namespace yet.
        expiries: rings when a connection's token ends.
    """

    namespaces: Mapping[str, Namespace]
    tokens: Tokens
    sessions: LiveSessions
    limits: Limits
    calls: Deadlines[Call]
    arrivals: Deadlines[Peer]
    expiries: Alarms[Connection]


class Call:
    """Something a client asked for, under way in a task of its own.

    Args:
        overlaps: whether the client's next command may begin once this one waits for its commit only.
    """

    __slots__ = ("_late", "_overlaps", "_peer", "_task")

    def __init__(self, peer: Peer, *, overlaps: bool) -> None:
        self._peer = peer
        self._overlaps = overlaps
        self._task: asyncio.Task[None] | None = None
        self._late = False

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run it. Nothing is inherited from the task that happens to run now."""
        context = _EMPTY.copy()
        if self._overlaps:
            context.run(on_submitted.set, self._submitted)
        self._task = asyncio.get_running_loop().create_task(work, context=context)

    def give_up(self) -> None:
        """Its time is up."""
        self._late = True
        if self._task is not None:
            self._task.cancel()

    def is_late(self) -> bool:
        """Whether its cancellation, just caught, means that its time is up; it may go on then, to say so."""
        if self._late and self._task is not None:
            self._task.uncancel()
        return self._late

    def end(self) -> None:
        """It has been answered. Lets go of its task, whose context knows the call."""
        self._task = None

    def _submitted(self) -> None:
        """It waits for its commit only."""
        self._peer.proceed(self)
