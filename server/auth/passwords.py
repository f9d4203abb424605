"""Argon2id, off the event loop.

One run costs tens of milliseconds and megabytes by design, so runs happen in a small thread pool, and only so many may wait:
beyond that a login is answered UNAVAILABLE at once instead of after a minute.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from server.errors import AppError
from server.metrics import AUTH_PASSWORD_SECONDS

T = TypeVar("T")

_MOST_WAITING: Final = 256


class Passwords:
    """Hashes and verifies passwords.

    Args:
        memory_kib, passes: Argon2id's cost.
        threads: runs at the same time; by default one per core, at most four.
    """

    def __init__(self, memory_kib: int, passes: int, threads: int | None = None) -> None:
        self._hasher = PasswordHasher(time_cost=passes, memory_cost=memory_kib, parallelism=1)
        self._pool = ThreadPoolExecutor(threads or min(4, os.cpu_count() or 1), thread_name_prefix="argon2")
        self._waiting = 0
        self._nobody = self._hasher.hash(os.urandom(16).hex())

    async def hash(self, password: str) -> str:
        """The encoded hash, parameters and salt included."""
        return await self._run(lambda: self._hasher.hash(password))

    async def verify(self, encoded: str | None, password: str) -> bool:
        """Whether the password is right. With None (no such account) it takes as long and says False."""
        if encoded is None:
            await self._run(lambda: self._matches(self._nobody, password))
            return False
        return await self._run(lambda: self._matches(encoded, password))

    def outdated(self, encoded: str) -> bool:
        """Whether the hash was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(encoded)

    def close(self) -> None:
        """Let the running threads finish and end the pool."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _matches(self, encoded: str, password: str) -> bool:
        try:
            return self._hasher.verify(encoded, password)
        except (Argon2Error, InvalidHashError):
            return False

    async def _run(self, work: Callable[[], T]) -> T:
        if self._waiting >= _MOST_WAITING:
            raise AppError("UNAVAILABLE", "Too many people are logging in; try again shortly")
        self._waiting += 1
        started = time.perf_counter()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._waiting -= 1
            AUTH_PASSWORD_SECONDS.observe(time.perf_counter() - started)
