"""The link to a real Valkey: sharded channels, control messages, and its death and return."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from server.dev.valkey import Valkey
from server.streams.redis_link import RedisLink
from tests.waiting import until


@pytest.fixture
async def valkey(tmp_path: Path) -> AsyncIterator[Valkey]:
    server = Valkey(tmp_path, log=tmp_path / "valkey.log", persistent=False)
    await server.start()
    yield server
    await server.stop()


class Heard:
    """What a link was told."""

    def __init__(self, link: RedisLink) -> None:
        self.events: list[tuple[str, bytes]] = []
        self.ups = 0
        link.listen(lambda stream, packed: self.events.append((stream, packed)), self._came_up)

    def _came_up(self) -> None:
        self.ups += 1


async def test_only_watched_streams_arrive(redis_url: str) -> None:
    sender, receiver = RedisLink(redis_url), RedisLink(redis_url)
    heard = Heard(receiver)
    await sender.start()
    await receiver.start()
    try:
        await receiver.watch("tally:a")
        await receiver.watch("tally:gone")
        receiver.unwatch("tally:gone")
        sender.send("tally:b", b"not watched")
        for n in range(5):
            sender.send("tally:a", b"%d" % n)
        await until(lambda: len(heard.events) == 5)
        assert heard.events == [("tally:a", b"%d" % n) for n in range(5)]
    finally:
        await sender.stop()
        await receiver.stop()


async def test_control_messages_reach_all_also_when_asked_for_late(redis_url: str) -> None:
    one, two = RedisLink(redis_url), RedisLink(redis_url)
    early: list[bytes] = []
    late: list[bytes] = []
    one.on_message("rialto:test", early.append)
    await one.start()
    await two.start()
    try:
        two.on_message("rialto:test", late.append)

        async def both() -> bool:
            await one.publish("rialto:test", b"hello")
            return bool(early and late)

        await until(both)
        assert set(early) == set(late) == {b"hello"}
    finally:
        await one.stop()
        await two.stop()


async def test_it_comes_back_by_itself_with_all_its_interest(valkey: Valkey) -> None:
    link = RedisLink(valkey.url, timeout_ms=500)
    heard = Heard(link)
    await link.start()
    try:
        assert link.up
        await link.watch("tally:a")
        await valkey.stop()
        await until(lambda: not link.up)
        await link.watch("tally:b")  # answers at once while Valkey is away
        link.send("tally:a", b"lost")
        await valkey.start()
        await until(lambda: link.up)
        assert heard.ups == 2
        for stream in ("tally:a", "tally:b"):

            async def arrives(stream: str = stream) -> bool:
                link.send(stream, b"again")
                return (stream, b"again") in heard.events

            await until(arrives)
        assert b"lost" not in [packed for _, packed in heard.events]
    finally:
        await link.stop()


async def test_a_server_that_hangs_is_noticed(valkey: Valkey) -> None:
    link = RedisLink(valkey.url, timeout_ms=300)
    await link.start()
    try:
        await until(lambda: link.up)
        async with Redis.from_url(valkey.url) as client:
            pid = (await client.info("server"))["process_id"]
        os.kill(pid, signal.SIGSTOP)
        try:
            await until(lambda: not link.up)
        finally:
            os.kill(pid, signal.SIGCONT)
        await until(lambda: link.up)
    finally:
        await link.stop()


async def test_starting_without_redis_is_no_failure() -> None:
    link = RedisLink("redis://127.0.0.1:1", timeout_ms=200)
    await link.start()
    assert not link.up
    await link.watch("tally:a")
    link.send("tally:a", b"dropped")
    await link.stop()
