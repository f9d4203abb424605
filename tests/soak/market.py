"""One auction on the cluster with everybody in it: how a test sets it going and what it can wait for."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import aiohttp

from models.rules.stream import Command
from server.app import compose, running
from server.auth.admins import grant_admin
from server.clock import new_id, new_salt
from server.dev.api import Api
from server.settings import Settings
from tests.soak.cluster import DATABASE, Cluster
from tests.soak.evidence import Evidence
from tests.soak.patience import patiently
from tests.soak.people import Auction, Bidder, Watcher

log = logging.getLogger(__name__)

_PASSWORD = "correct horse battery"
_HOUR_MS = 3_600_000


@dataclass(frozen=True)
class Crowd:
    """How many take part. `bids`: acknowledged ones at least. `think_s`: mean pause of a bidder between two bids."""

    bids: int
    bidders: int
    watchers: int
    think_s: float


class Market:
    """A running auction. Use `trading`."""

    def __init__(self, cluster: Cluster, crowd: Crowd, http: aiohttp.ClientSession, auction: Auction) -> None:
        self.cluster = cluster
        self.crowd = crowd
        self.auction = auction
        self.bidders: list[Bidder] = []
        self.watchers = [
            # every other one moves on its own accord, all the others only when they must
            Watcher(auction, index, stay=crowd.bids // 7 if index % 2 else None)
            for index in range(crowd.watchers)
        ]
        self._http = http
        self._over = False
        self._bidding: list[asyncio.Task[None]] = []

    def enough(self) -> bool:
        """Whether bidders may stop: the trouble is over, and there are bids enough."""
        return self._over and len(self.auction.placed) >= self.crowd.bids

    async def more_bids(self, count: int) -> None:
        """Return when so many more bids have been acknowledged."""
        wanted = len(self.auction.placed) + count
        await patiently(
            lambda: len(self.auction.placed) >= wanted,
            f"{count} more bids",
            progress=lambda: len(self.auction.placed),
        )

    async def watchers_reach(self, seqs: list[int], when: str) -> None:
        """Return when each watcher has seen its seq."""
        await patiently(
            lambda: all(len(watcher.seen) >= seq for watcher, seq in zip(self.watchers, seqs, strict=True)),
            f"watchers to go on {when}",
            progress=lambda: [len(watcher.seen) for watcher in self.watchers],
        )

    @asynccontextmanager
    async def trading(self) -> AsyncIterator[None]:
        """Everybody bids and watches while the body makes trouble, and until all is answered and seen."""
        async with asyncio.TaskGroup() as group:
            watching = [group.create_task(watcher.run()) for watcher in self.watchers]
            self._bidding = [group.create_task(bidder.run(self.enough)) for bidder in self.bidders]
            yield
            await self.no_more_bids()
            await self.cluster.heal()
            seq = (await self._api().get(f"/streams/{self.auction.stream}"))["seq"]
            await self.watchers_reach([seq] * len(self.watchers), "to the last event")
            for task in watching:
                task.cancel()

    async def no_more_bids(self) -> None:
        """Let the bidders come to their end; returns when each bid that was ever sent has been answered."""
        self._over = True
        await patiently(
            lambda: all(task.done() for task in self._bidding),
            "every bid to be answered",
            progress=lambda: len(self.auction.placed),
        )

    async def passes_its_end(self) -> None:
        """Return when the auction's time is over, and a moment more."""
        auction = await self._api().get(f"/auctions/{self.auction.id}")
        left = datetime.fromisoformat(auction["end_at"]) - datetime.now(UTC)
        await asyncio.sleep(left.total_seconds() + 0.5)

    async def prove(self) -> Evidence:
        """Check everything that must hold afterwards; the log."""
        await self.cluster.heal()
        evidence = await Evidence.gather(self.auction, self._http)
        evidence.dense()
        evidence.holds_every_ack()
        evidence.seen_by(self.watchers)
        await evidence.repeats(self.bidders)
        await evidence.stored(self.cluster)
        await evidence.verifies(self.cluster, self._http, await self._admin())
        await evidence.listed(self.cluster)
        log.info("%d events; %s", len(evidence.events), dict(sorted(self.auction.tally.items())))
        return evidence

    async def invite(self) -> None:
        """Make the bidders' accounts."""
        for index in range(self.crowd.bidders):
            api = await _registered(self._http, self.auction.urls[0], "freelancer")
            user = (await api.get("/users/me"))["id"]
            assert api.token is not None
            self.bidders.append(Bidder(self.auction, index, user=user, token=api.token, think_s=self.crowd.think_s))

    def _api(self) -> Api:
        return Api(self._http, self.auction.urls[0])

    async def _admin(self) -> Api:
        api = await _registered(self._http, self.auction.urls[0], "client")
        me = await api.get("/users/me")
        assert await grant_admin(self.cluster.mongod.url, DATABASE, me["email"])
        await api.sign_in()
        return api


@asynccontextmanager
async def market(
    cluster: Cluster, crowd: Crowd, *, lasts_ms: int = 24 * _HOUR_MS, soft_close: dict[str, int] | None = None
) -> AsyncIterator[Market]:
    """An english auction that has just been opened, and its bidders and watchers, who do nothing yet."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as http:
        auction = Auction(new_id(), cluster.urls)
        trade = Market(cluster, crowd, http, auction)
        await trade.invite()
        await _open(cluster, auction, lasts_ms, soft_close)
        yield trade


async def _open(cluster: Cluster, auction: Auction, lasts_ms: int, soft_close: dict[str, int] | None) -> None:
    settings = Settings(
        mongodb_url=cluster.mongod.url,
        mongodb_database=DATABASE,
        redis_url=cluster.valkey.url,
        token_secret=cluster.token_secret,
    )
    context, _ = compose(settings)
    async with running(context):
        terms: dict[str, Any] = {
            "format": "english",
            "currency": "EUR",
            "start_amount": 1_000,
            "increments": [{"from": 0, "step": 10}],
            "end_at": context.clock.now() + lasts_ms,
            "soft_close": soft_close,
        }
        command = Command("open", new_id(), {"job": new_id(), "terms": terms}, "open", {"salt": new_salt()})
        await context.streams.append(auction.stream, command)


async def _registered(http: aiohttp.ClientSession, url: str, role: str) -> Api:
    """A new account, signed in."""
    api = Api(http, url, email=f"{secrets.token_hex(8)}@example.com", password=_PASSWORD)
    await api.register("Somebody", role)
    return api
