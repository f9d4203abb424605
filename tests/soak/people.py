"""Bidders that do not give up and watchers that miss nothing, each on a socket at one of the instances."""

from __future__ import annotations

import asyncio
import hashlib
import math
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp
import orjson

from tests.server.realtime.wire import Closed, Wire

NAMESPACE: Final = "/bidding"
LOST: Final = (Closed, aiohttp.ClientError, OSError, TimeoutError)
"""What a client sees of an instance that is gone."""

REFUSALS: Final = frozenset({"BID_TOO_WEAK", "ALREADY_LEADING", "LIMIT_NOT_IMPROVED"})
"""Answers that are a part of bidding when a hundred do so at once."""

_ANSWER_S: Final = 20.0
_SILENCE_S: Final = 40.0
"""An event source says that it is still there every 15 s."""

_STEP: Final = 100
START_AMOUNT: Final = 1_000


def fingerprint(event: dict[str, Any]) -> bytes:
    """What two copies of the same event have in common, and nothing else has."""
    return hashlib.sha256(orjson.dumps(event, option=orjson.OPT_SORT_KEYS)).digest()


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


class _Client:
    """Somebody who goes on to another instance when one fails."""

    def __init__(self, auction: Auction, urls: Sequence[str], first: int, token: str | None = None) -> None:
        self.auction = auction
        self._urls = urls
        self._next = first
        self.token = token

    def next_url(self) -> str:
        """The next instance."""
        self._next += 1
        return self._urls[self._next % len(self._urls)]

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[Wire]:
        """A socket at the next instance. Raises one of LOST."""
        url = self.next_url()
        async with asyncio.timeout(_ANSWER_S):
            wire = await Wire(url, "websocket").__aenter__()
        try:
            async with asyncio.timeout(_ANSWER_S):
                answer = await wire.connect(NAMESPACE, {"token": self.token} if self.token else None)
            assert "sid" in answer, f"{url} refused to connect: {answer}"
            yield wire
        finally:
            await wire.__aexit__()

    async def ask(self, wire: Wire, command: str, fields: dict[str, Any]) -> dict[str, Any]:
        """The ack of a command. Raises one of LOST."""
        async with asyncio.timeout(_ANSWER_S):
            return await wire.command(command, fields, namespace=NAMESPACE)


async def breathe() -> None:
    """A moment, before trying elsewhere."""
    await asyncio.sleep(random.uniform(0.02, 0.2))


class Bidder(_Client):
    """Bids again and again; what it does not know to be answered it sends again with the same key, elsewhere.

    Args:
        urls: instances that it uses, beginning after `first`.
        user: its id.
        think_s: mean time between an answer and the next bid, seconds.
    """

    def __init__(
        self, auction: Auction, urls: Sequence[str], first: int, *, user: str, token: str, think_s: float
    ) -> None:
        super().__init__(auction, urls, first, token)
        self.user = user
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


class Watcher(_Client):
    """Follows the auction from its first event, anonymously, resuming wherever it comes to.

    Args:
        urls: instances that it uses, beginning after `first`.
        stay: events after which it leaves for another instance though nothing is wrong; None: it stays.

    Attributes:
        seen: fingerprints of the events, the first being seq 1.
        ended: whether the auction's `closed` was among them.
    """

    def __init__(self, auction: Auction, urls: Sequence[str], first: int, *, stay: int | None) -> None:
        super().__init__(auction, urls, first)
        self.seen: list[bytes] = []
        self.ended = False
        self._stay = stay

    async def run(self) -> None:
        """For ever. Fails at the first event that is not the next one."""
        while True:
            try:
                await self.visit()
                self.auction.tally["moves of watchers"] += 1
            except LOST:
                self.auction.tally["connections lost by watchers"] += 1
            await breathe()

    async def visit(self) -> None:
        """Watch at the next instance, until it is time to leave. Raises one of LOST."""
        async with self.connected() as wire:
            more = True
            while more:
                fields = {"stream": self.auction.stream, "after": len(self.seen)}
                ack = await self.ask(wire, "subscribe", fields)
                if not ack["ok"]:
                    assert ack["error"]["retryable"], f"subscribe {fields} was answered {ack['error']}"
                    self.auction.tally["subscriptions put off"] += 1
                    return
                self._take_message(ack)
                more = ack["more"]
            leaving = self.leaving()
            while len(self.seen) < leaving:
                self._take_message(await wire.event("events"))

    def leaving(self) -> float:
        """How many events it will have seen when it leaves."""
        return len(self.seen) + self._stay if self._stay else math.inf

    def _take_message(self, message: dict[str, Any]) -> None:
        assert message["stream"] == self.auction.stream
        for event in message["events"]:
            self.take(event)
        assert message["seq"] == len(self.seen), f"at event {len(self.seen)} came seq {message['seq']}"

    def take(self, event: dict[str, Any]) -> None:
        """Note the next event."""
        assert event["seq"] == len(self.seen) + 1, f"after event {len(self.seen)} came {event}"
        self.seen.append(fingerprint(event))
        self.ended = self.ended or event["type"] == "closed"


class Listener(Watcher):
    """A watcher without sockets: it reads Server-Sent Events, and resumes by `Last-Event-ID` as browsers do."""

    async def visit(self) -> None:
        """See Watcher."""
        url = f"{self.next_url()}/api/v1/streams/{self.auction.stream}/events"
        headers = {"Accept": "text/event-stream", "Last-Event-ID": str(len(self.seen))}
        silence = aiohttp.ClientTimeout(total=None, sock_read=_SILENCE_S)
        async with (
            aiohttp.ClientSession(timeout=silence) as http,
            http.get(url, headers=headers) as answer,
        ):
            if answer.status != 200:
                problem = await answer.json(content_type=None)
                assert problem["retryable"], f"{url} was answered {problem}"
                self.auction.tally["subscriptions put off"] += 1
                return
            leaving = self.leaving()
            async for line in answer.content:
                if line.startswith(b"data: "):
                    self.take(orjson.loads(line[6:]))
                if len(self.seen) >= leaving:
                    return
