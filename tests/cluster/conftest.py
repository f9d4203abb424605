"""One cluster for all tests of this folder, and nginx before it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tests.cluster.cluster import Cluster
from tests.cluster.databases import Shared
from tests.cluster.proxy import Proxy

GENEROUS = {"NGINX_PLAIN": "serve", "NGINX_REQUESTS": "5000", "NGINX_LOGINS": "1000"}
"""All clients of a test have one address."""


SITE = {
    "index.html": b"<!doctype html><title>Rialto</title>",
    "assets/index-1.js": b"export {};\n" * 1000,
    "assets/index-1.js.br": b"as brotli",
}
"""What the instances take for the web app: enough of one to be served."""


def site(folder: Path) -> Path:
    """A folder with that in it."""
    (folder / "assets").mkdir(parents=True)
    for name, content in SITE.items():
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture(scope="package")
async def running_cluster(
    mongodb_url: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Cluster]:
    """Three instances and a worker. A poll that its client has forgotten is held for five seconds only."""
    folder = tmp_path_factory.mktemp("cluster")
    settings = {"RIALTO_PING_INTERVAL_S": "5", "RIALTO_SITE_DIR": str(site(folder / "site"))}
    async with Cluster(folder, Shared(mongodb_url, redis_url), settings=settings) as cluster:
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


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """A client that keeps no cookies and follows no redirects unless told."""
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield session
