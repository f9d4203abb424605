"""What the socket edge measures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from prometheus_client import REGISTRY, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

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
TRANSPORTS: Final = Gauge("socket_transports", "Engine.IO sessions of this instance, each of one client")
ACTIVE_USERS: Final = Gauge("active_users_total", "Users with a live socket or event stream on this instance")


class Traffic(Collector):
    """Payload of sockets, both transports together, without frames and headers.

    Plain numbers, which a counter's lock would make five times as dear: they move with each frame to each client.
    """

    def __init__(self) -> None:
        self.received = 0
        self.sent = 0

    def collect(self) -> Iterator[CounterMetricFamily]:
        """What `/metrics` shows."""
        yield CounterMetricFamily("socket_received_bytes", "Bytes that clients of sockets sent", value=self.received)
        yield CounterMetricFamily("socket_sent_bytes", "Bytes sent to clients of sockets", value=self.sent)


TRAFFIC: Final = Traffic()
REGISTRY.register(TRAFFIC)


_counts: Final[dict[tuple[str, str, str], Counter]] = {}
_timings: Final[dict[tuple[str, str], Histogram]] = {}


def count_command(namespace: str, command: str, outcome: str, seconds: float | None = None) -> None:
    """Count a command that was answered. `outcome`: ok or an error's code; `seconds`: since it began, if it did.

    The labelled children are kept: looking each up in the library costs more than all the rest.
    """
    counter = _counts.get((namespace, command, outcome))
    if counter is None:
        counter = _counts[namespace, command, outcome] = COMMANDS.labels(namespace, command, outcome)
    counter.inc()
    if seconds is not None:
        histogram = _timings.get((namespace, command))
        if histogram is None:
            histogram = _timings[namespace, command] = COMMAND_SECONDS.labels(namespace, command)
        histogram.observe(seconds)
