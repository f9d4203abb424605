"""The built client library, and two instances with a worker for it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.cluster.cluster import NAMES, Cluster
from tests.cluster.databases import Shared
from tests.web import package


@pytest.fixture(scope="session")
async def client_package() -> None:
    """The library, compiled; which also checks its types."""
    await package.built()


@pytest.fixture(scope="module")
async def running_instances(
    client_package: None,
    mongodb_url: str,
    redis_url: str,
    module_database: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Cluster]:
    """Two instances and a worker."""
    async with Cluster(
        tmp_path_factory.mktemp("instances"),
        Shared(mongodb_url, redis_url, module_database),
        instances=NAMES[:2],
    ) as cluster:
        yield cluster


@pytest.fixture
async def instances(running_instances: Cluster) -> Cluster:
    """`running_instances`, whole again whatever the test before did to it."""
    await running_instances.heal()
    return running_instances
