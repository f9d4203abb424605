"""The embedded Valkey (or Redis 7+): the real server, on loopback."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from server.dev.binaries import VALKEY, DatabaseUnavailable
from server.dev.child import Child
from server.dev.ports import LOOPBACK, is_free, remembered, renewed

_START_S: Final = 30.0
_POLL_S: Final = 0.02


class Valkey:
    """A `valkey-server` with its data in `folder`; its port is remembered in `folder/port`.

    Nothing in it is the truth, but a restart should not forget which tokens were revoked: with `persistent` it keeps an
    append-only file, synced every second.

    Args:
        folder: where data and port are kept; made if missing.
        log: its log file.
        persistent: False keeps nothing, for tests.
        inherited: file descriptors kept open in it, see `Child`.
        options: more of the server's, as on its command line; a cluster's members are such servers.
    """

    def __init__(
        self,
        folder: Path,
        *,
        log: Path,
        persistent: bool = True,
        inherited: Sequence[int] = (),
        options: Sequence[str] = (),
    ) -> None:
        self.folder = folder.resolve()
        self.port = 0
        self.child: Child | None = None
        self._log = log.resolve()
        self._inherited = inherited
        self._persistent = persistent
        self._options = options

    @property
    def url(self) -> str:
        """Where clients connect, once started."""
        return f"redis://{LOOPBACK}:{self.port}/0"

    async def start(self) -> None:
        """Start it and wait until it answers. Raises DatabaseUnavailable with the reason."""
        program = await asyncio.to_thread(VALKEY.find)
        deadline = time.monotonic() + _START_S
        self.folder.mkdir(parents=True, exist_ok=True)
        note = self.folder / "port"
        self.port = remembered(note)
        while True:
            child = self.child = Child(self._command(program), log=self._log, inherited=self._inherited)
            await child.start()
            try:
                if await self._answers(child, deadline):
                    return
                code = await child.wait()
            except BaseException:
                await child.stop()
                raise
            if is_free(self.port) or time.monotonic() > deadline:
                raise DatabaseUnavailable(f"{program.name} ended with code {code}:\n{child.last_lines()}")
            self.port = renewed(note)

    async def stop(self) -> None:
        """End it in order; it is killed after ten seconds."""
        if self.child is not None and self.child.running:
            await self.child.stop(10)

    def _command(self, program: Path) -> list[str | Path]:
        return [
            program,
            *("--port", str(self.port)),
            *("--bind", LOOPBACK),
            *("--dir", self.folder),
            *("--save", ""),
            *("--appendonly", "yes" if self._persistent else "no"),
            *self._options,
        ]

    async def _answers(self, child: Child, deadline: float) -> bool:
        """True once it answers a PING (it does not while it loads its data), False if it ended before."""
        while child.running:
            if await self._ping():
                return child.running
            if time.monotonic() > deadline:
                raise DatabaseUnavailable(f"The Valkey server does not answer:\n{child.last_lines()}")
            await asyncio.sleep(_POLL_S)
        return False

    async def _ping(self) -> bool:
        try:
            reader, writer = await asyncio.open_connection(LOOPBACK, self.port)
        except OSError:
            return False
        try:
            writer.write(b"PING\r\n")
            async with asyncio.timeout(2):
                return await reader.readline() == b"+PONG\r\n"
        except (OSError, TimeoutError):
            return False
        finally:
            writer.close()
