"""All processes of a market as children of the test, each of which can be killed and started again where it was."""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import signal
import sys
from pathlib import Path

import aiohttp
import orjson

from server.dev.child import Child
from server.dev.mongod import Mongod
from server.dev.ports import next_free
from server.dev.valkey import Valkey
from tests.soak.patience import patiently

DATABASE = "soak"
INSTANCES = 3

APPEND_TIMEOUT_MS = 2_000
"""Short, so that a MongoDB which is gone for seconds is noticed by those who bid."""


class Cluster:
    """Three web instances, a worker, MongoDB and Valkey. Addresses stay the same, whatever is stopped and started.

    Every process is a `Child`, so none outlives the test, and each is signalled by its own id.

    Args:
        folder: for data and logs.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mongod = Mongod(folder / "mongodb", log=folder / "mongod.log")
        self.valkey = Valkey(folder / "valkey", log=folder / "valkey.log", persistent=False)
        self.token_secret = secrets.token_urlsafe(48)
        self.urls: list[str] = []
        self._ports: list[int] = []
        self._children: dict[str, Child] = {}

    async def start(self) -> None:
        """Start everything; returns when all instances are ready."""
        for database in (self.mongod, self.valkey):
            database.folder.mkdir()
            (database.folder / "port").write_text(f"{self._port()}\n")
        await asyncio.gather(self.mongod.start(), self.valkey.start())
        ports = [self._port() for _ in range(INSTANCES)]
        self.urls = [f"http://127.0.0.1:{port}" for port in ports]
        await self.heal()

    async def stop(self) -> None:
        """End everything."""
        await asyncio.gather(*(child.stop() for child in self._children.values()))
        await asyncio.gather(self.valkey.stop(), self.mongod.stop())

    async def heal(self) -> None:
        """Start what does not run; returns when all instances are ready, with MongoDB and Valkey."""
        await self.start_mongodb()
        await self.start_valkey()
        for index in range(INSTANCES):
            await self.start_instance(index)
        await self.start_worker()
        await self.whole()

    async def whole(self) -> None:
        """Return when every instance says that it works, with all of its surroundings."""
        for index in range(INSTANCES):
            await self.ready(index)

    async def ready(self, index: int, status: str = "ok") -> None:
        """Return when this instance says that it works, with all of its surroundings; `degraded`: without Valkey."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=3)) as http:

            async def works() -> bool:
                return await _status(http, self.urls[index]) == status

            try:
                await patiently(works, f"instance {index + 1} to be {status}")
            except AssertionError as error:
                raise AssertionError(f"{error}\n{self._last_words()}") from None

    # -- web instances and workers ------------------------------------------------------------------------------------

    async def start_instance(self, index: int) -> None:
        """Start a web instance on its port, unless it runs; does not wait for it to be ready."""
        port = self._ports[-INSTANCES:][index]
        await self._start(f"web-{index + 1}", "serve", "--port", str(port))

    async def kill_instance(self, index: int) -> None:
        """SIGKILL to a web instance."""
        await self._children[f"web-{index + 1}"].kill()

    async def replace_instance(self, index: int) -> None:
        """SIGKILL to a web instance, which is started again at once; does not wait for it to be ready."""
        await self.kill_instance(index)
        await self.start_instance(index)

    async def start_worker(self, name: str = "worker") -> None:
        """Start a worker, unless the one of that name runs."""
        await self._start(name, "worker")

    async def kill_worker(self, name: str = "worker") -> None:
        """SIGKILL to a worker."""
        await self._children[name].kill()

    async def stop_worker(self, name: str) -> None:
        """End a worker in order."""
        await self._children[name].stop()

    async def _start(self, name: str, *command: str) -> None:
        if (known := self._children.get(name)) is not None and known.running:
            return
        child = Child(
            [sys.executable, "-m", "server", *command],
            log=self.folder / f"{name}.log",
            env={**self._environment(), "RIALTO_INSTANCE": name},
        )
        await child.start()
        self._children[name] = child

    def _environment(self) -> dict[str, str]:
        return {name: value for name, value in os.environ.items() if not name.startswith("RIALTO_")} | {
            "RIALTO_MONGODB_URL": self.mongod.url,
            "RIALTO_MONGODB_DATABASE": DATABASE,
            "RIALTO_REDIS_URL": self.valkey.url,
            "RIALTO_TOKEN_SECRET": self.token_secret,
            "RIALTO_DATA_DIR": str(self.folder),
            "RIALTO_ACCESS_TOKEN_S": "86400",
            "RIALTO_ARGON2_MEMORY_KIB": "64",
            "RIALTO_ARGON2_TIME": "1",
            "RIALTO_RATE_LIMITS": "false",
            "RIALTO_APPEND_TIMEOUT_MS": str(APPEND_TIMEOUT_MS),
        }

    # -- databases ----------------------------------------------------------------------------------------------------

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

    # -- the rest -----------------------------------------------------------------------------------------------------

    async def rialto(self, *arguments: str) -> tuple[int, str]:
        """Run `rialto ARGUMENTS` to its end: exit code and everything that it printed."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "server", *arguments),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=self._environment(),
        )
        output, _ = await process.communicate()
        assert process.returncode is not None
        return process.returncode, output.decode()

    def _last_words(self) -> str:
        """The end of each log, for a failure's message."""
        return "\n".join(f"--- {name}\n{child.last_lines(5)}" for name, child in self._children.items())

    def _port(self) -> int:
        """A port below those that outgoing connections take: while its server is down, no client may sit on it."""
        port = next_free(random.randrange(20_000, 30_000), avoid=self._ports)
        self._ports.append(port)
        return port


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


async def _status(http: aiohttp.ClientSession, url: str) -> str:
    try:
        async with http.get(f"{url}/health/ready") as answer:
            return str(orjson.loads(await answer.read())["status"])
    except (aiohttp.ClientError, TimeoutError):
        return "silent"
