"""A child process that cannot outlive this one, not even after SIGKILL. See `server.dev.guard` for how."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

_GUARD: Final = Path(__file__).with_name("guard.py")
_LOG_LIMIT: Final = 16 * 1024 * 1024
"""Bytes of a log beyond which the next start begins a new one and keeps the old as `NAME.1`."""


class Child:
    """One run of a program in a session of its own, so that Ctrl-C at the terminal does not reach it.

    Args:
        command: program (absolute path) and arguments.
        log: file that its standard output and error are appended to.
        env: its whole environment; None passes on this process's.
        grace_s: seconds between SIGTERM and SIGKILL when this process is gone.
        inherited: file descriptors that stay open in it, such as a lock that is to be held until it has ended.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        grace_s: float = 10.0,
        inherited: Sequence[int] = (),
    ) -> None:
        self.command = [str(part) for part in command]
        self.log = log
        self.pid = 0
        self._env = env
        self._grace_s = grace_s
        self._inherited = tuple(inherited)
        self._link: socket.socket | None = None
        self._exit: asyncio.Task[int] | None = None

    @property
    def running(self) -> bool:
        """True from `start()` until its end was noticed."""
        return self._exit is not None and not self._exit.done()

    async def start(self) -> None:
        """Start the program; `pid` is its process id afterwards. Raises OSError if no process can be made."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        _rotate(self.log)
        with theirs, self.log.open("ab") as output:
            guard = subprocess.Popen(  # noqa: ASYNC220 - a fork takes a millisecond, and no child watcher is needed
                [sys.executable, "-I", "-S", str(_GUARD), str(self._grace_s), *self.command],
                stdin=theirs.fileno(),
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self._env,
                start_new_session=True,
                pass_fds=self._inherited,
            )
        self._link = ours
        told = await asyncio.get_running_loop().sock_recv(ours, 32)
        self.pid = int(told or b"0")
        self._exit = asyncio.create_task(self._await_exit(guard, ours), name=f"exit of {self.command[0]}")

    async def _await_exit(self, guard: subprocess.Popen[bytes], link: socket.socket) -> int:
        with suppress(OSError):
            await asyncio.get_running_loop().sock_recv(link, 1)  # its end is the guard's, and so the program's
        self._link = None
        link.close()
        return guard.wait()

    async def wait(self) -> int:
        """The exit code, once it has ended; 128 + n if signal n ended it."""
        assert self._exit is not None, "start() first"
        return await asyncio.shield(self._exit)

    def signal(self, number: int) -> None:
        """Send a signal to the program; nothing happens if it has ended."""
        if self._link is not None:
            with suppress(OSError):
                self._link.send(bytes([number]))

    async def stop(self, patience_s: float = 10.0) -> int:
        """SIGTERM, after `patience_s` seconds SIGKILL; returns the exit code (see `wait`)."""
        self.signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(patience_s):
                return await self.wait()
        except TimeoutError:
            return await self.kill()

    async def kill(self) -> int:
        """SIGKILL; returns the exit code (see `wait`)."""
        self.signal(signal.SIGKILL)
        return await self.wait()

    def last_lines(self, count: int = 10) -> str:
        """The end of its log, to show a person why it failed."""
        with suppress(OSError):
            size = self.log.stat().st_size
            with self.log.open("rb") as stream:
                stream.seek(max(0, size - 64 * 1024))
                return "\n".join(stream.read().decode(errors="replace").splitlines()[-count:])
        return ""


def _rotate(log: Path) -> None:
    """Set a log aside that has grown large; one predecessor is kept."""
    with suppress(FileNotFoundError):
        if log.stat().st_size > _LOG_LIMIT:
            os.replace(log, log.with_name(log.name + ".1"))
