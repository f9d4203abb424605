"""Followers: the event is the outbox, and these are its readers.

Each follower goes through the events of its kinds with a change stream, per stream in order, at least once, and keeps its
resume token in MongoDB. A lease lets one worker run it while others stand by. A follower that has no token, or whose token
the oplog no longer reaches, first reads everything there is: effects are idempotent, so that costs time and nothing else.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, Final

import structlog
from pymongo import ReturnDocument
from pymongo.asynchronous.change_stream import AsyncChangeStream
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import DuplicateKeyError, OperationFailure, PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from models.event import EventDocument, FollowerDocument
from server.background import end, is_cancelled, run_for_ever
from server.clock import Clock
from server.streams import metrics
from server.streams.event import StoredEvent

log = structlog.get_logger(__name__)

_LEASE_S: Final = 10.0
_RETRY_S: Final = 1.0
_BATCH: Final = 500
_MUTE_S: Final = 30.0
_HISTORY_LOST: Final = frozenset({136, 222, 280, 286})
"""CappedPositionLost, CloseChangeStream, ChangeStreamFatalError, ChangeStreamHistoryLost."""

_Read = tuple[dict[str, Any] | None, Any]
"""Document, resume token; without a document it is a beat."""

Handle = Callable[[Sequence[StoredEvent]], Awaitable[None]]


@dataclass(frozen=True)
class Follower:
    """A reader of events.

    Attributes:
        name: unique; its position is kept under it.
        kinds: kinds of streams it reads.
        handle: takes consecutive batches; must be idempotent. When it raises, the batch comes again.
    """

    name: str
    kinds: tuple[str, ...]
    handle: Handle


class _Mute(Exception):
    """The change stream brings not even its beats."""


class _LeaseLost(Exception):
    """Another worker has taken over."""


class Followers:
    """All followers, as the worker role runs them."""

    def __init__(self, database: AsyncDatabase[dict[str, Any]], clock: Clock, source: str) -> None:
        majority = ReadConcern("majority")
        self._events = database.get_collection(EventDocument.Settings.name, read_concern=majority)
        self._positions = database.get_collection(
            FollowerDocument.Settings.name, read_concern=majority, write_concern=WriteConcern(w="majority")
        )
        self._database = database
        self._clock = clock
        self._source = source
        self._followers: dict[str, Follower] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._leasing: set[asyncio.Task[bool]] = set()

    def add(self, follower: Follower) -> None:
        """Register a follower; it runs where `start()` is called."""
        if follower.name in self._followers:
            raise ValueError(f"follower {follower.name!r} is registered twice")
        self._followers[follower.name] = follower

    async def start(self) -> None:
        """Run every follower until `stop()`."""
        self._tasks = [
            run_for_ever(partial(self._run_for_ever, follower), f"follow {follower.name}")
            for follower in self._followers.values()
        ]

    async def stop(self) -> None:
        """Stop, and give the leases back so that another worker need not wait."""
        await end(self._tasks)
        self._tasks = []
        await asyncio.gather(*self._leasing, return_exceptions=True)
        await self._release()

    async def _run_for_ever(self, follower: Follower) -> None:
        while True:
            try:
                if await self._lease(follower):
                    await self._run(follower)
            except _LeaseLost:
                log.info("follower.handed_over", follower=follower.name)
                with suppress(KeyError):  # it had nothing to handle yet
                    metrics.FOLLOWER_LAG.remove(follower.name)  # its next owner tells
            except PyMongoError as error:
                await self._failed(follower, error)
            except Exception:
                log.warning("follower.failed", follower=follower.name, exc_info=True)
            await asyncio.sleep(_RETRY_S)

    async def _failed(self, follower: Follower, error: PyMongoError) -> None:
        log.warning("follower.failed", follower=follower.name, error=str(error))
        if isinstance(error, OperationFailure) and error.code in _HISTORY_LOST:
            log.warning("follower.history_lost", follower=follower.name, hint="everything is read once more")
            with suppress(PyMongoError):  # if it can't be forgotten now, the next try meets the same error again
                await self._forget_token(follower)

    async def _run(self, follower: Follower) -> None:
        position = await self._positions.find_one({"_id": follower.name})
        token = (position or {}).get("token")
        log.info("follower.started", follower=follower.name, resumed=token is not None)
        options: dict[str, Any] = {"resume_after": token}
        if token is None:
            # the change stream begins before the scan, so nothing falls between the two
            answer = await self._database.command("hello")
            options = {"start_at_operation_time": answer["operationTime"]}
        pipeline = [
            {"$match": {"operationType": "insert", "fullDocument.stream": {"$regex": _prefixes(follower.kinds)}}}
        ]
        async with await self._events.watch(pipeline, batch_size=_BATCH, max_await_time_ms=1_000, **options) as changes:
            if token is None:
                await self._scan(follower)
            read: asyncio.Queue[_Read] = asyncio.Queue(maxsize=2 * _BATCH)
            reader = asyncio.create_task(_read_ahead(changes, read), name=f"read ahead {follower.name}")
            try:
                await self._work_off(follower, read, reader)
            finally:
                await end([reader])

    async def _work_off(self, follower: Follower, read: asyncio.Queue[_Read], reader: asyncio.Task[None]) -> None:
        """Handle whatever has been read, as one batch, and keep the position after it.

        Raises:
            PyMongoError: what ended the reading; _Mute when it brought nothing any more.
        """
        while True:
            try:
                async with asyncio.timeout(_MUTE_S):
                    reads = [await read.get()]
            except TimeoutError:
                raise _Mute from None
            while not read.empty() and len(reads) < _BATCH:
                reads.append(read.get_nowait())
            events = [StoredEvent.from_document(document) for document, _ in reads if document is not None]
            if events:
                await self._handle(follower, events)
            else:
                metrics.FOLLOWER_LAG.labels(follower.name).set(0)
            await self._keep(follower, reads[-1][1])
            if reader.done():
                await reader

    async def _scan(self, follower: Follower) -> None:
        """Everything there is, stream by stream."""
        found = self._events.find({"stream": {"$regex": _prefixes(follower.kinds)}}).sort([("stream", 1), ("seq", 1)])
        batch: list[StoredEvent] = []
        renewed = asyncio.get_running_loop().time()
        async for document in found:
            batch.append(StoredEvent.from_document(document))
            if len(batch) >= _BATCH:
                await self._handle(follower, batch)
                batch = []
                if asyncio.get_running_loop().time() - renewed > _LEASE_S / 3:
                    await self._keep(follower, None)
                    renewed = asyncio.get_running_loop().time()
        if batch:
            await self._handle(follower, batch)

    async def _handle(self, follower: Follower, events: Sequence[StoredEvent]) -> None:
        lag = metrics.FOLLOWER_LAG.labels(follower.name)
        lag.set(max(0, self._clock.now() - events[0].t) / 1000)  # also tells of a handler that fails again and again
        await follower.handle(events)
        metrics.FOLLOWER_EVENTS.labels(follower.name).inc(len(events))
        lag.set(max(0, self._clock.now() - events[-1].t) / 1000)

    # -- lease and position -------------------------------------------------------------------------------------------

    async def _lease(self, follower: Follower) -> bool:
        # Not to be cancelled: MongoDB would give the lease all the same, after all had been given back.
        task = asyncio.create_task(self._take(follower), name=f"lease {follower.name}")
        self._leasing.add(task)
        task.add_done_callback(self._leasing.discard)
        return await asyncio.shield(task)

    async def _take(self, follower: Follower) -> bool:
        now = self._clock.now_datetime()
        free = {"$or": [{"owner": None}, {"owner": self._source}, {"lease_until": {"$lt": now}}]}
        until = now + timedelta(seconds=_LEASE_S)
        try:
            await self._positions.find_one_and_update(
                {"_id": follower.name, **free},
                {"$set": {"owner": self._source, "lease_until": until}},
                upsert=True,
                return_document=ReturnDocument.AFTER,
            )
        except DuplicateKeyError:
            return False  # somebody else's lease: the filter missed it and the upsert met its id
        return True

    async def _keep(self, follower: Follower, token: Any) -> None:
        """Store the position and renew the lease in one write, which fails when the lease is another's by now."""
        until = self._clock.now_datetime() + timedelta(seconds=_LEASE_S)
        changes: dict[str, Any] = {"lease_until": until}
        if token is not None:
            changes["token"] = token
        kept = await self._positions.update_one({"_id": follower.name, "owner": self._source}, {"$set": changes})
        if not kept.matched_count:
            raise _LeaseLost

    async def _release(self) -> None:
        """Give all leases back; when nothing of ours is under way any more, which would take them again."""
        try:
            await self._positions.update_many(
                {"_id": {"$in": list(self._followers)}, "owner": self._source},
                {"$set": {"owner": None, "lease_until": None}},
            )
        except PyMongoError as error:
            log.warning("follower.release_failed", error=str(error))  # they run out

    async def _forget_token(self, follower: Follower) -> None:
        await self._positions.update_one({"_id": follower.name, "owner": self._source}, {"$unset": {"token": ""}})


async def _read_ahead(changes: AsyncChangeStream[dict[str, Any]], read: asyncio.Queue[_Read]) -> None:
    """Put what happened on the queue, and a beat each second in which nothing did; last of all one for its own end."""
    token = changes.resume_token
    try:
        while True:
            change = await changes.try_next()
            token = changes.resume_token
            await read.put((None if change is None else change["fullDocument"], token))
    finally:
        if not is_cancelled():
            await read.put((None, token))


def _prefixes(kinds: Sequence[str]) -> str:
    return f"^(?:{'|'.join(re.escape(kind) for kind in kinds)}):"
