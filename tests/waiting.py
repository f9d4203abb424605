"""Waiting for what real processes do, without a guess at how long they take."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def until(look: Callable[[], T | Awaitable[T]], pause_s: float = 0.02) -> T:
    """What `look` answers, as soon as it is true. There is no limit but the test's own."""
    while True:
        answer = look()
        if isinstance(answer, Awaitable):
            answer = await answer
        if answer:
            return answer
        await asyncio.sleep(pause_s)


PATIENCE_S = 45.0
"""Far beyond what any step takes that works at all, also on a busy machine."""


async def patiently(
    look: Callable[[], bool | Awaitable[bool]], wish: str, *, progress: Callable[[], object] = lambda: None
) -> None:
    """Return once `look` answers true. Fails when it does not and `progress` has stood still for PATIENCE_S.

    Args:
        look: asked again and again.
        wish: what is waited for, for the failure's message; so is the last `progress`.
        progress: how far it is.
    """
    loop = asyncio.get_running_loop()
    last, since = progress(), loop.time()
    while True:
        answer = look()
        if await answer if isinstance(answer, Awaitable) else answer:
            return
        if (now := progress()) != last:
            last, since = now, loop.time()
        assert loop.time() - since < PATIENCE_S, f"waited {PATIENCE_S:.0f} s for {wish}; progress: {last}"
        await asyncio.sleep(0.05)
