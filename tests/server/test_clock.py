"""Time and ids."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from datetime import UTC, datetime

import pytest

from server.clock import Clock, derived_id, local_id, new_id, new_salt, to_datetime, to_ms, to_rfc3339

ID = re.compile(r"[0-9a-hjkmnp-tv-z]{22}")


def test_ids_are_unguessable_and_of_one_shape() -> None:
    ids = {new_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(ID.fullmatch(each) for each in ids)


def test_derived_ids_depend_on_every_part_and_its_place() -> None:
    assert derived_id("a", "b") == derived_id("a", "b")
    assert len({derived_id("a", "b"), derived_id("b", "a"), derived_id("ab"), derived_id("a", "b", "")}) == 4
    assert ID.fullmatch(derived_id("a"))


def test_local_ids_are_unique_over_processes() -> None:
    mine = {local_id() for _ in range(1000)}
    command = [sys.executable, "-c", "from server.clock import local_id; print(local_id())"]
    theirs = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    assert len(mine) == 1000
    assert theirs not in mine
    assert theirs.partition("-")[0] != next(iter(mine)).partition("-")[0]


def test_salts_have_256_bits() -> None:
    assert re.fullmatch(r"[0-9a-f]{64}", new_salt())
    assert new_salt() != new_salt()


def test_times_in_both_directions() -> None:
    ms = 1_795_255_200_042
    assert to_rfc3339(ms) == "2026-11-21T10:00:00.042Z"
    assert to_ms(to_datetime(ms)) == ms
    assert to_ms(datetime(2026, 11, 21, 10)) == 1_795_255_200_000  # noqa: DTZ001  # naive is UTC
    assert to_datetime(0) == datetime(1970, 1, 1, tzinfo=UTC)


async def test_the_clock_follows_its_reference_and_bounds_its_error() -> None:
    async def an_hour_ahead() -> float:
        return time.time() * 1000 + 3_600_000

    clock = Clock(an_hour_ahead)
    await clock.start()
    try:
        ahead = clock.now() - time.time() * 1000 - 3_600_000
        assert abs(ahead) <= clock.error_bound_ms + 2
        assert clock.error_bound_ms > 0
    finally:
        await clock.stop()


async def test_without_a_reference_the_local_clock_is_the_truth() -> None:
    clock = Clock()
    await clock.start()
    assert abs(clock.now() - time.time() * 1000) < 1_000
    assert clock.error_bound_ms == 0
    await clock.stop()


class _Watch:
    """A local clock that shows what it is told to, one moment after the other."""

    def __init__(self, *moments: float) -> None:
        self._moments = iter(moments)

    def monotonic(self) -> float:
        return next(self._moments)

    def time(self) -> float:
        return 0.0


async def test_a_better_sample_replaces_a_worse_one_and_not_the_reverse(monkeypatch: pytest.MonkeyPatch) -> None:
    async def reference() -> float:
        return 5_000.0

    watch = _Watch(0.0, 0.0, 0.2, 1.0, 1.002, 1.1, 2.0, 2.5, 2.6)
    monkeypatch.setattr("server.clock.time", watch)
    clock = Clock(reference)  # shows 0 for the base
    first = await clock.synchronise(1)  # round trip 200 ms
    better = await clock.synchronise(1)  # 2 ms
    kept = await clock.synchronise(1)  # 500 ms
    assert first is not None
    assert better is not None
    assert (first.error_ms, better.error_ms) == (pytest.approx(100), pytest.approx(1))
    assert kept is better
