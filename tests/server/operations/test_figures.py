"""What a process says of itself: read from its metrics, and what a histogram can tell of times."""

from __future__ import annotations

import pytest

from server.operations.figures import Figures, quantile_ms
from server.streams import metrics

INFINITY = float("inf")


@pytest.mark.parametrize(
    ("buckets", "share", "ms"),
    [
        ([], 0.5, None),
        ([(0.001, 0), (0.01, 0), (INFINITY, 0)], 0.5, None),
        ([(0.001, 0), (0.003, 10), (INFINITY, 10)], 0.5, 2.0),
        ([(0.001, 0), (0.003, 10), (INFINITY, 10)], 0.95, 2.9),
        ([(0.001, 10), (0.003, 10), (INFINITY, 10)], 0.5, 0.5),
        ([(0.001, 5), (0.003, 5), (INFINITY, 10)], 0.95, 3.0),
        ([(0.001, 1), (0.002, 1), (0.003, 2), (INFINITY, 2)], 1.0, 3.0),
    ],
)
def test_quantiles_of_a_histogram(buckets: list[tuple[float, float]], share: float, ms: float | None) -> None:
    assert quantile_ms(buckets, share) == pytest.approx(ms)


def test_commits_are_told_of_the_last_looks_only() -> None:
    figures = Figures()
    _, before, _ = figures.look()
    for _ in range(20):
        metrics.COMMIT_SECONDS.observe(0.004)
    _, during, _ = figures.look()
    assert during.count == before.count + 20
    assert during.seconds == pytest.approx(before.seconds + 0.08)
    assert during.p50_ms is not None
    assert during.p95_ms is not None
    assert 2.5 < during.p50_ms < during.p95_ms <= 5
    for _ in range(11):
        _, after, _ = figures.look()
    assert (after.count, after.p50_ms, after.p95_ms) == (during.count, None, None)


def test_counters_are_those_of_the_metrics() -> None:
    figures = Figures()
    before, _, _ = figures.look()
    metrics.DELIVERED.inc(7)
    metrics.FOLLOWER_LAG.labels("figures-test").set(1.5)
    metrics.FOLLOWER_EVENTS.labels("figures-test").inc(3)
    after, _, followers = figures.look()
    metrics.FOLLOWER_LAG.remove("figures-test")
    metrics.FOLLOWER_EVENTS.remove("figures-test")
    assert after["deliveries"] == before["deliveries"] + 7
    assert [(one.lag_s, one.events) for one in followers if one.name == "figures-test"] == [(1.5, 3)]
