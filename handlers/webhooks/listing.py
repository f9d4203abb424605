"""Lists of webhooks and of their deliveries, the newest first."""

from __future__ import annotations

from typing import Any, Final

from handlers.webhooks.schemas import DeliveryQuery
from handlers.webhooks.views import delivery_view, webhook_view
from models.webhook import Delivery, Webhook
from server.auth.principal import Principal
from server.clock import Clock
from server.web.paging import Order, PageQuery, list_page

_NEWEST: Final = Order("newest", (("created_at", -1), ("_id", 1)), (int, str))


async def list_webhooks(owner: Principal, query: PageQuery, clock: Clock) -> dict[str, Any]:
    """One page of a user's webhooks, as `Listed[WebhookOut]`.

    Raises:
        AppError: VALIDATION_FAILED for a bad cursor.
    """
    now = clock.now()
    hooks = Webhook.get_pymongo_collection()
    return await list_page(hooks, {"owner": owner.id}, _NEWEST, query, lambda hook: webhook_view(hook, now))


async def list_deliveries(webhook: str, query: DeliveryQuery) -> dict[str, Any]:
    """One page of a webhook's deliveries, as `Listed[DeliveryOut]`; whether the caller may see them was checked.

    Raises:
        AppError: VALIDATION_FAILED for a bad cursor.
    """
    wanted = {"webhook": webhook} | ({"state": query.state} if query.state else {})
    deliveries = Delivery.get_pymongo_collection()
    return await list_page(deliveries, wanted, _NEWEST, query, delivery_view, {"body": 0, "tries": 0})
