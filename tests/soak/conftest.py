"""One cluster for all tests: it has to survive them all."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.soak.cluster import Cluster


@pytest.fixture(scope="package")
async def running_cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    """MongoDB, Valkey, three web instances and a worker of these tests' own."""
    cluster = Cluster(tmp_path_factory.mktemp("soak"))
    try:
        await cluster.start()
        yield cluster
    finally:
        await cluster.stop()


@pytest.fixture
async def cluster(running_cluster: Cluster) -> Cluster:
    """`running_cluster`, whole again whatever the test before did to it."""
    await running_cluster.heal()
    return running_cluster
