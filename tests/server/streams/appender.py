"""A process that appends to one stream as fast as it can until it is killed; each acknowledged seq is a line on its output.

python -m tests.server.streams.appender MONGODB_URL REDIS_URL DATABASE STREAM NAME
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys

import structlog
from pymongo import AsyncMongoClient

from models.rules.stream import Command
from server.clock import Clock
from server.settings import Settings
from server.streams.kinds import StreamKind
from server.streams.mongo import MongoEventStore
from server.streams.redis_link import RedisLink
from server.streams.streams import Streams
from tests.server.streams.tally import TallyRules

_IN_FLIGHT = 150


async def main(url: str, redis_url: str, database: str, stream: str, name: str) -> None:
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    async with AsyncMongoClient(url) as client:
        link = RedisLink(redis_url)
        await link.start()
        streams = Streams(MongoEventStore(client[database]), link, Clock(), Settings(), source=name)
        streams.register(StreamKind("tally", TallyRules()))
        await streams.start()
        numbers = itertools.count()

        async def bid() -> None:
            while True:
                key = f"{name}-{next(numbers)}"
                answer = await streams.append(stream, Command("pair", name, {"n": 1}, key))
                os.write(1, f"{answer.fields['seq']} {key}\n".encode())

        await asyncio.gather(*(bid() for _ in range(_IN_FLIGHT)))


asyncio.run(main(*sys.argv[1:6]))
