"""Outward events: signed webhooks for what happens to one's jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handlers.webhooks.occurrences import TOLD_BY
from handlers.webhooks.outbox import Outbox
from handlers.webhooks.rest import add_routes
from handlers.webhooks.service import Webhooks
from handlers.webhooks.targets import Reach
from handlers.webhooks.tasks import Ears, deliver
from models.webhook import Delivery, Webhook
from server.streams.followers import Follower

if TYPE_CHECKING:
    from server.context import Context


def setup(context: Context) -> None:
    """Register the documents, routes, follower and background work of webhooks."""
    settings = context.settings
    outbox = Outbox(context.clock, settings.webhook_keep_days)
    reach = Reach(settings.webhook_private_addresses, settings.webhook_plain_http)
    context.documents.extend([Webhook, Delivery])
    add_routes(context.router, Webhooks(context.clock, outbox, reach, settings.webhook_limit), context.clock)
    ears = Ears(context.streams, outbox)
    context.followers.add(Follower("webhooks", tuple(TOLD_BY), ears.follow))
    context.tasks["webhooks.jobs"] = ears.watch_jobs
    context.tasks["webhooks.deliveries"] = deliver
