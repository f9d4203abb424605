"""A market to load: its own databases, web instances and a worker, each a process, all gone afterwards."""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Final

import aiohttp

from server.dev.child import Child
from server.dev.mongod import Mongod
from server.dev.ports import any_free
from server.dev.valkey import Valkey

_READY_S: Final = 60.0
DATABASE: Final = "loadtest"

SETTINGS: Final = {
    # Thousands log in within a minute, and it is not the password's hash that is measured.
    "RIALTO_ARGON2_MEMORY_KIB": "64",
    "RIALTO_ARGON2_TIME": "1",
    "RIALTO_RATE_LIMITS": "false",  # everybody comes from one address
    "RIALTO_ACCESS_TOKEN_S": "86400",
    "RIALTO_LOG_LEVEL": "warning",
}
"""What differs from a market for people."""


class Unready(Exception):
    """A part of the market ended or hung while it started."""


@asynccontextmanager
async def own_market(folder: Path, instances: int, settings: Mapping[str, str]) -> AsyncIterator[list[str]]:
    """The addresses of the web instances of a new, empty market.

    Every process is a `Child`: it is ended by its own id, and also when this process is killed.

    Args:
        folder: for data and logs.
        settings: more of them, or others than `SETTINGS`, by their names in `server.settings`.

    Raises:
        Unready, DatabaseUnavailable: it can't be started; the message has the end of a log.
    """
    logs = folder / "logs"
    async with AsyncExitStack() as stack:
        mongod = Mongod(folder / "mongodb", log=logs / "mongod.log", cache_gb=1)
        stack.push_async_callback(mongod.stop)
        valkey = Valkey(folder / "valkey", log=logs / "valkey.log", persistent=False)
        stack.push_async_callback(valkey.stop)
        await asyncio.gather(mongod.start(), valkey.start())
        environment = {name: value for name, value in os.environ.items() if not name.startswith("RIALTO_")} | {
            **SETTINGS,
            "RIALTO_MONGODB_URL": mongod.url,
            "RIALTO_MONGODB_DATABASE": DATABASE,
            "RIALTO_REDIS_URL": valkey.url,
            "RIALTO_TOKEN_SECRET": secrets.token_urlsafe(48),
            "RIALTO_DATA_DIR": str(folder),
        }
        environment |= {f"RIALTO_{name.upper()}": value for name, value in settings.items()}

        async def begin(name: str, *command: str) -> Child:
            child = Child(
                [sys.executable, "-m", "server", *command],
                log=logs / f"{name}.log",
                env={**environment, "RIALTO_INSTANCE": name},
            )
            await child.start()
            stack.push_async_callback(child.stop)
            return child

        await begin("worker", "worker")
        ports = [any_free() for _ in range(instances)]
        webs = [
            await begin(f"web-{index + 1}", "serve", "--host=127.0.0.1", f"--port={port}")
            for index, port in enumerate(ports)
        ]
        urls = [f"http://127.0.0.1:{port}" for port in ports]
        await asyncio.gather(*(ready(url, web) for url, web in zip(urls, webs, strict=True)))
        yield urls


async def ready(url: str, web: Child) -> None:
    """Return once an instance answers that it is ready. Raises Unready when it ended, or is not within a minute."""
    deadline = time.monotonic() + _READY_S
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as http:
        while True:
            with suppress(aiohttp.ClientError, TimeoutError):
                async with http.get(f"{url}/health/ready") as answer:
                    if answer.status == 200:
                        return
            if not web.running or time.monotonic() > deadline:
                raise Unready(f"{url} does not become ready:\n{web.last_lines(20)}")
            await asyncio.sleep(0.05)
