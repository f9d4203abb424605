"""A process that appends to one stream as fast as it can until it is killed; each acknowledged seq is a line on its output.

python -m tests.server.streams.appender URL DATABASE STREAM NAME
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys

from pymongo import AsyncMongoClient

from models.rules.stream import Command
from server.clock import Clock
from server.settings import Settings
from server.streams.bus import MemoryBus
from server.streams.kinds import StreamKind
from server.streams.mongo import MongoEventStore
from server.streams.streams import Streams
from tests.server.streams.tally import TallyRules

_IN_FLIGHT = 150


async def main(url: str, database: str, stream: str, name: str) -> None:
    async with AsyncMongoClient(url) as client:
        bus = MemoryBus(MemoryBus.Exchange())
        streams = Streams(MongoEventStore(client[database]), bus, Clock(), Settings(), source=name)
        streams.register(StreamKind("tally", TallyRules()))
        numbers = itertools.count()

        async def bid() -> None:
            while True:
                key = f"{name}-{next(numbers)}"
                answer = await streams.append(stream, Command("pair", name, {"n": 1}, key))
                os.write(1, f"{answer.fields['seq']} {key}\n".encode())

        await asyncio.gather(*(bid() for _ in range(_IN_FLIGHT)))


asyncio.run(main(*sys.argv[1:5]))
