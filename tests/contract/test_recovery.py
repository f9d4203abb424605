"""The official JavaScript client's connection state recovery, on two instances, one of which is killed."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Final

import pytest

from tests.cluster.cluster import NAMES, Cluster
from tests.cluster.databases import Shared
from tests.contract import node

_ALLOWED: Final = ["/bidding", "/chat", "/notifications"]


@pytest.fixture(scope="module")
async def recovering(
    mongodb_url: str, redis_url: str, module_database: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Cluster]:
    """Two instances that let clients recover."""
    async with Cluster(
        tmp_path_factory.mktemp("recovering"),
        Shared(mongodb_url, redis_url, module_database),
        instances=NAMES[:2],
        settings={"RIALTO_SOCKET_RECOVERY": json.dumps(_ALLOWED)},
    ) as cluster:
        yield cluster


@pytest.mark.parametrize("transport", ["websocket", "polling", "default"])
async def test_official_client(recovering: Cluster, transport: str) -> None:
    await recovering.heal()  # the one before killed an instance
    pid = recovering.children[NAMES[0]].pid
    await node.run(
        "recovery.test.mjs",
        CONTRACT_URLS=json.dumps(recovering.urls),
        RECOVERY_TRANSPORT=transport,
        RECOVERY_PID=str(pid),
    )
