"""Authenticated connects: WebSocket, Engine.IO's and Socket.IO's handshakes, a token that is checked."""

from __future__ import annotations

import asyncio
import itertools
import resource
import time
from typing import Final

from loadtest.bench.case import Case, Scenario, Stage, Turn, checked, times
from loadtest.bench.client.crowd import close, tokens
from loadtest.bench.client.ledger import Ledger
from loadtest.bench.client.link import Link
from loadtest.bench.client.meter import Meter
from loadtest.bench.contenders import NODE, RIALTO, VANILLA
from loadtest.bench.job import Job, Outcome

_AT_ONCE: Final = 64
_MOST: Final = 12_000
"""Sockets at most, if the system lets a process open as many files; one address has 28,000 ports for one server."""

_OTHER_FILES: Final = 300


async def measure(job: Job) -> Outcome:
    """In the load's process."""
    ledger = Ledger()
    most = min(_MOST, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - _OTHER_FILES)
    issued = tuple(itertools.islice(tokens(job.secret), most))
    waiting = iter(issued)
    links: list[Link] = []
    end = time.perf_counter() + job.warm_up + job.seconds

    async def worker() -> None:
        for token in waiting:
            link = Link(ledger, job.urls[0], token)
            await link.open()
            links.append(link)
            if time.perf_counter() > end:
                return

    async with asyncio.TaskGroup() as group:
        for _ in range(_AT_ONCE):
            group.create_task(worker())
        await asyncio.sleep(job.warm_up)
        meter, before = Meter(job.pids), len(links)
        while time.perf_counter() < end and len(links) < most:  # noqa: ASYNC110 - it is the time that is waited for
            await asyncio.sleep(0.01)
        rate = (len(links) - before) / meter.seconds
        load = meter.read()
    close(links)
    return {"rate": rate, "details": load.details(rate), "faults": ledger.faults}


async def _turn(stage: Stage, case: Case, contender: str) -> Turn:
    async with stage.contenders.serving(contender, stage.cores.server) as servers:
        outcome = checked(await stage.load(__name__, servers))
    return Turn(outcome["rate"], outcome["details"])


SCENARIO: Final = Scenario(
    "connects",
    f"{_AT_ONCE} at a time, each with a token of its own, signed alike for all; none is closed before the end.",
    [
        Case(
            "connects",
            "authenticated connects",
            "connects/s",
            [RIALTO, NODE, VANILLA],
            [times(0.9, NODE, "Node")],
        )
    ],
    _turn,
)
