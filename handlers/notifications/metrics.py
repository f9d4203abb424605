"""What notifications count."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter

NOTIFICATIONS: Final = Counter("rialto_notifications_total", "Notifications appended by this process", ["kind"])
