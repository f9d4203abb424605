"""Two markets for all attacks: two web instances and a worker each, as processes of their own on real databases."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

import aiohttp
import pytest
from pymongo import AsyncMongoClient

from tests.attack.town import Person, Town
from tests.cluster.cluster import Cluster
from tests.cluster.databases import Shared

LIMITS: Final = {
    "RIALTO_RATE_LIMITS": "true",
    "RIALTO_RATE_COMMANDS": json.dumps({"sync_time": "100000/s", "subscribe": "50/m"}),
    "RIALTO_RATE_HANDSHAKES": "200/m",
}
"""As by default, but for what would take long to reach."""


@pytest.fixture(scope="package")
async def town(mongodb_url: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Town]:
    """The market, which lets everybody do as much as they like, and webhooks lead to this machine: to none beyond it."""
    settings = {"RIALTO_WEBHOOK_PRIVATE_ADDRESSES": "true"}
    async with _built(mongodb_url, redis_url, tmp_path_factory.mktemp("town"), settings) as built:
        yield built


@pytest.fixture(scope="package")
async def strict(mongodb_url: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Town]:
    """Another market, with its limits on, whose webhooks lead to the public Internet alone."""
    async with _built(mongodb_url, redis_url, tmp_path_factory.mktemp("strict"), LIMITS) as built:
        yield built


@asynccontextmanager
async def _built(mongodb_url: str, redis_url: str, folder: Path, settings: Mapping[str, str]) -> AsyncIterator[Town]:
    databases = Shared(mongodb_url, redis_url)
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(AsyncMongoClient(mongodb_url))
        stack.push_async_callback(client.drop_database, databases.name)
        http = await stack.enter_async_context(
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=60), auto_decompress=True
            )
        )
        cluster = await stack.enter_async_context(Cluster(folder, databases, instances=["a", "b"], settings=settings))
        yield Town(cluster.urls, cluster.children, http, client[databases.name], cluster.token_secret)


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
