"""The durable store of events: one MongoDB collection, two unique indexes.

Writes are acknowledged by a majority with the journal; reads use read concern majority, so nothing that a failover could
roll back is ever decided upon, delivered or shown.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import orjson
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import ConnectionFailure, DuplicateKeyError, ExecutionTimeout, PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.read_preferences import ReadPreference
from pymongo.write_concern import WriteConcern

from models.event import EventDocument, SnapshotDocument
from server.background import is_cancelled
from server.streams.event import StoredEvent
from server.streams.store import Appended, Snapshot, StoreUnavailable

_MAJORITY: Final[Mapping[str, Any]] = {"w": "majority", "j": True}
_DUPLICATE_KEY: Final = 11000
_SNAPSHOT_LIMIT: Final = 12 * 1024 * 1024
"""A document holds 16 MiB at most; a state that compresses to more is folded from its events instead."""

_OR_LIMIT: Final = 200
"""Streams asked for in one `$or`; each is one seek in the (stream, seq) index."""


class MongoEventStore:
    """An EventStore in MongoDB."""

    def __init__(self, database: AsyncDatabase[dict[str, Any]]) -> None:
        majority = WriteConcern(**_MAJORITY)
        self._database = database
        self._events: AsyncCollection[dict[str, Any]] = database.get_collection(
            EventDocument.Settings.name,
            write_concern=majority,
            read_concern=ReadConcern("majority"),
            read_preference=ReadPreference.PRIMARY,
        )
        self._snapshots: AsyncCollection[dict[str, Any]] = database.get_collection(
            SnapshotDocument.Settings.name, write_concern=majority, read_concern=ReadConcern("majority")
        )

    async def append(self, events: Sequence[StoredEvent]) -> Appended:
        """See EventStore.

        One plain command rather than `insert_many`, which takes half as long again, here and in the server: it builds each
        document's operation in Python, and has the server keep a record of it, so that the driver may repeat the write after a lost
        connection. Whoever appends settles an unknown outcome by reading the tail, and needs neither.
        """
        command = {
            "insert": EventDocument.Settings.name,
            "ordered": True,
            "writeConcern": _MAJORITY,
            "documents": [event.to_document() for event in events],
        }
        async with _unavailable():
            return _appended(await self._database.command(command), len(events))

    async def read(self, stream: str, after: int, limit: int) -> list[StoredEvent]:
        """See EventStore."""
        async with _unavailable():
            found = self._events.find({"stream": stream, "seq": {"$gt": after}}).sort("seq", 1).limit(limit)
            return [StoredEvent.from_document(document) for document in await found.to_list()]

    async def read_many(self, after: Mapping[str, int], limit: int) -> list[StoredEvent]:
        """See EventStore."""
        events: list[StoredEvent] = []
        names = sorted(after)
        async with _unavailable():
            for start in range(0, len(names), _OR_LIMIT):
                either = [{"stream": name, "seq": {"$gt": after[name]}} for name in names[start : start + _OR_LIMIT]]
                found = self._events.find({"$or": either}).sort([("stream", 1), ("seq", 1)]).limit(limit - len(events))
                events += [StoredEvent.from_document(document) for document in await found.to_list()]
                if len(events) >= limit:
                    break
        return events

    async def last_seq(self, stream: str) -> int:
        """See EventStore."""
        async with _unavailable():
            found = await self._events.find_one({"stream": stream}, {"_id": 0, "seq": 1}, sort=[("seq", -1)])
            return int(found["seq"]) if found else 0

    async def find_keys(self, stream: str, keys: Iterable[tuple[str, str]]) -> list[StoredEvent]:
        """See EventStore."""
        # `$exists` lets the planner use the partial index
        either = [{"actor": actor, "key": {"$eq": key, "$exists": True}} for actor, key in keys]
        if not either:
            return []
        async with _unavailable():
            found = self._events.find({"stream": stream, "$or": either})
            return [StoredEvent.from_document(document) for document in await found.to_list()]

    async def load_snapshot(self, stream: str) -> Snapshot | None:
        """See EventStore."""
        async with _unavailable():
            found = await self._snapshots.find_one({"_id": stream})
        if found is None:
            return None
        state = orjson.loads(zlib.decompress(found["state"]))
        return Snapshot(stream, found["seq"], found["t"], found.get("hash"), found["version"], state)

    async def save_snapshot(self, snapshot: Snapshot) -> None:
        """See EventStore."""
        packed = await asyncio.to_thread(zlib.compress, orjson.dumps(snapshot.state), 1)  # it may take 50 ms
        if len(packed) > _SNAPSHOT_LIMIT:
            return
        document = {
            "seq": snapshot.seq,
            "t": snapshot.t,
            "hash": snapshot.hash,
            "version": snapshot.version,
            "state": packed,
        }
        async with _unavailable():
            try:
                await self._snapshots.update_one(
                    {"_id": snapshot.stream, "seq": {"$lt": snapshot.seq}}, {"$set": document}, upsert=True
                )
            except DuplicateKeyError:
                return  # a newer one is kept: the filter didn't match it and the upsert met its id


def _appended(answer: Mapping[str, Any], wanted: int) -> Appended:
    """Tell a lost race from an unknown outcome."""
    failures: list[Mapping[str, Any]] = answer.get("writeErrors") or []
    if failures and failures[0].get("code") == _DUPLICATE_KEY:
        pattern = failures[0].get("keyPattern") or {}
        return Appended(int(failures[0]["index"]), "key" if "key" in pattern else "seq")
    if failures or "writeConcernError" in answer or answer.get("n") != wanted:
        raise StoreUnavailable(f"append: {answer.get('writeConcernError') or failures}")
    return Appended(wanted)


@asynccontextmanager
async def _unavailable() -> AsyncIterator[None]:
    try:
        yield
    except asyncio.CancelledError:
        if is_cancelled():
            raise
        raise StoreUnavailable("the driver cancelled the operation by itself") from None
    except (ConnectionFailure, ExecutionTimeout) as error:
        raise StoreUnavailable(str(error)) from error
    except PyMongoError as error:
        # not primary, shutting down, stepped down, interrupted: all of them mean "ask again, elsewhere or later"
        raise StoreUnavailable(f"{type(error).__name__}: {error}") from error
