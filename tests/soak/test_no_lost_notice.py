"""Each bid is told once to the client and once to its webhook, whichever worker or instance is killed while that is under way."""

from __future__ import annotations

import asyncio
import itertools
import logging
from dataclasses import dataclass

import pytest

from tests.cluster.cluster import NAMES, WORKER
from tests.soak.cluster import Cluster
from tests.soak.evidence import Evidence
from tests.soak.inboxes import Inbox, how_many
from tests.soak.market import Crowd, Market, market
from tests.soak.receiver import Receiver
from tests.waiting import patiently

log = logging.getLogger(__name__)

VICTIMS = (WORKER, NAMES[0], WORKER, NAMES[1], WORKER, NAMES[2])


@dataclass(frozen=True)
class Size:
    """How much of everything: `kills` of `VICTIMS`, in turn; `pause_s` between two."""

    crowd: Crowd
    kills: int
    pause_s: float


SMALL = Size(Crowd(bids=250, bidders=10, watchers=2, think_s=0.08), kills=4, pause_s=0.7)
FULL = Size(Crowd(bids=5_000, bidders=50, watchers=5, think_s=0.25), kills=18, pause_s=2.0)


@pytest.mark.parametrize(
    "size", [pytest.param(SMALL, id="small"), pytest.param(FULL, id="full", marks=pytest.mark.soak)]
)
async def test_worker_and_instances_killed(cluster: Cluster, size: Size) -> None:
    receiver = Receiver()
    async with receiver.listening(), market(cluster, size.crowd, prepare=receiver.subscribe) as trade:
        async with trade.trading():
            for kill in itertools.count():
                if kill >= size.kills and len(trade.auction.placed) >= size.crowd.bids:
                    break
                await asyncio.sleep(size.pause_s)
                await _kill(cluster, trade, VICTIMS[kill % len(VICTIMS)])
        evidence = await trade.prove()
        await _client_is_told_once(cluster, trade, evidence)
        await _webhook_is_told_once(cluster, receiver, trade, evidence)
        for bidder in trade.bidders:
            await (await Inbox.of(cluster, bidder.account)).prove()
    log.info("%d bids; webhook requests: %s", len(trade.auction.placed), dict(receiver.requests))


async def _kill(cluster: Cluster, trade: Market, victim: str) -> None:
    if victim in NAMES:
        await cluster.ready(victim)
    await cluster.kill(victim)
    trade.auction.tally[f"{victim} killed"] += 1
    await trade.more_bids(5)
    await cluster.start(victim)


async def _client_is_told_once(cluster: Cluster, trade: Market, evidence: Evidence) -> None:
    """Exactly one `bid_received` per bid, which says what the bid was."""
    bids = {event["seq"]: event for event in evidence.events if event["type"] == "bid"}
    have = 0

    async def told() -> bool:
        nonlocal have
        have = await how_many(cluster, trade.client, "bid_received")
        return have >= len(bids)

    await patiently(told, f"{len(bids)} notifications of bids", progress=lambda: have)
    inbox = await Inbox.of(cluster, trade.client)
    await inbox.prove()
    received = inbox.told("bid_received")
    assert {one.source for one in received} == {trade.auction.stream}
    assert sorted(one.seq for one in received) == sorted(bids)
    for one in received:
        bid = bids[one.seq]
        shown = (one.data["bidder"], one.data["amount"], one.data["price"], one.data["bid_count"])
        assert shown == (bid["bidder"], bid["amount"], bid["price"], bid["bid_count"]), (one, bid)


async def _webhook_is_told_once(cluster: Cluster, receiver: Receiver, trade: Market, evidence: Evidence) -> None:
    """One event per bid, and one for the job."""
    placed = {one.ack["seq"]: one.bidder for one in trade.auction.placed}
    await receiver.prove(cluster, len(placed) + 1)
    submitted = {data["seq"]: data for data in receiver.data("bid.submitted")}
    assert {seq: data["contractor_id"] for seq, data in submitted.items()} == placed
    for seq, data in submitted.items():
        told = (data["project_id"], data["bid_amount"], data["price"])
        assert told == (trade.auction.job, evidence.events[seq - 1]["amount"], evidence.events[seq - 1]["price"])
    assert [data["project_id"] for data in receiver.data("job.created")] == [trade.auction.job]
