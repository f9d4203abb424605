"""Rooms of the town under attack: opening them, talking in them, over HTTP and over sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

from tests.attack.town import Person, Reply, Town
from tests.server.realtime.wire import Wire

CHAT: Final = "/chat"
_PATIENCE_S: Final = 20.0
"""Far beyond what an answer takes on a machine that is busy with tests."""


async def room_of(town: Town, who: Person, **body: str) -> str:
    """The id of a room that somebody may have."""
    reply = await town.call("POST", "/rooms", who, json=body)
    assert reply.status == 201, reply.raw
    return str(reply.json["id"])


async def direct(town: Town, client: Person, other: Person) -> str:
    """The room of a client and somebody whom it invites."""
    await town.post(client, visibility="invited", invited=[other.id], auction=None)
    return await room_of(town, client, kind="dm", user=other.id)


async def invited(town: Town, client: Person, *others: Person) -> tuple[str, str]:
    """A job and its room, which all of these have joined."""
    job = await town.post(client, visibility="invited", invited=[other.id for other in others])
    for other in others:
        await room_of(town, other, kind="job", job=job["id"])
    return job["id"], await room_of(town, client, kind="job", job=job["id"])


async def say(town: Town, who: Person, room: str, text: Any = "Well", *, at: int = 0, **fields: Any) -> Reply:
    """Try to say something."""
    body = {"text": text, **fields}
    return await town.call("POST", f"/rooms/{room}/messages", who, json=body, key=town.key(), at=at)


async def said(town: Town, who: Person, room: str, text: str = "Well", **fields: Any) -> int:
    """The seq of something that was said."""
    reply = await say(town, who, room, text, **fields)
    assert reply.status == 201, reply.raw
    return int(reply.json["seq"])


async def removed(town: Town, by: Person, room: str, name: str) -> int:
    """The seq of a member's removal."""
    reply = await town.call("DELETE", f"/rooms/{room}/members/{name.replace(' ', '%20')}", by)
    assert reply.status == 200, reply.raw
    return int(reply.json["seq"])


async def log(town: Town, who: Person, room: str) -> list[dict[str, Any]]:
    """All events of a room, which are dense."""
    events: list[dict[str, Any]] = []
    while True:
        reply = await town.call("GET", f"/streams/room:{room}/events?after={len(events)}", who)
        assert reply.status == 200, reply.raw
        events += reply.json["events"]
        if not reply.json["more"]:
            assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
            return events


@asynccontextmanager
async def chatting(
    town: Town, who: Person, way: str = "websocket", at: int = 0, namespace: str = CHAT
) -> AsyncIterator[Wire]:
    """A client in /chat."""
    async with Wire(town.urls[at], way) as opened:
        answer = await opened.connect(namespace, {"token": who.token})
        assert "sid" in answer, answer
        yield opened


async def ask(client: Wire, event: str, namespace: str = CHAT, **fields: Any) -> dict[str, Any]:
    """The ack of a command."""
    async with asyncio.timeout(_PATIENCE_S):
        return await client.command(event, fields, namespace=namespace)


def refused(ack: Mapping[str, Any], code: str) -> None:
    """Fails unless the ack is negative, with this code, and whole."""
    assert ack["ok"] is False, ack
    assert {"code", "message", "retryable"} <= set(ack["error"]), ack
    assert ack["error"]["code"] == code, ack
    assert "Traceback" not in str(ack)
