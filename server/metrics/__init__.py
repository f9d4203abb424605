"""Prometheus metrics by name. Each module of the machine updates its own; `/metrics` exports them all."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

HTTP_SECONDS: Final = Histogram(
    "http_request_duration_seconds",
    "Time to answer an HTTP request; sockets and event streams are not counted",
    ("method", "route", "status_code"),
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
)

HTTP_IDEMPOTENT_REPLAYS: Final = Counter(
    "http_idempotent_replays_total", "Mutations answered from a stored response, by Idempotency-Key", ("route",)
)

AUTH_UNCHECKED: Final = Counter(
    "auth_denylist_unchecked_total", "Validly signed tokens accepted while the Redis denylist could not be read"
)

AUTH_REVOCATIONS: Final = Counter(
    "auth_revocations_total", "Revoked sessions that this process learnt of, by the way it learnt", ("source",)
)

AUTH_PASSWORD_SECONDS: Final = Histogram(
    "auth_password_hash_seconds",
    "Time of one Argon2id run, waiting for a thread included",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0),
)

RATE_LIMITED: Final = Counter(
    "rialto_rate_limited_total",
    "Refused for coming too often, by scope: auth, user, anonymous, handshake, connect, command",
    ("scope",),
)

INFO: Final = Gauge("rialto_info", "Always 1; says what this process is", ("instance", "role", "release"))

DRAINING: Final = Gauge("rialto_draining", "1 from the moment when this process was asked to end")

JOBS_CREATED: Final = Counter("jobs_created_total", "Jobs posted on this instance")
