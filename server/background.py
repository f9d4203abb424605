"""Background tasks: kept running while they are wanted, ended for certain when they aren't."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final

import structlog

log = structlog.get_logger(__name__)

_RESTART_S: Final = 1.0

_AGAIN_S: Final = 0.5


def is_cancelled() -> bool:
    """Whether somebody wants the current task to end; a driver's own CancelledError is not that."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def keep_running(work: Callable[[], Awaitable[object]], name: str) -> None:
    """Run `work` for ever: what fails, returns, or is cancelled from within a driver is logged and begun again."""
    while True:
        try:
            await work()
        except asyncio.CancelledError:
            if is_cancelled():
                raise
            log.warning("task.cancelled_from_within", task=name)
        except Exception:
            log.exception("task.failed", task=name)
        await asyncio.sleep(_RESTART_S)


def run_for_ever(work: Callable[[], Awaitable[object]], name: str) -> asyncio.Task[None]:
    """A task that does `keep_running`; end it with `end`."""
    return asyncio.create_task(keep_running(work, name), name=name)


async def end(tasks: Iterable[asyncio.Future[Any]]) -> None:
    """Cancel tasks and wait until they have ended; what they raised is dropped.

    Cancels again and again: drivers of databases turn a cancellation that meets the end of an operation into an error of their
    own, which a loop that outlives errors then survives.
    """
    pending = {task for task in tasks if not task.done()}
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=_AGAIN_S)
