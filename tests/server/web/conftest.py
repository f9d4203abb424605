"""A web application on real databases, with whatever routes a test adds."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from pymongo import AsyncMongoClient

from server.auth.denylist import Denylist
from server.auth.tokens import Tokens
from server.clock import Clock
from server.limits.limits import Limits
from server.settings import Settings
from server.streams.redis_link import RedisLink
from server.web.app import build_web
from server.web.router import Router

Serve = Callable[[Router], Awaitable[TestClient[Any, Any]]]


@pytest.fixture
async def parts(settings: Settings) -> AsyncIterator[Any]:
    """What `build_web` needs of a context."""
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(settings.mongodb_url, serverSelectionTimeoutMS=2000)
    clock = Clock()
    redis = RedisLink(settings.redis_url)
    await redis.start()
    denylist = Denylist(redis, clock, settings.access_token_s)
    tokens = Tokens(settings.token_secret.get_secret_value(), clock, settings.access_token_s, denylist)
    yield SimpleNamespace(
        settings=settings,
        instance="test",
        limits=Limits(settings, redis),
        clock=clock,
        client=client,
        db=client[settings.mongodb_database],
        redis=redis,
        tokens=tokens,
        denylist=denylist,
        router=Router(),
    )
    await redis.stop()
    await client.close()


@pytest.fixture
async def serve(parts: Any) -> AsyncIterator[Serve]:
    """Starts a server with the routes of a router; returns a client for it."""
    clients: list[TestClient[web.Request, web.Application]] = []

    async def start(router: Router) -> TestClient[web.Request, web.Application]:
        parts.router = router
        client = TestClient(TestServer(build_web(parts)))
        await client.start_server()
        clients.append(client)
        return client

    yield start
    for client in clients:
        await client.close()


@pytest.fixture
def bearer(parts: Any) -> Callable[..., dict[str, str]]:
    """Headers of a user."""

    def headers(user: str = "ann", *, session: str = "s1", role: str = "both", admin: bool = False) -> dict[str, str]:
        return {"Authorization": "Bearer " + parts.tokens.issue(user, session, role, admin=admin)}

    return headers
