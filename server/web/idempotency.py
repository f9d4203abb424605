"""`Idempotency-Key` for mutations: the same key and request get the same answer, and the effect happens once.

A record per (user, key) is written before the request runs and gets the answer afterwards. If the process dies in between, the
lease of the record ends and a retry runs the request again. That is safe because ids of what a request creates are derived
from (user, key) (`Call.entity_id`): the second run finds what the first one made. Failures are not kept: what changed nothing is
judged again when it is sent again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Final

import structlog
from aiohttp import web
from pymongo import ReturnDocument, WriteConcern
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import DuplicateKeyError, PyMongoError

from server.clock import Clock, derived_id
from server.errors import AppError
from server.metrics import HTTP_IDEMPOTENT_REPLAYS
from server.web.router import Call

KEPT: Final = timedelta(hours=24)

_LEASE_MS: Final = 10_000
_WAIT_S: Final = 5.0
_LOOK_S: Final = 0.05

log = structlog.get_logger(__name__)

Execute = Callable[[Call], Awaitable[web.StreamResponse]]


class StoredAnswers:
    """The answers kept per (user, key).

    Args:
        records: the collection of `models.idempotency.IdempotencyRecord`.
        clock: the cluster's clock.
    """

    def __init__(self, records: AsyncCollection[dict[str, Any]], clock: Clock) -> None:
        self._records = records.with_options(write_concern=WriteConcern("majority"))
        self._clock = clock

    async def run(self, call: Call, execute: Execute) -> web.StreamResponse:
        """The stored answer of `call`, or that of running it now.

        Raises:
            AppError: IDEMPOTENCY_MISMATCH, or UNAVAILABLE while the first request with this key still runs.
        """
        record = derived_id("idempotency", call.user.id, call.key or "")
        lease_until = await self._claim(record, call)
        if isinstance(lease_until, web.Response):
            return lease_until
        try:
            response = await execute(call)
        except AppError as error:
            if error.status < 500:
                await self._forget(record, lease_until)
            else:
                await self._release(record, lease_until)
            raise
        except Exception:
            await self._release(record, lease_until)
            raise
        if isinstance(response, web.Response) and response.status < 400:
            await self._keep(record, response)
        return response

    async def _claim(self, record: str, call: Call) -> int | web.Response:
        """The end of the lease under which to run, or the stored answer."""
        deadline = asyncio.get_running_loop().time() + _WAIT_S
        while True:
            lease_until = self._clock.now() + _LEASE_MS
            if await self._insert(record, call, lease_until):
                return lease_until
            found = await self._records.find_one({"_id": record})
            if found is None:
                continue  # the first run failed and forgot it
            if found["digest"] != call.digest:
                raise AppError("IDEMPOTENCY_MISMATCH")
            if found.get("status") is not None:
                HTTP_IDEMPOTENT_REPLAYS.labels(call.route.template).inc()
                return _replay(found)
            if found["lease_until"] <= self._clock.now() and await self._take_over(found, lease_until):
                return lease_until
            if asyncio.get_running_loop().time() > deadline:
                raise AppError("UNAVAILABLE", "The first request with this key is still running")
            await asyncio.sleep(_LOOK_S)

    async def _insert(self, record: str, call: Call, lease_until: int) -> bool:
        try:
            await self._records.insert_one(
                {
                    "_id": record,
                    "user": call.user.id,
                    "digest": call.digest,
                    "lease_until": lease_until,
                    "expires_at": self._clock.now_datetime() + KEPT,
                }
            )
        except DuplicateKeyError:
            return False
        return True

    async def _take_over(self, found: dict[str, Any], lease_until: int) -> bool:
        taken = await self._records.find_one_and_update(
            {"_id": found["_id"], "lease_until": found["lease_until"], "status": None},
            {"$set": {"lease_until": lease_until}},
            return_document=ReturnDocument.AFTER,
        )
        return taken is not None

    async def _keep(self, record: str, response: web.Response) -> None:
        answer = {
            "status": response.status,
            "body": bytes(response.body) if isinstance(response.body, bytes | bytearray) else b"",
            "location": response.headers.get("Location"),
        }
        await self._best_effort(self._records.update_one({"_id": record}, {"$set": answer}))

    async def _forget(self, record: str, lease_until: int) -> None:
        mine = {"_id": record, "lease_until": lease_until, "status": None}
        await self._best_effort(self._records.delete_one(mine))

    async def _release(self, record: str, lease_until: int) -> None:
        mine = {"_id": record, "lease_until": lease_until, "status": None}
        await self._best_effort(self._records.update_one(mine, {"$set": {"lease_until": 0}}))

    async def _best_effort(self, write: Awaitable[object]) -> None:
        """The request is decided; if the record can't be written, its lease ends by itself."""
        try:
            await write
        except PyMongoError as error:
            log.warning("idempotency.write_failed", error=str(error))


def _replay(found: dict[str, Any]) -> web.Response:
    response = web.Response(status=found["status"], headers={"Idempotency-Replayed": "true"})
    if found.get("body"):
        response.body = found["body"]
        response.content_type = "application/json"
    if found.get("location"):
        response.headers["Location"] = found["location"]
    return response
