"""One market for all attacks: two web instances and a worker as processes of their own, on real databases."""

from __future__ import annotations

import os
import re
import secrets
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest
from pymongo import AsyncMongoClient

from server.dev.child import Child
from tests.attack.town import Person, Town
from tests.waiting import until

_URL = re.compile(r"^(http://127\.0\.0\.1:\d+)$", re.MULTILINE)


@pytest.fixture(scope="package")
async def town(mongodb_url: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Town]:
    """The market."""
    folder = tmp_path_factory.mktemp("town")
    database = f"test_{secrets.token_hex(6)}"
    secret = secrets.token_urlsafe(48)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RIALTO_")} | {
        "RIALTO_MONGODB_URL": mongodb_url,
        "RIALTO_MONGODB_DATABASE": database,
        "RIALTO_REDIS_URL": redis_url,
        "RIALTO_TOKEN_SECRET": secret,
        "RIALTO_DATA_DIR": str(folder),
        "RIALTO_ARGON2_MEMORY_KIB": "64",
        "RIALTO_ARGON2_TIME": "1",
        "RIALTO_WEBHOOK_PRIVATE_ADDRESSES": "true",  # so that none leads beyond this machine
        "RIALTO_RATE_LIMITS": "false",
    }
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(AsyncMongoClient(mongodb_url))
        stack.push_async_callback(client.drop_database, database)
        http = await stack.enter_async_context(
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=60), auto_decompress=True
            )
        )
        children: dict[str, Child] = {}
        for name, command in {
            "a": ("serve", "--port", "0"),
            "b": ("serve", "--port", "0"),
            "worker": ("worker",),
        }.items():
            child = Child([sys.executable, "-m", "server", *command], log=folder / f"{name}.log", env=environment)
            await child.start()
            stack.push_async_callback(child.stop)
            children[name] = child
        urls = [await _ready(children[name]) for name in ("a", "b")]
        yield Town(urls, children, http, client[database], secret)


async def _ready(child: Child) -> str:
    """The URL of a web instance, once it serves."""

    def printed() -> str | None:
        assert child.running, child.last_lines(30)
        found = _URL.search(Path(child.log).read_text())
        return found[1] if found else None

    url = await until(printed)
    assert url is not None
    async with aiohttp.ClientSession() as http:

        async def ready() -> bool:
            try:
                async with http.get(f"{url}/health/ready") as answer:
                    return answer.status == 200
            except aiohttp.ClientError:
                return False

        await until(ready)
    return url


@pytest.fixture(autouse=True)
async def unharmed(town: Town) -> AsyncIterator[None]:
    """After each attack everything runs, is ready, and has logged no failure."""
    yield
    await town.unharmed()


@pytest.fixture(scope="package")
async def client(town: Town) -> Person:
    """Somebody who posts jobs."""
    return await town.person("client")


@pytest.fixture(scope="package")
async def rival(town: Town) -> Person:
    """Another client."""
    return await town.person("client")


@pytest.fixture(scope="package")
async def ann(town: Town) -> Person:
    """A freelancer."""
    return await town.person("freelancer")


@pytest.fixture(scope="package")
async def bob(town: Town) -> Person:
    """Another freelancer."""
    return await town.person("freelancer")


@pytest.fixture(scope="package")
async def admin(town: Town) -> Person:
    """The operator."""
    return await town.person("both", admin=True)
