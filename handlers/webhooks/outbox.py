"""From what happened to what is queued: one delivery per webhook and event, however often the event is read.

A delivery's id is derived from both, and it is kept longer than an event is taken for news. So neither a follower that reads
all history again nor two workers at once queue anything twice.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

from pymongo.errors import BulkWriteError

from handlers.webhooks import metrics
from handlers.webhooks.occurrences import Occurrence
from handlers.webhooks.targets import lane_of
from models.user import User
from models.webhook import Delivery, Webhook
from server.clock import Clock, derived_id, to_datetime

DAY_MS: Final = 86_400_000

_GRACE_MS: Final = 3 * DAY_MS
"""How much longer a delivery is kept than an event is news: as long as its tries may take, and more."""

_SLACK_MS: Final = 1_000
"""Clocks of two instances differ; rather an event from just before a subscription than one missing after it."""

EVERYBODY: Final = ""
"""Stands for the owner of all jobs; no user has this id."""

_AT_ONCE: Final = 1_000
_DUPLICATE: Final = 11_000


class Outbox:
    """Queues deliveries.

    Args:
        clock: the cluster's clock. keep_days: for how long an event is news.
    """

    def __init__(self, clock: Clock, keep_days: int) -> None:
        self._clock = clock
        self._keep_ms = keep_days * DAY_MS

    async def queue(self, occurrences: Sequence[Occurrence]) -> None:
        """Queue these for everybody who wants them. Durable when this returns; doing it again changes nothing."""
        oldest = self._clock.now() - self._keep_ms
        news = [each for each in occurrences if each.t >= oldest]
        if not news:
            return
        takers = await _takers({each.owner for each in news})
        documents = [
            self.delivery(hook, each)
            for each in news
            for hook in (*takers[each.owner], *takers[EVERYBODY])
            if _wants(hook, each)
        ]
        for place in range(0, len(documents), _AT_ONCE):
            await _insert_new(documents[place : place + _AT_ONCE])

    def delivery(self, hook: Mapping[str, Any], occurrence: Occurrence) -> dict[str, Any]:
        """The stored form of a delivery to a stored webhook. It may be tried at once, in the order of time."""
        return {
            "_id": derived_id("delivery", hook["_id"], occurrence.id),
            "webhook": hook["_id"],
            "event": occurrence.id,
            "type": occurrence.type,
            "created_at": occurrence.t,
            "place": occurrence.place,
            "body": occurrence.body,
            "lane": lane_of(hook["url"]),
            "state": "queued",
            "next_at": occurrence.t,
            "attempts": 0,
            "tries": [],
            "replays": 0,
            "purge_at": to_datetime(occurrence.t + self._keep_ms + _GRACE_MS),
        }

    async def replay(self, chosen: Mapping[str, Any]) -> int:
        """Put deliveries back into the queue as if they were new; how many.

        Args:
            chosen: a filter; queued ones among them stay as they are.
        """
        now = self._clock.now()
        put_back = await Delivery.get_pymongo_collection().update_many(
            {"state": {"$in": ["dead", "delivered"]}, **chosen},
            {
                "$set": {"state": "queued", "next_at": now, "attempts": 0},
                "$unset": {"claim": "", "error": "", "delivered_at": ""},
                "$max": {"purge_at": to_datetime(now + _GRACE_MS)},
                "$inc": {"replays": 1},
            },
        )
        return put_back.modified_count


async def admins_among(users: Collection[str]) -> set[str]:
    """Those of these users who are admins now."""
    if not users:
        return set()
    found = User.get_pymongo_collection().find({"_id": {"$in": list(users)}, "admin": True}, {"_id": 1})
    return {user["_id"] async for user in found}


async def _takers(owners: Collection[str]) -> Mapping[str, Sequence[Mapping[str, Any]]]:
    """The webhooks of each of these users, and under `EVERYBODY` the admins' for everything."""
    either = [{"owner": {"$in": list(owners)}, "scope": "own"}, {"scope": "all"}]
    shown = {"owner": 1, "scope": 1, "url": 1, "wanted": 1}
    found: list[dict[str, Any]] = await Webhook.get_pymongo_collection().find({"$or": either}, shown).to_list()
    admins = await admins_among({hook["owner"] for hook in found if hook["scope"] == "all"})
    takers: defaultdict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for hook in found:
        if hook["scope"] == "own":
            takers[hook["owner"]].append(hook)
        elif hook["owner"] in admins:
            takers[EVERYBODY].append(hook)
    return takers


def _wants(hook: Mapping[str, Any], occurrence: Occurrence) -> bool:
    return any(
        wanted["type"] == occurrence.type and occurrence.t >= wanted["since"] - _SLACK_MS for wanted in hook["wanted"]
    )


async def _insert_new(documents: Sequence[Mapping[str, Any]]) -> None:
    """Insert those that are not there yet.

    Raises:
        BulkWriteError: something else than that went wrong.
    """
    doubles: Iterable[Mapping[str, Any]] = ()
    try:
        await Delivery.get_pymongo_collection().insert_many(documents, ordered=False)
    except BulkWriteError as error:
        details = error.details or {}
        doubles = details.get("writeErrors", ())
        if details.get("writeConcernErrors") or any(each["code"] != _DUPLICATE for each in doubles):
            raise
    known = {each["op"]["_id"] for each in doubles}
    for document in documents:
        if document["_id"] not in known:
            metrics.QUEUED.labels(document["type"]).inc()
