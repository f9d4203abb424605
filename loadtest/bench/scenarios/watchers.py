"""How late events come: thousands of watchers on two instances, and bids at an even rate on both."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from loadtest.bench.case import Case, Scenario, Stage, Turn, at_most, checked
from loadtest.bench.client.bidding import Bidding
from loadtest.bench.client.crowd import connected, each
from loadtest.bench.client.ledger import Histogram, Ledger
from loadtest.bench.client.meter import Meter
from loadtest.bench.contenders import RIALTO
from loadtest.bench.job import Job, Outcome

_BIDDERS: Final = 100
_PATIENCE_S: Final = 30.0
_NAP_S: Final = 0.001


async def measure(job: Job) -> Outcome:
    """In the load's process."""
    ledger = Ledger()
    stream = f"auction:{job.auctions[0]}"
    watchers = await connected(ledger, job.urls, job.secret, job.numbers["watchers"])
    bidders = await connected(ledger, job.urls, job.secret, job.numbers["bidders"])
    for link in watchers:
        link.compare()
    await each(watchers, lambda link: link.watch(stream))
    start = watchers[0].seqs[stream]
    bidding = Bidding(ledger, bidders, job.auctions)
    await bidding.pace(job.numbers["rate"], job.warm_up)
    meter, received, taken = Meter(job.pids), ledger.received, ledger.frames
    acks, own = Histogram(), Histogram()
    bidding.acks = acks
    turns = asyncio.create_task(_note_turns(own))
    await bidding.pace(job.numbers["rate"], job.seconds, timed=True)
    turns.cancel()
    deliveries = (ledger.received - received) / meter.seconds
    frames = (ledger.frames - taken) / meter.seconds
    load, events = meter.read(), len(ledger.sent) / meter.seconds
    last = start + bidding.accepted
    end = time.perf_counter() + _PATIENCE_S
    while any(link.seqs[stream] < last for link in watchers) and time.perf_counter() < end:  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    if {link.seqs[stream] for link in watchers} != {last} or ledger.received != bidding.accepted * len(watchers):
        ledger.fault(f"{ledger.received} deliveries of {bidding.accepted} events to {len(watchers)} watchers")
    late = ledger.late()
    p50, p95, p99 = (late.percentile_ms(share) for share in (0.5, 0.95, 0.99))
    details = {"p50 ms": p50, "p99 ms": p99, "ack p50 ms": acks.percentile_ms(0.5)}
    details |= {"load late p95 ms": own.percentile_ms(0.95), "events/s": events, "deliveries/s": deliveries}
    details |= {"frames/s": frames, **load.details()}
    return {"p95": p95, "details": details, "faults": ledger.faults}


async def _note_turns(late: Histogram) -> None:
    """How late this process itself is: what lies in its sockets for so long seems to have come later than it did."""
    while True:
        began = time.perf_counter()
        await asyncio.sleep(_NAP_S)
        late.add(time.perf_counter() - began - _NAP_S)


async def _turn(stage: Stage, case: Case, contender: str) -> Turn:
    async with stage.contenders.serving(contender, stage.cores.several, count=2) as servers:
        auctions = await stage.contenders.auctions(contender, servers, 1)
        numbers = {name: stage.size(case.numbers[name]) for name in ("watchers", "rate")}
        numbers["bidders"] = stage.size(_BIDDERS)
        outcome = checked(await stage.load(__name__, servers, numbers, auctions))
    return Turn(outcome["p95"], outcome["details"])


SCENARIO: Final = Scenario(
    "watchers",
    "From the moment when a bid is sent, so its commit is in it, to its receipt by each watcher; bidders and watchers are spread over both "
    "instances. Every watcher must have every event once and in order, or the run fails.",
    [
        Case(
            "watchers",
            "5,000 watchers on two instances, 200 bids/s: p95",
            "ms",
            [RIALTO],
            [at_most(100)],
            {"watchers": 5_000, "rate": 200},
        )
    ],
    _turn,
)
