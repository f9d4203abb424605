"""A real cluster of Valkey servers on loopback, made by hand and small enough for a test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

from redis.asyncio import Redis
from redis.crc import key_slot
from redis.exceptions import RedisError

from server.dev.ports import LOOPBACK, any_free
from server.dev.valkey import Valkey
from tests.waiting import until

SLOTS: Final = 16_384
PRIMARIES: Final = 3


class Member:
    """One server of the cluster."""

    def __init__(self, folder: Path) -> None:
        self.bus = any_free()
        options = (
            *("--cluster-enabled", "yes"),
            *("--cluster-port", str(self.bus)),
            *("--cluster-node-timeout", "800"),
            *("--cluster-require-full-coverage", "no"),
            *("--cluster-replica-validity-factor", "0"),
            *("--repl-diskless-sync-delay", "0"),
        )
        self.valkey = Valkey(folder, log=folder.with_suffix(".log"), persistent=False, options=options)
        self.id = ""

    @property
    def name(self) -> str:
        """As clients know it."""
        return f"{LOOPBACK}:{self.valkey.port}"

    async def ask(self, *command: str | int) -> Any:
        """A command to this very server."""
        async with Redis.from_url(self.valkey.url, socket_timeout=5, decode_responses=True) as client:
            return await client.execute_command(*command)

    async def start(self) -> None:
        """Start, or start again with what it knew of the cluster."""
        await self.valkey.start()
        self.id = await self.ask("CLUSTER", "MYID")

    async def kill(self) -> None:
        """As a crash does it."""
        assert self.valkey.child is not None
        await self.valkey.child.kill()


class ValkeyCluster:
    """Three primaries with a third of the slots each; `replica` follows the first of them, if there is one."""

    def __init__(self, primaries: list[Member], replica: Member | None) -> None:
        self.primaries = primaries
        self.replica = replica

    @property
    def members(self) -> list[Member]:
        """All servers."""
        return [*self.primaries, *([self.replica] if self.replica is not None else [])]

    @property
    def url(self) -> str:
        """For `RedisLink`."""
        return "redis+cluster://" + ",".join(member.name for member in self.primaries)

    def stream_at(self, index: int) -> str:
        """The name of a stream whose channel is at a primary, as the slots were at first."""
        return next(name for name in (f"tally:{n}" for n in range(1_000)) if self.index_of(slot_of(name)) == index)

    @staticmethod
    def index_of(slot: int) -> int:
        """Of the primary that owned a slot at first."""
        return min(slot * PRIMARIES // SLOTS, PRIMARIES - 1)

    async def move(self, slot: int, to: Member) -> None:
        """Give a slot to another primary, as an operator does who moves slots one by one."""
        source = self.primaries[self.index_of(slot)]
        await to.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", source.id)
        await source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", to.id)
        while keys := await source.ask("CLUSTER", "GETKEYSINSLOT", slot, 100):
            await source.ask("MIGRATE", LOOPBACK, to.valkey.port, "", 0, 5_000, "KEYS", *keys)
        for member in (to, source, *(other for other in self.primaries if other not in (to, source))):
            await member.ask("CLUSTER", "SETSLOT", slot, "NODE", to.id)


def slot_of(stream: str) -> int:
    """Of a stream's channel."""
    return int(key_slot(b"rialto:s:" + stream.encode()))


@asynccontextmanager
async def valkey_cluster(folder: Path, *, replica: bool = False) -> AsyncIterator[ValkeyCluster]:
    """A cluster that is whole; all of its servers are gone afterwards."""
    async with AsyncExitStack() as stack:
        members = []
        for number in range(PRIMARIES + int(replica)):
            member = Member(folder / f"valkey-{number}")
            stack.push_async_callback(_end, member)
            await member.start()
            members.append(member)
        primaries = members[:PRIMARIES]
        for index, member in enumerate(primaries):
            slots = [slot for slot in range(SLOTS) if ValkeyCluster.index_of(slot) == index]
            await member.ask("CLUSTER", "ADDSLOTSRANGE", slots[0], slots[-1])
            await member.ask("CLUSTER", "SET-CONFIG-EPOCH", index + 1)
        for member in members[1:]:
            await member.ask("CLUSTER", "MEET", LOOPBACK, members[0].valkey.port, members[0].bus)

        async def whole() -> bool:
            infos = [await member.ask("CLUSTER", "INFO") for member in members]
            return all(f"cluster_known_nodes:{len(members)}" in info and "cluster_state:ok" in info for info in infos)

        await until(whole)
        cluster = ValkeyCluster(primaries, members[PRIMARIES] if replica else None)
        if cluster.replica is not None:
            await until(lambda: _follows(cluster.replica, primaries[0]))
        yield cluster


async def _follows(replica: Member | None, primary: Member) -> bool:
    assert replica is not None
    try:
        await replica.ask("CLUSTER", "REPLICATE", primary.id)
        return "master_link_status:up" in await _info(replica)
    except RedisError:
        return False


async def _info(member: Member) -> str:
    async with Redis.from_url(member.valkey.url) as client:
        info = await client.info("replication")
    return " ".join(f"{key}:{value}" for key, value in info.items())


async def _end(member: Member) -> None:
    child = member.valkey.child
    if child is not None and child.running:
        await asyncio.shield(child.kill())
