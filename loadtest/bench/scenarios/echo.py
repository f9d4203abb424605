"""Event and ack: `sync_time`, again and again, with a small window of commands under way per client."""

from __future__ import annotations

import asyncio
from typing import Final

from loadtest.bench.case import Case, Goal, Scenario, Stage, Turn, checked, times
from loadtest.bench.client.crowd import connected
from loadtest.bench.client.ledger import Ledger
from loadtest.bench.client.link import Link
from loadtest.bench.client.meter import Meter
from loadtest.bench.contenders import NODE, RIALTO, VANILLA
from loadtest.bench.job import Job, Outcome

WINDOW: Final = 8


async def measure(job: Job) -> Outcome:
    """In the load's process."""
    ledger = Ledger()
    links = await connected(ledger, job.urls, job.secret, job.numbers["clients"])
    echoes, under_way, running = 0, 0, True
    idle = asyncio.Event()

    def again(link: Link, _answer: bytes) -> None:
        nonlocal echoes, under_way
        echoes += 1
        if running:
            link.command("sync_time", {"t0": echoes}, again)
        else:
            under_way -= 1
            if not under_way:
                idle.set()

    for link in links:
        for _ in range(job.numbers["window"]):
            under_way += 1
            link.command("sync_time", {"t0": 0}, again)
    await asyncio.sleep(job.warm_up)
    meter, before = Meter(job.pids), echoes
    await asyncio.sleep(job.seconds)
    rate = (echoes - before) / meter.seconds
    load = meter.read()
    running = False
    await idle.wait()
    if ledger.refusals:
        ledger.fault(f"refused: {dict(ledger.refusals)}")
    return {"rate": rate, "details": load.details(rate), "faults": ledger.faults}


async def _turn(stage: Stage, case: Case, contender: str) -> Turn:
    async with stage.contenders.serving(contender, stage.cores.server) as servers:
        numbers = {"clients": stage.size(case.numbers["clients"]), "window": case.numbers["window"]}
        outcome = checked(await stage.load(__name__, servers, numbers))
    return Turn(outcome["rate"], outcome["details"])


def _case(clients: int, window: int, goals: list[Goal]) -> Case:
    what = f"event + ack echo, {clients} clients, window {window}"
    numbers = {"clients": clients, "window": window}
    return Case(f"echo-{clients}-{window}", what, "echoes/s", [RIALTO, NODE, VANILLA], goals, numbers)


_GOALS: Final = [times(1.2, NODE, "Node")]

SCENARIO: Final = Scenario(
    "echo",
    f"`sync_time` with its ack. The window is how many commands each client has under way: {WINDOW}, the same for all; with 1 every "
    "command is a read and a write of its own for both sides, however fast the server.",
    [_case(clients, window, _GOALS) for window in (WINDOW, 1) for clients in (50, 500)],
    _turn,
)
