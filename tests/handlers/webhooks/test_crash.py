"""A worker process that is killed in the midst of everything: nothing is lost, and nothing is queued twice."""

from __future__ import annotations

import asyncio
import os
import sys
from collections import Counter
from pathlib import Path

from aiohttp import web

from server.clock import new_id
from server.dev.child import Child
from server.settings import Settings
from tests.handlers.market import Market, Person, opened
from tests.handlers.webhooks.conftest import Receiver, subscribe
from tests.waiting import until

BIDS = 60


def worker(settings: Settings, log: Path) -> Child:
    """`rialto worker` on the test's databases. Its leases of deliveries are short, since a try of it is."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RIALTO_")} | {
        "RIALTO_MONGODB_URL": settings.mongodb_url,
        "RIALTO_MONGODB_DATABASE": settings.mongodb_database,
        "RIALTO_REDIS_URL": settings.redis_url,
        "RIALTO_TOKEN_SECRET": settings.token_secret.get_secret_value(),
        "RIALTO_DATA_DIR": str(settings.data_dir),
        "RIALTO_WEBHOOK_PRIVATE_ADDRESSES": "true",
        "RIALTO_WEBHOOK_TIMEOUT_S": "1",
        "RIALTO_WEBHOOK_RETRY_S": "0.1",
    }
    return Child([sys.executable, "-m", "server", "worker"], log=log, env=environment)


async def bid_up(market: Market, auction: str, people: list[Person], first: int) -> None:
    """`BIDS` bids in turn, each better than the one before."""
    for number in range(BIDS):
        who = people[number % 2]
        status, answer = await market.bid(who, auction, first + number * 100, new_id())
        assert status == 201, answer


async def test_a_killed_worker_loses_nothing(settings: Settings, receiver: Receiver, tmp_path: Path) -> None:
    answered = 0

    async def now_and_then(_request: web.Request) -> web.StreamResponse:
        nonlocal answered
        answered += 1
        return web.Response(status=503 if answered % 4 == 0 else 200)

    receiver.behave = now_and_then
    async with opened(settings, worker=False) as market:
        client = await market.person("client")
        people = [await market.person("freelancer") for _ in range(2)]
        await subscribe(market, client, receiver.url())
        auction = await market.auction(client)
        children = [worker(settings, tmp_path / f"worker{number}.log") for number in range(2)]
        try:
            await children[0].start()
            bidding = asyncio.create_task(bid_up(market, auction, people, 10_000))
            await until(lambda: len(receiver.received) > BIDS // 4)
            await children[0].kill()
            await bidding
            await children[1].start()
            bids = lambda: {body["id"] for body in receiver.of_type("bid.submitted")}  # noqa: E731
            await until(lambda: len(bids()) == BIDS)
            deliveries = market.context.db["webhook_deliveries"]

            async def all_delivered() -> bool:
                return await deliveries.count_documents({"state": "delivered"}) == BIDS + 1

            await until(all_delivered)
        finally:
            for child in children:
                if child.pid:
                    await child.stop()
        _, page = await market.call("GET", f"/streams/auction:{auction}/events?limit=1000")
        placed = {event["seq"]: event["amount"] for event in page["events"] if event["type"] == "bid"}
        assert {data["seq"]: data["bid_amount"] for data in receiver.data("bid.submitted")} == placed
        assert await deliveries.count_documents({}) == BIDS + 1
        again = Counter(one.delivery for one in receiver.received)
        assert len(again) == BIDS + 1
        stored = {one["_id"]: one async for one in deliveries.find()}
        # what came more than once was tried more than once: after a failure, or after the kill
        assert all(stored[delivery]["attempts"] >= count for delivery, count in again.items())
