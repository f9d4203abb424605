"""No message is lost, none is doubled, all hear the same in the same order, and unread counts are right, whatever is killed."""

from __future__ import annotations

import asyncio
import itertools
import logging
from dataclasses import dataclass

import pytest

from tests.cluster.cluster import NAMES, WORKER
from tests.soak.cluster import Cluster
from tests.soak.talk import talk
from tests.soak.talkers import Company

log = logging.getLogger(__name__)

VALKEY = "Valkey"
VICTIMS = (*NAMES, WORKER, VALKEY)


@dataclass(frozen=True)
class Size:
    """How much of everything: `kills` of `VICTIMS`, in turn; `pause_s` between two."""

    company: Company
    kills: int
    pause_s: float


SMALL = Size(Company(messages=250, talkers=8, receivers=9, think_s=0.08), kills=5, pause_s=0.5)
FULL = Size(Company(messages=5_000, talkers=20, receivers=30, think_s=0.1), kills=20, pause_s=2.0)


@pytest.mark.parametrize(
    "size", [pytest.param(SMALL, id="small"), pytest.param(FULL, id="full", marks=pytest.mark.soak)]
)
async def test_everything_but_mongodb_killed(cluster: Cluster, size: Size) -> None:
    async with talk(cluster, size.company) as room:
        async with room.going_on():
            for kill in itertools.count():
                if kill >= size.kills and len(room.room.said) >= size.company.messages:
                    break
                await asyncio.sleep(size.pause_s)
                victim = VICTIMS[kill % len(VICTIMS)]
                room.room.tally[f"{victim} killed"] += 1
                if victim == VALKEY:
                    await cluster.databases.kill_valkey()
                    await room.more_messages(5)
                    await cluster.databases.start_valkey()
                    continue
                if victim in NAMES:
                    await cluster.ready(victim)
                await cluster.kill(victim)
                await room.more_messages(1)
                await cluster.start(victim)
        await room.prove()
    log.info("%d messages; %s", len(room.room.said), dict(sorted(room.room.tally.items())))
