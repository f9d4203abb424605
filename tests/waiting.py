"""Waiting for what real processes do, without a guess at how long they take."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def until(look: Callable[[], T | Awaitable[T]], pause_s: float = 0.02) -> T:
    """What `look` answers, as soon as it is true. There is no limit but the test's own (pytest-timeout)."""
    while True:
        answer = look()
        if isinstance(answer, Awaitable):
            answer = await answer
        if answer:
            return answer
        await asyncio.sleep(pause_s)
