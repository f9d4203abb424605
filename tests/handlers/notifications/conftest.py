"""A market with a client, two freelancers and an admin, and what they are told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import orjson
import pytest
from pydantic import TypeAdapter

from handlers.notifications.events import InboxEvent
from models.rules.stream import Command
from server.clock import new_salt
from server.settings import Settings
from tests.handlers.market import Market, Person, opened
from tests.waiting import until

EVENTS: TypeAdapter[Any] = TypeAdapter(InboxEvent)


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


async def followed(market: Market, *streams: str, batch: int = 500) -> None:
    """Let the followers handle whole streams once more, as after the loss of their tokens."""
    for stream in streams:
        name = "notifications.rooms" if stream.startswith("room:") else "notifications.auctions"
        events = await market.context.streams.read(stream, limit=10_000)
        for start in range(0, len(events), batch):
            await market.context.followers._followers[name].handle(events[start : start + batch])


async def inbox(market: Market, who: Person) -> list[dict[str, Any]]:
    """Everything in somebody's stream, from its beginning; each event as it is described."""
    status, page = await market.call("GET", f"/streams/user:{who.id}/events", who)
    assert status == 200, page
    assert [event["seq"] for event in page["events"]] == list(range(1, len(page["events"]) + 1))
    described(page["events"])
    return list(page["events"])


def described(events: list[dict[str, Any]]) -> None:
    """Each is as the documents say, and they leave out nothing of it."""
    for event in events:
        model = EVENTS.validate_json(orjson.dumps(event))
        assert orjson.loads(model.model_dump_json(exclude_unset=True)) == event


async def crowd(market: Market, auction: str, size: int, *, first: int = 1) -> list[str]:
    """The ids of so many who each bid once, one after the other, on an English auction."""
    append, stream = market.context.streams.append, f"auction:{auction}"
    users = [f"crowd-{number}" for number in range(first, first + size)]
    bids = [
        Command("bid", user, {"amount": 10_000 + 100 * number}, f"{number}", {"salt": new_salt()})
        for number, user in enumerate(users, first)
    ]
    await asyncio.gather(*(append(stream, bid) for bid in bids))
    return users


async def kinds_of(market: Market, user: str) -> list[str]:
    """The kinds of all that a user was ever told, replaced ones included."""
    events = await market.context.streams.read(f"user:{user}")
    return [event.public["kind"] for event in events if event.type == "notification"]
