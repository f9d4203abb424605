"""Waiting with an end: what does not recover must say so."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from inspect import isawaitable

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
        if await answer if isawaitable(answer) else answer:
            return
        if (now := progress()) != last:
            last, since = now, loop.time()
        assert loop.time() - since < PATIENCE_S, f"waited {PATIENCE_S:.0f} s for {wish}; progress: {last}"
        await asyncio.sleep(0.05)
