"""The client library against real instances, over each of its transports."""

from __future__ import annotations

import json

import aiohttp
import pytest

from tests.cluster.cluster import Cluster
from tests.web import package

transports = pytest.mark.parametrize("transport", ["websocket", "polling", "sse", "longpoll"])


@transports
async def test_streams(instances: Cluster, transport: str) -> None:
    await package.run(
        "test/live/streams.test.mjs", CONTRACT_URLS=json.dumps(instances.urls), CLIENT_TRANSPORT=transport
    )


@transports
async def test_commands(instances: Cluster, transport: str) -> None:
    await package.run(
        "test/live/commands.test.mjs", CONTRACT_URLS=json.dumps(instances.urls), CLIENT_TRANSPORT=transport
    )


@transports
async def test_a_killed_instance(instances: Cluster, transport: str) -> None:
    """SIGKILL under those who follow a stream through it and bid through it."""
    await package.run(
        "test/live/failover.test.mjs",
        CONTRACT_URLS=json.dumps(instances.urls),
        CLIENT_TRANSPORT=transport,
        INSTANCE_PID=str(instances.children[instances.names[0]].pid),
    )


async def test_an_instance_that_ends(instances: Cluster) -> None:
    await package.run(
        "test/live/drain.test.mjs",
        CONTRACT_URLS=json.dumps(instances.urls),
        INSTANCE_PID=str(instances.children[instances.names[0]].pid),
    )


async def test_fallback(instances: Cluster) -> None:
    await package.run("test/live/fallback.test.mjs", CONTRACT_URLS=json.dumps(instances.urls))


async def test_outbox(instances: Cluster) -> None:
    await package.run("test/live/outbox.test.mjs", CONTRACT_URLS=json.dumps(instances.urls))


async def test_clock(instances: Cluster) -> None:
    async with aiohttp.ClientSession() as http, http.get(f"{instances.urls[0]}/metrics") as answer:
        metrics = (await answer.text()).splitlines()
    (error_s,) = [line.split()[1] for line in metrics if line.startswith("rialto_clock_error_bound_seconds ")]
    await package.run(
        "test/live/clock.test.mjs",
        CONTRACT_URLS=json.dumps(instances.urls),
        SERVER_ERROR_MS=str(float(error_s) * 1000),
    )


async def test_readme(instances: Cluster) -> None:
    await package.run("test/live/readme.test.mjs", CONTRACT_URLS=json.dumps(instances.urls))


async def test_faults(instances: Cluster) -> None:
    await package.run("test/live/faults.test.mjs", CONTRACT_URLS=json.dumps(instances.urls))
