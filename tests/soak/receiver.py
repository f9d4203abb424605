"""A receiver of webhooks, which is not always in the mood, and what must hold of all that it was sent."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import orjson
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.soak.accounts import Account
from tests.soak.cluster import Cluster
from tests.waiting import patiently

_REFUSED: Final = 7
"""Every so many-th request is answered 503."""


class Receiver:
    """An HTTP server at which a client's events are delivered.

    Attributes:
        webhook: id of the webhook that leads here, once there is one.
        bodies: what came, by the id of the event.
        deliveries: the ids of the deliveries that an event came by.
        requests: how many there were, and how many of them were refused.
    """

    def __init__(self) -> None:
        self.webhook = ""
        self.bodies: dict[str, dict[str, Any]] = {}
        self.deliveries: defaultdict[str, set[str]] = defaultdict(set)
        self.requests: Counter[str] = Counter()
        self._url = ""

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Serve on loopback."""
        app = web.Application()
        app.router.add_post("/hook", self._receive)
        server = TestServer(app)
        await server.start_server(access_log=None)
        self._url = str(server.make_url("/hook"))
        try:
            yield
        finally:
            await server.close()

    async def subscribe(self, client: Account) -> None:
        """Have everything delivered here that concerns a client's jobs."""
        events = ["job.created", "bid.submitted", "auction.closed", "award.accepted"]
        self.webhook = (await client.api.post("/webhooks", {"url": self._url, "events": events}))["id"]

    async def _receive(self, request: web.Request) -> web.Response:
        body = orjson.loads(await request.read())
        known = self.bodies.setdefault(body["id"], body)
        assert known == body, "an event was told in two ways"
        self.deliveries[body["id"]].add(request.headers["Rialto-Delivery"])
        self.requests["in all"] += 1
        refused = self.requests["in all"] % _REFUSED == 0
        self.requests["refused"] += refused
        return web.Response(status=503 if refused else 200)

    def data(self, type_: str) -> list[dict[str, Any]]:
        """What was told in events of a type."""
        return [body["data"] for body in self.bodies.values() if body["type"] == type_]

    async def prove(self, cluster: Cluster, events: int) -> None:
        """So many events came, each by the one delivery that was ever queued for it, and all are known to be delivered."""
        async with cluster.database() as database:
            deliveries = database["webhook_deliveries"]
            chosen = {"webhook": self.webhook}

            async def delivered() -> bool:
                return await deliveries.count_documents({**chosen, "state": "delivered"}) >= events

            await patiently(delivered, f"{events} deliveries", progress=lambda: self.requests["in all"])
            queued = await deliveries.find(chosen).to_list()
        assert len(queued) == events, f"{len(queued)} deliveries were queued for {events} events"
        assert {one["event"]: {one["_id"]} for one in queued} == self.deliveries
        assert all(one["state"] == "delivered" for one in queued)
