"""Processes killed in the middle of their appends, again and again: what they acknowledged is there, and nothing has a gap."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import pytest
from pymongo import AsyncMongoClient

from models.event import EventDocument
from server.streams.mongo import MongoEventStore
from tests.server.streams.test_append import check_chain

STREAM = "tally:crash"
_ROOT = Path(__file__).parents[3]


async def crash(url: str, redis_url: str, database: str, name: str, after: int) -> dict[int, str]:
    """Have a process append, kill it once it has acknowledged `after` commands; the seqs and keys that it acknowledged."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.server.streams.appender", url, redis_url, database, STREAM, name),
        stdout=asyncio.subprocess.PIPE,
        cwd=_ROOT,
    )
    assert process.stdout is not None
    lines = []
    try:
        while len(lines) < after and (line := await process.stdout.readline()):
            lines.append(line)
    finally:
        process.send_signal(signal.SIGKILL)
    rest = await process.stdout.read()
    assert await process.wait() == -signal.SIGKILL
    whole = (b"".join(lines) + rest).decode().splitlines(keepends=True)
    return {int(seq): key for seq, key in (line.split() for line in whole if line.endswith("\n"))}


@pytest.mark.parametrize("rivals", [1, 3])
async def test_what_was_acknowledged_outlives_kill_9(
    mongodb_url: str, clean_redis_url: str, database: str, rivals: int
) -> None:
    async with AsyncMongoClient[dict[str, object]](mongodb_url) as client:
        await client[database]["events"].create_indexes(EventDocument.Settings.indexes)
        acknowledged: dict[int, str] = {}
        for turn in range(3):
            told = await asyncio.gather(
                *(
                    crash(mongodb_url, clean_redis_url, database, f"{turn}-{rival}", 400 + 37 * turn)
                    for rival in range(rivals)
                )
            )
            for some in told:
                assert not acknowledged.keys() & some.keys()
                acknowledged |= some
        events = await MongoEventStore(client[database]).read(STREAM, 0, 100_000)
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    check_chain(events)
    keys = {event.seq: event.key for event in events if event.key is not None}
    assert len(set(keys.values())) == len(keys)
    assert {seq: keys.get(seq) for seq in acknowledged} == acknowledged
    assert len(acknowledged) >= 3 * 400 * rivals
