"""The worker's part that delivers: takes deliveries from the queue, lane by lane, and tries each until it is delivered or dead.

Any number of workers may do so. Who tries a delivery holds it by a lease: its `next_at` lies after the longest try. When the worker
dies the lease ends, and another tries again; so a receiver may get a delivery more than once, always under the same id.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from typing import Any, Final

import structlog
from pymongo import ReturnDocument
from pymongo.errors import PyMongoError

from handlers.webhooks import metrics
from handlers.webhooks.lanes import Lanes
from handlers.webhooks.outbox import admins_among
from handlers.webhooks.sender import Outcome, Sender
from handlers.webhooks.signing import signature
from models.webhook import Delivery, Webhook
from server.background import end
from server.clock import Clock, new_id

TRIES_KEPT: Final = 20

_LEASE: Final = 3
"""A lease lasts so many times as long as the longest try."""

_IDLE_S: Final = 0.5
_AGAIN_S: Final = 1.0
_SLOWER: Final = 3
"""Each wait is so many times the one before: ten seconds, half a minute ... eighteen hours, a day in all for ten tries."""

_JITTER: Final = 0.2
_LONGEST_WAIT_MS: Final = 86_400_000
_QUEUE_ORDER: Final = (("next_at", 1), ("created_at", 1), ("place", 1))

log = structlog.get_logger(__name__)


class Patience:
    """When a failed delivery is tried again, and when nothing is any more.

    Args:
        attempts: tries of one delivery. first_wait_s: after the first failure. disable_after_s: without a single success.
    """

    def __init__(self, attempts: int, first_wait_s: float, disable_after_s: float) -> None:
        self.attempts = attempts
        self.disable_after_ms = disable_after_s * 1000
        self._first_wait_ms = first_wait_s * 1000

    def wait_ms(self, attempts: int) -> int:
        """How long to wait after so many failures; a little different each time, so that retries do not come in waves."""
        wait = min(self._first_wait_ms * float(_SLOWER) ** (attempts - 1), _LONGEST_WAIT_MS)
        return round(wait * random.uniform(1 - _JITTER, 1 + _JITTER))


class Deliveries:
    """Delivers what is queued.

    Args:
        clock: the cluster's clock. sender: makes the requests. lanes: this worker's places.
        timeout_s: the longest that a try takes.
    """

    def __init__(self, clock: Clock, sender: Sender, lanes: Lanes, patience: Patience, timeout_s: float) -> None:
        self._clock = clock
        self._sender = sender
        self._lanes = lanes
        self._patience = patience
        self._lease_ms = round(timeout_s * 1000) * _LEASE
        self._under_way: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Deliver until cancelled."""
        try:
            while True:
                try:
                    begun = await self.begin()
                except PyMongoError as error:
                    log.warning("webhooks.queue_unavailable", error=str(error))
                    await asyncio.sleep(_AGAIN_S)
                    continue
                if not begun:
                    await self._pause()
        finally:
            await end(self._under_way)

    async def _pause(self) -> None:
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=_IDLE_S, return_when=asyncio.FIRST_COMPLETED)
        else:
            await asyncio.sleep(_IDLE_S)

    async def begin(self) -> int:
        """Begin a try for whatever is due and has room, the lanes in turn; how many.

        Raises:
            PyMongoError: try again later.
        """
        begun = 0
        lanes = await self._due_lanes()
        random.shuffle(lanes)
        while lanes and not self._lanes.full:
            for lane in lanes.copy():
                claimed = await self._claim(lane) if self._lanes.has_room(lane) else None
                if claimed is None:
                    lanes.remove(lane)
                else:
                    self._start(lane, claimed)
                    begun += 1
        return begun

    async def settled(self) -> None:
        """Wait for the tries under way."""
        while self._under_way:
            await asyncio.wait(self._under_way)

    async def _due_lanes(self) -> list[str]:
        """The lanes that have something due; costs as many steps in the index as there are lanes, however long they are."""
        order = {"state": 1, "lane": 1, **dict(_QUEUE_ORDER)}
        pipeline: list[dict[str, Any]] = [
            {"$match": {"state": "queued"}},
            {"$sort": order},
            {"$group": {"_id": "$lane", "next_at": {"$first": "$next_at"}}},
            {"$match": {"next_at": {"$lte": self._clock.now()}}},
        ]
        found = await (await Delivery.get_pymongo_collection().aggregate(pipeline)).to_list()
        return [lane["_id"] for lane in found]

    async def _claim(self, lane: str) -> dict[str, Any] | None:
        """The first delivery of a lane that is due, leased."""
        now = self._clock.now()
        claimed: dict[str, Any] | None = await Delivery.get_pymongo_collection().find_one_and_update(
            {"state": "queued", "lane": lane, "next_at": {"$lte": now}},
            {"$set": {"next_at": now + self._lease_ms, "claim": new_id()}, "$inc": {"attempts": 1}},
            sort=_QUEUE_ORDER,
            projection={"tries": 0},
            return_document=ReturnDocument.AFTER,
        )
        return claimed

    def _start(self, lane: str, delivery: dict[str, Any]) -> None:
        self._lanes.enter(lane)

        async def attempt() -> None:
            failed = None
            try:
                failed = await self._try(delivery)
            except PyMongoError as error:
                log.warning("webhooks.try_unsettled", delivery=delivery["_id"], error=str(error))  # the lease ends
            finally:
                self._lanes.leave(lane, failed=failed)

        task = asyncio.create_task(attempt(), name=f"deliver {delivery['_id']}")
        self._under_way.add(task)
        task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("webhooks.try_failed", exc_info=error)

    # -- one try --------------------------------------------------------------------------------------------------------

    async def _try(self, delivery: dict[str, Any]) -> bool | None:
        """Try a claimed delivery. Whether its receiver failed; None if it was not asked."""
        hook = await Webhook.get_pymongo_collection().find_one({"_id": delivery["webhook"]})
        if hook is None:
            await Delivery.get_pymongo_collection().delete_one({"_id": delivery["_id"]})
            return None
        if (reason := await self._hindrance(hook, delivery)) is not None:
            await self._bury(delivery, reason)
            return None
        at = self._clock.now()
        outcome = await self._sender.post(hook["url"], self._headers(hook, delivery, at), delivery["body"])
        if outcome.error is None:
            await self._delivered(hook, delivery, at, outcome)
        else:
            await self._failed(hook, delivery, at, outcome)
        return outcome.error is not None

    async def _hindrance(self, hook: Mapping[str, Any], delivery: Mapping[str, Any]) -> str | None:
        """Why the delivery is not even tried."""
        if hook["status"] != "active":
            return str(hook["status"])
        if delivery["attempts"] > self._patience.attempts:
            return "interrupted"  # the worker died at the last try
        if hook["scope"] == "all" and hook["owner"] not in await admins_among([hook["owner"]]):
            return "forbidden"
        return None

    def _headers(self, hook: Mapping[str, Any], delivery: Mapping[str, Any], at: int) -> dict[str, str]:
        keys = [hook["secret"], *(former["secret"] for former in hook["former"] if former["until"] > at)]
        return {
            "Content-Type": "application/json",
            "Rialto-Event": delivery["type"],
            "Rialto-Delivery": delivery["_id"],
            "Rialto-Signature": signature(keys, at // 1000, delivery["body"]),
        }

    async def _delivered(self, hook: Mapping[str, Any], delivery: Mapping[str, Any], at: int, outcome: Outcome) -> None:
        change = {"state": "delivered", "delivered_at": self._clock.now()}
        await self._settle(delivery, change, at, outcome)
        if hook.get("failing_since") is not None:
            await Webhook.get_pymongo_collection().update_one({"_id": hook["_id"]}, {"$unset": {"failing_since": ""}})

    async def _failed(self, hook: Mapping[str, Any], delivery: Mapping[str, Any], at: int, outcome: Outcome) -> None:
        attempts = delivery["attempts"]
        dead = attempts >= self._patience.attempts
        change = {"state": "dead"} if dead else {"next_at": self._clock.now() + self._patience.wait_ms(attempts)}
        await self._settle(delivery, {**change, "error": outcome.error}, at, outcome)
        hooks = Webhook.get_pymongo_collection()
        if hook.get("failing_since") is None:
            await hooks.update_one({"_id": hook["_id"], "failing_since": None}, {"$set": {"failing_since": at}})
        if dead:
            metrics.DEAD.inc()
            await self._disable_if_hopeless(hook["_id"])

    async def _disable_if_hopeless(self, hook: str) -> None:
        """Disable a webhook that had no success for long; what is still queued for it dies untried, and can be replayed."""
        now = self._clock.now()
        hopeless = {"_id": hook, "status": "active", "failing_since": {"$lte": now - self._patience.disable_after_ms}}
        disabled = await Webhook.get_pymongo_collection().update_one(
            hopeless, {"$set": {"status": "disabled", "disabled_at": now}}
        )
        if disabled.modified_count:
            metrics.DISABLED.inc()
            log.warning("webhooks.disabled", webhook=hook)

    async def _bury(self, delivery: Mapping[str, Any], reason: str) -> None:
        mine = {"_id": delivery["_id"], "claim": delivery["claim"]}
        change = {"$set": {"state": "dead", "error": reason}, "$unset": {"claim": ""}}
        await Delivery.get_pymongo_collection().update_one(mine, change)
        metrics.DEAD.inc()

    async def _settle(self, delivery: Mapping[str, Any], change: Mapping[str, Any], at: int, outcome: Outcome) -> None:
        """Write down how a try ended, unless its lease has ended and another one has begun."""
        tried = {"at": at, "duration_ms": outcome.duration_ms, "status": outcome.status, "error": outcome.error}
        cleared = {"claim": ""} if "error" in change else {"claim": "", "error": ""}
        await Delivery.get_pymongo_collection().update_one(
            {"_id": delivery["_id"], "claim": delivery["claim"]},
            {
                "$set": dict(change),
                "$unset": cleared,
                "$push": {"tries": {"$each": [tried], "$slice": -TRIES_KEPT}},
            },
        )
