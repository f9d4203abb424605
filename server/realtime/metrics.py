"""What the socket edge measures."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

ACTIVE_CONNECTIONS: Final = Gauge("websocket_active_connections", "Clients connected to a namespace", ["namespace"])
COMMANDS: Final = Counter(
    "socket_commands", "Commands by namespace, name and outcome (ok or error code)", ["namespace", "command", "code"]
)
COMMAND_SECONDS: Final = Histogram(
    "socket_command_seconds",
    "From a command's arrival to its ack",
    ["namespace", "command"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
SLOW_CLIENTS: Final = Counter("socket_slow_clients", "Connections cut off because their outgoing buffer was full")
DISMISSED: Final = Counter("socket_dismissed", "Transports closed at a drain, whose clients had not left when asked to")
REFUSED: Final = Counter("socket_connections_refused", "Refused connections to a namespace", ["reason"])
