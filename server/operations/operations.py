"""Posts this process' figures once a second, and answers `GET /operations`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import psutil  # type: ignore[import-untyped]
from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError

from server.background import end, run_for_ever
from server.clock import Clock, to_rfc3339
from server.operations.board import FAULTS, Board
from server.operations.figures import Figures
from server.operations.schemas import MongoState, OperationsOut, ProcessFigures, RedisState, Role
from server.streams.redis_link import RedisLink
from server.web.router import Call, Router

_EVERY_S: Final = 1.0
_CHECK_S: Final = 2.0

_DESCRIPTION: Final = """\
Every process says once a second how it is doing, and is forgotten five seconds after the last time. With Redis away the
answering instance knows of itself alone, and `complete` is false."""


class Operations:
    """What this process does and what is known of the others.

    Args:
        instance: name of this process.
        release: the version that it runs.
    """

    def __init__(
        self, instance: str, release: str, clock: Clock, redis: RedisLink, client: AsyncMongoClient[dict[str, Any]]
    ) -> None:
        self._instance = instance
        self._release = release
        self._clock = clock
        self._redis = redis
        self._client = client
        self._board = Board(redis, clock)
        self._figures = Figures()
        self._process = psutil.Process()
        self._started = clock.now()
        self._role: Role = "web"
        self._accepting: Callable[[], bool] = lambda: True
        self._own: ProcessFigures | None = None

    def register(self, router: Router) -> None:
        """Add the route."""
        router.add(
            "GET",
            "/operations",
            self._show,
            summary="Show what every process of the market does",
            description=_DESCRIPTION,
            tags=["operations"],
            answer=OperationsOut,
            admin=True,
        )

    @asynccontextmanager
    async def told(self, role: Role, accepting: Callable[[], bool]) -> AsyncIterator[None]:
        """While this lasts the others are told of this process.

        Args:
            role: what it is.
            accepting: whether it still does its work; it doesn't once it was asked to end.
        """
        self._role, self._accepting, self._started = role, accepting, self._clock.now()
        task = run_for_ever(self._tell, "operations")
        try:
            yield
        finally:
            await end([task])
            if self._redis.up:
                await self._board.withdraw(self._instance)

    async def _tell(self) -> None:
        lag_s = 0.0
        while True:
            self._own = self._look(lag_s)
            if self._redis.up:
                await self._board.post(self._own)
            due = time.monotonic() + _EVERY_S
            await asyncio.sleep(_EVERY_S)
            lag_s = max(0.0, time.monotonic() - due)

    def _look(self, lag_s: float = 0.0) -> ProcessFigures:
        now, accepting = self._clock.now(), self._accepting()
        totals, commits, followers = self._figures.look()
        primary = self._client.topology_description.has_writable_server()
        return ProcessFigures(
            name=self._instance,
            role=self._role,
            release=self._release,
            t=to_rfc3339(now),
            started_at=to_rfc3339(self._started),
            uptime_s=max(0, now - self._started) // 1000,
            ready=accepting and primary,
            draining=not accepting,
            mongodb_up=primary,
            redis_up=self._redis.up,
            commits=commits,
            loop_lag_ms=round(lag_s * 1000, 3),
            memory_bytes=self._process.memory_info().rss,
            clock_error_ms=round(self._clock.error_bound_ms, 3),
            followers=followers,
            **totals,
        )

    async def _show(self, call: Call) -> OperationsOut:
        own = self._own or self._look()
        redis, mongodb = await asyncio.gather(self._redis_state(), self._mongodb_state())
        posted = await self._board.read() if redis.up else None
        known = {figures.name: figures for figures in posted or ()} | {self._instance: own}
        return OperationsOut(
            t=to_rfc3339(self._clock.now()),
            answered_by=self._instance,
            complete=posted is not None,
            redis=redis,
            mongodb=mongodb,
            processes=sorted(known.values(), key=lambda figures: (figures.role, figures.name)),
        )

    async def _redis_state(self) -> RedisState:
        began = time.perf_counter()
        try:
            async with asyncio.timeout(_CHECK_S):
                await self._redis.client.ping()
        except FAULTS:
            return RedisState(up=False, latency_ms=None)
        return RedisState(up=self._redis.up, latency_ms=_ms_since(began))

    async def _mongodb_state(self) -> MongoState:
        began = time.perf_counter()
        try:
            async with asyncio.timeout(_CHECK_S):
                await self._client.admin.command("ping")
                latency_ms = _ms_since(began)
                primary = await self._client.primary
        except (PyMongoError, TimeoutError):
            return MongoState(up=False, latency_ms=None, primary=None)
        return MongoState(up=True, latency_ms=latency_ms, primary=f"{primary[0]}:{primary[1]}" if primary else None)


def _ms_since(began: float) -> float:
    return round((time.perf_counter() - began) * 1000, 2)
