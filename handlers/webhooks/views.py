"""From what is stored of webhooks to what their owners see. No secret is among it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from models.rules.times import to_rfc3339


def webhook_view(hook: Mapping[str, Any], now: int) -> dict[str, Any]:
    """`WebhookOut` of schemas.py from the stored form of `models.webhook.Webhook`; `now` is in ms."""
    overlap = [former["until"] for former in hook["former"] if former["until"] > now]
    return {
        "id": hook["_id"],
        "url": hook["url"],
        "events": [wanted["type"] for wanted in hook["wanted"]],
        "scope": hook["scope"],
        "description": hook["description"],
        "status": hook["status"],
        "failing_since": _time(hook.get("failing_since")),
        "disabled_at": _time(hook.get("disabled_at")),
        "created_at": to_rfc3339(hook["created_at"]),
        "updated_at": to_rfc3339(hook["updated_at"]),
        "rotated_at": _time(hook.get("rotated_at")),
        "former_secret_until": _time(max(overlap, default=None)),
    }


def delivery_view(delivery: Mapping[str, Any], *, whole: bool = False) -> dict[str, Any]:
    """`DeliveryOut` of schemas.py from the stored form of `models.webhook.Delivery`; `whole` adds body and tries."""
    queued = delivery["state"] == "queued"
    shown = {
        "id": delivery["_id"],
        "event": delivery["event"],
        "type": delivery["type"],
        "state": delivery["state"],
        "attempts": delivery["attempts"],
        "replays": delivery["replays"],
        "error": delivery.get("error"),
        "created_at": to_rfc3339(delivery["created_at"]),
        "next_at": _time(delivery["next_at"] if queued else None),
        "delivered_at": _time(delivery.get("delivered_at")),
    }
    if whole:
        shown["body"] = orjson.loads(delivery["body"])
        shown["tries"] = [{**tried, "at": to_rfc3339(tried["at"])} for tried in delivery["tries"]]
    return shown


def _time(ms: int | None) -> str | None:
    return None if ms is None else to_rfc3339(ms)
