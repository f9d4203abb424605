"""Memory of an idle authenticated connection: what a server grows by, over thousands of them in one namespace."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Final

from loadtest.bench.case import Case, Scenario, Stage, Turn, at_most, checked, no_more_than
from loadtest.bench.client.crowd import connected
from loadtest.bench.client.ledger import Ledger
from loadtest.bench.client.meter import memory
from loadtest.bench.contenders import NODE, RIALTO, VANILLA
from loadtest.bench.job import Job, Outcome

_FIRST: Final = 500
"""Connections before the first look: what is made once is made by then."""

_SETTLE_S: Final = 3.0


async def measure(job: Job) -> Outcome:
    """In the load's process."""
    ledger = Ledger()
    (pid,) = job.pids

    async def settled() -> tuple[int, int]:
        if job.numbers["collects"]:
            os.kill(pid, signal.SIGUSR2)
        await asyncio.sleep(min(_SETTLE_S, job.seconds))
        return memory(pid)

    await connected(ledger, job.urls, job.secret, job.numbers["first"])
    before = await settled()
    count = job.numbers["connections"]
    await connected(ledger, job.urls, job.secret, count)
    after = await settled()
    resident, proportional = ((late - early) / count / 1024 for early, late in zip(before, after, strict=True))
    return {"resident": resident, "proportional": proportional, "faults": ledger.faults}


async def _turn(stage: Stage, case: Case, contender: str) -> Turn:
    async with stage.contenders.serving(contender, stage.cores.server) as servers:
        numbers = {"first": stage.size(_FIRST), "connections": stage.size(case.numbers["connections"])}
        # Peers are asked to collect garbage first; ours has no such signal, and is measured as it stands.
        numbers["collects"] = int(contender != RIALTO)
        outcome = checked(await stage.load(__name__, servers, numbers))
    return Turn(outcome["resident"], {"PSS KB": outcome["proportional"]})


SCENARIO: Final = Scenario(
    "memory",
    f"Growth of the server's resident memory from {_FIRST} connections to 4,000 more, by their number; sockets' buffers in the kernel are "
    "not in it. The peers collect garbage before each look. No connection asks for per-message deflate, which python-socketio would grant.",
    [
        Case(
            "memory",
            "memory per idle connection",
            "KB",
            [RIALTO, NODE, VANILLA],
            [no_more_than(NODE, "Node"), at_most(16)],
            {"connections": 4_000},
        )
    ],
    _turn,
)
