"""One cluster for all tests: it has to survive them all."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.cluster.conftest import GENEROUS
from tests.cluster.proxy import Proxy
from tests.soak.cluster import Cluster


@pytest.fixture(scope="package")
async def running_cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    """MongoDB, Valkey, three web instances and a worker of these tests' own."""
    async with Cluster(tmp_path_factory.mktemp("soak")) as cluster:
        yield cluster


@pytest.fixture
async def cluster(running_cluster: Cluster) -> Cluster:
    """`running_cluster`, whole again whatever the test before did to it."""
    await running_cluster.heal()
    return running_cluster


@pytest.fixture(scope="package")
async def running_proxy(running_cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Proxy]:
    """nginx before the cluster, which also serves without TLS."""
    folder = tmp_path_factory.mktemp("nginx")
    async with Proxy(folder, running_cluster.instances, settings=GENEROUS) as proxy:
        yield proxy


@pytest.fixture
def proxy(cluster: Cluster, running_proxy: Proxy) -> Proxy:
    """nginx before a cluster that is whole."""
    return running_proxy
