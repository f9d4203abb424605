"""Three instances behind nginx are restarted one after the other: nobody misses an event, and no acknowledged command is lost."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from dataclasses import dataclass

import pytest

from tests.cluster.proxy import Proxy
from tests.soak.client import Way
from tests.soak.cluster import Cluster
from tests.soak.market import Crowd, market
from tests.soak.rolling import Addressees, Arrivals
from tests.soak.talk import talk
from tests.soak.talkers import Company
from tests.waiting import patiently

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Size:
    """How much of everything.

    Attributes:
        addressees: sockets that read notifications.
        between: bids and messages, each, between two restarts.
    """

    crowd: Crowd
    company: Company
    addressees: int
    between: int

    @property
    def sockets(self) -> int:
        """Every fifth watcher has none."""
        watchers = self.crowd.watchers - -(-self.crowd.watchers // 5)
        return self.crowd.bidders + watchers + self.company.talkers + self.company.receivers + self.addressees


SMALL = Size(Crowd(60, 8, 15, 0.8), Company(60, 8, 15, 0.8), addressees=17, between=5)
FULL = Size(Crowd(300, 20, 220, 2.0), Company(300, 20, 200, 2.0), addressees=84, between=30)


@pytest.mark.parametrize(
    "size", [pytest.param(SMALL, id="small"), pytest.param(FULL, id="full", marks=pytest.mark.soak)]
)
async def test_all_instances(cluster: Cluster, proxy: Proxy, size: Size) -> None:
    arrivals = Arrivals()
    way = Way([proxy.plain], arrivals.manner, restless=False)
    before = len(proxy.log())
    async with market(cluster, size.crowd, way=way) as trade, talk(cluster, size.company, way) as room:
        people = [trade.client, *(one.account for one in (*trade.bidders, *room.talkers))]
        inboxes = Addressees(cluster, people, size.addressees, way)
        async with inboxes.reading(), trade.trading(), room.going_on():
            await patiently(
                lambda: arrivals.count >= size.sockets, f"{size.sockets} sockets", progress=lambda: arrivals.count
            )
            for name in cluster.names:
                await trade.more_bids(size.between)
                await room.more_messages(size.between)
                await _restart(cluster, name, arrivals)
        tally = trade.auction.tally + room.room.tally + inboxes.tally
        await trade.prove()
        await room.prove()
        await inboxes.prove()
    assert not tally["handshakes that failed"], "nginx sent somebody where nobody was"
    asked, left = tally["asked to leave"], tally["left when asked"]
    assert 0 < left < asked, "both those who leave when they are asked and those who do not take part"
    lines = proxy.log()[before:]
    assert not [line for line in lines if "rialto" in line["upstream"]], "nginx believed that nobody was there"
    statuses = Counter(line["status"] for line in lines if line["path"] == "/socket.io/")
    log.info(
        "%d sockets; nginx answered %s; %s", size.sockets, dict(sorted(statuses.items())), dict(sorted(tally.items()))
    )


async def _restart(cluster: Cluster, name: str, arrivals: Arrivals) -> None:
    """SIGTERM to an instance, which is given as long as it may take by its own account; then it comes back."""
    loop = asyncio.get_running_loop()
    arrivals.forget()
    began = loop.time()
    assert await cluster.stop(name) == 0, cluster.last_words()
    took_s = loop.time() - began
    (*_, draining) = [line for line in cluster.log(name) if line["event"] == "draining"]
    assert draining["sockets"] > 0, "there was nobody to see off"
    await cluster.start(name)
    await cluster.ready(name)
    log.info(
        "%s saw %d sockets off and ended within %.1f s; handshakes elsewhere: %d, at most %d at one instance within a second",
        name,
        draining["sockets"],
        took_s,
        arrivals.count,
        arrivals.most(),
    )
