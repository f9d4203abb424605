"""An instance is killed; all that were on it come to another one and resume their streams."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections import Counter
from typing import Final

from loadtest.bench.case import Case, Scenario, Stage, Turn, at_most, checked
from loadtest.bench.client.bidding import Bidding
from loadtest.bench.client.crowd import connected, each
from loadtest.bench.client.ledger import Ledger
from loadtest.bench.client.link import Link, Lost
from loadtest.bench.client.meter import Meter
from loadtest.bench.contenders import RIALTO
from loadtest.bench.job import Job, Outcome

_AUCTIONS: Final = 11
"""One that all watch, and ten that a tenth of them watches besides."""

_RATE: Final = 22
"""Bids per second, two on each auction, all the time."""

_BIDDERS: Final = 50
_FIRST_PAUSE_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 5.0
_SPREAD: Final = 0.5
_TIMEOUT_S: Final = 20.0
"""As the official client comes: a pause of a second, give or take half of it, doubled after each failure; 20 s to connect."""

_PATIENCE_S: Final = 90.0


class Return:
    """Brings links back to another server.

    Attributes:
        back: for each link that is back, seconds after `began`.
        failures: attempts that were in vain, by reason.
    """

    def __init__(self, url: str, ledger: Ledger, links: list[Link]) -> None:
        self.back: list[float] = []
        self.failures: Counter[str] = Counter()
        self.began = 0.0
        self._url = url
        self._ledger = ledger
        self._links = links
        self._tasks: set[asyncio.Task[None]] = set()
        self._on_their_way: set[Link] = set()
        self._all = asyncio.Event()

    def lost(self, link: Link) -> None:
        """A link's connection broke."""
        if link in self._on_their_way:
            return
        self._on_their_way.add(link)
        task = asyncio.get_running_loop().create_task(self._again(link))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _again(self, link: Link) -> None:
        pause = _FIRST_PAUSE_S
        while True:
            await asyncio.sleep(pause * random.uniform(1 - _SPREAD, 1 + _SPREAD))
            pause = min(pause * 2, _LONGEST_PAUSE_S)
            try:
                await link.open(self._url, _TIMEOUT_S)
                await link.resume()
            except Lost as lost:
                link.close()
                self.failures[str(lost)] += 1
                continue
            self._on_their_way.discard(link)
            self.back.append(time.perf_counter() - self.began)
            if len(self.back) == len(self._links):
                self._all.set()
            return

    async def all(self) -> None:
        """Return once everybody is back; a fault if they are not for a minute."""
        try:
            async with asyncio.timeout(_PATIENCE_S):
                await self._all.wait()
        except TimeoutError:
            self._ledger.fault(f"{len(self._links) - len(self.back)} are not back")


async def measure(job: Job) -> Outcome:
    """In the load's process: everybody is at the first server, which dies; bids are made at the second."""
    ledger = Ledger()
    common, *others = [f"auction:{auction}" for auction in job.auctions]
    links = await connected(ledger, job.urls[:1], job.secret, job.numbers["connections"])
    bidders = await connected(ledger, job.urls[1:], job.secret, job.numbers["bidders"])
    mine = {id(link): others[number % len(others)] for number, link in enumerate(links)}

    async def watch(link: Link) -> None:
        await link.watch(common)
        await link.watch(mine[id(link)])

    await each(links, watch)
    seqs = dict.fromkeys((common, *others), links[0].seqs[common])  # all were opened alike
    bidding = Bidding(ledger, bidders, job.auctions)
    running = asyncio.create_task(bidding.pace(_RATE, 2 * _PATIENCE_S))
    await asyncio.sleep(job.warm_up)
    returning = Return(job.urls[1], ledger, links)
    for link in links:
        link.lost = returning.lost
    meter = Meter(job.pids[1:])
    os.kill(job.pids[0], signal.SIGKILL)
    returning.began = time.perf_counter()
    await returning.all()
    load = meter.read()
    await asyncio.sleep(job.warm_up)  # and what is live arrives again
    running.cancel()
    await bidding.rest()
    (witness,) = await connected(ledger, job.urls[1:], job.secret, 1)
    await each(list(seqs), witness.watch)
    last = witness.seqs
    end = time.perf_counter() + _PATIENCE_S
    while behind := sum(link.seqs[stream] < last[stream] for link in links for stream in link.seqs):
        if time.perf_counter() > end:
            ledger.fault(f"{behind} streams of links are not at their ends")
            break
        await asyncio.sleep(0.05)
    back = sorted(returning.back) or [_PATIENCE_S]
    details = {
        "half back s": back[len(back) // 2],
        "failed attempts": returning.failures.total(),
        "refused for now": ledger.refusals["UNAVAILABLE"],
        "events": sum(last[stream] - first for stream, first in seqs.items()),
        **load.details(),
    }
    return {
        "all": back[-1],
        "details": details,
        "failures": returning.failures,
        "refusals": ledger.refusals,
        "faults": ledger.faults,
    }


async def _turn(stage: Stage, case: Case, contender: str) -> Turn:
    async with stage.contenders.serving(contender, stage.cores.several, count=2) as servers:
        auctions = await stage.contenders.auctions(contender, servers, _AUCTIONS)
        numbers = {"connections": stage.size(case.numbers["connections"]), "bidders": stage.size(_BIDDERS)}
        outcome = checked(await stage.load(__name__, servers, numbers, auctions))
    return Turn(outcome["all"], outcome["details"])


SCENARIO: Final = Scenario(
    "reconnects",
    "All are on one of two instances and watch two streams each. It gets SIGKILL; they come back as the official client does (after 0.5 to "
    f"1.5 s, then twice that; an attempt is given up after 20 s), to the other one, and resume. Bids go on at {_RATE}/s; at the end everybody must be at the last event of both "
    "streams, having seen every one in order. The accept queue and each side's 20,000 files bound what comes at once.",
    [
        Case(
            "reconnects",
            "8,000 reconnects after SIGKILL, all resumed",
            "s",
            [RIALTO],
            [at_most(15)],
            {"connections": 8_000},
        )
    ],
    _turn,
)
