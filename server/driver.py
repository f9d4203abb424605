"""A repair of the MongoDB driver, which Python 3.11 needs.

Tasks that want a connection wait for it by `asyncio.wait_for(condition.wait(), ...)`. Up to Python 3.11 that runs the wait as a task of
its own, and a caller that is cancelled twice, as by two time limits one within the other, goes on before that task has the lock
back. The caller then gives back a lock that it does not hold, and the pool is broken: `cannot wait on un-acquired lock`, or
nobody ever gets a connection again. From Python 3.12 on everything happens in one task, as it does here.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable
from typing import TypeVar

from pymongo import lock

T = TypeVar("T")


def repair_waiting() -> None:
    """Let the driver's pools survive any cancellation. Idempotent."""
    if sys.version_info < (3, 12):
        lock.wait_for = _wait_for  # type: ignore[attr-defined, assignment]


async def _wait_for(awaitable: Awaitable[T], timeout: float | None) -> T:
    async with asyncio.timeout(timeout):
        return await awaitable
