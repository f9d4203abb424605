"""What `rialto dev` keeps in its data folder besides the databases: a lock against a second run, and the token secret."""

from __future__ import annotations

import asyncio
import fcntl
import os
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

_PREDECESSOR_S: Final = 45.0
"""Seconds that the children of a killed run are given to end: mongod's half minute and some more."""


class AlreadyRunning(Exception):
    """Another `rialto dev` works on the folder; the message says which."""


@asynccontextmanager
async def locked(folder: Path) -> AsyncIterator[int]:
    """Hold the folder's lock; yields its file descriptor, which children inherit.

    So the lock lasts until the last of them has ended, even if this process is killed: a run right after that waits for them
    instead of finding its ports and data folders in use. Raises AlreadyRunning.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "dev.lock").open("a+") as note:
        await _lock(note.fileno(), folder)
        note.truncate(0)
        note.write(f"{os.getpid()}\n")
        note.flush()
        try:
            yield note.fileno()
        finally:
            note.truncate(0)


async def _lock(descriptor: int, folder: Path) -> None:
    deadline = time.monotonic() + _PREDECESSOR_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = _owner(descriptor)
            if owner:
                raise AlreadyRunning(f"The market in {folder} runs already (process {owner}).") from None
            if time.monotonic() > deadline:
                raise AlreadyRunning(f"Processes of an earlier run still use {folder}.") from None
            await asyncio.sleep(0.1)
        else:
            return


def _owner(descriptor: int) -> int | None:
    """The process that took the lock, if it lives."""
    with suppress(OSError, ValueError):
        pid = int(os.pread(descriptor, 32, 0))
        os.kill(pid, 0)
        return pid
    return None


def token_secret(folder: Path) -> str:
    """The secret that signs tokens: made once, readable by its owner only."""
    path = folder / "token_secret"
    with suppress(FileExistsError):
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with open(descriptor, "w") as stream:
            stream.write(secrets.token_urlsafe(48) + "\n")
    return path.read_text().strip()
