"""Liveness, readiness, the report, metrics; with each store away in turn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pymongo import AsyncMongoClient

from server.streams.redis_link import RedisLink
from server.web.app import HEALTH
from server.web.router import Router
from tests.server.web.conftest import Serve


async def test_all_is_well(serve: Serve) -> None:
    client = await serve(Router())
    assert (await client.get("/health/live")).status == 200
    ready = await client.get("/health/ready")
    assert (ready.status, await ready.json()) == (200, {"status": "ok", "instance": "test"})
    assert ready.headers["X-Rialto-Instance"] == "test"
    report = await client.get("/api/health")
    body = await report.json()
    assert (report.status, body["status"]) == (200, "ok")
    assert {"status", "instance", "uptime_s", "timestamp", "checks"} == set(body)
    assert {"database", "redis", "memory", "disk"} <= set(body["checks"])
    assert body["timestamp"].endswith("Z")


async def test_without_redis_it_is_degraded_but_ready(serve: Serve, parts: Any) -> None:
    parts.redis = RedisLink("redis://127.0.0.1:1/0", timeout_ms=100)
    client = await serve(Router())
    assert (await client.get("/health/ready")).status == 200
    body = await (await client.get("/api/health")).json()
    assert (body["status"], body["checks"]["redis"]["status"]) == ("degraded", "down")
    assert "127.0.0.1" not in str(body)


async def test_without_the_database_it_is_not_ready(serve: Serve, parts: Any) -> None:
    away: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient("mongodb://127.0.0.1:1", serverSelectionTimeoutMS=100)
    parts.client, parts.db = away, away["x"]
    client = await serve(Router())
    assert (await client.get("/health/live")).status == 200
    assert (await client.get("/health/ready")).status == 503
    report = await client.get("/api/health")
    assert report.status == 503
    assert (await report.json())["checks"]["database"]["status"] == "down"
    await away.close()


async def test_a_stopping_process_is_not_ready(serve: Serve) -> None:
    client = await serve(Router())
    assert client.app is not None
    client.app[HEALTH].accepting = False
    assert (await client.get("/health/ready")).status == 503
    assert (await client.get("/health/live")).status == 200


async def test_disk_check_looks_at_the_nearest_existing_folder(serve: Serve, parts: Any, tmp_path: Path) -> None:
    parts.settings = parts.settings.model_copy(update={"data_dir": tmp_path / "not" / "there"})
    client = await serve(Router())
    assert (await (await client.get("/api/health")).json())["checks"]["disk"]["free_bytes"] > 0
