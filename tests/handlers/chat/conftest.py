"""A market with a client, three freelancers, a moderator and an admin, and short ways to talk."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any
from urllib.parse import quote

import pytest

from server.clock import new_id
from server.settings import Settings
from tests.handlers.market import PASSWORD, Market, Person, opened
from tests.server.realtime.wire import Wire

NAMESPACE = "/chat"


class Chat(Market):
    """Calls of people in rooms."""

    wires: AsyncExitStack

    async def dm(self, one: Person, other: Person) -> str:
        """The id of the room of two people; the client among them comes first and has invited the other."""
        await self.auction(one, visibility="invited", invited=[other.id])
        status, room = await self.call("POST", "/rooms", one, {"kind": "dm", "user": other.id})
        assert status == 201, room
        return str(room["id"])

    async def job(self, owner: Person, *bidders: Person, format_: str = "english", **options: Any) -> str:
        """The id of a job on whose auction these have bid."""
        auction = await self.auction(owner, format_, **options)
        for step, bidder in enumerate(bidders):
            amount = 15_000 + step * 500 if format_ == "english" else 9_000 - step * 500
            status, answer = await self.bid(bidder, auction, amount)
            assert status == 201, answer
        status, shown = await self.call("GET", f"/auctions/{auction}", owner)
        assert status == 200
        return str(shown["job"])

    async def join(self, who: Person, job: str) -> Any:
        """The room of a job, which somebody joins."""
        status, room = await self.call("POST", "/rooms", who, {"kind": "job", "job": job})
        assert status == 201, room
        return room

    async def say(self, who: Person, room: str, text: str, key: str | None = None, **fields: Any) -> tuple[int, Any]:
        """`POST .../messages` with a key of its own unless one is given."""
        return await self.call("POST", f"/rooms/{room}/messages", who, {"text": text, **fields}, key or new_id())

    async def said(self, who: Person, room: str, text: str, **fields: Any) -> int:
        """The seq of a message that was taken."""
        status, answer = await self.say(who, room, text, **fields)
        assert status == 201, answer
        return int(answer["seq"])

    async def edit(self, who: Person, room: str, seq: int, text: str, key: str | None = None) -> tuple[int, Any]:
        """`PATCH .../messages/{seq}`."""
        return await self.call("PATCH", f"/rooms/{room}/messages/{seq}", who, {"text": text}, key)

    async def delete(self, who: Person, room: str, seq: int, key: str | None = None) -> tuple[int, Any]:
        """`DELETE .../messages/{seq}`."""
        return await self.call("DELETE", f"/rooms/{room}/messages/{seq}", who, key=key)

    async def react(self, who: Person, room: str, seq: int, emoji: str, on: bool = True) -> tuple[int, Any]:
        """Set a reaction or take it back."""
        path = f"/rooms/{room}/messages/{seq}/reactions"
        if on:
            return await self.call("POST", path, who, {"emoji": emoji})
        return await self.call("DELETE", f"{path}/{quote(emoji)}", who)

    async def remove(self, who: Person, room: str, name: str) -> tuple[int, Any]:
        """`DELETE .../members/{name}`."""
        return await self.call("DELETE", f"/rooms/{room}/members/{quote(name)}", who)

    async def look(self, who: Person, room: str) -> Any:
        """`GET /rooms/{id}`."""
        status, shown = await self.call("GET", f"/rooms/{room}", who)
        assert status == 200, shown
        return shown

    async def items(self, who: Person, room: str, query: str = "") -> list[Any]:
        """The messages of one page of the history."""
        status, page = await self.call("GET", f"/rooms/{room}/messages{query}", who)
        assert status == 200, page
        return list(page["items"])

    async def events(self, who: Person, room: str) -> list[Any]:
        """The room's events; checks that they are dense."""
        status, page = await self.call("GET", f"/streams/room:{room}/events?limit=1000", who)
        assert status == 200, page
        assert [event["seq"] for event in page["events"]] == list(range(1, len(page["events"]) + 1))
        return list(page["events"])

    async def socket(self, who: Person, namespace: str = NAMESPACE) -> Wire:
        """A connection of somebody; closed at the end of the test."""
        wire = await self.wires.enter_async_context(Wire(str(self.http.make_url("/")), "websocket"))
        answer = await wire.connect(namespace, {"token": who.token})
        assert "sid" in answer, answer
        return wire

    async def moderator(self) -> Person:
        """Somebody who keeps order."""
        email = f"{new_id()}@example.com"
        body = {"email": email, "password": PASSWORD, "name": "Warden", "role": "both"}
        _, answer = await self.call("POST", "/auth/register", body=body)
        await self.context.db["users"].update_one({"_id": answer["user"]["id"]}, {"$set": {"moderator": True}})
        _, answer = await self.call("POST", "/auth/login", body={"email": email, "password": PASSWORD})
        return Person(answer["user"]["id"], answer["access_token"], answer["refresh_token"])


@pytest.fixture
async def market(settings: Settings) -> AsyncIterator[Chat]:
    async with opened(settings) as running, AsyncExitStack() as wires:
        chat = Chat(running.context, running.http)
        chat.wires = wires
        yield chat


@pytest.fixture
async def client(market: Chat) -> Person:
    return await market.person("client")


@pytest.fixture
async def ann(market: Chat) -> Person:
    return await market.person("freelancer")


@pytest.fixture
async def bob(market: Chat) -> Person:
    return await market.person("freelancer")


@pytest.fixture
async def eve(market: Chat) -> Person:
    """Has nothing to do with anybody."""
    return await market.person("both")


@pytest.fixture
async def moderator(market: Chat) -> Person:
    return await market.moderator()


@pytest.fixture
async def admin(market: Chat) -> Person:
    return await market.person("both", admin=True)


@pytest.fixture
async def room(market: Chat, client: Person, ann: Person) -> str:
    """The room of the client and ann."""
    return await market.dm(client, ann)
