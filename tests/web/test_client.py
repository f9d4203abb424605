"""The client library against real instances, over each of its transports."""

from __future__ import annotations

import json

import pytest

from tests.cluster.cluster import Cluster
from tests.web import package

transports = pytest.mark.parametrize("transport", ["websocket", "polling", "sse", "longpoll"])


@transports
async def test_streams(instances: Cluster, transport: str) -> None:
    await package.run(
        "test/live/streams.test.mjs", CONTRACT_URLS=json.dumps(instances.urls), CLIENT_TRANSPORT=transport
    )
