"""The pool's metrics on a real MongoDB: idle, in use, exhausted, closed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from prometheus_client import REGISTRY
from pymongo import AsyncMongoClient
from pymongo.errors import ServerSelectionTimeoutError, WaitQueueTimeoutError

from server.app import compose, running
from server.metrics.pool import PoolMetrics
from server.settings import Settings
from tests.waiting import until

PREFIX = "rialto_mongodb_pool_"


def total(name: str, **labels: str) -> float:
    """The sum of a metric's samples over all servers."""
    samples = (sample for metric in REGISTRY.collect() for sample in metric.samples if sample.name == PREFIX + name)
    return sum(sample.value for sample in samples if labels.items() <= sample.labels.items())


def gauges() -> tuple[float, float, float]:
    """Connections open, in use, at most."""
    return total("connections"), total("checked_out_connections"), total("max_connections")


async def test_use_of_the_pool_is_counted(mongodb_url: str, database: str) -> None:
    before = gauges()
    waits, timeouts = total("checkout_seconds_count"), total("checkout_failures_total", reason="timeout")
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(
        mongodb_url, maxPoolSize=1, waitQueueTimeoutMS=50, retryReads=False, event_listeners=[PoolMetrics()]
    )
    async with client, AsyncMongoClient[dict[str, Any]](mongodb_url) as other:
        things = client[database]["things"]
        await things.insert_one({"_id": 1})
        open_before, used_before, most_before = before
        assert gauges() == (open_before + 1, used_before, most_before + 1)

        async with await things.watch(max_await_time_ms=60_000) as changes:
            # The server holds the answer back, and with it the only connection, until something changes.
            change = asyncio.ensure_future(changes.next())
            await until(lambda: gauges() == (open_before + 1, used_before + 1, most_before + 1))
            with pytest.raises(WaitQueueTimeoutError):
                await things.find_one({"_id": 1})
            assert total("checkout_failures_total", reason="timeout") == timeouts + 1
            await other[database]["things"].insert_one({"_id": 2})
            assert (await change)["fullDocument"] == {"_id": 2}
            assert gauges() == (open_before + 1, used_before, most_before + 1)
        assert total("checkout_seconds_count") > waits + 3
    assert gauges() == before


async def test_a_server_that_is_not_there_leaves_nothing_behind() -> None:
    before = gauges()
    url = "mongodb://127.0.0.1:1/?directConnection=true"
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(
        url, serverSelectionTimeoutMS=50, event_listeners=[PoolMetrics()]
    )
    async with client:
        with pytest.raises(ServerSelectionTimeoutError):
            await client.admin.command("ping")
    assert gauges() == before


async def test_the_application_counts_its_own(settings: Settings) -> None:
    before = gauges()
    context, _ = compose(settings.model_copy(update={"mongodb_pool_min": 3, "mongodb_pool_max": 7}))
    async with running(context):
        await until(lambda: total("connections") >= before[0] + 3)
        assert total("max_connections") == before[2] + 7
    assert gauges() == before
