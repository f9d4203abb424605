"""The embedded MongoDB: the real `mongod`, as a replica set of one, since change streams and majority writes need one."""

from __future__ import annotations

import asyncio
import fcntl
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from pymongo import AsyncMongoClient
from pymongo.errors import OperationFailure, PyMongoError

from server.dev.binaries import MONGOD, DatabaseUnavailable
from server.dev.child import Child
from server.dev.ports import LOOPBACK, is_free, remembered, renewed

_SET: Final = "rialto"
_START_S: Final = 60.0
"""Seconds to become primary; recovery after a crash replays at most the journal of a minute."""
_POLL_S: Final = 0.05


class Mongod:
    """A `mongod` with its data in `folder/data`.

    Its port is remembered in `folder/port`, so that the replica set's member keeps its address; if something else took the
    port meanwhile, another is chosen and the set is told.

    Args:
        folder: where data and port are kept; made if missing.
        log: its log file.
        cache_gb: WiredTiger's cache. mongod would take half of the machine's memory otherwise.
        inherited: file descriptors kept open in it, see `Child`.
    """

    def __init__(self, folder: Path, *, log: Path, cache_gb: float = 0.5, inherited: Sequence[int] = ()) -> None:
        self.folder = folder.resolve()
        self.port = 0
        self.child: Child | None = None
        self._log = log.resolve()
        self._inherited = inherited
        self._cache_gb = cache_gb

    @property
    def url(self) -> str:
        """Where clients connect, once started."""
        return f"mongodb://{LOOPBACK}:{self.port}/?replicaSet={_SET}"

    async def start(self) -> None:
        """Start it and wait until it is a writable primary. Raises DatabaseUnavailable with the reason."""
        program = await asyncio.to_thread(MONGOD.find)
        deadline = time.monotonic() + _START_S
        (self.folder / "data").mkdir(parents=True, exist_ok=True)
        note = self.folder / "port"
        await self._predecessor_ended(deadline)
        self.port = remembered(note)
        while True:
            child = self.child = Child(self._command(program), log=self._log, inherited=self._inherited)
            await child.start()
            try:
                if await self._listening(child, deadline):
                    await self._become_primary(child, deadline)
                    return
                code = await child.wait()
            except BaseException:
                await child.stop()
                raise
            if is_free(self.port) or time.monotonic() > deadline:
                raise DatabaseUnavailable(f"mongod ended with code {code}:\n{child.last_lines()}")
            self.port = renewed(note)

    async def stop(self) -> None:
        """End it in order; it is killed after half a minute."""
        if self.child is not None and self.child.running:
            await self.child.stop(30)

    def _command(self, program: Path) -> list[str | Path]:
        return [
            program,
            *("--dbpath", self.folder / "data"),
            *("--port", str(self.port)),
            *("--bind_ip", LOOPBACK),
            "--nounixsocket",
            *("--replSet", _SET),
            *("--oplogSize", "990"),
            *("--wiredTigerCacheSizeGB", str(self._cache_gb)),
            # Diagnostic samples are written every second, for a support desk that nobody has here.
            *("--setParameter", "diagnosticDataCollectionEnabled=false"),
        ]

    async def _predecessor_ended(self, deadline: float) -> None:
        """Wait while another mongod holds the folder: that of a parent killed a moment ago takes a second to end."""
        with (self.folder / "data" / "mongod.lock").open("ab") as lock:
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise DatabaseUnavailable(f"Another mongod works on {self.folder / 'data'}") from None
                    await asyncio.sleep(_POLL_S)
                else:
                    return

    async def _listening(self, child: Child, deadline: float) -> bool:
        """True once the port answers, False if the program ended before."""
        while child.running:
            try:
                _, writer = await asyncio.open_connection(LOOPBACK, self.port)
            except OSError:
                if time.monotonic() > deadline:
                    raise DatabaseUnavailable(f"mongod does not answer:\n{child.last_lines()}") from None
                await asyncio.sleep(_POLL_S)
            else:
                writer.close()
                return child.running
        return False

    async def _become_primary(self, child: Child, deadline: float) -> None:
        client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(
            LOOPBACK, self.port, directConnection=True, serverSelectionTimeoutMS=2_000
        )
        reason = ""
        try:
            while child.running and time.monotonic() < deadline:
                try:
                    if await self._settled(client):
                        return
                except PyMongoError as error:  # elections and recovery interrupt commands; ask again
                    reason = str(error)
                await asyncio.sleep(_POLL_S)
        finally:
            await client.close()
        raise DatabaseUnavailable(f"mongod does not become primary ({reason}):\n{child.last_lines()}")

    async def _settled(self, client: AsyncMongoClient[dict[str, Any]]) -> bool:
        """One step towards a set of exactly this member at this address; True when it is its writable primary."""
        member = {"_id": 0, "host": f"{LOOPBACK}:{self.port}"}
        try:
            config = (await client.admin.command("replSetGetConfig"))["config"]
        except OperationFailure as error:
            if error.code != 94:  # NotYetInitialized
                raise
            await client.admin.command("replSetInitiate", {"_id": _SET, "members": [member]})
            return False
        if [entry["host"] for entry in config["members"]] != [member["host"]]:
            config.update(version=config["version"] + 1, members=[member])
            await client.admin.command("replSetReconfig", config, force=True)
            return False
        hello = await client.admin.command("hello")
        return bool(hello.get("isWritablePrimary"))
