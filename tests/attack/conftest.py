"""One market for all attacks: two web instances and a worker as processes of their own, on real databases."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import aiohttp
import pytest
from pymongo import AsyncMongoClient

from tests.attack.town import Person, Town
from tests.cluster.cluster import Cluster
from tests.cluster.databases import Shared


@pytest.fixture(scope="package")
async def town(mongodb_url: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Town]:
    """The market."""
    databases = Shared(mongodb_url, redis_url)
    settings = {"RIALTO_WEBHOOK_PRIVATE_ADDRESSES": "true"}  # so that none leads beyond this machine
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(AsyncMongoClient(mongodb_url))
        stack.push_async_callback(client.drop_database, databases.name)
        http = await stack.enter_async_context(
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=60), auto_decompress=True
            )
        )
        cluster = await stack.enter_async_context(
            Cluster(tmp_path_factory.mktemp("town"), databases, instances=["a", "b"], settings=settings)
        )
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
