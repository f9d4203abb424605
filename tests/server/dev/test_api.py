"""The demo's REST client against a server that misbehaves on purpose."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from server.dev.api import Api, ApiProblem

Answer = Callable[[web.Request], Awaitable[web.Response]]


class Moody:
    """Answers `/api/v1/thing` with one prepared answer after the other, and logs everybody in."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, Any]] = []
        self.asked: list[tuple[str | None, str | None]] = []
        self.logins = 0
        self.url = ""

    async def thing(self, request: web.Request) -> web.Response:
        self.asked.append((request.headers.get("Authorization"), request.headers.get("Idempotency-Key")))
        status, body = self.answers.pop(0)
        headers = {"Retry-After": "0"} if status == 429 else {}
        return web.json_response(body, status=status, headers=headers)

    async def login(self, _: web.Request) -> web.Response:
        self.logins += 1
        return web.json_response({"user": {"name": "Ann"}, "access_token": f"token-{self.logins}"})

    async def register(self, _: web.Request) -> web.Response:
        return web.json_response({"code": "EMAIL_TAKEN", "retryable": False}, status=409)


@pytest.fixture
async def moody() -> AsyncIterator[Moody]:
    moody = Moody()
    app = web.Application()
    app.router.add_route("*", "/api/v1/thing", moody.thing)
    app.router.add_post("/api/v1/auth/login", moody.login)
    app.router.add_post("/api/v1/auth/register", moody.register)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    moody.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield moody
    await runner.cleanup()


@pytest.fixture
async def ann(moody: Moody) -> AsyncIterator[Api]:
    async with aiohttp.ClientSession() as session:
        yield Api(session, moody.url, email="ann@demo.example", password="wherefore art thou")


async def test_what_a_retry_can_help_is_retried_with_the_same_key(moody: Moody, ann: Api) -> None:
    moody.answers = [(429, {"retryable": True}), (503, {"retryable": True}), (201, {"id": "x"})]
    assert await ann.post("/thing", {}, key="k") == {"id": "x"}
    assert moody.asked == [("Bearer token-1", "k")] * 3


async def test_an_expired_token_is_renewed_once(moody: Moody, ann: Api) -> None:
    moody.answers = [(401, {"code": "UNAUTHENTICATED"}), (200, {"id": "x"})]
    assert await ann.get("/thing") == {"id": "x"}
    assert [token for token, _ in moody.asked] == ["Bearer token-1", "Bearer token-2"]
    moody.answers = [(401, {"code": "UNAUTHENTICATED"})] * 2
    with pytest.raises(ApiProblem):
        await ann.get("/thing")


async def test_a_refusal_says_what_and_why(moody: Moody, ann: Api) -> None:
    moody.answers = [(409, {"code": "BID_TOO_WEAK", "detail": "Too weak", "details": {"min_next": 5}})]
    with pytest.raises(ApiProblem, match="PATCH /thing: Too weak") as problem:
        await ann.patch("/thing", {})
    assert problem.value.code == "BID_TOO_WEAK"
    assert problem.value.details == {"min_next": 5}


async def test_who_is_registered_already_logs_in(moody: Moody, ann: Api) -> None:
    await ann.register("Ann", "client")
    assert ann.token == "token-1"


async def test_an_absent_server_is_given_up_in_the_end(monkeypatch: pytest.MonkeyPatch, moody: Moody) -> None:
    monkeypatch.setattr("server.dev.api._TRIES", 2)
    async with aiohttp.ClientSession() as session:
        with pytest.raises(ApiProblem) as problem:
            await Api(session, "http://127.0.0.1:9").get("/thing")
    assert problem.value.code == "UNAVAILABLE"
