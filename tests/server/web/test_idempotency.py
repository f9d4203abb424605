"""The same Idempotency-Key and request get the same answer, and the effect happens once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient

from models.idempotency import IdempotencyRecord
from server.clock import derived_id
from server.errors import AppError
from server.web.fields import Body
from server.web.router import Call, Router
from tests.server.web.conftest import Serve

Client = TestClient[web.Request, web.Application]
Bearer = Callable[..., dict[str, str]]
JSON = {"Content-Type": "application/json"}


class Thing(Body):
    name: str
    fail: bool = False


class Shop:
    """Makes things, and can be held up in the middle."""

    def __init__(self) -> None:
        self.made: list[str] = []
        self.calls = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.entered = asyncio.Event()

    async def make(self, call: Call) -> Any:
        self.calls += 1
        self.entered.set()
        await self.gate.wait()
        if call.body.fail:
            raise AppError("CONFLICT")
        thing = call.entity_id("thing")
        if thing not in self.made:
            self.made.append(thing)
        return {"id": thing, "name": call.body.name}

    async def own(self, call: Call) -> Any:
        self.calls += 1
        return {"key": call.key}

    def router(self) -> Router:
        router = Router()
        router.add("POST", "/things", self.make, summary="Make", tags=["t"], body=Thing, status=201)
        router.add("POST", "/bids", self.own, summary="Bid", tags=["t"], body=Thing, needs_key=True)
        return router


@pytest.fixture
async def shop() -> Shop:
    return Shop()


@pytest.fixture
async def client(serve: Serve, shop: Shop) -> Client:
    return await serve(shop.router())


async def test_a_retry_gets_the_stored_answer(client: Client, shop: Shop, bearer: Bearer) -> None:
    headers = {**bearer(), "Idempotency-Key": "k1"}
    first = await client.post("/api/v1/things", json={"name": "a"}, headers=headers)
    again = await client.post("/api/v1/things", data=b'{ "name" : "a", "new": 1 }', headers={**headers, **JSON})
    assert (first.status, again.status) == (201, 201)
    assert await first.json() == await again.json()
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert shop.calls == 1


async def test_keys_belong_to_a_user_and_to_a_request(client: Client, shop: Shop, bearer: Bearer) -> None:
    async def post(user: str, key: str | None, name: str) -> Any:
        headers = bearer(user) | ({"Idempotency-Key": key} if key else {})
        return await client.post("/api/v1/things", json={"name": name}, headers=headers)

    made = [await (await post(*args)).json() for args in [("ann", "k", "a"), ("bob", "k", "a"), ("ann", None, "a")]]
    assert len({thing["id"] for thing in made}) == 3
    mismatch = await post("ann", "k", "b")
    assert mismatch.status == 409
    assert (await mismatch.json(content_type=None))["code"] == "IDEMPOTENCY_MISMATCH"
    for bad in ("x" * 201, "with space", "é"):
        refused = await post("ann", bad, "a")
        assert refused.status == 422


async def test_failures_are_judged_again(client: Client, shop: Shop, bearer: Bearer) -> None:
    headers = {**bearer(), "Idempotency-Key": "k2"}
    for _ in range(2):
        refused = await client.post("/api/v1/things", json={"name": "a", "fail": True}, headers=headers)
        assert refused.status == 409
    assert shop.calls == 2
    other = await client.post("/api/v1/things", json={"name": "a"}, headers=headers)
    assert other.status == 201


async def test_a_retry_waits_for_the_first_to_finish(client: Client, shop: Shop, bearer: Bearer) -> None:
    headers = {**bearer(), "Idempotency-Key": "k3"}
    shop.gate.clear()
    first = asyncio.create_task(client.post("/api/v1/things", json={"name": "a"}, headers=headers))
    await shop.entered.wait()
    second = asyncio.create_task(client.post("/api/v1/things", json={"name": "a"}, headers=headers))
    shop.gate.set()
    answers = [await (await one).json() for one in (first, second)]
    assert answers[0] == answers[1]
    assert shop.calls == 1


async def test_after_a_crash_the_request_runs_again_and_makes_the_same_thing(
    client: Client, shop: Shop, bearer: Bearer, parts: Any
) -> None:
    headers = {**bearer(), "Idempotency-Key": "k4"}
    first = await client.post("/api/v1/things", json={"name": "a"}, headers=headers)
    record = derived_id("idempotency", "ann", "k4")
    # As if the process had died before the answer was stored.
    records = parts.db[IdempotencyRecord.Settings.name]
    await records.update_one({"_id": record}, {"$unset": {"status": 1, "body": 1}, "$set": {"lease_until": 1}})
    again = await client.post("/api/v1/things", json={"name": "a"}, headers=headers)
    assert shop.calls == 2
    assert await again.json() == await first.json()
    assert len(shop.made) == 1


async def test_a_running_request_is_not_run_twice(
    client: Client, shop: Shop, bearer: Bearer, parts: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.web.idempotency._WAIT_S", 0.2)
    headers = {**bearer(), "Idempotency-Key": "k5"}
    await client.post("/api/v1/things", json={"name": "a"}, headers=headers)
    records = parts.db[IdempotencyRecord.Settings.name]
    record = derived_id("idempotency", "ann", "k5")
    far = parts.clock.now() + 3_600_000
    await records.update_one({"_id": record}, {"$unset": {"status": 1, "body": 1}, "$set": {"lease_until": far}})
    again = await client.post("/api/v1/things", json={"name": "a"}, headers=headers)
    assert again.status == 503
    assert shop.calls == 1


async def test_records_expire(client: Client, bearer: Bearer, parts: Any) -> None:
    await client.post("/api/v1/things", json={"name": "a"}, headers={**bearer(), "Idempotency-Key": "k6"})
    found = await parts.db[IdempotencyRecord.Settings.name].find_one({"_id": derived_id("idempotency", "ann", "k6")})
    left = found["expires_at"] - parts.clock.now_datetime().replace(tzinfo=None)
    assert timedelta(hours=23) < left <= timedelta(hours=24)


async def test_routes_with_their_own_keys(client: Client, shop: Shop, bearer: Bearer) -> None:
    missing = await client.post("/api/v1/bids", json={"name": "a"}, headers=bearer())
    assert missing.status == 422
    body = await missing.json(content_type=None)
    assert body["errors"][0]["loc"] == ["header", "Idempotency-Key"]
    for _ in range(2):
        response = await client.post("/api/v1/bids", json={"name": "a"}, headers={**bearer(), "Idempotency-Key": "b"})
        assert await response.json() == {"key": "b"}
    assert shop.calls == 2
