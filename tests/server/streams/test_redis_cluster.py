"""The link to a real Valkey cluster: every stream's channel at its own server, slots that move, servers that die."""

from __future__ import annotations

import asyncio
import gc
import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from redis.crc import key_slot
from redis.exceptions import RedisError

from models.rules.stream import Command
from server.auth.denylist import Denylist
from server.clock import Clock
from server.limits.buckets import Buckets, SharedBuckets
from server.limits.rate import Rate
from server.realtime.lifesigns import Entry, LifeSigns
from server.settings import Settings
from server.streams.memory import MemoryEventStore
from server.streams.redis_link import RedisLink
from server.streams.redis_servers import servers_at
from tests.server.streams.conftest import Instance, Watcher
from tests.server.streams.test_redis_link import Heard
from tests.server.streams.valkey_cluster import PRIMARIES, ValkeyCluster, slot_of, valkey_cluster
from tests.waiting import until


@pytest.fixture(autouse=True)
def _dropped_connections() -> Iterator[None]:
    """The client library drops connections to servers that left the cluster without closing them. They are collected here, where it
    is known, and not under whatever test comes next.
    """
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture(scope="module")
async def shared_cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ValkeyCluster]:
    """For tests that leave it as it is."""
    async with valkey_cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[ValkeyCluster]:
    """For one test; its first primary has a replica."""
    async with valkey_cluster(tmp_path, replica=True) as cluster:
        yield cluster


class Links:
    """Started links, stopped at the end."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack = stack

    async def to(self, cluster: ValkeyCluster) -> RedisLink:
        link = RedisLink(cluster.url, timeout_ms=1_000)
        self._stack.push_async_callback(link.stop)
        await link.start()
        await until(lambda: link.up)
        return link


@pytest.fixture
async def links() -> AsyncIterator[Links]:
    async with AsyncExitStack() as stack:
        yield Links(stack)


async def test_each_stream_has_its_server(shared_cluster: ValkeyCluster, links: Links) -> None:
    sender, receiver = await links.to(shared_cluster), await links.to(shared_cluster)
    heard = Heard(receiver)
    streams = [shared_cluster.stream_at(index) for index in range(PRIMARIES)]
    for stream in streams:
        await receiver.watch(stream)
    for member, stream in zip(shared_cluster.primaries, streams, strict=True):
        assert await member.ask("PUBSUB", "SHARDCHANNELS") == [f"rialto:s:{stream}"]
    for n in range(5):
        for stream in streams:
            sender.send(stream, b"%d" % n)
    sender.send("tally:unwatched", b"")
    await until(lambda: len(heard.events) == 15)
    for stream in streams:
        assert [packed for name, packed in heard.events if name == stream] == [b"%d" % n for n in range(5)]
    for stream in streams:
        receiver.unwatch(stream)
    for member in shared_cluster.primaries:
        await until(lambda member=member: _no_channels(member))  # type: ignore[misc]


async def _no_channels(member: object) -> bool:
    return not await member.ask("PUBSUB", "SHARDCHANNELS")  # type: ignore[attr-defined]


async def test_interest_that_is_given_up_and_taken_again_at_once_stands(
    shared_cluster: ValkeyCluster, links: Links
) -> None:
    link = await links.to(shared_cluster)
    heard = Heard(link)
    await link.watch("tally:a")
    link.unwatch("tally:a")
    await link.watch("tally:a")
    link.send("tally:a", b"heard")
    await until(lambda: heard.events == [("tally:a", b"heard")])


async def test_control_messages_reach_everybody_once(shared_cluster: ValkeyCluster, links: Links) -> None:
    one, two = await links.to(shared_cluster), await links.to(shared_cluster)
    early: list[bytes] = []
    late: list[bytes] = []
    one.on_message("rialto:test", early.append)
    two.on_message("rialto:test", late.append)

    async def both() -> bool:
        await one.publish("rialto:test", b"knock")
        return bool(early and late)

    await until(both)
    await one.publish("rialto:test", b"last")
    await until(lambda: early[-1] == late[-1] == b"last")
    assert early.count(b"last") == late.count(b"last") == 1


async def test_what_else_lives_there_works_across_slots(shared_cluster: ValkeyCluster, links: Links) -> None:
    link = await links.to(shared_cluster)
    clock = Clock()
    denylist = Denylist(link, clock, 60)
    for n in range(10):
        await denylist.deny(f"s{n}")
    others = Denylist(link, clock, 60)
    assert [await others.denies(f"s{n}") for n in (0, 9, 10)] == [True, True, False]

    buckets = SharedBuckets(link, Buckets())
    waits = [await buckets.take(f"auth:{n % 5}", Rate.parse("2/m")) for n in range(15)]
    assert [wait > 0 for wait in waits] == [False] * 10 + [True] * 5

    written: list[Entry] = []
    signs = LifeSigns("test", link, clock, written=written.extend)
    entries = [Entry(f"rialto:online:u{n}", "here") for n in range(20)]
    for entry in entries:
        signs.add(entry)
    await until(lambda: len(written) == 20)
    async with link.client.pipeline(transaction=False) as pipeline:
        for entry in entries:
            pipeline.zrevrange(entry.key, 0, 0, withscores=True)
        answers = await pipeline.execute()
    assert [member for [(member, _)] in answers] == [b"here"] * 20
    await signs.stop()
    assert await link.client.ping()


async def test_a_stream_whose_slot_moves_goes_with_it(cluster: ValkeyCluster, links: Links) -> None:
    sender, receiver = await links.to(cluster), await links.to(cluster)
    heard = Heard(receiver)
    stream, stays = cluster.stream_at(0), cluster.stream_at(2)
    await receiver.watch(stream)
    await receiver.watch(stays)
    ups = heard.ups
    await cluster.move(slot_of(stream), cluster.primaries[1])
    await until(lambda: heard.ups > ups)  # what came meanwhile is to be read from the store
    assert f"rialto:s:{stream}" in await cluster.primaries[1].ask("PUBSUB", "SHARDCHANNELS")
    for n in range(20):
        sender.send(stream, b"%d" % n)  # the first is refused by the server that owned it, and goes to the other
        sender.send(stays, b"%d" % n)
    await until(lambda: len(heard.events) >= 40)
    assert sorted(packed for name, packed in heard.events if name == stream) == sorted(b"%d" % n for n in range(20))
    assert sender.up
    assert receiver.up
    await receiver.client.set("after", b"move")
    assert await sender.client.get("after") == b"move"


async def test_a_server_dies_and_its_replica_takes_over(cluster: ValkeyCluster, links: Links) -> None:
    assert cluster.replica is not None
    sender, receiver = await links.to(cluster), await links.to(cluster)
    heard = Heard(receiver)
    told: list[bytes] = []
    receiver.on_message("rialto:test", told.append)
    struck, spared = cluster.stream_at(0), cluster.stream_at(1)
    await receiver.watch(struck)
    await receiver.watch(spared)
    await cluster.primaries[0].kill()
    await until(lambda: not receiver.up)
    sender.send(spared, b"through")  # the others go on meanwhile
    await until(lambda: (spared, b"through") in heard.events)
    ups = heard.ups
    await until(lambda: receiver.up and sender.up)
    assert heard.ups > ups
    await until(lambda: _heard_again(sender, heard, struck))
    assert f"rialto:s:{struck}" in await cluster.replica.ask("PUBSUB", "SHARDCHANNELS")

    async def control() -> bool:
        await sender.publish("rialto:test", b"control")
        return bool(told)

    await until(control)
    assert await _set_everywhere(sender)


async def _heard_again(sender: RedisLink, heard: Heard, stream: str) -> bool:
    sender.send(stream, b"again")
    return (stream, b"again") in heard.events


async def _set_everywhere(link: RedisLink) -> bool:
    async def done() -> bool:
        try:
            async with link.client.pipeline(transaction=False) as pipeline:
                for n in range(30):
                    pipeline.set(f"key:{n}", b"x")
                return all(await pipeline.execute())
        except (RedisError, OSError, TimeoutError):
            return False

    return await until(done)


async def test_a_dead_server_says_so_in_time_and_comes_back(cluster: ValkeyCluster, links: Links) -> None:
    link = await links.to(cluster)
    heard = Heard(link)
    victim = cluster.primaries[1]  # it has no replica
    stream = cluster.stream_at(1)
    await link.watch(stream)
    await victim.kill()
    await until(lambda: not link.up)
    key = next(f"k{n}" for n in range(100) if cluster.index_of(key_slot(f"k{n}".encode())) == 1)
    with pytest.raises((RedisError, OSError, TimeoutError)):
        await link.client.get(key)
    await link.watch(cluster.stream_at(2))  # answers, if not at once
    await victim.start()
    await until(lambda: link.up)
    await until(lambda: _heard_again(link, heard, stream))


async def test_watchers_miss_nothing_whatever_happens_to_the_cluster(cluster: ValkeyCluster, links: Links) -> None:
    store = MemoryEventStore()
    settings = Settings(poll_interval_ms=200, poll_interval_degraded_ms=50)
    instances = [Instance(store, await links.to(cluster), settings) for _ in range(2)]
    streams = [cluster.stream_at(index) for index in range(PRIMARIES)]
    watchers: list[Watcher] = []
    try:
        for instance in instances:
            await instance.streams.start()
        for stream in streams:
            await instances[0].streams.append(stream, Command("add", "ann", {"n": 1}))
            for instance in instances:
                watchers.append(Watcher())
                await instance.hub.subscribe(stream, 1, watchers[-1])
        sent = 1
        going = True

        async def bids() -> None:
            nonlocal sent
            while going:
                for index, stream in enumerate(streams):
                    await instances[(sent + index) % 2].streams.append(stream, Command("leave", "ann"))
                sent += 1
                await asyncio.sleep(0.005)

        bidding = asyncio.create_task(bids())
        await cluster.move(slot_of(streams[1]), cluster.primaries[2])
        await cluster.primaries[0].kill()
        await until(lambda: not any(instance.bus.up for instance in instances))
        await until(lambda: all(instance.bus.up for instance in instances))
        going = False
        await bidding
        await until(lambda: all(len(watcher.seqs) == sent - 1 for watcher in watchers))
        for watcher in watchers:
            assert watcher.seqs == list(range(2, sent + 1))
    finally:
        for instance in instances:
            await instance.streams.stop()


async def test_a_cluster_that_is_away_is_no_failure() -> None:
    link = RedisLink("redis+cluster://127.0.0.1:1,127.0.0.1:2", timeout_ms=200)
    await link.start()
    assert not link.up
    await link.watch("tally:a")
    link.send("tally:a", b"dropped")
    with pytest.raises((RedisError, OSError, TimeoutError)):
        await link.client.get("a")
    with pytest.raises((RedisError, OSError, TimeoutError)):
        await link.client.pipeline(transaction=False).get("a").execute()
    assert not await Denylist(link, Clock(), 60).denies("s")
    await link.stop()


async def test_the_url_says_what_it_leads_to() -> None:
    single = servers_at("redis://127.0.0.1:1/3", 1)
    assert single.names == {"redis"}
    assert single.connection("redis").db == 3  # type: ignore[attr-defined]
    cluster = servers_at("rediss+cluster://ann:p%40ss@one:7000,two", 1)
    seeds = cluster.client.nodes_manager.startup_nodes  # type: ignore[attr-defined]
    assert set(seeds) == {"one:7000", "two:6379"}
    assert cluster.client.connection_kwargs["password"] == "p@ss"  # type: ignore[attr-defined]
    assert cluster.names == frozenset()
