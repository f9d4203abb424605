"""The servers that take turns: ours as it ships, Node's, python-socketio's. Each is a process, or several, made for one turn.

Ours are real web instances (`python -m server serve`) with metrics on and every setting at its default but one: rate limits are off, since
all load comes from one address. No worker runs, so nobody is notified of the bids: that work is another process's in any case.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp

from loadtest.bench.machine import Cores, pinned
from loadtest.market import Unready, ready
from loadtest.town import PASSWORD, job
from server.dev.api import Api
from server.dev.child import Child
from server.dev.mongod import Mongod
from server.dev.ports import LOOPBACK, any_free
from server.dev.valkey import Valkey
from tests.contract.node import node, packages

RIALTO: Final = "rialto"
NODE: Final = "node"
VANILLA: Final = "vanilla"
BASELINE: Final = "update-insert"

PEERS: Final = Path(__file__).parents[1] / "peers"
_ROOT: Final = Path(__file__).parents[2]
_READY_S: Final = 30.0
_SETTLE_S: Final = 0.3


@dataclass(frozen=True)
class Server:
    """One process that clients connect to."""

    url: str
    child: Child

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.child.pid


class Databases:
    """MongoDB and Valkey for a whole run, on the cores for databases.

    Args:
        folder: for data and logs.
    """

    def __init__(self, folder: Path, cores: Cores) -> None:
        self.folder = folder
        self.cores = cores
        self._mongod = Mongod(folder / "mongodb", log=folder / "logs" / "mongod.log", cache_gb=1)
        self._valkey = Valkey(folder / "valkey", log=folder / "logs" / "valkey.log", persistent=False)

    @property
    def mongodb(self) -> str:
        """URL."""
        return self._mongod.url

    @property
    def valkey(self) -> str:
        """URL."""
        return self._valkey.url

    async def __aenter__(self) -> Databases:
        with pinned(self.cores.databases):
            await self._mongod.start()
            await self._valkey.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._valkey.stop()
        await self._mongod.stop()


class Contenders:
    """Starts servers.

    Attributes:
        secret: HS256 key that all of them check tokens with.
    """

    def __init__(self, databases: Databases) -> None:
        self.secret = secrets.token_urlsafe(48)
        self._databases = databases
        self._folder = databases.folder
        self._started = 0

    @asynccontextmanager
    async def serving(
        self, name: str, cores: set[int], *, count: int = 1, database: str = "bench", redis: bool = False
    ) -> AsyncIterator[list[Server]]:
        """Servers of a contender, accepting connections.

        Args:
            name: `RIALTO`, `NODE` or `VANILLA`.
            cores: that each of them may run on.
            database: of MongoDB; only ours has one.
            redis: python-socketio with its Redis manager.

        Raises:
            Unready: one does not start.
        """
        async with AsyncExitStack() as stack:
            servers = []
            for _ in range(count):
                port = any_free()
                command, environment = self._command(name, port, database=database, redis=redis)
                self._started += 1
                log = self._folder / "logs" / f"{name}-{self._started}.log"
                child = Child(command, log=log, env=environment)
                with pinned(cores):
                    await child.start()
                stack.push_async_callback(child.kill)  # in order would take a while with thousands of sockets
                server = Server(f"http://{LOOPBACK}:{port}", child)
                await (ready(server.url, child) if name == RIALTO else _listening(server, port))
                servers.append(server)
            await asyncio.sleep(_SETTLE_S)
            yield servers

    def _command(self, name: str, port: int, *, database: str, redis: bool) -> tuple[list[str], dict[str, str]]:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("RIALTO_")}
        environment["PYTHONPATH"] = str(_ROOT)
        if name == RIALTO:
            environment |= {
                "RIALTO_RATE_LIMITS": "false",
                "RIALTO_MONGODB_URL": self._databases.mongodb,
                "RIALTO_MONGODB_DATABASE": database,
                "RIALTO_REDIS_URL": self._databases.valkey,
                "RIALTO_TOKEN_SECRET": self.secret,
                "RIALTO_DATA_DIR": str(self._folder),
            }
            return [sys.executable, "-m", "server", "serve", f"--host={LOOPBACK}", f"--port={port}"], environment
        environment["PEER_SECRET"] = self.secret
        if name == NODE:
            return [*node(), "--expose-gc", str(packages(PEERS).parent / "node.mjs"), str(port)], environment
        shared = ["--redis", self._databases.valkey] if redis else []
        return [sys.executable, "-m", "loadtest.peers.vanilla", str(port), *shared], environment

    async def auctions(self, name: str, servers: Sequence[Server], count: int) -> list[str]:
        """Ids of open English auctions, new ones. Raises ApiProblem."""
        if name != RIALTO:
            return [secrets.token_hex(11) for _ in range(count)]
        async with aiohttp.ClientSession() as http:
            email = f"{secrets.token_hex(8)}@example.com"
            client = Api(http, servers[0].url, email=email, password=PASSWORD)
            await client.register("Somebody", "client")
            posted = [await client.post("/jobs", job(f"Paint house {n}", "english", 86_400)) for n in range(count)]
        return [one["auction"]["id"] for one in posted]


async def _listening(server: Server, port: int) -> None:
    deadline = asyncio.get_running_loop().time() + _READY_S
    while True:
        try:
            _, writer = await asyncio.open_connection(LOOPBACK, port)
        except OSError:
            if not server.child.running or asyncio.get_running_loop().time() > deadline:
                raise Unready(f"{server.url} does not listen:\n{server.child.last_lines(20)}") from None
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return
