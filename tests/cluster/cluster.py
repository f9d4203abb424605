"""All processes of a market as children of the test, each of which can be killed and started again where it was."""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

import aiohttp
import orjson

from server.dev.child import Child
from tests.cluster.databases import steady_port
from tests.waiting import patiently

NAMES: Final = ("rialto-1", "rialto-2", "rialto-3")
"""As in docker-compose.yml."""

WORKER: Final = "worker"

_STOP_S: Final = 30.0
"""Longer than a process takes to drain."""

_DRAIN_S: Final = 5

_CHEAP: Final[Mapping[str, str]] = {
    "RIALTO_ARGON2_MEMORY_KIB": "64",
    "RIALTO_ARGON2_TIME": "1",
    "RIALTO_DRAIN_S": str(_DRAIN_S),
    "RIALTO_RATE_LIMITS": "false",
}
"""Tests have no time for passwords that are hard to guess, nor for many who leave one by one, and are all at one address."""


class Databases(Protocol):
    """What a cluster stands on: `tests.cluster.databases.Shared` or `.Owned`."""

    @property
    def mongodb_url(self) -> str: ...
    @property
    def redis_url(self) -> str: ...
    @property
    def name(self) -> str: ...
    async def heal(self) -> None: ...
    async def stop(self) -> None: ...


class Cluster:
    """Web instances and workers on MongoDB and Valkey; an asynchronous context manager.

    Every process is a `Child`, so none outlives the test, and each is signalled by its own id. An instance has its name, its
    port and its log for good, however often it is killed and started.

    Args:
        folder: for data and logs.
        databases: what it stands on; started and stopped with it.
        instances: names of the web instances; session ids begin with them.
        settings: RIALTO_* variables of all processes, in addition.
    """

    def __init__(
        self,
        folder: Path,
        databases: Databases,
        *,
        instances: Sequence[str] = NAMES,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.databases = databases
        self.names = tuple(instances)
        self.token_secret = secrets.token_urlsafe(48)
        self.ports: dict[str, int] = {}
        for name in (*self.names, WORKER):
            self.ports[name] = steady_port(list(self.ports.values()))
        self.children: dict[str, Child] = {}
        self._settings = dict(settings or {})

    async def __aenter__(self) -> Cluster:
        """Start everything, with one worker; returns when all instances are ready."""
        try:
            await self.heal()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """End everything in order."""
        await asyncio.gather(*(child.stop(_STOP_S) for child in self.children.values()))
        await self.databases.stop()

    @property
    def urls(self) -> list[str]:
        """The URLs of the instances, in the order of `names`."""
        return [self.url(name) for name in self.names]

    @property
    def instances(self) -> dict[str, str]:
        """Names and URLs of the instances."""
        return {name: self.url(name) for name in self.names}

    def url(self, name: str) -> str:
        """Where an instance is, past any proxy; or a worker's health and metrics."""
        return f"http://127.0.0.1:{self.ports[name]}"

    # -- one process --------------------------------------------------------------------------------------------------

    async def start(self, name: str) -> None:
        """Start an instance, or a worker of any other name, unless it runs; does not wait for it to be ready."""
        if (known := self.children.get(name)) is not None and known.running:
            return
        if name not in self.ports:
            self.ports[name] = steady_port(list(self.ports.values()))
        port = str(self.ports[name])
        child = self.children[name] = Child(
            [sys.executable, "-m", "server", "serve" if name in self.names else "worker"],
            log=self.folder / f"{name}.log",
            env={**self.environment(), "RIALTO_INSTANCE": name, "RIALTO_PORT": port, "RIALTO_WORKER_PORT": port},
        )
        await child.start()

    async def kill(self, name: str) -> None:
        """SIGKILL; returns when it has ended."""
        await self.children[name].kill()

    async def stop(self, name: str) -> int:
        """SIGTERM: it drains and ends. Its exit code."""
        return await self.children[name].stop(_STOP_S)

    async def replace(self, name: str) -> None:
        """SIGKILL, and started again at once; does not wait for it to be ready."""
        await self.kill(name)
        await self.start(name)

    async def restart(self, name: str) -> int:
        """SIGTERM, and started again when it has ended, as a rolling deployment does; returns its exit code when it is ready."""
        code = await self.stop(name)
        await self.start(name)
        await self.ready(name)
        return code

    def signal(self, name: str, number: int) -> None:
        """Send a signal."""
        self.children[name].signal(number)

    async def ready(self, name: str, status: str = "ok") -> None:
        """Return when a process says that it works, with all of its surroundings; `degraded`: without Valkey."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=3)) as http:

            async def works() -> bool:
                return await _status(http, self.url(name)) == status

            try:
                await patiently(works, f"{name} to be {status}")
            except AssertionError as error:
                raise AssertionError(f"{error}\n{self.last_words()}") from None

    # -- all of them --------------------------------------------------------------------------------------------------

    async def heal(self) -> None:
        """Start what does not run; returns when all instances are ready, with MongoDB and Valkey."""
        await self.databases.heal()
        for name in (*self.names, WORKER):
            await self.start(name)
        await self.whole()

    async def whole(self) -> None:
        """Return when every instance says that it works, with all of its surroundings."""
        for name in self.names:
            await self.ready(name)

    # -- the rest -----------------------------------------------------------------------------------------------------

    def environment(self) -> dict[str, str]:
        """The variables that all of these processes share."""
        return {name: value for name, value in os.environ.items() if not name.startswith("RIALTO_")} | {
            "RIALTO_MONGODB_URL": self.databases.mongodb_url,
            "RIALTO_MONGODB_DATABASE": self.databases.name,
            "RIALTO_REDIS_URL": self.databases.redis_url,
            "RIALTO_TOKEN_SECRET": self.token_secret,
            "RIALTO_DATA_DIR": str(self.folder),
            **_CHEAP,
            **self._settings,
        }

    async def rialto(self, *arguments: str) -> tuple[int, str]:
        """Run `rialto ARGUMENTS` to its end: exit code and everything that it printed."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "server", *arguments),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=self.environment(),
        )
        output, _ = await process.communicate()
        assert process.returncode is not None
        return process.returncode, output.decode()

    def log(self, name: str) -> list[dict[str, Any]]:
        """The lines of a process' log that are JSON objects, oldest first."""
        return json_lines(self.folder / f"{name}.log")

    def last_words(self) -> str:
        """The end of each log, for a failure's message."""
        return "\n".join(f"--- {name}\n{child.last_lines(5)}" for name, child in self.children.items())


def json_lines(log: Path) -> list[dict[str, Any]]:
    """The lines of a log that are JSON objects; the last one may not be whole yet."""
    lines = log.read_bytes().split(b"\n")[:-1]
    return [orjson.loads(line) for line in lines if line.startswith(b"{")]


async def _status(http: aiohttp.ClientSession, url: str) -> str:
    try:
        async with http.get(f"{url}/health/ready") as answer:
            return str(orjson.loads(await answer.read())["status"])
    except (aiohttp.ClientError, TimeoutError):
        return "silent"
