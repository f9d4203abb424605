"""Durable acknowledged bids on one hot auction through sockets: one instance, and three that compete for it."""

from __future__ import annotations

import asyncio
from typing import Final

from loadtest.bench.case import Case, Scenario, Stage, Turn, at_least, below, checked, times
from loadtest.bench.client.bidding import Bidding
from loadtest.bench.client.crowd import connected
from loadtest.bench.client.ledger import Histogram, Ledger
from loadtest.bench.client.meter import Meter
from loadtest.bench.contenders import BASELINE, RIALTO
from loadtest.bench.job import Job, Outcome
from loadtest.bench.scenarios import service

SINGLE: Final = "one instance"
_RIVALS: Final = 3
_EXPECTED: Final = frozenset({"BID_TOO_WEAK", "ALREADY_LEADING", "UNAVAILABLE"})
"""What a bid is refused with if others overtook it on the way, or if it was not settled in time."""


async def measure(job: Job) -> Outcome:
    """In the load's process: as many bidders as there are bids in flight, each with one under way."""
    ledger = Ledger()
    bidders = await connected(ledger, job.urls, job.secret, job.numbers["in_flight"])
    bidding = Bidding(ledger, bidders, job.auctions)
    running = asyncio.create_task(bidding.keep(job.warm_up + job.seconds))
    await asyncio.sleep(job.warm_up)
    meter, accepted, bids = Meter(job.pids), bidding.accepted, bidding.settled
    acks = bidding.acks = Histogram()
    await asyncio.sleep(job.seconds)
    rate = (bidding.accepted - accepted) / meter.seconds
    settled = (bidding.settled - bids) / meter.seconds
    load = meter.read()
    p50, p99 = acks.percentile_ms(0.5), acks.percentile_ms(0.99)
    await running
    unavailable = ledger.refusals["UNAVAILABLE"]
    if wrong := {code: count for code, count in ledger.refusals.items() if code not in _EXPECTED}:
        ledger.fault(f"refused: {wrong}")
    details = {"p50 ms": p50, "p99 ms": p99, "answered/s": settled, "unavailable": unavailable, **load.details(rate)}
    return {"rate": rate, "details": details, "faults": ledger.faults}


async def _turn(stage: Stage, case: Case, contender: str) -> Turn:
    if contender == BASELINE:
        return await service.turn(stage, case, contender)
    count = 1 if contender == SINGLE else case.numbers["instances"]
    cores = stage.cores.server if count == 1 else stage.cores.several
    async with stage.contenders.serving(RIALTO, cores, count=count) as servers:
        auctions = await stage.contenders.auctions(RIALTO, servers, 1)
        numbers = {"in_flight": stage.size(case.numbers["in_flight"])}
        outcome = checked(await stage.load(__name__, servers, numbers, auctions))
    return Turn(outcome["rate"], outcome["details"])


_ALONE: Final = Case(
    "bids-1",
    "durable bids on one auction, 200 in flight",
    "bids/s",
    [RIALTO, BASELINE],
    [at_least(8_000), below(60, "p99 ms"), times(8, BASELINE, "update-insert")],
    {"in_flight": service.IN_FLIGHT, "instances": 1},
)

_COMPETING: Final = Case(
    "bids-3",
    f"the same, {_RIVALS} instances competing",
    "bids/s",
    [RIALTO, SINGLE],
    [times(0.5, SINGLE, SINGLE)],
    {"in_flight": service.IN_FLIGHT, "instances": _RIVALS},
)

SCENARIO: Final = Scenario(
    "bids",
    f"{service.IN_FLIGHT} bidders with a socket each and one bid under way. Bids that came too late, since a rival instance had a higher one "
    "first, are answered too (`answered/s`) but not counted. update-insert is no server: it has its 200 in flight within its own process.",
    [_ALONE, _COMPETING],
    _turn,
)
