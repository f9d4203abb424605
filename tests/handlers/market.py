"""The whole market in this process: every feature, real databases, the worker's parts beside the web instance."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from aiohttp.test_utils import TestClient, TestServer

from server.app import build_app, compose, running
from server.background import end, run_for_ever
from server.clock import new_id, to_rfc3339
from server.context import Context
from server.settings import Settings
from server.web.router import Route

PASSWORD = "correct horse battery"
MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS


@dataclass(frozen=True)
class Person:
    """Somebody who is logged in."""

    id: str
    token: str
    refresh: str


class Market:
    """Calls on one web instance."""

    def __init__(self, context: Context, http: TestClient[Any, Any]) -> None:
        self.context = context
        self.http = http

    async def call(
        self, method: str, path: str, who: Person | None = None, body: Any = None, key: str | None = None
    ) -> tuple[int, Any]:
        """`(status, JSON)` of a request below /api/v1; None for an empty body."""
        headers = {"Authorization": f"Bearer {who.token}"} if who else {}
        if key is not None:
            headers["Idempotency-Key"] = key
        options = {} if body is None else {"json": body}
        async with self.http.request(method, "/api/v1" + path, headers=headers, **options) as response:
            if response.status == 204:
                return 204, None
            answer = await response.json(content_type=None)
        if response.ok:
            self._as_described(method, path.partition("?")[0], answer)
        return response.status, answer

    def _as_described(self, method: str, path: str, answer: Any) -> None:
        """Check that an answer has what its route's description says, and nothing else."""
        routes = [route for route in self.context.router if route.method == method and _fits(route, path)]
        model = min(routes, key=lambda route: len(route.path_parameters)).answer
        if model is not None:
            described = model.model_validate(answer)
            assert described.model_dump(mode="json", by_alias=True, exclude_unset=True) == answer

    async def text(self, path: str, who: Person | None = None) -> str:
        """The text of a successful answer."""
        headers = {"Authorization": f"Bearer {who.token}"} if who else {}
        async with self.http.get("/api/v1" + path, headers=headers) as response:
            assert response.status == 200, await response.text()
            return await response.text()

    async def person(self, role: str = "both", *, admin: bool = False) -> Person:
        """A new account."""
        email = f"{new_id()}@example.com"
        body = {"email": email, "password": PASSWORD, "name": "Somebody", "role": role}
        status, answer = await self.call("POST", "/auth/register", body=body)
        assert status == 201, answer
        if admin:
            await self.context.db["users"].update_one({"_id": answer["user"]["id"]}, {"$set": {"admin": True}})
            login = {"email": email, "password": PASSWORD}
            _, answer = await self.call("POST", "/auth/login", body=login)
        return Person(answer["user"]["id"], answer["access_token"], answer["refresh_token"])

    async def auction(self, owner: Person, format_: str = "english", **options: Any) -> str:
        """The id of a job's new auction; `options` override the job's fields, `auction` its terms."""
        terms = {
            "format": format_,
            "start_amount": 10_000,
            "increments": [{"from": 0, "step": 100}],
            "end_at": self.later(2 * HOUR_MS),
            "soft_close": {"window_s": 60, "extension_s": 60},
            **options.pop("auction", {}),
        }
        job = {
            "title": "Paint a fence",
            "description": "Forty metres, two coats, green.",
            "category": "crafts",
            "skills": ["painting"],
            "budget": {"min": 0, "max": 20_000, "currency": "EUR"},
            "auction": terms,
            **options,
        }
        status, answer = await self.call("POST", "/jobs", owner, job)
        assert status == 201, answer
        return str(answer["auction"]["id"])

    async def bid(
        self, who: Person, auction: str, amount: Any, key: str | None = None, **fields: Any
    ) -> tuple[int, Any]:
        """`POST .../bids` with a key of its own unless one is given."""
        return await self.call("POST", f"/auctions/{auction}/bids", who, {"amount": amount, **fields}, key or new_id())

    async def act(self, who: Person | None, auction: str, what: str, **body: Any) -> tuple[int, Any]:
        """`POST /auctions/{id}/{what}`."""
        return await self.call("POST", f"/auctions/{auction}/{what}", who, body)

    async def types(self, auction: str) -> list[str]:
        """The types of the public events, in order; checks that they are dense."""
        _, page = await self.call("GET", f"/streams/auction:{auction}/events")
        assert [event["seq"] for event in page["events"]] == list(range(1, len(page["events"]) + 1))
        return [event["type"] for event in page["events"]]

    def later(self, ms: int) -> str:
        """A time `ms` from now."""
        return to_rfc3339(self.context.clock.now() + ms)


def _fits(route: Route, path: str) -> bool:
    return re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", route.template), "/api/v1" + path) is not None


@asynccontextmanager
async def opened(settings: Settings, *, worker: bool = True) -> AsyncIterator[Market]:
    """A running market; without `worker` nothing happens by itself."""
    context, stream_routes = compose(settings)
    async with running(context):
        http: TestClient[Any, Any] = TestClient(TestServer(build_app(context, stream_routes)))
        await http.start_server()
        tasks: list[asyncio.Task[Any]] = []
        if worker:
            await context.followers.start()
            tasks = [run_for_ever(partial(run, context), name) for name, run in context.tasks.items()]
        try:
            yield Market(context, http)
        finally:
            await end(tasks)
            await context.followers.stop()
            await http.close()
