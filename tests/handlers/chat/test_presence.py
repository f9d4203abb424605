"""Who of a room is there: over sockets and HTTP. How it works is tested in tests/server/realtime/test_presence.py."""

from __future__ import annotations

from typing import Any

import pytest

from server.clock import new_id
from server.realtime.attendance import attendance
from server.settings import Settings
from tests.handlers.chat.conftest import NAMESPACE, Chat
from tests.handlers.market import Person, opened
from tests.server.realtime.wire import Wire
from tests.waiting import until


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"presence_grace_s": 0.0})


async def watch(market: Chat, who: Person, room: str) -> Wire:
    wire = await market.socket(who)
    assert (await wire.command("subscribe", {"stream": f"room:{room}"}, namespace=NAMESPACE))["ok"]
    return wire


async def presence(market: Chat, who: Person, room: str) -> dict[str, Any]:
    """By user."""
    status, answer = await market.call("GET", f"/rooms/{room}/presence", who)
    assert status == 200, answer
    return {item["user"]: item for item in answer["items"]}


async def test_members_of_a_room_see_each_other_come_and_go(
    market: Chat, room: str, client: Person, ann: Person, eve: Person
) -> None:
    here = await watch(market, client, room)
    assert await here.event("presence") == {"user": ann.id, "online": False, "last_seen": None}
    await market.socket(eve)  # is in no room of theirs
    there = await market.socket(ann)
    assert await here.event("presence") == {"user": ann.id, "online": True, "last_seen": None}
    seen = await presence(market, ann, room)
    assert {user: one["online"] for user, one in seen.items()} == {client.id: True, ann.id: True}
    await there.send("1")
    gone = await here.event("presence")
    assert (gone["user"], gone["online"]) == (ann.id, False)
    assert gone["last_seen"].endswith("Z")
    assert (await presence(market, client, room))[ann.id] == gone


async def test_whoever_is_on_another_instance_is_online(market: Chat, room: str, client: Person, ann: Person) -> None:
    here = await watch(market, client, room)
    await here.event("presence")
    async with (
        opened(market.context.settings, worker=False) as second,
        Wire(str(second.http.make_url("/")), "websocket") as there,
    ):
        await there.connect(NAMESPACE, {"token": ann.token})
        assert (await here.event("presence"))["online"] is True
        assert (await presence(market, client, room))[ann.id]["online"] is True


async def test_connections_elsewhere_do_not_count(market: Chat, room: str, client: Person, ann: Person) -> None:
    await market.socket(ann, "/bidding")
    here = await watch(market, client, room)
    assert (await here.event("presence"))["online"] is False
    assert (await presence(market, client, room))[ann.id]["online"] is False


async def test_nothing_is_told_of_pseudonyms(market: Chat, client: Person, bob: Person) -> None:
    job = await market.job(client, format_="sealed", invited=[bob.id], visibility="invited")
    room = (await market.join(client, job))["id"]
    await market.join(bob, job)
    await market.socket(bob)
    here = await watch(market, client, room)
    assert list(await presence(market, client, room)) == [client.id]
    there = await watch(market, bob, room)
    assert (await there.event("presence"))["user"] == client.id
    await here.command("sync_time", {"t0": 1}, namespace=NAMESPACE)
    assert not [event for _, event, _ in here.events if event == "presence"]
    assert list(await presence(market, bob, room)) == [client.id]


async def test_who_may_not_know(market: Chat, room: str, eve: Person, moderator: Person) -> None:
    for who, status in ((None, 401), (eve, 403), (moderator, 403)):
        assert (await market.call("GET", f"/rooms/{room}/presence", who))[0] == status
    assert (await market.call("GET", f"/rooms/{new_id()}/presence", eve))[0] == 404


async def test_who_attends_a_room(market: Chat, room: str, client: Person, ann: Person) -> None:
    context, stream = market.context, f"room:{room}"

    async def is_now(*people: Person) -> bool:
        now = context.clock.now()
        known = await attendance(context.redis, stream)
        return {user for user, until_ms in known.items() if until_ms > now} == {person.id for person in people}

    assert await is_now()
    await market.socket(client)
    wire = await watch(market, ann, room)
    await until(lambda: is_now(ann))
    await wire.command("unsubscribe", {"stream": stream}, namespace=NAMESPACE)
    await until(is_now)
