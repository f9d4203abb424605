"""Acknowledging bids while ten thousand people are told of the end of another auction.

    python -m loadtest.burst [--bidders 10000] [--rate 50]

Real databases, a real worker process, and bids at an even rate on one auction, from this process, at the service level. Another
auction, on which everybody has bid, ends: all are told that it closes soon, and five seconds later that they lost. Printed are p50 and p99
of the bids' acknowledgements before and during the burst, and their ratio. All processes share the machine's cores, unpinned.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import structlog
import uvloop

from handlers.bidding.projection import Projection
from handlers.bidding.service import Auctions
from models.rules.stream import Command
from models.rules.times import from_rfc3339
from server.app import compose, running
from server.auth.principal import Principal
from server.clock import new_id, new_salt
from server.collector import tune_collector
from server.context import Context
from server.dev.child import Child
from server.dev.mongod import Mongod
from server.dev.valkey import Valkey
from server.settings import Settings

_CHUNK: Final = 500
_LEAD_S: Final = 5
"""How long before the end the burst's first half begins."""

_QUIET_S: Final = 10
"""How long the bids before it are measured."""

_BIDDING_S: Final = 60
"""Within this all have to bid. Then the auction is paused until everybody has been told of it, however long that takes."""


@dataclass
class Paced:
    """Bids at an even rate; latencies in seconds, late starts included, so that a stall counts for every bid it held up."""

    context: Context
    rate: float
    auction: str = ""
    latencies: list[float] = field(default_factory=list)
    _amount: int = 0

    async def prepare(self) -> None:
        """An auction of its own."""
        self.auction = await opened(self.context, self.context.clock.now() + 86_400_000, "other")
        self._service = Auctions(self.context.streams, self.context.clock, Projection(self.context.streams))
        self._bidders = [Principal(f"paced-{number}", new_id(), "freelancer") for number in range(20)]

    async def run(self, until: asyncio.Event) -> list[float]:
        """Bid until the event is set; the latencies."""
        self.latencies = []
        began = time.perf_counter()
        under_way: list[asyncio.Task[None]] = []
        while not until.is_set():
            due = began + len(under_way) / self.rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            under_way.append(asyncio.create_task(self._bid(due)))
        await asyncio.gather(*under_way)
        return self.latencies

    async def _bid(self, due: float) -> None:
        self._amount += 1
        amount = self._amount
        bidder = self._bidders[amount % len(self._bidders)]
        await self._service.bid(bidder, self.auction, {"amount": amount}, f"{amount}")
        self.latencies.append(time.perf_counter() - due)


async def opened(context: Context, end_at: int, owner: str) -> str:
    """The id of a new English auction."""
    auction = new_id()
    terms = {"format": "english", "currency": "EUR", "start_amount": 1, "increments": [{"from": 0, "step": 1}]}
    terms |= {"start_at": context.clock.now(), "end_at": end_at}
    command = Command("open", owner, {"job": new_id(), "terms": terms}, "open", {"salt": new_salt()})
    await context.streams.append(f"auction:{auction}", command)
    return auction


async def crowd(context: Context, auction: str, bidders: int) -> None:
    """So many people bid, once each."""
    for first in range(1, bidders + 1, _CHUNK):
        bids = [
            Command("bid", f"crowd-{number}", {"amount": number}, f"{number}", {"salt": new_salt()})
            for number in range(first, min(first + _CHUNK, bidders + 1))
        ]
        await asyncio.gather(*(context.streams.append(f"auction:{auction}", bid) for bid in bids))


async def told(context: Context, kind: str, auction: str) -> int:
    """How many have been told something of an auction."""
    wanted = {"type": "notification", "pub.kind": kind, "pub.data.auction": auction}
    return await context.db["events"].count_documents(wanted)


async def until_told(context: Context, kind: str, auction: str, count: int) -> None:
    """Return once so many have been told."""
    while await told(context, kind, auction) < count:  # noqa: ASYNC110 - another process tells them
        await asyncio.sleep(1)


async def ending(context: Context, bidders: int) -> tuple[str, int]:
    """An auction on which all have bid, all have been told of it, and that ends soon; its id and its end (ms)."""
    began = context.clock.now()
    auction = await opened(context, began + (_BIDDING_S + _QUIET_S + 15) * 1000, "owner")
    admin = {"admin": True}
    await crowd(context, auction, bidders)
    await context.streams.append(f"auction:{auction}", Command("pause", "root", context=admin))
    # The last bidder still leads; all others have been outbid, each once: a replaced `leading` is no `outbid`.
    await until_told(context, "bid_received", auction, bidders)
    await until_told(context, "outbid", auction, bidders - 1)
    print(f"{bidders:,} bids and what is told of them: {(context.clock.now() - began) / 1000:.0f} s")
    resumed = await context.streams.append(f"auction:{auction}", Command("resume", "root", context=admin))
    return auction, from_rfc3339(resumed.fields["end_at"])


async def over(context: Context, end_at: int) -> None:
    """Return once all have been told of the end. Asks the queue alone: counting notifications would be a load itself."""
    await at(context, end_at)
    queue, seen = context.db["announcements"], False
    while not seen or await queue.find_one({"kind": "lost"}):
        seen = seen or await queue.find_one({"kind": "lost"}) is not None
        await asyncio.sleep(0.1)


async def at(context: Context, t: int) -> None:
    """Sleep until a time (ms)."""
    await asyncio.sleep(max(0, t - context.clock.now()) / 1000)


async def measure(context: Context, bidders: int, rate: float) -> None:
    """Prepare, measure the quiet, measure the burst, print."""
    closing, end_at = await ending(context, bidders)
    paced = Paced(context, rate)
    await paced.prepare()
    quiet = await timed(paced, asyncio.sleep(_QUIET_S))
    await at(context, end_at - _LEAD_S * 1000)
    began = time.perf_counter()
    burst = await timed(paced, over(context, end_at))
    seconds = time.perf_counter() - began
    soon, lost = await told(context, "closing_soon", closing), await told(context, "lost", closing)
    print(
        f"burst: {soon + lost:,} notifications in {seconds:.0f} s, {(soon + lost) / seconds:,.0f}/s; {rate:g} bids/s beside it"
    )
    show(quiet, burst)
    if (soon, lost) != (bidders + 1, bidders - 1):
        raise SystemExit(f"{soon} were told of the end coming near, {lost} that they lost")


async def timed(paced: Paced, work: Any) -> list[float]:
    """The latencies of paced bids while something goes on."""
    done = asyncio.Event()
    bids = asyncio.create_task(paced.run(done))
    await work
    done.set()
    return await bids


def show(quiet: list[float], burst: list[float]) -> None:
    """The table."""
    print(f"{'ack of a bid':14}{'bids':>8}{'p50 ms':>10}{'p99 ms':>10}{'most ms':>10}")
    for name, latencies in (("before", quiet), ("during", burst)):
        figures = "".join(f"{value * 1000:>10.1f}" for value in (*percentiles(latencies), max(latencies)))
        print(f"{name:14}{len(latencies):>8}{figures}")
    before, during = percentiles(quiet), percentiles(burst)
    ratios = [after / former for former, after in zip(before, during, strict=True)]
    print(f"ratio: p50 {ratios[0]:.1f}, p99 {ratios[1]:.1f}")


def percentiles(latencies: list[float]) -> tuple[float, float]:
    """p50 and p99."""
    cuts = statistics.quantiles(latencies, n=100, method="inclusive")
    return cuts[49], cuts[98]


@asynccontextmanager
async def market(folder: Path) -> AsyncIterator[Context]:
    """Databases, a worker, and this process as an instance without edges."""
    mongod = Mongod(folder / "mongodb", log=folder / "mongod.log", cache_gb=1)
    valkey = Valkey(folder / "valkey", log=folder / "valkey.log", persistent=False)
    await asyncio.gather(mongod.start(), valkey.start())
    values: dict[str, Any] = {
        "mongodb_url": mongod.url,
        "mongodb_database": "burst",
        "redis_url": valkey.url,
        "token_secret": secrets.token_urlsafe(48),
        "data_dir": folder,
        "log_level": "warning",
        "notify_closing_s": _LEAD_S,
    }
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RIALTO_")}
    environment |= {f"RIALTO_{name.upper()}": str(value) for name, value in values.items()}
    worker = Child([sys.executable, "-m", "server", "worker"], log=folder / "worker.log", env=environment)
    context, _ = compose(Settings(**values))
    try:
        async with running(context):
            await worker.start()
            yield context
    finally:
        await worker.stop()
        await valkey.stop()
        await mongod.stop()


async def run(bidders: int, rate: float) -> None:
    """Everything, in a temporary folder."""
    tune_collector()
    with tempfile.TemporaryDirectory(prefix="rialto-burst-") as folder:
        async with market(Path(folder)) as context:
            await measure(context, bidders, rate)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bidders", type=int, default=10_000, help="of the auction that ends")
    parser.add_argument("--rate", type=float, default=50, help="bids per second on the other auction")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(30))
    uvloop.run(run(options.bidders, options.rate))


if __name__ == "__main__":
    main()
