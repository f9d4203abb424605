"""Notifications as they are shown."""

from __future__ import annotations

from typing import Any

from server.clock import to_rfc3339
from server.streams.event import StoredEvent


def notification_view(event: StoredEvent, read_to: int) -> dict[str, Any]:
    """`Notification` of schemas.py."""
    return {
        "seq": event.seq,
        "t": to_rfc3339(event.t),
        "type": event.type,
        "kind": event.public["kind"],
        "data": event.public["data"],
        "read": event.seq <= read_to,
    }
