"""One cluster for all tests: it has to survive them all."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.soak.cluster import Cluster


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The full size is run only where the marker is asked for by name."""
    if "soak" in config.getoption("markexpr"):
        return
    config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker("soak")])
    items[:] = [item for item in items if not item.get_closest_marker("soak")]


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
