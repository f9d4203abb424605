"""Three web instances and a worker as processes of their own, on real MongoDB and Valkey, and the real nginx before them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.cluster.cluster import Cluster
from tests.cluster.databases import Shared
from tests.cluster.proxy import Proxy


@pytest.fixture(scope="module")
async def cluster(
    mongodb_url: str, redis_url: str, module_database: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Cluster]:
    """The instances, ready."""
    folder = tmp_path_factory.mktemp("instances")
    async with Cluster(folder, Shared(mongodb_url, redis_url, module_database)) as cluster:
        yield cluster


@pytest.fixture(scope="module")
async def proxy(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Proxy]:
    """nginx before them. All that the programs do comes from one address, more than any client would."""
    settings = {"NGINX_REQUESTS": "5000", "NGINX_LOGINS": "1000"}
    async with Proxy(tmp_path_factory.mktemp("nginx"), cluster.instances, settings=settings) as proxy:
        yield proxy
