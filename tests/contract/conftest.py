"""Two web instances and a worker as processes of their own, on real MongoDB and Valkey."""

from __future__ import annotations

import os
import re
import secrets
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from aiohttp import ClientError, ClientSession

from server.dev.child import Child
from tests.waiting import until

_URL = re.compile(r"^(http://127\.0\.0\.1:\d+)$", re.MULTILINE)


@pytest.fixture(scope="module")
async def instances(
    mongodb_url: str, redis_url: str, module_database: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[list[str]]:
    """The URLs of two instances, ready."""
    folder = tmp_path_factory.mktemp("instances")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RIALTO_")} | {
        "RIALTO_MONGODB_URL": mongodb_url,
        "RIALTO_MONGODB_DATABASE": module_database,
        "RIALTO_REDIS_URL": redis_url,
        "RIALTO_TOKEN_SECRET": secrets.token_urlsafe(48),
        "RIALTO_DATA_DIR": str(folder),
        "RIALTO_ARGON2_MEMORY_KIB": "64",
        "RIALTO_ARGON2_TIME": "1",
    }
    async with AsyncExitStack() as stack:

        async def start(name: str, *command: str) -> Child:
            program = [sys.executable, "-m", "server", *command]
            child = Child(program, log=folder / f"{name}.log", env=environment)
            await child.start()
            stack.push_async_callback(child.stop)
            return child

        await start("worker", "worker")
        children = [await start(name, "serve", "--port", "0") for name in ("a", "b")]
        yield [await _ready(child) for child in children]


async def _ready(child: Child) -> str:
    def printed() -> str | None:
        assert child.running, child.last_lines(30)
        found = _URL.search(Path(child.log).read_text())
        return found[1] if found else None

    url = await until(printed)
    assert url is not None
    async with ClientSession() as http:

        async def ready() -> bool:
            try:
                async with http.get(f"{url}/health/ready") as answer:
                    return answer.status == 200
            except ClientError:
                return False

        await until(ready)
    return url
