"""Bidders that do not give up and watchers that miss nothing, each on a socket at one of the instances."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp
import orjson

from tests.server.realtime.wire import Wire
from tests.soak.accounts import Account
from tests.soak.client import LOST, Client, Manner, Reader, breathe

NAMESPACE: Final = "/bidding"
REFUSALS: Final = frozenset({"BID_TOO_WEAK", "ALREADY_LEADING", "LIMIT_NOT_IMPROVED"})
"""Answers that are a part of bidding when a hundred do so at once."""

_SILENCE_S: Final = 40.0
"""An event source says that it is still there every 15 s."""

_STEP: Final = 100
START_AMOUNT: Final = 1_000


@dataclass(frozen=True)
class Placed:
    """A bid that was acknowledged: what was sent, and the ack."""

    bidder: str
    sent: dict[str, Any]
    ack: dict[str, Any]

    @property
    def key(self) -> tuple[str, str]:
        """(bidder's user id, key of the command)."""
        return self.bidder, self.sent["key"]


@dataclass
class Auction:
    """One auction and what everybody has learnt of it so far.

    Attributes:
        placed: acknowledged bids.
        refused: (bidder, key) of bids that were refused for good.
        tally: what happened, counted.
    """

    id: str
    job: str
    urls: Sequence[str]
    placed: list[Placed] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    tally: Counter[str] = field(default_factory=Counter)
    _highest: int = START_AMOUNT

    @property
    def stream(self) -> str:
        """The auction's stream."""
        return f"auction:{self.id}"

    def next_amount(self) -> int:
        """More than anybody has offered so far; so most bids are good, and those overtaken on their way are refused."""
        self._highest += _STEP
        return self._highest


class Bidder(Client):
    """Bids again and again; what it does not know to be answered it sends again with the same key, elsewhere.

    Args:
        urls: instances that it uses, beginning after `first`.
        think_s: mean time between an answer and the next bid, seconds.

    Attributes:
        user: its id.
    """

    def __init__(
        self,
        auction: Auction,
        urls: Sequence[str],
        first: int,
        manner: Manner,
        account: Account,
        think_s: float,
    ) -> None:
        super().__init__(NAMESPACE, auction.tally, urls, first, account.token, manner)
        self.auction = auction
        self.account = account
        self.user = account.user
        self._think_s = think_s
        self._bids = 0

    async def run(self, enough: Callable[[], bool]) -> None:
        """Bid until it is enough; returns when the last bid has been answered."""
        bid: dict[str, Any] | None = None
        while bid is not None or not enough():
            try:
                async with self.connected() as wire:
                    while bid is not None or not enough():
                        bid = bid or self._new_bid()
                        if not await self._settled(wire, bid):
                            break
                        bid = None
                        await asyncio.sleep(random.uniform(0, 2 * self._think_s))
            except LOST:
                self.auction.tally["connections lost by bidders"] += 1
            await breathe()

    def _new_bid(self) -> dict[str, Any]:
        self._bids += 1
        return {
            "auction": self.auction.id,
            "amount": self.auction.next_amount(),
            "kind": random.choice(("exact", "exact", "auto")),
            "key": f"bid-{self._bids}",
        }

    async def _settled(self, wire: Wire, bid: dict[str, Any]) -> bool:
        """Send the bid; whether its answer is final."""
        self.auction.tally["bids sent"] += 1
        ack = await self.ask(wire, "bid", bid)
        if ack["ok"]:
            self.auction.tally["acks"] += 1
            self.auction.tally["acks of a retry, replayed"] += bool(ack.get("replayed"))
            self.auction.placed.append(Placed(self.user, bid, ack))
            return True
        error = ack["error"]
        self.auction.tally[error["code"]] += 1
        if error["retryable"]:
            return False
        assert error["code"] in REFUSALS, f"{bid} was answered {error}"
        self.auction.refused.append((self.user, bid["key"]))
        return True

    async def refusal(self) -> str:
        """The code that a new bid is refused with, now that all bids are."""
        async with self.connected() as wire:
            ack = await self.ask(wire, "bid", self._new_bid())
        return str(ack["error"]["code"])

    async def repeat(self, placed: Placed) -> dict[str, Any]:
        """Send an acknowledged bid once more; the ack."""
        async with self.connected() as wire:
            return await self.ask(wire, "bid", placed.sent)


class Watcher(Reader):
    """Follows the auction from its first event, anonymously.

    Attributes:
        ended: whether the auction's `closed` was among the events.
    """

    def __init__(self, auction: Auction, urls: Sequence[str], first: int, manner: Manner, *, stay: int | None) -> None:
        tally = auction.tally
        super().__init__(NAMESPACE, auction.stream, tally, urls, first, manner=manner, who="watchers", stay=stay)
        self.ended = False

    def take(self, event: dict[str, Any]) -> None:
        """Note the next event."""
        super().take(event)
        self.ended = self.ended or event["type"] == "closed"


class Listener(Watcher):
    """A watcher without sockets: it reads Server-Sent Events, and resumes by `Last-Event-ID` as browsers do."""

    async def visit(self) -> None:
        """See Watcher."""
        url = f"{self.next_url()}/api/v1/streams/{self.stream}/events"
        headers = {"Accept": "text/event-stream", "Last-Event-ID": str(len(self.seen))}
        silence = aiohttp.ClientTimeout(total=None, sock_read=_SILENCE_S)
        async with (
            aiohttp.ClientSession(timeout=silence) as http,
            http.get(url, headers=headers) as answer,
        ):
            if answer.status != 200:
                problem = await answer.json(content_type=None)
                assert problem["retryable"], f"{url} was answered {problem}"
                self.tally["subscriptions put off"] += 1
                return
            leaving = self.leaving()
            async for line in answer.content:
                if line.startswith(b"data: "):
                    self.take(orjson.loads(line[6:]))
                if len(self.seen) >= leaving:
                    return
