"""What webhooks count and time."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Histogram

QUEUED: Final = Counter("rialto_webhook_deliveries_queued_total", "Deliveries queued, by type of event", ["type"])
TRIES: Final = Counter(
    "rialto_webhook_tries_total", "Tries to deliver, by outcome: delivered, or what went wrong", ["outcome"]
)
DEAD: Final = Counter("rialto_webhook_deliveries_dead_total", "Deliveries given up")
DISABLED: Final = Counter("rialto_webhooks_disabled_total", "Webhooks disabled because nothing could be delivered")
TRY_SECONDS: Final = Histogram(
    "rialto_webhook_try_seconds", "Time of one try", buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
)
