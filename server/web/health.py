"""Whether this process lives, may be sent requests, and what of its surroundings works; and its metrics.

MongoDB is the truth: without it the process is not ready. Redis is the fast path: without it delivery goes on from MongoDB, so
the process is `degraded` but ready.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson
import psutil  # type: ignore[import-untyped]
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pymongo import AsyncMongoClient

from server.auth.denylist import RedisSource
from server.clock import Clock, to_rfc3339

_CHECK_S: Final = 2.0
_LEAST_FREE_BYTES: Final = 100 * 1024 * 1024

Check = Callable[[], Awaitable[Mapping[str, Any] | None]]
"""Raises when what it looks at is away; may return facts to show, and in them `status` other than `ok`."""


@dataclass(frozen=True, slots=True)
class _Named:
    check: Check
    critical: bool


class Health:
    """The checks of this process.

    Args:
        clock: the cluster's clock, for the answer's timestamp.
        instance: name of this process, in every answer.

    Attributes:
        accepting: whether to be sent requests; the process clears it when it begins to stop.
    """

    def __init__(self, clock: Clock, instance: str) -> None:
        self._clock = clock
        self._instance = instance
        self._started = time.monotonic()
        self._checks: dict[str, _Named] = {}
        self.accepting = True

    def add(self, name: str, check: Check, *, critical: bool = False) -> None:
        """Add a check; a failing critical one makes the process not ready, another one `degraded`."""
        self._checks[name] = _Named(check, critical)

    def routes(self) -> list[web.RouteDef]:
        """`/health/live`, `/health/ready`, `/api/health` and `/metrics`."""
        return [
            web.get("/health/live", self._live),
            web.get("/health/ready", self._ready),
            web.get("/api/health", self._report),
            web.get("/metrics", _metrics),
        ]

    async def look(self) -> tuple[str, dict[str, Any]]:
        """The overall status (`ok`, `degraded` or `down`) and each check's `{status, latency_ms?, ...}`."""
        names = list(self._checks)
        results = await asyncio.gather(*(self._run(name) for name in names))
        checks = dict(zip(names, results, strict=True))
        bad = [name for name in names if checks[name]["status"] != "ok"]
        if any(self._checks[name].critical for name in bad):
            return "down", checks
        return ("degraded" if bad else "ok"), checks

    async def _run(self, name: str) -> dict[str, Any]:
        started = time.perf_counter()
        try:
            async with asyncio.timeout(_CHECK_S):
                facts = await self._checks[name].check()
        except Exception:  # whatever it is, the answer is that this part is down; the part itself logs why
            return {"status": "down"}
        return {"status": "ok", "latency_ms": round((time.perf_counter() - started) * 1000, 2), **(facts or {})}

    async def _live(self, request: web.Request) -> web.Response:
        return self._answer(200, "ok")

    async def _ready(self, request: web.Request) -> web.Response:
        if not self.accepting:
            return self._answer(503, "stopping")
        status, _ = await self.look()
        return self._answer(503 if status == "down" else 200, status)

    async def _report(self, request: web.Request) -> web.Response:
        status, checks = await self.look()
        return self._answer(
            503 if status == "down" else 200,
            status,
            uptime_s=int(time.monotonic() - self._started),
            timestamp=to_rfc3339(self._clock.now()),
            checks=checks,
        )

    def _answer(self, http_status: int, status: str, **facts: Any) -> web.Response:
        body = {"status": status, "instance": self._instance, **facts}
        return web.Response(status=http_status, body=orjson.dumps(body), content_type="application/json")


def standard_checks(
    health: Health, client: AsyncMongoClient[dict[str, Any]], redis: RedisSource, data_dir: Path
) -> None:
    """Add `database`, `redis`, `memory` and `disk`."""

    async def database() -> None:
        await client.admin.command("ping")

    async def cache() -> None:
        await redis.client.ping()
        if not redis.up:
            raise ConnectionError("answers, but is not subscribed yet")

    async def memory() -> Mapping[str, Any]:
        return await asyncio.to_thread(_memory)

    async def disk() -> Mapping[str, Any]:
        return await asyncio.to_thread(_disk, data_dir)

    health.add("database", database, critical=True)
    health.add("redis", cache)
    health.add("memory", memory)
    health.add("disk", disk)


def _memory() -> Mapping[str, Any]:
    return {"rss_bytes": psutil.Process().memory_info().rss, "available_bytes": psutil.virtual_memory().available}


def _disk(data_dir: Path) -> Mapping[str, Any]:
    place = next(folder for folder in (data_dir, *data_dir.absolute().parents) if folder.exists())
    free = shutil.disk_usage(place).free
    return {"status": "ok" if free >= _LEAST_FREE_BYTES else "low", "free_bytes": free}


async def _metrics(request: web.Request) -> web.Response:
    return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})
