"""The driver's pool survives what happens to an overloaded instance: time limits, one within the other, end at the same moment."""

from __future__ import annotations

import asyncio
import gc
import random
from collections import Counter
from typing import Any

import pytest
from pymongo import AsyncMongoClient
from pymongo.asynchronous.collection import AsyncCollection

from server.driver import repair_waiting

TASKS = 400
ROUNDS = 10


async def hurried(collection: AsyncCollection[dict[str, Any]]) -> str:
    """A read that is most likely cancelled, and most likely twice, while it waits for a connection."""
    limit_s = random.uniform(0.005, 0.15)
    try:
        async with asyncio.timeout(limit_s + random.uniform(0, 0.003)), asyncio.timeout(limit_s):
            await collection.find({"n": 1}).to_list()
    except TimeoutError:
        return "cut off"
    return "done"


@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")  # the driver drops what it is about to connect
async def test_pools_survive_two_cancellations(mongodb_url: str, database: str) -> None:
    repair_waiting()
    async with AsyncMongoClient[dict[str, Any]](mongodb_url, maxPoolSize=20, waitQueueTimeoutMS=5_000) as client:
        collection = client[database]["things"]
        await collection.insert_many([{"n": number} for number in range(2_000)])
        outcomes: Counter[str] = Counter()
        for _ in range(ROUNDS):
            outcomes.update(await asyncio.gather(*(hurried(collection) for _ in range(TASKS))))
        assert outcomes["cut off"] > TASKS
        found = await asyncio.gather(*(collection.find({"n": number}).to_list() for number in range(100)))
        assert [len(one) for one in found] == [1] * 100
    gc.collect()  # here, where its warnings are let pass
