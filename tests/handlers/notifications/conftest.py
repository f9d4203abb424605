"""A market with a client, two freelancers and an admin, and what they are told."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from server.settings import Settings
from tests.handlers.market import Market, Person, opened
from tests.waiting import until


@pytest.fixture
async def market(settings: Settings) -> AsyncIterator[Market]:
    async with opened(settings) as running:
        yield running


@pytest.fixture
async def client(market: Market) -> Person:
    return await market.person("client")


@pytest.fixture
async def ann(market: Market) -> Person:
    return await market.person("freelancer")


@pytest.fixture
async def bob(market: Market) -> Person:
    return await market.person("freelancer")


@pytest.fixture
async def admin(market: Market) -> Person:
    return await market.person("both", admin=True)


async def told(market: Market, who: Person) -> list[dict[str, Any]]:
    """What is in somebody's list of notifications, the newest first."""
    items: list[dict[str, Any]] = []
    before = ""
    while True:
        status, page = await market.call("GET", f"/notifications?limit=100{before}", who)
        assert status == 200, page
        items += page["items"]
        if page["next_cursor"] is None:
            return items
        before = f"&before={page['next_cursor']}"


async def kinds(market: Market, who: Person) -> list[str]:
    """The kinds of somebody's notifications, the oldest first."""
    return [item["kind"] for item in reversed(await told(market, who))]


async def until_told(
    market: Market, who: Person, kind: str, check: Callable[[dict[str, Any]], bool] = lambda _item: True
) -> dict[str, Any]:
    """The newest notification of a kind, as soon as there is one that passes."""

    async def look() -> dict[str, Any] | None:
        return next((it for it in await told(market, who) if it["kind"] == kind and check(it)), None)

    found = await until(look)
    assert found is not None
    return found


async def followed(market: Market, name: str = "notifications.auctions", *streams: str) -> None:
    """Let a follower handle whole streams once more, as after the loss of its token."""
    follower = market.context.followers._followers[name]
    for stream in streams:
        await follower.handle(await market.context.streams.read(stream))


async def inbox(market: Market, who: Person) -> list[dict[str, Any]]:
    """Everything in somebody's stream, from its beginning."""
    status, page = await market.call("GET", f"/streams/user:{who.id}/events", who)
    assert status == 200, page
    assert [event["seq"] for event in page["events"]] == list(range(1, len(page["events"]) + 1))
    return list(page["events"])
