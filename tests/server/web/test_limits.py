"""Limits on REST: per address on accounts, per user and per address elsewhere."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient
from prometheus_client import REGISTRY

from server.limits.limits import Limits
from server.web.fields import Body
from server.web.openapi import problem_codes
from server.web.router import Call, Router
from tests.server.web.conftest import Serve
from tests.server.web.test_edge import problem

Client = TestClient[web.Request, web.Application]
Limited = Callable[..., Awaitable[Client]]


class Login(Body):
    email: str


def routes(handled: list[str]) -> Router:
    router = Router()

    async def handle(call: Call) -> dict[str, Any]:
        handled.append(call.route.path)
        return {}

    router.add("POST", "/auth/login", handle, summary="Log in", tags=["t"], auth="none", body=Login)
    router.add("POST", "/auth/refresh", handle, summary="Refresh", tags=["t"], auth="none", body=Login)
    router.add("POST", "/auth/logout", handle, summary="Log out", tags=["t"])
    router.add("GET", "/things", handle, summary="Things", tags=["t"], auth="optional")
    router.add("POST", "/things", handle, summary="Make", tags=["t"], body=Login)
    return router


@pytest.fixture
def handled() -> list[str]:
    """The paths of what came to a handler."""
    return []


@pytest.fixture
async def limited(serve: Serve, parts: Any, handled: list[str]) -> Limited:
    """Starts an instance with limits; settings as keywords."""

    async def start(**settings: Any) -> Client:
        parts.settings = parts.settings.model_copy(update={"rate_limits": True, **settings})
        parts.limits = Limits(parts.settings, parts.redis)
        return await serve(routes(handled))

    return start


def refusals(scope: str) -> float:
    return REGISTRY.get_sample_value("rialto_rate_limited_total", {"scope": scope}) or 0.0


async def test_guesses_at_accounts_are_limited_by_default(limited: Limited, handled: list[str]) -> None:
    client = await limited()
    before = refusals("auth")
    for number in range(100):
        path = "/api/v1/auth/login" if number % 2 else "/api/v1/auth/refresh"
        assert (await client.post(path, json={"email": "a"})).status == 200
    refused = await client.post("/api/v1/auth/login", json={"email": "a"})
    body = await problem(refused, 429, "RATE_LIMITED")
    assert body["retryable"] is True
    assert 0 < body["details"]["retry_after_ms"] <= 9_000
    assert refused.headers["Retry-After"] == "9"
    assert len(handled) == 100
    assert refusals("auth") == before + 1


async def test_guesses_are_counted_by_all_instances_together(limited: Limited, handled: list[str]) -> None:
    clients = [await limited(rate_auth="10/h") for _ in range(3)]
    statuses = [(await clients[n % 3].post("/api/v1/auth/login", json={"email": "a"})).status for n in range(15)]
    assert statuses == [200] * 10 + [429] * 5


async def test_what_is_malformed_is_a_guess_too(limited: Limited) -> None:
    client = await limited(rate_auth="2/h")
    assert (await client.post("/api/v1/auth/login", json={})).status == 422
    assert (
        await client.post("/api/v1/auth/login", data=b"{", headers={"Content-Type": "application/json"})
    ).status == 400
    assert (await client.post("/api/v1/auth/login", json={"email": "a"})).status == 429


async def test_the_refused_are_refused_before_their_body_is_read(limited: Limited) -> None:
    client = await limited(rate_auth="1/h")
    assert (await client.post("/api/v1/auth/login", json={"email": "a"})).status == 200
    assert (await client.post("/api/v1/auth/login", data=b"not even JSON")).status == 429


async def test_who_is_logged_in_does_not_guess(limited: Limited, bearer: Callable[..., dict[str, str]]) -> None:
    client = await limited(rate_auth="1/h")
    for _ in range(3):
        assert (await client.post("/api/v1/auth/logout", headers=bearer())).status == 200


async def test_addresses_are_counted_apart(limited: Limited) -> None:
    client = await limited(rate_auth="1/h")

    async def log_in(forwarded: str) -> int:
        answer = await client.post("/api/v1/auth/login", json={"email": "a"}, headers={"X-Forwarded-For": forwarded})
        return answer.status

    assert [await log_in("198.51.100.1") for _ in range(2)] == [200, 429]
    assert [await log_in("198.51.100.2") for _ in range(2)] == [200, 429]
    assert await log_in("203.0.113.1, 198.51.100.2") == 429  # the first is the client's own invention
    assert [await log_in(f"2001:db8::{number}") for number in range(1, 3)] == [200, 429]
    assert await log_in("2001:db8:0:1::1") == 200


async def test_nobody_is_believed_who_is_no_trusted_proxy(limited: Limited) -> None:
    client = await limited(rate_auth="1/h", trusted_proxies=("10.0.0.0/8",))
    statuses = [
        (
            await client.post(
                "/api/v1/auth/login", json={"email": "a"}, headers={"X-Forwarded-For": f"198.51.100.{number}"}
            )
        ).status
        for number in range(3)
    ]
    assert statuses == [200, 429, 429]


async def test_users_are_counted_apart_wherever_they_are(
    limited: Limited, bearer: Callable[..., dict[str, str]], handled: list[str]
) -> None:
    client = await limited(rate_user="3/h", rate_anonymous="1/h")
    ann, bob = bearer("ann"), bearer("bob", session="s2")
    statuses = [(await client.get("/api/v1/things", headers=ann)).status for _ in range(3)]
    statuses += [(await client.post("/api/v1/things", data=b"{", headers=ann)).status]
    assert statuses == [200, 200, 200, 429]
    elsewhere = {**ann, "X-Forwarded-For": "198.51.100.1"}
    assert (await client.get("/api/v1/things", headers=elsewhere)).status == 429
    assert (await client.get("/api/v1/things", headers=bob)).status == 200
    assert [(await client.get("/api/v1/things")).status for _ in range(2)] == [200, 429]
    assert len(handled) == 5


async def test_bad_tokens_count_for_the_address(limited: Limited, bearer: Callable[..., dict[str, str]]) -> None:
    client = await limited(rate_anonymous="2/h")
    bad = {"Authorization": "Bearer a.b.c"}
    assert [(await client.post("/api/v1/things", headers=bad)).status for _ in range(3)] == [401, 401, 429]
    assert (await client.get("/api/v1/things")).status == 429
    assert (await client.get("/api/v1/things", headers=bearer())).status == 200


async def test_limits_can_be_turned_off(limited: Limited) -> None:
    client = await limited(rate_limits=False, rate_auth="1/h", rate_anonymous="1/h")
    assert [(await client.post("/api/v1/auth/login", json={"email": "a"})).status for _ in range(3)] == [200] * 3
    assert [(await client.get("/api/v1/things")).status for _ in range(3)] == [200] * 3


async def test_health_is_not_limited(limited: Limited) -> None:
    client = await limited(rate_anonymous="1/h")
    assert [(await client.get("/health/ready")).status for _ in range(5)] == [200] * 5


def test_every_operation_names_the_code() -> None:
    assert all("RATE_LIMITED" in problem_codes(route) for route in routes([]))
