"""Keeps one part of the market running."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable
from typing import Final

from server.dev.binaries import DatabaseUnavailable
from server.dev.child import Child

_FIRST_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 15.0
_STEADY_S: Final = 30.0
"""A part that ran for so long did start well: its next crash is the first again."""


class Keeper:
    """Starts a part, and again whenever it ends, after a pause that doubles from one quick crash to the next.

    Args:
        name: what people call it.
        start: starts it and returns once it works; called anew for each restart.
        say: where news for a person go.
        patience_s: seconds between SIGTERM and SIGKILL at the end.
    """

    def __init__(
        self,
        name: str,
        start: Callable[[], Awaitable[Child]],
        *,
        say: Callable[[str], None],
        patience_s: float = 15.0,
    ) -> None:
        self.name = name
        self.child: Child | None = None
        self._start = start
        self._say = say
        self._patience_s = patience_s
        self._watch: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Start it for the first time; raises what `start` raises."""
        self.child = await self._start()
        self._watch = asyncio.create_task(self._keep(self.child), name=f"keeper of {self.name}")

    async def _keep(self, child: Child) -> None:
        pause_s = _FIRST_PAUSE_S
        while True:
            began = time.monotonic()
            code = await child.wait()
            if time.monotonic() - began > _STEADY_S:
                pause_s = _FIRST_PAUSE_S
            self._say(f"{self.name} ended with code {code} (see {child.log}); starting it again")
            while True:
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
                try:
                    self.child = child = await self._start()
                except (DatabaseUnavailable, OSError) as error:
                    self._say(f"{self.name} does not start: {error}")
                else:
                    break

    async def stop(self) -> None:
        """End it in order and do not start it again."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
        if self.child is not None and self.child.running:
            await self.child.stop(self._patience_s)

    def abandon(self) -> None:
        """SIGKILL, for people who cannot wait; `stop()` still collects it."""
        if self._watch is not None:
            self._watch.cancel()
        if self.child is not None:
            self.child.signal(signal.SIGKILL)
