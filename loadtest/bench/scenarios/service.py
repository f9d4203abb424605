"""Durable bids without sockets, ours and the design most people would build first, each inside the measuring process.

Both acknowledge a bid when a majority has it in its journal. Ours is the service as it ships below the edges: rules, hash chain,
keys, group commit, Redis publication. The baseline is written here: one conditional update of the auction's document, then one insert
into a collection of bids with the same three indexes. It has no order of events, no replay, no idempotency and no hash chain.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import structlog
from pymongo import ASCENDING, AsyncMongoClient, IndexModel, WriteConcern
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.read_concern import ReadConcern

from handlers.bidding.projection import Projection
from handlers.bidding.service import Auctions
from loadtest.bench.case import Case, Scenario, Stage, Turn, times
from loadtest.bench.client.ledger import Histogram
from loadtest.bench.contenders import BASELINE, RIALTO
from loadtest.bench.job import Job, Outcome, run
from models.event import EventDocument
from models.rules.auction.rules import AUCTION_RULES
from models.rules.stream import Command
from server.auth.principal import Principal
from server.clock import Clock, new_id, new_salt
from server.collector import tune_collector
from server.settings import Settings
from server.streams.kinds import StreamKind
from server.streams.mongo import MongoEventStore
from server.streams.redis_link import RedisLink
from server.streams.streams import Streams

IN_FLIGHT: Final = 200
_BIDDERS: Final = 100

Database = AsyncDatabase[dict[str, Any]]
Bid = Callable[[int, int], Awaitable[object]]
"""(number of the bidder, amount) -> acknowledged."""


@asynccontextmanager
async def ours(db: Database, redis: str) -> AsyncIterator[Bid]:
    """A new auction on the service, and how to bid on it."""
    await db[EventDocument.Settings.name].create_indexes(EventDocument.Settings.indexes)
    clock, link = Clock(), RedisLink(redis)
    await link.start()
    streams = Streams(MongoEventStore(db), link, clock, Settings(), source="bench")
    streams.register(StreamKind("auction", AUCTION_RULES))
    streams.register(StreamKind("sealed", AUCTION_RULES))
    auctions = Auctions(streams, clock, Projection(streams))
    bidders = [Principal(new_id(), new_id(), "freelancer") for _ in range(_BIDDERS)]
    auction = new_id()
    terms = {"format": "english", "currency": "EUR", "start_amount": 1, "increments": [{"from": 0, "step": 1}]}
    terms["start_at"], terms["end_at"] = clock.now(), clock.now() + 86_400_000
    context = {"salt": new_salt()}
    await streams.append(
        f"auction:{auction}", Command("open", "owner", {"job": new_id(), "terms": terms}, "open", context)
    )
    await auctions.view(None, auction)  # from here on the auction is known, and bids keep their order

    async def bid(bidder: int, amount: int) -> None:
        await auctions.bid(bidders[bidder], auction, {"amount": amount}, str(amount))

    try:
        yield bid
    finally:
        await streams.stop()
        await link.stop()


@asynccontextmanager
async def baseline(db: Database, _redis: str) -> AsyncIterator[Bid]:
    """Update, then insert: one document for the auction, one per bid."""
    majority = WriteConcern(w="majority", j=True)
    auctions = db.get_collection("auctions", write_concern=majority, read_concern=ReadConcern("majority"))
    bids = db.get_collection("bids", write_concern=majority)
    await bids.create_indexes(
        [
            IndexModel([("auction", ASCENDING), ("seq", ASCENDING)]),
            IndexModel([("auction", ASCENDING), ("bidder", ASCENDING), ("key", ASCENDING)], unique=True),
        ]
    )
    auction = new_id()
    await auctions.insert_one({"_id": auction, "status": "open", "price": 0, "seq": 0, "end_at": 2**52})

    async def bid(bidder: int, amount: int) -> None:
        now = time.time() * 1000
        updated = await auctions.find_one_and_update(
            {"_id": auction, "status": "open", "price": {"$lt": amount}, "end_at": {"$gt": now}},
            {"$set": {"price": amount, "leader": bidder}, "$inc": {"seq": 1}},
            projection={"seq": 1},
        )
        if updated is None:
            return  # overtaken; the answer is as good as an insert, and cheaper for the baseline
        placed = {"_id": new_id(), "auction": auction, "seq": updated["seq"] + 1, "bidder": bidder, "amount": amount}
        await bids.insert_one({**placed, "t": now, "key": str(amount)})

    yield bid


async def measure(job: Job) -> Outcome:
    """In a process on the server's core: keep bids under way, each higher than all before, by somebody else than the one before."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(30))
    tune_collector()
    begin = ours if job.texts["design"] == RIALTO else baseline
    numbers = itertools.count(1)
    acks = Histogram()
    async with (
        AsyncMongoClient[dict[str, Any]](job.texts["mongodb"], maxPoolSize=50) as client,
        begin(client["service"], job.texts["redis"]) as bid,
    ):
        counted = time.perf_counter() + job.warm_up
        end = counted + job.seconds

        async def bidder() -> None:
            while (started := time.perf_counter()) < end:
                number = next(numbers)
                await bid(number % _BIDDERS, number)
                if started >= counted:
                    acks.add(time.perf_counter() - started)

        await asyncio.gather(*(bidder() for _ in range(job.numbers["in_flight"])))
        seconds = time.perf_counter() - counted
    return {
        "rate": sum(acks.counts) / seconds,
        "p50": acks.percentile_ms(0.5),
        "p99": acks.percentile_ms(0.99),
    }


async def turn(stage: Stage, case: Case, contender: str) -> Turn:
    """One of the two designs, on the server's core."""
    texts = {"design": contender, "mongodb": stage.databases.mongodb, "redis": stage.databases.valkey}
    numbers = {"in_flight": stage.size(case.numbers["in_flight"])}
    job = Job(__name__, stage.seconds, numbers=numbers, texts=texts)
    outcome = await run(job, stage.cores.server)
    return Turn(outcome["rate"], {"p50 ms": outcome["p50"], "p99 ms": outcome["p99"]})


SCENARIO: Final = Scenario(
    "service",
    f"Durable bids at the service level, without sockets, {IN_FLIGHT} in flight within the process that measures.",
    [
        Case(
            "service",
            "durable bids, no sockets",
            "bids/s",
            [RIALTO, BASELINE],
            [times(8, BASELINE, "update-insert")],
            {"in_flight": IN_FLIGHT},
        )
    ],
    turn,
)
