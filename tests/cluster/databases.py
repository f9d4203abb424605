"""MongoDB and Valkey below a cluster: the test session's own, or some that a test may kill."""

from __future__ import annotations

import asyncio
import random
import secrets
import signal
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from server.dev.child import Child
from server.dev.mongod import Mongod
from server.dev.ports import next_free
from server.dev.valkey import Valkey


def steady_port(avoid: Collection[int] = ()) -> int:
    """A free port below those that outgoing connections take: while its server is down, no client may sit on it."""
    return next_free(random.randrange(20_000, 30_000), avoid=avoid)


@dataclass(frozen=True)
class Shared:
    """Databases that others use, too, and that are never stopped: the fixtures `mongodb_url`, `redis_url` and a database's name."""

    mongodb_url: str
    redis_url: str
    name: str = field(default_factory=lambda: f"test_{secrets.token_hex(6)}")

    async def heal(self) -> None:
        """They run."""

    async def stop(self) -> None:
        """They go on."""


class Owned:
    """MongoDB and Valkey of a test's own, on addresses that stay the same whatever is stopped and started.

    Args:
        folder: for data and logs.
        name: of the database.
    """

    def __init__(self, folder: Path, name: str = "market") -> None:
        self.name = name
        self.mongod = Mongod(folder / "mongodb", log=folder / "mongod.log")
        self.valkey = Valkey(folder / "valkey", log=folder / "valkey.log", persistent=False)
        taken: list[int] = []
        for database in (self.mongod, self.valkey):
            database.folder.mkdir(parents=True)
            taken.append(steady_port(taken))
            (database.folder / "port").write_text(f"{taken[-1]}\n")

    @property
    def mongodb_url(self) -> str:
        """Where MongoDB is, once it was started."""
        return self.mongod.url

    @property
    def redis_url(self) -> str:
        """Where Valkey is, once it was started."""
        return self.valkey.url

    async def heal(self) -> None:
        """Start what does not run; returns when MongoDB is primary and Valkey answers."""
        await asyncio.gather(self.start_mongodb(), self.start_valkey())

    async def stop(self) -> None:
        """End both in order."""
        await asyncio.gather(self.mongod.stop(), self.valkey.stop())

    async def stop_mongodb(self, number: signal.Signals) -> None:
        """SIGTERM or SIGKILL to MongoDB; returns when it has ended."""
        await _end(self.mongod.child, number)

    async def start_mongodb(self) -> None:
        """Start MongoDB on its data and its port, unless it runs; returns when it is primary."""
        await _start_again(self.mongod)

    async def kill_valkey(self) -> None:
        """SIGKILL to Valkey."""
        await _end(self.valkey.child, signal.SIGKILL)

    async def start_valkey(self) -> None:
        """Start Valkey on its port, empty, unless it runs."""
        await _start_again(self.valkey)


async def _end(child: Child | None, number: signal.Signals) -> None:
    assert child is not None, "not started"
    child.signal(number)
    await child.wait()


async def _start_again(database: Mongod | Valkey) -> None:
    if database.child is not None and database.child.running:
        return
    port = database.port
    await database.start()
    assert port in (0, database.port), f"port {port} was taken while its server was down"
