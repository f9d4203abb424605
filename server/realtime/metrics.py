"""What the socket edge measures."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from itertools import accumulate
from typing import Final

from prometheus_client import REGISTRY, Counter, Gauge, Metric
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

ACTIVE_CONNECTIONS: Final = Gauge("websocket_active_connections", "Clients connected to a namespace", ["namespace"])
SLOW_CLIENTS: Final = Counter("socket_slow_clients", "Connections cut off because their outgoing buffer was full")
DISMISSED: Final = Counter("socket_dismissed", "Transports closed at a drain, whose clients had not left when asked to")
REFUSED: Final = Counter("socket_connections_refused", "Refused connections to a namespace", ["reason"])
RECOVERIES: Final = Counter(
    "socket_recoveries",
    "Clients that came back with a pid: recovered, or why they began anew",
    ["namespace", "outcome"],
)
TRANSPORTS: Final = Gauge("socket_transports", "Engine.IO sessions of this instance, each of one client")
ACTIVE_USERS: Final = Gauge("active_users_total", "Users with a live socket or event stream on this instance")


class Traffic(Collector):
    """Traffic of sockets, both transports together, without the headers of HTTP.

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


class Tally:
    """One command's answers, in plain numbers for the same reason."""

    BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
    """Upper bounds in seconds; a last one without bound follows."""

    __slots__ = ("buckets", "failures", "seconds", "successes")

    def __init__(self) -> None:
        self.successes = 0
        self.failures: dict[str, int] = {}
        self.seconds = 0.0
        self.buckets = [0] * (len(self.BUCKETS) + 1)

    def success(self, seconds: float) -> None:
        """It succeeded, so long after it began."""
        self.successes += 1
        self._time(seconds)

    def failure(self, code: str, seconds: float) -> None:
        """It failed, so long after it began."""
        self.refusal(code)
        self._time(seconds)

    def refusal(self, code: str) -> None:
        """It was not begun."""
        self.failures[code] = self.failures.get(code, 0) + 1

    def _time(self, seconds: float) -> None:
        self.buckets[bisect_left(self.BUCKETS, seconds)] += 1
        self.seconds += seconds


class Commands(Collector):
    """Commands by namespace, name and outcome, and how long they took."""

    def __init__(self) -> None:
        self._tallies: dict[tuple[str, str], Tally] = {}

    def tally(self, namespace: str, command: str) -> Tally:
        """Where a command is counted."""
        return self._tallies.setdefault((namespace, command), Tally())

    def count(self) -> int:
        """All of them so far; `collect` takes far longer."""
        return sum(tally.successes + sum(tally.failures.values()) for tally in self._tallies.values())

    def collect(self) -> Iterator[Metric]:
        """What `/metrics` shows."""
        labels = ["namespace", "command"]
        counts = CounterMetricFamily(
            "socket_commands", "Commands by namespace, name and outcome (ok or error code)", labels=[*labels, "code"]
        )
        for name, tally in self._tallies.items():
            if tally.successes:
                counts.add_metric([*name, "ok"], tally.successes)
            for code, count in tally.failures.items():
                counts.add_metric([*name, code], count)
        yield counts
        timings = HistogramMetricFamily(
            "socket_command_seconds", "From a command's beginning to its ack", labels=labels
        )
        bounds = [*map(str, Tally.BUCKETS), "+Inf"]
        for name, tally in self._tallies.items():
            if any(tally.buckets):
                timings.add_metric(name, list(zip(bounds, accumulate(tally.buckets), strict=True)), tally.seconds)
        yield timings


COMMANDS: Final = Commands()
REGISTRY.register(COMMANDS)
