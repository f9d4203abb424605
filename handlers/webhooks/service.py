"""Webhooks: the use cases of who has them. Knows no transport, and delivers nothing itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from pymongo.errors import DuplicateKeyError

from handlers.webhooks.occurrences import PING, Occurrence
from handlers.webhooks.outbox import Outbox
from handlers.webhooks.signing import new_secret
from handlers.webhooks.targets import Reach, lane_of, normal_url
from handlers.webhooks.views import delivery_view, webhook_view
from models.webhook import Delivery, Webhook
from server.auth.principal import Principal
from server.clock import Clock, derived_id
from server.errors import AppError

OVERLAP_MS: Final = 86_400_000
"""How long a replaced secret signs along."""

_MOST_FORMER: Final = 3
_TRIES: Final = 5


class Webhooks:
    """What people do with their webhooks. To everybody but its owner, admins included, there is no such webhook.

    Args:
        clock: the cluster's clock. outbox: the queue. reach: where webhooks may lead. limit: webhooks of one user.
    """

    def __init__(self, clock: Clock, outbox: Outbox, reach: Reach, limit: int) -> None:
        self._clock = clock
        self._outbox = outbox
        self._reach = reach
        self._limit = limit

    async def create(self, owner: Principal, webhook: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        """A new webhook, with its secret.

        Args:
            webhook: its id, the same when the same request is run again; what exists is then answered.
            fields: `{url, events, description, scope}`.

        Raises:
            AppError: FORBIDDEN for the scope `all` unless an admin asks; VALIDATION_FAILED; QUOTA_EXCEEDED.
        """
        if fields["scope"] == "all" and not owner.admin:
            raise AppError("FORBIDDEN", "Only admins are told of everybody's jobs")
        now = self._clock.now()
        made = {
            "_id": webhook,
            "owner": owner.id,
            "scope": fields["scope"],
            "url": self._checked(fields["url"]),
            "description": fields["description"],
            "wanted": _wanted(fields["events"], {}, now),
            "secret": new_secret(),
            "former": [],
            "status": "active",
            "created_at": now,
            "updated_at": now,
        }
        try:
            await Webhook.get_pymongo_collection().insert_one(made)
        except DuplicateKeyError:
            made = await self._own(owner, webhook)
        else:
            await self._keep_quota(owner, webhook)
        return {**webhook_view(made, now), "secret": made["secret"]}

    async def show(self, owner: Principal, webhook: str) -> dict[str, Any]:
        """A webhook, without its secret.

        Raises:
            AppError: NOT_FOUND.
        """
        return webhook_view(await self._own(owner, webhook), self._clock.now())

    async def change(self, owner: Principal, webhook: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Change what was sent of `{url, events, description, status}`; a new URL or status forgets earlier failures.

        Raises:
            AppError: NOT_FOUND, VALIDATION_FAILED.
        """
        found = await self._own(owner, webhook)
        now = self._clock.now()
        change = {name: fields[name] for name in ("description", "status") if name in fields}
        if "url" in fields:
            change["url"] = self._checked(fields["url"])
        if "events" in fields:
            since = {wanted["type"]: wanted["since"] for wanted in found["wanted"]}
            change["wanted"] = _wanted(fields["events"], since, now)
        update: dict[str, Any] = {"$set": {**change, "updated_at": now}}
        if "status" in change:
            update["$unset"] = {"failing_since": "", "disabled_at": ""}
        elif "url" in change:
            update["$unset"] = {"failing_since": ""}
        await Webhook.get_pymongo_collection().update_one({"_id": webhook, "owner": owner.id}, update)
        if "url" in change:
            await Delivery.get_pymongo_collection().update_many(
                {"webhook": webhook, "state": "queued"}, {"$set": {"lane": lane_of(change["url"])}}
            )
        return await self.show(owner, webhook)

    async def delete(self, owner: Principal, webhook: str) -> None:
        """Delete a webhook and its deliveries. One that is just being tried may still arrive.

        Raises:
            AppError: NOT_FOUND.
        """
        await self._own(owner, webhook)
        await Webhook.get_pymongo_collection().delete_one({"_id": webhook, "owner": owner.id})
        await Delivery.get_pymongo_collection().delete_many({"webhook": webhook})

    async def rotate(self, owner: Principal, webhook: str, rotation: str) -> dict[str, Any]:
        """The webhook with a new secret; the replaced one signs along for a day.

        Args:
            rotation: the same when the same request is run again, which then finds its secret made.

        Raises:
            AppError: NOT_FOUND, UNAVAILABLE.
        """
        hooks = Webhook.get_pymongo_collection()
        for _ in range(_TRIES):
            found = await self._own(owner, webhook)
            now = self._clock.now()
            if found.get("rotation") == rotation:
                return {**webhook_view(found, now), "secret": found["secret"]}
            replaced = {"secret": found["secret"], "until": now + OVERLAP_MS}
            former = [replaced, *(each for each in found["former"] if each["until"] > now)][:_MOST_FORMER]
            change = {
                "secret": new_secret(),
                "former": former,
                "rotation": rotation,
                "rotated_at": now,
                "updated_at": now,
            }
            guard = {"_id": webhook, "owner": owner.id, "secret": found["secret"]}
            if (await hooks.update_one(guard, {"$set": change})).matched_count:
                return {**webhook_view({**found, **change}, now), "secret": change["secret"]}
        raise AppError("UNAVAILABLE", "The secret is being replaced by others again and again")

    async def ping(self, owner: Principal, webhook: str) -> dict[str, Any]:
        """Queue a delivery that says nothing; at most one a second, a second one in it is the first.

        Raises:
            AppError: NOT_FOUND; CONFLICT unless the webhook is active.
        """
        found = await self._active(owner, webhook)
        now = self._clock.now()
        occurrence = Occurrence(
            derived_id(PING, webhook, str(now // 1000)), PING, now, owner.id, 0, {"webhook": webhook}
        )
        delivery = self._outbox.delivery(found, occurrence)
        deliveries = Delivery.get_pymongo_collection()
        try:
            await deliveries.insert_one(delivery)
        except DuplicateKeyError:
            return await self.delivery(owner, webhook, delivery["_id"])
        return delivery_view(delivery, whole=True)

    async def delivery(self, owner: Principal, webhook: str, delivery: str) -> dict[str, Any]:
        """A delivery with its body and its tries.

        Raises:
            AppError: NOT_FOUND.
        """
        await self._own(owner, webhook)
        found = await Delivery.get_pymongo_collection().find_one({"_id": delivery, "webhook": webhook})
        if found is None:
            raise AppError("NOT_FOUND")
        return delivery_view(found, whole=True)

    async def replay(self, owner: Principal, webhook: str, delivery: str) -> dict[str, Any]:
        """Put a delivery back into the queue, dead or delivered; a queued one stays as it is.

        Raises:
            AppError: NOT_FOUND; CONFLICT unless the webhook is active.
        """
        await self.delivery(owner, webhook, delivery)
        await self._active(owner, webhook)
        await self._outbox.replay({"_id": delivery, "webhook": webhook})
        return await self.delivery(owner, webhook, delivery)

    async def replay_dead(self, owner: Principal, webhook: str, since: int) -> int:
        """Put all dead deliveries of events since then (ms) back into the queue; how many.

        Raises:
            AppError: NOT_FOUND; CONFLICT unless the webhook is active.
        """
        await self._active(owner, webhook)
        return await self._outbox.replay({"webhook": webhook, "state": "dead", "created_at": {"$gte": since}})

    async def require(self, owner: Principal, webhook: str) -> None:
        """Return if this is a webhook of this user.

        Raises:
            AppError: NOT_FOUND.
        """
        await self._own(owner, webhook)

    async def _keep_quota(self, owner: Principal, webhook: str) -> None:
        """Take a new webhook back if it is one too many; counted afterwards, so that not all of many at once find room for one."""
        hooks = Webhook.get_pymongo_collection()
        if await hooks.count_documents({"owner": owner.id}, limit=self._limit + 1) > self._limit:
            await hooks.delete_one({"_id": webhook})
            raise AppError("QUOTA_EXCEEDED", f"At most {self._limit} webhooks", details={"limit": self._limit})

    def _checked(self, url: str) -> str:
        try:
            return normal_url(url, self._reach)
        except ValueError as error:
            raise AppError("VALIDATION_FAILED", errors=[{"loc": ["body", "url"], "msg": str(error)}]) from None

    async def _own(self, owner: Principal, webhook: str) -> dict[str, Any]:
        found: dict[str, Any] | None = await Webhook.get_pymongo_collection().find_one({"_id": webhook})
        if found is None or found["owner"] != owner.id:
            raise AppError("NOT_FOUND")
        return found

    async def _active(self, owner: Principal, webhook: str) -> dict[str, Any]:
        found = await self._own(owner, webhook)
        if found["status"] != "active":
            raise AppError("CONFLICT", f"The webhook is {found['status']}")
        return found


def _wanted(types: Iterable[str], since: Mapping[str, int], now: int) -> list[dict[str, Any]]:
    return [{"type": each, "since": since.get(each, now)} for each in types]
