"""One auction on the cluster with everybody in it: how a test sets it going and what it can wait for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp

from server.auth.admins import grant_admin
from server.dev.api import Api
from server.dev.demo import rfc3339
from tests.soak.accounts import Account, registered
from tests.soak.client import Way
from tests.soak.cluster import Cluster
from tests.soak.evidence import Evidence
from tests.soak.people import START_AMOUNT, Auction, Bidder, Listener, Watcher
from tests.waiting import patiently

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Crowd:
    """How many take part. `bids`: acknowledged ones at least. `think_s`: mean pause of a bidder between two bids."""

    bids: int
    bidders: int
    watchers: int
    think_s: float


class Market:
    """A running auction. Use `trading`."""

    def __init__(
        self,
        cluster: Cluster,
        crowd: Crowd,
        http: aiohttp.ClientSession,
        auction: Auction,
        client: Account,
        bidders: Sequence[Bidder],
        watchers: Sequence[Watcher],
    ) -> None:
        self.cluster = cluster
        self.crowd = crowd
        self.auction = auction
        self.client = client
        self.bidders = bidders
        self.watchers = watchers
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

    async def tallies(self, what: str, count: int) -> None:
        """Return when this has happened so many times more."""
        tally = self.auction.tally
        wanted = tally[what] + count
        await patiently(lambda: tally[what] >= wanted, f"{count} more {what}", progress=lambda: tally[what])

    async def watchers_reach(self, seqs: list[int], when: str) -> None:
        """Return when each watcher has seen its seq."""

        def lead() -> int:
            """Of the slowest; negative while it has to catch up."""
            return min(len(watcher.seen) - seq for watcher, seq in zip(self.watchers, seqs, strict=True))

        await patiently(lambda: lead() >= 0, f"every watcher to go on {when}", progress=lead)

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

    async def is_refused_for_now(self) -> None:
        """Check that every instance lives, knows that it is not ready, and answers so that a retry is made."""
        await asyncio.gather(*(self._is_refused_for_now(url) for url in self.auction.urls))

    async def _is_refused_for_now(self, url: str) -> None:
        auction = f"{url}/api/v1/auctions/{self.auction.id}"
        live, ready, question, command = await asyncio.gather(
            self._answer("GET", f"{url}/health/live"),
            self._answer("GET", f"{url}/health/ready"),
            self._answer("GET", auction),
            self._answer("POST", f"{auction}/bids/1/retract", {"reason": "typo"}),
        )
        assert (live[0], ready[0]) == (200, 503), (live, ready)
        for status, problem in (question, command):
            assert (status, problem["code"], problem["retryable"]) == (503, "UNAVAILABLE", True), problem

    async def _answer(self, method: str, url: str, body: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        headers = {"Authorization": f"Bearer {self.bidders[0].token}"}
        async with self._http.request(method, url, json=body, headers=headers) as answer:
            return answer.status, await answer.json(content_type=None)

    async def prove(self) -> Evidence:
        """Check everything that must hold afterwards; the log."""
        await self.cluster.heal()
        evidence = await Evidence.gather(self.auction, self._http)
        evidence.dense()
        evidence.holds_every_ack()
        evidence.seen_by(self.watchers)
        await evidence.repeats(self.bidders)
        await evidence.stored(self.cluster)
        await evidence.verifies(self.cluster, self._http, (await self._admin()).token)
        await evidence.listed(self._api())
        log.info("%d events; %s", len(evidence.events), dict(sorted(self.auction.tally.items())))
        return evidence

    def _api(self) -> Api:
        return Api(self._http, self.auction.urls[0])

    async def _admin(self) -> Account:
        account = await registered(self._http, self.auction.urls[0], "client")
        assert await grant_admin(self.cluster.databases.mongodb_url, self.cluster.databases.name, account.email)
        await account.api.sign_in()
        return account


@asynccontextmanager
async def market(
    cluster: Cluster,
    crowd: Crowd,
    *,
    lasts_s: int = 86_400,
    soft_close: dict[str, int] | None = None,
    quiet: int = 0,
    way: Way | None = None,
    prepare: Callable[[Account], Awaitable[object]] | None = None,
) -> AsyncIterator[Market]:
    """An english auction that has just been opened, and its bidders and watchers, who do nothing yet.

    Args:
        quiet: at so many instances nobody bids, and watchers come to stay: all that they see there has come from the others.
        way: how everybody gets there; by default each to the instances themselves.
        prepare: is given the client's account before the job is posted.
    """
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as http:
        accounts = [await registered(http, cluster.urls[0], "freelancer") for _ in range(crowd.bidders)]
        client = await registered(http, cluster.urls[0], "client")
        if prepare is not None:
            await prepare(client)
        auction = await _opened(cluster, client, lasts_s, soft_close)
        busy = way or Way(cluster.urls[quiet:])
        calm = Way(cluster.urls[:quiet], restless=False) if quiet else busy
        bidders = [
            Bidder(auction, busy.urls, index, busy.manner(index), account, crowd.think_s)
            for index, account in enumerate(accounts)
        ]
        watchers = [
            _watcher(auction, busy if index % 2 else calm, index, crowd.bids // 7) for index in range(crowd.watchers)
        ]
        yield Market(cluster, crowd, http, auction, client, bidders, watchers)


def _watcher(auction: Auction, way: Way, index: int, stay: int) -> Watcher:
    """Every fifth has no socket; every other one moves of its own accord, the rest only when they must."""
    kind = Watcher if index % 5 else Listener
    moves = way.restless and index % 2
    return kind(auction, way.urls, index, way.manner(index), stay=stay if moves else None)


async def _opened(cluster: Cluster, client: Account, lasts_s: int, soft_close: dict[str, int] | None) -> Auction:
    """A new job's auction."""
    job: dict[str, Any] = {
        "title": "Paint the bridge",
        "description": "Both sides, while people walk over it",
        "category": "painting",
        "auction": {
            "format": "english",
            "currency": "EUR",
            "start_amount": START_AMOUNT,
            "increments": [{"from": 0, "step": 10}],
            "end_at": rfc3339(datetime.now(UTC) + timedelta(seconds=lasts_s)),
            "soft_close": soft_close,
        },
    }
    posted = await client.api.post("/jobs", job)
    return Auction(posted["auction"]["id"], posted["id"], cluster.urls)
