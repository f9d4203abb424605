"""The cluster of these tests, databases included: each part can be killed and started again where it was."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase

from models.event import EventDocument
from tests.cluster import cluster
from tests.cluster.databases import Owned

APPEND_TIMEOUT_MS: Final = 2_000
"""Short, so that a MongoDB which is gone for seconds is noticed by those who bid."""

DRAIN_S: Final = 20
"""As people have it: hundreds of clients leave an instance before it ends."""

SETTINGS: Final = {
    "RIALTO_ACCESS_TOKEN_S": "86400",
    "RIALTO_APPEND_TIMEOUT_MS": str(APPEND_TIMEOUT_MS),
    "RIALTO_DRAIN_S": str(DRAIN_S),
    # Receivers are tests, which answer at once or not at all: what was cut off is tried again soon.
    "RIALTO_WEBHOOK_PRIVATE_ADDRESSES": "true",
    "RIALTO_WEBHOOK_TIMEOUT_S": "1",
    "RIALTO_WEBHOOK_RETRY_S": "0.1",
}


class Cluster(cluster.Cluster):
    """Three web instances, a worker, MongoDB and Valkey. Addresses stay the same, whatever is stopped and started.

    Args:
        folder: for data and logs.
    """

    databases: Owned

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, Owned(folder), settings=SETTINGS)

    @asynccontextmanager
    async def database(self) -> AsyncIterator[AsyncDatabase[dict[str, Any]]]:
        """What MongoDB holds of the market."""
        client: AsyncMongoClient[dict[str, Any]]
        async with AsyncMongoClient(self.databases.mongodb_url, tz_aware=True) as client:
            yield client[self.databases.name]

    async def stored(self, stream: str) -> list[dict[str, Any]]:
        """The documents of a stream's events, in their order."""
        async with self.database() as database:
            events = database[EventDocument.Settings.name]
            return await events.find({"stream": stream}).sort("seq", 1).to_list()
