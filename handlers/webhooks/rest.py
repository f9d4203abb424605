"""Webhooks over HTTP: parse, authorise, call the service, render."""

from __future__ import annotations

from typing import Any, Final

from handlers.webhooks.listing import list_deliveries, list_webhooks
from handlers.webhooks.schemas import (
    DeliveryOut,
    DeliveryQuery,
    NewWebhook,
    Replay,
    Replayed,
    WebhookChanges,
    WebhookOut,
    WebhookWithSecret,
    WholeDelivery,
)
from handlers.webhooks.service import Webhooks
from handlers.webhooks.signing import VERIFICATION
from server.clock import Clock
from server.web.paging import Listed, PageQuery
from server.web.router import Call, Router

_TAGS: Final = ("webhooks",)

_ABOUT: Final = f"""Events of the caller's own jobs are posted to `url` as they happen, each at least once:
`{{id, type, created_at, data}}`.

- `job.created` `{{project_id, client_id, title, ..., auction}}`: a job was published.
- `bid.submitted` `{{project_id, contractor_id, bid_amount, auction, bidder, currency, format, price, seq, placed_at}}`. Bids of a sealed
  auction come when its envelopes are opened, in their order. Of an automatic bid `bid_amount` is the visible price after it. A
  proposal's `delivery_days` and `cover_letter` are there, too; its `seq` is its bidder's own count.
- `auction.closed` `{{project_id, auction, outcome, winner, contractor_id, price, currency, bid_count, reserve_met, closed_at}}`.
- `award.accepted` `{{project_id, auction, contractor_id, bidder, amount, currency, accepted_at}}`.
- `ping` `{{webhook}}`, when it is asked for.

Amounts are minor units of `currency`. Any answer but 2xx within ten seconds is a failure, a redirect as well; a failed delivery is tried
again with growing pauses for about a day, and is dead then. Deliveries may come twice or in another order: `Rialto-Delivery` is the
same at every try.

Headers: `Rialto-Event` (the type), `Rialto-Delivery`, and `Rialto-Signature`: `t=<seconds>,v1=<hex>`, the HMAC-SHA256 of `<t>.<body>`
under the secret, made anew at each try; with a second `v1` for a day after a rotation. In Python:
{VERIFICATION}"""


def add_routes(router: Router, webhooks: Webhooks, clock: Clock) -> None:
    """Add the routes of webhooks."""
    rest = _Rest(webhooks, clock)
    router.add(
        "POST",
        "/webhooks",
        rest.create,
        summary="Have events delivered",
        tags=_TAGS,
        body=NewWebhook,
        answer=WebhookWithSecret,
        status=201,
        errors=("FORBIDDEN", "QUOTA_EXCEEDED"),
        description=_ABOUT,
    )
    router.add(
        "GET",
        "/webhooks",
        rest.list,
        summary="The caller's webhooks",
        tags=_TAGS,
        query=PageQuery,
        answer=Listed[WebhookOut],
    )
    router.add("GET", "/webhooks/{id}", rest.show, summary="A webhook", tags=_TAGS, answer=WebhookOut)
    router.add(
        "PATCH",
        "/webhooks/{id}",
        rest.change,
        summary="Change a webhook",
        tags=_TAGS,
        body=WebhookChanges,
        answer=WebhookOut,
        description="While it is paused or disabled its deliveries are kept as dead ones, which can be replayed afterwards.",
    )
    router.add("DELETE", "/webhooks/{id}", rest.delete, summary="Delete a webhook and its deliveries", tags=_TAGS)
    router.add(
        "POST",
        "/webhooks/{id}/rotate",
        rest.rotate,
        summary="Replace the secret",
        tags=_TAGS,
        answer=WebhookWithSecret,
        description="The replaced secret signs along for 24 hours; at most the last three do.",
    )
    router.add(
        "POST",
        "/webhooks/{id}/ping",
        rest.ping,
        summary="Deliver something that means nothing",
        tags=_TAGS,
        answer=WholeDelivery,
        status=202,
        errors=("CONFLICT",),
        description="At most one a second. How it went is told by the delivery.",
    )
    _add_deliveries(router, rest)


def _add_deliveries(router: Router, rest: _Rest) -> None:
    router.add(
        "GET",
        "/webhooks/{id}/deliveries",
        rest.deliveries,
        summary="What was and is to be delivered",
        tags=_TAGS,
        query=DeliveryQuery,
        answer=Listed[DeliveryOut],
    )
    router.add(
        "GET",
        "/webhooks/{id}/deliveries/{delivery}",
        rest.delivery,
        summary="A delivery with its tries",
        tags=_TAGS,
        answer=WholeDelivery,
    )
    router.add(
        "POST",
        "/webhooks/{id}/deliveries/{delivery}/replay",
        rest.replay,
        summary="Deliver once more",
        tags=_TAGS,
        answer=WholeDelivery,
        errors=("CONFLICT",),
        description="The same delivery under the same id, dead or delivered; one that is queued stays as it is.",
    )
    router.add(
        "POST",
        "/webhooks/{id}/replay",
        rest.replay_dead,
        summary="Deliver all dead ones once more",
        tags=_TAGS,
        body=Replay,
        answer=Replayed,
        errors=("CONFLICT",),
    )


class _Rest:
    def __init__(self, webhooks: Webhooks, clock: Clock) -> None:
        self._webhooks = webhooks
        self._clock = clock

    async def create(self, call: Call) -> Any:
        return await self._webhooks.create(call.user, call.entity_id("webhook"), call.body.model_dump())

    async def list(self, call: Call) -> Any:
        return await list_webhooks(call.user, call.query, self._clock)

    async def show(self, call: Call) -> Any:
        return await self._webhooks.show(call.user, call.path["id"])

    async def change(self, call: Call) -> Any:
        fields = call.body.model_dump(exclude_unset=True)
        return await self._webhooks.change(call.user, call.path["id"], fields)

    async def delete(self, call: Call) -> None:
        await self._webhooks.delete(call.user, call.path["id"])

    async def rotate(self, call: Call) -> Any:
        return await self._webhooks.rotate(call.user, call.path["id"], call.entity_id("rotation"))

    async def ping(self, call: Call) -> Any:
        return await self._webhooks.ping(call.user, call.path["id"])

    async def deliveries(self, call: Call) -> Any:
        await self._webhooks.require(call.user, call.path["id"])
        return await list_deliveries(call.path["id"], call.query)

    async def delivery(self, call: Call) -> Any:
        return await self._webhooks.delivery(call.user, call.path["id"], call.path["delivery"])

    async def replay(self, call: Call) -> Any:
        return await self._webhooks.replay(call.user, call.path["id"], call.path["delivery"])

    async def replay_dead(self, call: Call) -> Any:
        return {"replayed": await self._webhooks.replay_dead(call.user, call.path["id"], call.body.since)}
