"""No bid is lost, none is doubled, and everybody sees the same, whatever is killed.

Each test runs an auction on three instances while something is killed and comes back, and then compares what bidders were
told, what watchers saw, what the log says and what MongoDB holds. `make test` runs them small, `make soak` at full size.
"""

from __future__ import annotations

import asyncio
import itertools
import signal
from dataclasses import dataclass

import pytest

from tests.cluster.cluster import NAMES, WORKER
from tests.soak.cluster import Cluster
from tests.soak.market import Crowd, market
from tests.waiting import patiently


@dataclass(frozen=True)
class Size:
    """How much of everything.

    Attributes:
        kills: of instances or workers, at least. pause_s: between two of them.
        outages: how MongoDB is ended, one after the other. outage_s: how long it stays away once that is noticed.
    """

    crowd: Crowd
    kills: int
    pause_s: float
    outages: tuple[signal.Signals, ...]
    outage_s: float


SMALL = Size(Crowd(300, 12, 5, 0.08), kills=3, pause_s=0.7, outages=(signal.SIGKILL,), outage_s=1.0)
FULL = Size(Crowd(5_000, 100, 20, 0.5), kills=10, pause_s=3, outages=(signal.SIGTERM, signal.SIGKILL), outage_s=5.0)

sizes = pytest.mark.parametrize(
    "size", [pytest.param(SMALL, id="small"), pytest.param(FULL, id="full", marks=pytest.mark.soak)]
)


@sizes
async def test_instances_killed(cluster: Cluster, size: Size) -> None:
    async with market(cluster, size.crowd) as trade:
        async with trade.trading():
            for kill in itertools.count():
                if kill >= size.kills and len(trade.auction.placed) >= size.crowd.bids:
                    break
                await asyncio.sleep(size.pause_s)
                victim = NAMES[kill % len(NAMES)]
                await cluster.ready(victim)  # those before it may still be on their way
                await cluster.kill(victim)
                trade.auction.tally["instances killed"] += 1
                await trade.more_bids(1)
                await cluster.start(victim)
        await trade.prove()


@sizes
async def test_valkey_killed(cluster: Cluster, size: Size) -> None:
    async with market(cluster, size.crowd, quiet=1) as trade:
        some = size.crowd.bids // 4
        async with trade.trading():
            await trade.more_bids(some)
            await cluster.databases.kill_valkey()
            await cluster.replace(NAMES[1])
            await cluster.ready(NAMES[1], "degraded")
            reached = [len(watcher.seen) + some for watcher in trade.watchers]
            await trade.watchers_reach(reached, "without Valkey")
            await cluster.databases.start_valkey()
            await cluster.whole()
            reached = [len(watcher.seen) + some for watcher in trade.watchers]
            await trade.watchers_reach(reached, "with Valkey back")
        await trade.prove()


@sizes
async def test_mongodb_stopped(cluster: Cluster, size: Size) -> None:
    async with market(cluster, size.crowd) as trade:
        some = size.crowd.bids // (len(size.outages) + 2)
        async with trade.trading():
            for number in size.outages:
                await trade.more_bids(some)
                await cluster.databases.stop_mongodb(number)
                await trade.tallies("UNAVAILABLE", size.crowd.bidders)
                placed = len(trade.auction.placed)
                await trade.is_refused_for_now()
                await asyncio.sleep(size.outage_s)
                assert len(trade.auction.placed) == placed, "a bid was acknowledged without MongoDB"
                await cluster.replace(NAMES[0])
                await cluster.databases.start_mongodb()
            await trade.more_bids(some)
        await trade.prove()


@sizes
async def test_worker_killed(cluster: Cluster, size: Size) -> None:
    """The auction closes once, stamped with its very end, though no worker was there then and two came afterwards."""
    window = {"window_s": 4, "extension_s": 4}  # the end moves on for as long as anybody bids
    async with market(cluster, size.crowd, lasts_s=6, soft_close=window) as trade:
        async with trade.trading():
            for _ in range(size.kills):
                await trade.more_bids(size.crowd.bids // size.kills)
                await cluster.kill(WORKER)
                trade.auction.tally["workers killed"] += 1
                await cluster.start(WORKER)
            await trade.no_more_bids()
            await cluster.kill(WORKER)
            await trade.passes_its_end()
            await cluster.start(WORKER)
            await cluster.start("rival")
            await patiently(lambda: all(watcher.ended for watcher in trade.watchers), "the auction to close")
            assert {await bidder.refusal() for bidder in trade.bidders[: len(NAMES)]} == {"AUCTION_CLOSED"}
        await cluster.stop("rival")
        evidence = await trade.prove()
    evidence.closed_once_at_the_end()
