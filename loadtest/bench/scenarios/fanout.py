"""Room fan-out: all members watch one auction, and bids are sent as fast as everybody receives them."""

from __future__ import annotations

import asyncio
from typing import Final

from loadtest.bench.case import Case, Scenario, Stage, Turn, checked, times
from loadtest.bench.client.bidding import Bidding
from loadtest.bench.client.crowd import connected, each
from loadtest.bench.client.ledger import Ledger
from loadtest.bench.client.meter import Meter
from loadtest.bench.contenders import NODE, RIALTO, VANILLA
from loadtest.bench.job import Job, Outcome

UNDER_WAY: Final = 32
"""Bids that not every member has received yet, at most; so nobody's buffers fill without end, and no server waits for the load."""

_PATIENCE_S: Final = 60.0


class Pump:
    """Keeps so many bids under way, from being sent until the last member has the event."""

    def __init__(self, bidding: Bidding, ledger: Ledger, members: int) -> None:
        self._bidding = bidding
        self._ledger = ledger
        self._members = members
        self._running = True
        bidding.answered = self.work

    @property
    def under_way(self) -> int:
        """Bids that are not refused, and not everywhere."""
        complete = self._ledger.received // self._members
        return self._bidding.bids - self._ledger.refusals.total() - complete

    def work(self) -> None:
        """Send what may be sent."""
        while self._running and self._bidding.idle and self.under_way < UNDER_WAY:
            self._bidding.bid()

    async def run(self, seconds: float) -> None:
        """For so long. Acks drive it; what was received meanwhile is looked at besides."""
        end = asyncio.get_running_loop().time() + seconds
        while asyncio.get_running_loop().time() < end:
            self.work()
            await asyncio.sleep(0.001)

    async def finish(self) -> bool:
        """Send no more; whether all members received everything."""
        self._running = False
        end = asyncio.get_running_loop().time() + _PATIENCE_S
        while self.under_way or self._bidding.settled < self._bidding.bids:
            if asyncio.get_running_loop().time() > end:
                return False
            await asyncio.sleep(0.01)
        return True


async def measure(job: Job) -> Outcome:
    """In the load's process."""
    ledger, crowd = Ledger(), job.numbers["members"]
    (auction,) = job.auctions
    members = await connected(ledger, job.urls, job.secret, crowd)
    bidders = await connected(ledger, job.urls, job.secret, UNDER_WAY)
    await each(members, lambda link: link.watch(f"auction:{auction}"))
    bidding = Bidding(ledger, bidders, [auction])
    pump = Pump(bidding, ledger, crowd)
    await pump.run(job.warm_up)
    meter, received, taken, accepted = Meter(job.pids), ledger.received, ledger.frames, bidding.accepted
    await pump.run(job.seconds)
    rate = (ledger.received - received) / meter.seconds
    frames = (ledger.frames - taken) / meter.seconds
    events = (bidding.accepted - accepted) / meter.seconds
    load = meter.read()
    if not await pump.finish():
        ledger.fault("events were lost")
    if {link.seqs[f"auction:{auction}"] for link in members} != {members[0].seqs[f"auction:{auction}"]}:
        ledger.fault("members are at different seqs")
    return {
        "rate": rate,
        "details": {"events/s": events, "frames/s": frames, **load.details(rate)},
        "faults": ledger.faults,
    }


async def _turn(stage: Stage, case: Case, contender: str) -> Turn:
    async with stage.contenders.serving(contender, stage.cores.server) as servers:
        auctions = await stage.contenders.auctions(contender, servers, 1)
        numbers = {"members": stage.size(case.numbers["members"])}
        outcome = checked(await stage.load(__name__, servers, numbers, auctions))
    return Turn(outcome["rate"], outcome["details"])


def _case(members: int, least: float, contenders: list[str]) -> Case:
    what = f"room fan-out, {members:,} members"
    goals = [times(least, NODE, "Node")]
    return Case(f"fanout-{members}", what, "deliveries/s", contenders, goals, {"members": members})


SCENARIO: Final = Scenario(
    "fanout",
    f"Everybody watches one auction; {UNDER_WAY} bids are under way, each until the last member has its event. A delivery is one event "
    "received by one member, whatever frames they come in; every member checks that its events are dense and in order. Ours are durable "
    "before they are delivered, the peers' are not kept.",
    [
        _case(100, 1.4, [RIALTO, NODE, VANILLA]),
        _case(1_000, 2.0, [RIALTO, NODE, VANILLA]),
        _case(5_000, 2.0, [RIALTO, NODE]),
    ],
    _turn,
)
