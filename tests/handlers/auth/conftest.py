"""Instances of the accounts feature, as many as a test wants, on the same real databases."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from beanie import init_beanie
from pymongo import AsyncMongoClient

from handlers.auth import setup
from models.idempotency import IdempotencyRecord
from models.session import Session
from server.auth.denylist import Denylist
from server.auth.revocation import Revocations
from server.auth.tokens import Tokens
from server.clock import Clock
from server.limits.limits import Limits
from server.settings import Settings
from server.streams.redis_link import RedisLink
from server.web.app import build_web
from server.web.router import Router

PASSWORD = "correct horse battery"


class Instance:
    """One web instance: its client, its context, and the sessions whose sockets it was told to close."""

    def __init__(self, context: Any, client: TestClient[Any, Any], closed: list[str]) -> None:
        self.context = context
        self.client = client
        self.closed = closed

    async def call(self, method: str, path: str, token: str | None = None, **options: Any) -> tuple[int, Any]:
        """`(status, JSON)` of a request below /api/v1; None for an empty body."""
        headers = options.pop("headers", {}) | ({"Authorization": f"Bearer {token}"} if token else {})
        async with self.client.request(method, "/api/v1" + path, headers=headers, **options) as response:
            return response.status, await response.json(content_type=None) if response.status != 204 else None

    async def register(self, email: str, role: str = "both", **fields: Any) -> Any:
        """A new account, logged in."""
        body = {"email": email, "password": PASSWORD, "name": email.partition("@")[0], "role": role, **fields}
        status, answer = await self.call("POST", "/auth/register", json=body)
        assert status == 201, answer
        return answer


Start = Callable[..., Awaitable[Instance]]


@pytest.fixture
async def start(settings: Settings) -> AsyncIterator[Start]:
    """Starts an instance; `redis_url` may name another Redis."""
    async with AsyncExitStack() as stack:

        async def instance(redis_url: str = settings.redis_url) -> Instance:
            client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(settings.mongodb_url)
            stack.push_async_callback(client.close)
            clock = Clock()
            redis = RedisLink(redis_url, timeout_ms=200)
            denylist = Denylist(redis, clock, settings.access_token_s)
            closed: list[str] = []
            db = client[settings.mongodb_database]
            sessions = db[Session.Settings.name]
            revocations = Revocations(sessions, redis, clock, denylist, closed.append, poll_degraded_s=0.05)
            context = SimpleNamespace(
                settings=settings,
                instance="test",
                limits=Limits(settings, redis),
                clock=clock,
                client=client,
                db=db,
                redis=redis,
                denylist=denylist,
                revocations=revocations,
                tokens=Tokens(settings.token_secret.get_secret_value(), clock, settings.access_token_s, denylist),
                router=Router(),
                documents=[IdempotencyRecord],
                tasks={},
            )
            setup(context)  # type: ignore[arg-type]
            await init_beanie(database=db, document_models=context.documents)
            await redis.start()
            stack.push_async_callback(redis.stop)
            await revocations.start()
            stack.push_async_callback(revocations.stop)
            http = TestClient(TestServer(build_web(context)))  # type: ignore[arg-type]
            await http.start_server()
            stack.push_async_callback(http.close)
            return Instance(context, http, closed)

        yield instance


@pytest.fixture
async def web(start: Start) -> Instance:
    """One instance."""
    return await start()


@pytest.fixture
async def ann(web: Instance) -> Any:
    """A registered user: the answer of the registration."""
    return await web.register("ann@example.com")
