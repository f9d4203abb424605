"""What streams count and time."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

APPENDS: Final = Counter(
    "rialto_stream_appends_total", "Group commits tried, by outcome: committed, conflict, unknown", ["outcome"]
)
RELAYED: Final = Counter(
    "rialto_stream_commands_relayed_total", "Commands handed to another instance, which was writing their stream"
)
COMMIT_EVENTS: Final = Histogram(
    "rialto_stream_commit_events", "Events per group commit", buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500)
)
COMMIT_SECONDS: Final = Histogram(
    "rialto_stream_commit_seconds",
    "Time of one durable group commit",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)
ACTIVE: Final = Gauge("rialto_streams_active", "Streams whose state is in memory")
SUBSCRIPTIONS: Final = Gauge(
    "rialto_stream_subscriptions", "Sockets, event streams and long polls that watch a stream, each stream counted"
)
WATCHED: Final = Gauge("rialto_streams_watched", "Streams with local subscribers")
GAPS: Final = Counter("rialto_stream_gaps_repaired_total", "Jumps in seq that were filled from the store")
DELIVERED: Final = Counter("rialto_stream_events_delivered_total", "Events handed to local subscribers, per subscriber")
REDIS_UP: Final = Gauge("rialto_redis_up", "1 while the connection to Redis stands")
REDIS_DROPPED: Final = Counter("rialto_redis_dropped_total", "Publications given up while Redis was away")
FOLLOWER_LAG: Final = Gauge(
    "rialto_follower_lag_seconds", "Age of the last event a follower handled, 0 when idle", ["follower"]
)
FOLLOWER_EVENTS: Final = Counter("rialto_follower_events_total", "Events a follower handled", ["follower"])
CLOCK_ERROR: Final = Gauge("rialto_clock_error_bound_seconds", "How far this process' clock may be off the cluster's")
