"""Durable bids per second on one hot auction: the service against the design most people would build first.

    python -m loadtest.bench [--seconds 4] [--rounds 3] [--in-flight 100]

Both run in this process, pinned to one core, beside the same real MongoDB (on the other cores), with 100 bids in flight, and
both acknowledge a bid when a majority has it in its journal. They take turns, so that a machine whose speed drifts treats
them alike; medians and the ratio of each pair of turns are printed.

The baseline is written here: one conditional update of the auction's document, then one insert into a collection of bids
with the same three indexes. It has no order of events, no replay, no idempotency and no hash chain.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
import uvloop
from pymongo import ASCENDING, AsyncMongoClient, IndexModel, WriteConcern
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.read_concern import ReadConcern

from handlers.bidding.projection import Projection
from handlers.bidding.service import Auctions
from models.event import EventDocument
from models.rules.auction.rules import AUCTION_RULES
from models.rules.stream import Command
from server.auth.principal import Principal
from server.clock import Clock, new_id, new_salt
from server.collector import tune_collector
from server.dev.mongod import Mongod
from server.dev.valkey import Valkey
from server.settings import Settings
from server.streams.kinds import StreamKind
from server.streams.mongo import MongoEventStore
from server.streams.redis_link import RedisLink
from server.streams.streams import Streams

BIDDERS = 100
Bid = Callable[[int, int], Awaitable[object]]
"""(number of the bidder, amount) -> acknowledged."""


@dataclass
class Turn:
    """What one contender did in one turn; latencies in seconds."""

    bids: int
    seconds: float
    latencies: list[float]

    @property
    def rate(self) -> float:
        """Acknowledged bids per second."""
        return self.bids / self.seconds

    def percentile(self, share: float) -> float:
        """Of the latencies, in ms."""
        return sorted(self.latencies)[int(share * (len(self.latencies) - 1))] * 1000


async def measure(bid: Bid, seconds: float, in_flight: int) -> Turn:
    """Keep `in_flight` bids under way; each is higher than all before it, and by somebody else than the one before."""
    numbers = itertools.count(1)
    latencies: list[float] = []
    began = time.perf_counter()
    end = began + seconds

    async def bidder() -> None:
        while time.perf_counter() < end:
            number = next(numbers)
            started = time.perf_counter()
            await bid(number % BIDDERS, number)
            latencies.append(time.perf_counter() - started)

    await asyncio.gather(*(bidder() for _ in range(in_flight)))
    return Turn(len(latencies), time.perf_counter() - began, latencies)


class Ours:
    """The service as it ships, below the edges: rules, hash chain, keys, group commit, Redis publication."""

    def __init__(self, db: AsyncDatabase[dict[str, Any]], link: RedisLink) -> None:
        self._clock = Clock()
        self._streams = Streams(MongoEventStore(db), link, self._clock, Settings(), source="bench")
        self._streams.register(StreamKind("auction", AUCTION_RULES))
        self._streams.register(StreamKind("sealed", AUCTION_RULES))
        self._auctions = Auctions(self._streams, self._clock, Projection(self._streams))
        self._bidders = [Principal(new_id(), new_id(), "freelancer") for _ in range(BIDDERS)]
        self._db = db

    async def prepare(self) -> Bid:
        """A new auction, and how to bid on it."""
        await self._db[EventDocument.Settings.name].create_indexes(EventDocument.Settings.indexes)
        auction = new_id()
        terms = {"format": "english", "currency": "EUR", "start_amount": 1, "increments": [{"from": 0, "step": 1}]}
        terms["start_at"], terms["end_at"] = self._clock.now(), self._clock.now() + 86_400_000
        payload = {"job": new_id(), "terms": terms}
        context = {"salt": new_salt()}
        await self._streams.append(f"auction:{auction}", Command("open", "owner", payload, "open", context))
        await self._auctions.view(None, auction)  # from here on the auction is known, and bids keep their order

        async def bid(bidder: int, amount: int) -> None:
            await self._auctions.bid(self._bidders[bidder], auction, {"amount": amount}, str(amount))

        return bid


class Baseline:
    """Update, then insert: one document for the auction, one per bid."""

    def __init__(self, db: AsyncDatabase[dict[str, Any]]) -> None:
        majority = WriteConcern(w="majority", j=True)
        self._auctions = db.get_collection("auctions", write_concern=majority, read_concern=ReadConcern("majority"))
        self._bids = db.get_collection("bids", write_concern=majority)

    async def prepare(self) -> Bid:
        """A new auction, and how to bid on it."""
        await self._bids.create_indexes(
            [
                IndexModel([("auction", ASCENDING), ("seq", ASCENDING)]),
                IndexModel([("auction", ASCENDING), ("bidder", ASCENDING), ("key", ASCENDING)], unique=True),
            ]
        )
        auction = new_id()
        await self._auctions.insert_one({"_id": auction, "status": "open", "price": 0, "seq": 0, "end_at": 2**52})

        async def bid(bidder: int, amount: int) -> None:
            now = time.time() * 1000
            updated = await self._auctions.find_one_and_update(
                {"_id": auction, "status": "open", "price": {"$lt": amount}, "end_at": {"$gt": now}},
                {"$set": {"price": amount, "leader": bidder}, "$inc": {"seq": 1}},
                projection={"seq": 1},
            )
            if updated is None:
                return  # overtaken; the answer is as good as an insert, and cheaper for the baseline
            bid = {"_id": new_id(), "auction": auction, "seq": updated["seq"] + 1, "bidder": bidder, "amount": amount}
            await self._bids.insert_one({**bid, "t": now, "key": str(amount)})

        return bid


async def run(seconds: float, rounds: int, in_flight: int) -> None:
    """Start the databases, let both take turns, print the table."""
    with tempfile.TemporaryDirectory(prefix="rialto-bench-") as folder:
        mongod = Mongod(Path(folder) / "mongodb", log=Path(folder) / "mongod.log", cache_gb=1)
        valkey = Valkey(Path(folder) / "valkey", log=Path(folder) / "valkey.log", persistent=False)
        await mongod.start()
        await valkey.start()
        pinned = _pin()
        tune_collector()
        link = RedisLink(valkey.url)
        await link.start()
        try:
            async with AsyncMongoClient[dict[str, Any]](mongod.url, maxPoolSize=50) as client:
                ours, baseline = Ours(client["bench"], link), Baseline(client["bench"])
                turns: list[tuple[Turn, Turn]] = []
                for number in range(rounds + 1):
                    pair = (
                        await measure(await ours.prepare(), seconds, in_flight),
                        await measure(await baseline.prepare(), seconds, in_flight),
                    )
                    if number:  # the first is a warm-up
                        turns.append(pair)
                _print(turns, in_flight, pinned)
        finally:
            await link.stop()
            await valkey.stop()
            await mongod.stop()


def _pin() -> str:
    """This process to the first core; the databases, started before, keep all."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[0]})
    return f"core {cores[0]} of {len(cores)}"


def _print(turns: list[tuple[Turn, Turn]], in_flight: int, pinned: str) -> None:
    print(
        f"{platform.machine()}, Python {platform.python_version()}, {pinned}; {in_flight} in flight, {len(turns)} rounds"
    )
    print(f"{'':24}{'bids/s':>10}{'p50 ms':>10}{'p99 ms':>10}")
    for name, column in (("rialto", 0), ("update, then insert", 1)):
        mine = [pair[column] for pair in turns]
        figures = (
            statistics.median(turn.rate for turn in mine),
            statistics.median(turn.percentile(0.5) for turn in mine),
            statistics.median(turn.percentile(0.99) for turn in mine),
        )
        print(f"{name:24}{figures[0]:>10,.0f}{figures[1]:>10.1f}{figures[2]:>10.1f}")
    ratios = [pair[0].rate / pair[1].rate for pair in turns]
    print(f"ratio, pair by pair: median {statistics.median(ratios):.1f} (min {min(ratios):.1f}, max {max(ratios):.1f})")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=4.0, help="length of one turn")
    parser.add_argument("--rounds", type=int, default=3, help="pairs of turns that count")
    parser.add_argument("--in-flight", type=int, default=100, help="bids under way at any time")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(30))
    uvloop.run(run(options.seconds, options.rounds, options.in_flight))


if __name__ == "__main__":
    main()
