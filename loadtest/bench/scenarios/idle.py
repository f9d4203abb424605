"""What an instance costs that nobody watches anything on, while another one's auctions are busy."""

from __future__ import annotations

import asyncio
import time
from typing import Final

import orjson
from redis.asyncio import Redis

from loadtest.bench.case import Case, Scenario, Stage, Turn, at_most, checked
from loadtest.bench.client.bidding import Bidding
from loadtest.bench.client.crowd import connected
from loadtest.bench.client.ledger import Ledger
from loadtest.bench.client.link import NAMESPACE, Link
from loadtest.bench.client.meter import Meter
from loadtest.bench.contenders import RIALTO, VANILLA
from loadtest.bench.job import Job, Outcome

_AUCTIONS: Final = 5
_BIDDERS: Final = 400
_CONNECTED: Final = 100
"""Clients of the idle instance, who watch nothing; without any, python-socketio would not even listen."""

_LEAST_S: Final = 5.0
"""The system counts processor time in hundredths of a second."""

_TICK_S: Final = 0.01


async def measure(job: Job) -> Outcome:
    """In the load's process. The last server is the idle one."""
    ledger, seconds = Ledger(), job.seconds
    await connected(ledger, job.urls[-1:], job.secret, job.numbers["connected"])
    published: _Published | _Bids
    if "redis" in job.texts:
        published = _Published(job.texts["redis"])
    else:
        published = _Bids(job, ledger, await connected(ledger, job.urls[:1], job.secret, job.numbers["bidders"]))
    running = asyncio.create_task(published.run(job.numbers["rate"], job.warm_up + seconds))
    await asyncio.sleep(job.warm_up)
    meter, before = Meter(job.pids), published.count
    await asyncio.sleep(seconds)
    events = (published.count - before) / meter.seconds
    load = meter.read()
    await running
    *busy, idle = load.each
    details = {"events/s": events, "load CPU %": load.client * 100, **({"server CPU %": busy[0] * 100} if busy else {})}
    return {"idle": idle * 100, "details": details, "faults": ledger.faults}


class _Bids:
    """Events that come of bids at the first server."""

    def __init__(self, job: Job, ledger: Ledger, bidders: list[Link]) -> None:
        self._bidding = Bidding(ledger, bidders, job.auctions)

    @property
    def count(self) -> int:
        """Of events."""
        return self._bidding.accepted

    async def run(self, rate: int, seconds: float) -> None:
        """Publish at an even rate, as far as the server goes along."""
        await self._bidding.pace(rate, seconds)


class _Published:
    """Messages in Redis, as python-socketio's manager publishes an `emit`; its own instance would not reach the rate."""

    def __init__(self, url: str) -> None:
        self.count = 0
        self._url = url

    async def run(self, rate: int, seconds: float) -> None:
        """Publish at an even rate."""
        event = {
            "amount": 10_000_500,
            "bidder": "somebody",
            "price": 10_000_500,
            "seq": 1,
            "type": "bid",
            "hash": "0" * 64,
        }
        event |= {"end_at": "2027-01-01T00:00:00.000Z", "t": "2027-01-01T00:00:00.000Z", "leader": "somebody"}
        body = {"stream": "auction:somewhere", "events": [event], "seq": 1}
        message = {"method": "emit", "event": "events", "data": [body], "binary": False, "namespace": NAMESPACE}
        message |= {"room": body["stream"], "skip_sid": None, "callback": None, "host_id": "another"}
        packed = orjson.dumps(message)
        async with Redis.from_url(self._url) as redis:
            began = time.perf_counter()
            while (passed := time.perf_counter() - began) < seconds:
                pipe = redis.pipeline(transaction=False)
                for _ in range(round(passed * rate) - self.count):
                    pipe.publish("socketio", packed)
                    self.count += 1
                await pipe.execute()
                await asyncio.sleep(_TICK_S)


async def _turn(stage: Stage, case: Case, contender: str) -> Turn:
    serving, cores = stage.contenders.serving, stage.cores
    numbers = {"rate": stage.size(case.numbers["rate"]), "connected": stage.size(_CONNECTED)}
    seconds = stage.seconds if stage.scale < 1 else max(stage.seconds, _LEAST_S)
    if contender == VANILLA:
        async with serving(contender, cores.server, redis=True) as idle:
            texts = {"redis": stage.databases.valkey}
            outcome = await stage.load(__name__, idle, numbers, seconds=seconds, texts=texts)
    else:
        numbers["bidders"] = stage.size(_BIDDERS)
        async with serving(contender, cores.server) as busy, serving(contender, cores.databases) as idle:
            auctions = await stage.contenders.auctions(contender, busy, _AUCTIONS)
            outcome = await stage.load(__name__, [*busy, *idle], numbers, auctions, seconds=seconds)
    return Turn(checked(outcome)["idle"], outcome["details"])


SCENARIO: Final = Scenario(
    "idle",
    f"Bids on {_AUCTIONS} auctions at one instance, as many as it takes up to the rate; measured is the processor time of another one, with "
    f"{_CONNECTED} clients who watch nothing. `server CPU` is the busy one's. python-socketio has its Redis manager, and the messages of the other "
    "instances are put into Redis directly, since its own instance would not reach the rate.",
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
