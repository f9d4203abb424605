"""Logins of the client library, with access tokens that last as short as can be."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest

from tests.cluster.cluster import NAMES, Cluster
from tests.cluster.databases import Shared
from tests.web import package


@pytest.fixture(scope="module")
async def forgetful(
    client_package: None,
    mongodb_url: str,
    redis_url: str,
    module_database: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Cluster]:
    """An instance that gives such tokens."""
    async with Cluster(
        tmp_path_factory.mktemp("forgetful"),
        Shared(mongodb_url, redis_url, module_database),
        instances=NAMES[:1],
        settings={"RIALTO_ACCESS_TOKEN_S": "10"},
    ) as cluster:
        yield cluster


async def test_session(forgetful: Cluster) -> None:
    await package.run("test/live/session.test.mjs", CONTRACT_URLS=json.dumps([*forgetful.urls, *forgetful.urls]))
