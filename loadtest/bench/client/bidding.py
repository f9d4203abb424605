"""Bids of many on few auctions: each higher than all before it, and nobody's second before his first is answered."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence

from loadtest.bench.client.ledger import Histogram, Ledger
from loadtest.bench.client.link import Link
from loadtest.town import START_AMOUNT, STEP


class Bidding:
    """A crowd that bids.

    Args:
        links: who bids; each has one bid under way at most.
        auctions: their ids; bids go to them in turn.

    Attributes:
        accepted: bids that were acknowledged as placed. bids: that were sent.
        acks: from sending to the ack, of all bids.
        answered: called after every ack.
    """

    def __init__(self, ledger: Ledger, links: Sequence[Link], auctions: Sequence[str]) -> None:
        self.accepted = 0
        self.bids = 0
        self.acks = Histogram()
        self.answered: Callable[[], None] = lambda: None
        self._ledger = ledger
        self._auctions = auctions
        self._idle = deque(links)

    @property
    def idle(self) -> int:
        """Bidders without a bid under way."""
        return len(self._idle)

    @property
    def settled(self) -> int:
        """Bids that were answered."""
        return self.accepted + self._ledger.refusals.total()

    def bid(self, *, timed: bool = False) -> None:
        """Send the next bid. `timed`: note when in the ledger, so that its receipt by watchers is measured."""
        link = self._idle.popleft()
        self.bids += 1
        amount = START_AMOUNT + self.bids * STEP
        began = time.perf_counter()
        if timed:
            self._ledger.sent[amount] = began

        def acknowledged(link: Link, answer: bytes) -> None:
            self.acks.add(time.perf_counter() - began)
            if answer.startswith(b'[{"ok":true'):
                self.accepted += 1
            self._idle.append(link)
            self.answered()

        body = {"auction": self._auctions[self.bids % len(self._auctions)], "amount": amount, "key": str(amount)}
        link.command("bid", body, acknowledged)

    async def keep(self, seconds: float) -> None:
        """Bid with all of them at once, each again as soon as it is answered, for so long; returns when all are answered."""
        over = time.perf_counter() + seconds
        done = asyncio.Event()

        def again() -> None:
            if time.perf_counter() < over:
                self.bid()
            elif self.settled == self.bids:
                done.set()

        self.answered = again
        for _ in range(self.idle):
            self.bid()
        await done.wait()
        self.answered = lambda: None

    async def pace(self, rate: float, seconds: float, *, timed: bool = False) -> None:
        """Bid at an even rate; what finds no idle bidder is sent as soon as there is one, and the rate falls behind."""
        began = time.perf_counter()
        total, sent = round(rate * seconds), 0
        while sent < total:
            due = min(total, int((time.perf_counter() - began) * rate) + 1)
            while sent < due and self._idle:
                self.bid(timed=timed)
                sent += 1
            await asyncio.sleep(0.001)
        await self.rest()

    async def rest(self) -> None:
        """Return once all bids are answered."""
        while self.settled < self.bids:  # noqa: ASYNC110 - acks are callbacks
            await asyncio.sleep(0.01)
