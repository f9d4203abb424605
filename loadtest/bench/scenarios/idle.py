"""What an instance costs that nobody watches anything on, while another one's auctions are busy."""

from __future__ import annotations

import asyncio
from typing import Final

from loadtest.bench.case import Case, Scenario, Stage, Turn, at_most, checked
from loadtest.bench.client.bidding import Bidding
from loadtest.bench.client.crowd import connected
from loadtest.bench.client.ledger import Ledger
from loadtest.bench.client.meter import Meter
from loadtest.bench.contenders import RIALTO, VANILLA
from loadtest.bench.job import Job, Outcome

_AUCTIONS: Final = 5
_BIDDERS: Final = 400
_LEAST_S: Final = 5.0
"""The system counts processor time in hundredths of a second."""


async def measure(job: Job) -> Outcome:
    """In the load's process. All servers but the last are published at; the last is idle."""
    ledger = Ledger()
    bidders = await connected(ledger, job.urls[:-1], job.secret, job.numbers["bidders"])
    bidding = Bidding(ledger, bidders, job.auctions)
    seconds = job.seconds if job.numbers["short"] else max(job.seconds, _LEAST_S)
    running = asyncio.create_task(bidding.pace(job.numbers["rate"], job.warm_up + seconds))
    await asyncio.sleep(job.warm_up)
    meter, accepted = Meter(job.pids), bidding.accepted
    await asyncio.sleep(seconds)
    events = (bidding.accepted - accepted) / meter.seconds
    client, (*busy, idle) = meter.client, meter.servers
    await running
    return {"idle": idle, "busy": sum(busy), "events": events, "client": client, "faults": ledger.faults}


async def _turn(stage: Stage, case: Case, contender: str) -> Turn:
    serving = stage.contenders.serving
    redis = contender == VANILLA
    async with (
        serving(contender, stage.cores.server, redis=redis) as busy,
        serving(contender, stage.cores.databases, redis=redis) as idle,
    ):
        auctions = await stage.contenders.auctions(contender, busy, _AUCTIONS)
        numbers = {
            "rate": stage.size(case.numbers["rate"]),
            "bidders": stage.size(_BIDDERS),
            "short": int(stage.scale < 1),
        }
        outcome = checked(case, contender, await stage.load(__name__, [*busy, *idle], auctions, **numbers))
    details = {
        "events/s": outcome["events"],
        "server CPU %": outcome["busy"] * 100,
        "load CPU %": outcome["client"] * 100,
    }
    return Turn(outcome["idle"] * 100, details)


SCENARIO: Final = Scenario(
    "idle",
    f"Bids on {_AUCTIONS} auctions at one instance; measured is the processor time of another one, which nobody is connected to. "
    "python-socketio with its Redis manager. `server CPU` is the busy one's.",
    [
        Case(
            "idle",
            "instance without watchers, 5,000 events/s elsewhere",
            "% CPU",
            [RIALTO, VANILLA],
            [at_most(2)],
            {"rate": 5_000},
        )
    ],
    _turn,
)
