"""How an edge learns that a command waits for its commit, so that the sender's next one may start meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Final

on_submitted: Final[ContextVar[Callable[[], None] | None]] = ContextVar("on_submitted", default=None)
"""Called, in the task that appends, right after a command has been queued on its stream and before its outcome is known.

From then on commands that the same sender submits to that stream are decided after it. A command that appends several times calls
it several times, one that never gets so far never does: its end is the signal then. It must neither raise nor await.
"""
