"""A process' figures, read from the metrics that its parts keep anyway: nothing is counted twice."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from prometheus_client import REGISTRY

from server.operations.schemas import Commits, FollowerFigures
from server.realtime.metrics import COMMANDS

_COMMIT: Final = "rialto_stream_commit_seconds"
_LAG: Final = "rialto_follower_lag_seconds"
_HANDLED: Final = "rialto_follower_events_total"

_TOTALS: Final = {
    "sockets": "socket_transports",
    "users": "active_users_total",
    "subscriptions": "rialto_stream_subscriptions",
    "deliveries": "rialto_stream_events_delivered_total",
    "slow_clients": "socket_slow_clients_total",
    "bids": "bids_total",
}
"""Figures by the metric that they are the sum of."""

_COUNTED: Final = {"bids_total": {"outcome": "accepted"}}
"""Of these only what has the label."""

_WINDOW: Final = 10
"""Looks, one a second, that the times of commits are told of."""

Buckets = tuple[tuple[float, float], ...]
"""Upper bound in seconds and how many took no longer, from the least bound to infinity."""


class Figures:
    """Reads them. One per process; `look` once a second."""

    def __init__(self) -> None:
        names = {*_TOTALS.values(), _LAG, _HANDLED, *(f"{_COMMIT}_{part}" for part in ("bucket", "count", "sum"))}
        self._metrics = REGISTRY.restricted_registry(sorted(names))
        self._looks: deque[Buckets] = deque(maxlen=_WINDOW + 1)

    def look(self) -> tuple[dict[str, int], Commits, list[FollowerFigures]]:
        """Counters and gauges by the names that they have in `ProcessFigures`, commits, followers."""
        sums: defaultdict[str, float] = defaultdict(float)
        lags: dict[str, float] = {}
        handled: dict[str, float] = {}
        buckets: list[tuple[float, float]] = []
        for metric in self._metrics.collect():
            for sample in metric.samples:
                if sample.name == f"{_COMMIT}_bucket":
                    buckets.append((float(sample.labels["le"]), sample.value))
                elif sample.name == _LAG:
                    lags[sample.labels["follower"]] = sample.value
                elif sample.name == _HANDLED:
                    handled[sample.labels["follower"]] = sample.value
                elif _COUNTED.get(sample.name, sample.labels) == sample.labels:
                    sums[sample.name] += sample.value
        self._looks.append(tuple(sorted(buckets)))
        recent = _difference(self._looks[0], self._looks[-1])
        commits = Commits(
            count=int(sums[f"{_COMMIT}_count"]),
            seconds=round(sums[f"{_COMMIT}_sum"], 6),
            p50_ms=quantile_ms(recent, 0.5),
            p95_ms=quantile_ms(recent, 0.95),
        )
        followers = [
            FollowerFigures(name=name, lag_s=lag, events=int(handled.get(name, 0)))
            for name, lag in sorted(lags.items())
        ]
        totals = {name: int(sums[metric]) for name, metric in _TOTALS.items()}
        return {**totals, "commands": COMMANDS.count()}, commits, followers


def quantile_ms(buckets: Sequence[tuple[float, float]], share: float) -> float | None:
    """The time that a share of all took at most, as a histogram can tell: by a straight line within the bucket.

    None if there were none; the last bound if it was longer than that.
    """
    total = buckets[-1][1] if buckets else 0
    if total <= 0:
        return None
    wanted = share * total
    for (below, before), (bound, count) in pairwise(((0.0, 0.0), *buckets)):
        if count >= wanted:
            if bound == float("inf"):
                return round(below * 1000, 3)
            return round((below + (bound - below) * (wanted - before) / (count - before)) * 1000, 3)
    return None


def _difference(before: Buckets, after: Buckets) -> list[tuple[float, float]]:
    return [(bound, now - then) for (_, then), (bound, now) in zip(before, after, strict=True)]
