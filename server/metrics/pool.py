"""MongoDB connection pools: how full, how long an operation waits for a connection. One series per server of the replica set.

In use beyond 80 % of `rialto_mongodb_pool_max_connections` is a sign that the pool, or the database behind it, is too small:

    rialto_mongodb_pool_checked_out_connections / rialto_mongodb_pool_max_connections > 0.8
"""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Gauge, Histogram
from pymongo import monitoring

_SERVER: Final = ("server",)
_DRIVER_MAXIMUM: Final = 100
"""What the driver takes when nothing is set; its event names only what differs."""

CONNECTIONS: Final = Gauge("rialto_mongodb_pool_connections", "Connections open or being opened, idle or not", _SERVER)
CHECKED_OUT: Final = Gauge("rialto_mongodb_pool_checked_out_connections", "Connections in use by an operation", _SERVER)
MAXIMUM: Final = Gauge("rialto_mongodb_pool_max_connections", "Connections that the pool may open", _SERVER)
CHECKOUT_SECONDS: Final = Histogram(
    "rialto_mongodb_pool_checkout_seconds",
    "Time that an operation waited for its connection, refused ones too",
    _SERVER,
    buckets=(0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5),
)
CHECKOUT_FAILURES: Final = Counter(
    "rialto_mongodb_pool_checkout_failures_total",
    "Operations that got no connection, by reason: timeout, poolClosed, connectionError",
    ("server", "reason"),
)


class PoolMetrics(monitoring.ConnectionPoolListener):
    """Keeps the metrics of one client; an entry of its `event_listeners`.

    The driver tells each change once, and calls while it works, so everything here is a number added. Clients of one process add
    up, and what a client added is gone when it is closed.
    """

    def __init__(self) -> None:
        self._maxima: dict[str, int] = {}

    def pool_created(self, event: monitoring.PoolCreatedEvent) -> None:
        """A server was found."""
        server = _name(event.address)
        maximum = self._maxima[server] = int(event.options.get("maxPoolSize", _DRIVER_MAXIMUM))
        MAXIMUM.labels(server).inc(maximum)

    def pool_closed(self, event: monitoring.PoolClosedEvent) -> None:
        """The client was closed, or the server is no member any more."""
        server = _name(event.address)
        MAXIMUM.labels(server).dec(self._maxima.pop(server, 0))

    def connection_created(self, event: monitoring.ConnectionCreatedEvent) -> None:
        """A connection is being opened."""
        CONNECTIONS.labels(_name(event.address)).inc()

    def connection_closed(self, event: monitoring.ConnectionClosedEvent) -> None:
        """A connection is gone, for whatever reason."""
        CONNECTIONS.labels(_name(event.address)).dec()

    def connection_checked_out(self, event: monitoring.ConnectionCheckedOutEvent) -> None:
        """An operation has its connection."""
        server = _name(event.address)
        CHECKED_OUT.labels(server).inc()
        CHECKOUT_SECONDS.labels(server).observe(event.duration or 0.0)

    def connection_checked_in(self, event: monitoring.ConnectionCheckedInEvent) -> None:
        """An operation gave its connection back."""
        CHECKED_OUT.labels(_name(event.address)).dec()

    def connection_check_out_failed(self, event: monitoring.ConnectionCheckOutFailedEvent) -> None:
        """An operation got none."""
        server = _name(event.address)
        CHECKOUT_FAILURES.labels(server, event.reason).inc()
        CHECKOUT_SECONDS.labels(server).observe(event.duration or 0.0)

    def pool_ready(self, event: monitoring.PoolReadyEvent) -> None:
        """Nothing to count."""

    def pool_cleared(self, event: monitoring.PoolClearedEvent) -> None:
        """Nothing to count: the connections that go are told one by one."""

    def connection_ready(self, event: monitoring.ConnectionReadyEvent) -> None:
        """Nothing to count: it was counted when it was begun."""

    def connection_check_out_started(self, event: monitoring.ConnectionCheckOutStartedEvent) -> None:
        """Nothing to count: the end tells how long it took."""


def _name(address: tuple[str, int | None]) -> str:
    host, port = address
    return host if port is None else f"{host}:{port}"
