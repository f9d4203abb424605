"""Who types: told to the others who watch the room, for five seconds, and not too often."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from handlers.chat.typists import Typists
from server.clock import new_id
from server.realtime import Namespace
from tests.handlers.chat.conftest import NAMESPACE, Chat
from tests.handlers.market import Person, opened
from tests.server.realtime.wire import Wire
from tests.waiting import until


@pytest.fixture
def typists(market: Chat) -> Typists:
    """Those of the market's instance, made hasty."""
    namespace: Namespace = next(one for one in market.context.sockets if one.name == NAMESPACE)
    found = next(observer for observer in namespace.observers if isinstance(observer, Typists))
    found._expiry_s, found._interval_s = 0.4, 0.05
    return found


async def watch(market: Chat, who: Person, room: str) -> Wire:
    wire = await market.socket(who)
    assert (await wire.command("subscribe", {"stream": f"room:{room}"}, namespace=NAMESPACE))["ok"]
    return wire


async def types(wire: Wire, room: str, on: bool = True) -> dict[str, Any]:
    return await wire.command("typing", {"room": room, "on": on}, namespace=NAMESPACE)


async def told(wire: Wire, room: str, user: str, on: bool) -> None:
    assert await wire.event("typing") == {"room": room, "user": user, "on": on}


async def silent(wire: Wire) -> None:
    """Nothing of it has come to this client so far."""
    await wire.command("sync_time", {"t0": 1}, namespace=NAMESPACE)
    assert not [event for _, event, _ in wire.events if event == "typing"]


async def test_the_other_is_told_and_not_oneself(market: Chat, room: str, client: Person, ann: Person) -> None:
    there, here, other = (
        await watch(market, client, room),
        await watch(market, ann, room),
        await watch(market, ann, room),
    )
    assert await types(here, room) == {"ok": True}
    await told(there, room, ann.id, True)
    assert await types(here, room, on=False) == {"ok": True}
    await told(there, room, ann.id, False)
    assert await types(here, room, on=False) == {"ok": True}
    for wire in (here, other, there):
        await silent(wire)


async def test_it_ends_by_itself(market: Chat, typists: Typists, room: str, client: Person, ann: Person) -> None:
    there, here = await watch(market, client, room), await market.socket(ann)
    await types(here, room)
    await told(there, room, ann.id, True)
    await told(there, room, ann.id, False)
    await silent(there)
    await until(lambda: (typists._typing, typists._places) == ({}, {}))


async def test_it_ends_with_the_message(market: Chat, room: str, client: Person, ann: Person) -> None:
    there, here = await watch(market, client, room), await market.socket(ann)
    await types(here, room)
    await told(there, room, ann.id, True)
    await here.command("send", {"room": room, "text": "Done", "key": new_id()}, namespace=NAMESPACE)
    await told(there, room, ann.id, False)
    assert (await there.event())["events"][0]["text"] == "Done"


@pytest.mark.parametrize("way", ["disconnect", "unsubscribe"])
async def test_it_ends_with_the_connection(market: Chat, room: str, client: Person, ann: Person, way: str) -> None:
    there, here = await watch(market, client, room), await watch(market, ann, room)
    await types(here, room)
    await told(there, room, ann.id, True)
    if way == "disconnect":
        await here.send("1")
    else:
        await here.command("unsubscribe", {"stream": f"room:{room}"}, namespace=NAMESPACE)
    await told(there, room, ann.id, False)


async def test_it_goes_on_when_one_subscribes_anew(market: Chat, room: str, client: Person, ann: Person) -> None:
    there, here = await watch(market, client, room), await watch(market, ann, room)
    await types(here, room)
    await told(there, room, ann.id, True)
    assert (await here.command("subscribe", {"stream": f"room:{room}"}, namespace=NAMESPACE))["ok"]
    await silent(there)
    assert (await here.command("unsubscribe", {"stream": f"room:{room}"}, namespace=NAMESPACE))["ok"]
    await told(there, room, ann.id, False)


async def test_two_devices_type_until_the_last_one_stops(market: Chat, room: str, client: Person, ann: Person) -> None:
    there, desk, phone = await watch(market, client, room), await market.socket(ann), await market.socket(ann)
    await types(desk, room)
    await types(phone, room)
    await told(there, room, ann.id, True)
    await types(desk, room, on=False)
    await silent(there)
    await types(phone, room, on=False)
    await told(there, room, ann.id, False)


async def test_a_flood_reaches_nobody(market: Chat, room: str, client: Person, ann: Person) -> None:
    there, here = await watch(market, client, room), await market.socket(ann)
    start = asyncio.get_running_loop().time()
    for turn in range(300):
        assert (await types(here, room, on=turn % 3 != 2))["ok"]
    seconds = asyncio.get_running_loop().time() - start
    await there.command("sync_time", {"t0": 1}, namespace=NAMESPACE)
    signals = [payload["on"] for _, event, payload in there.events if event == "typing"]
    assert 1 <= signals.count(True) <= seconds + 1
    assert signals.count(False) <= signals.count(True)


async def test_who_starts_again_at_once_is_told_of_later(
    market: Chat, typists: Typists, room: str, client: Person, ann: Person
) -> None:
    typists._expiry_s = 60
    there, here = await watch(market, client, room), await market.socket(ann)
    for on in (True, False, True):
        await types(here, room, on=on)
        await told(there, room, ann.id, on)


async def test_other_instances_are_told(market: Chat, room: str, client: Person, ann: Person) -> None:
    async with (
        opened(market.context.settings, worker=False) as second,
        Wire(str(second.http.make_url("/")), "websocket") as there,
    ):
        await there.connect(NAMESPACE, {"token": client.token})
        assert (await there.command("subscribe", {"stream": f"room:{room}"}, namespace=NAMESPACE))["ok"]
        here = await market.socket(ann)
        await types(here, room)
        await told(there, room, ann.id, True)
        await here.send("1")
        await told(there, room, ann.id, False)


async def test_pseudonyms_type_as_such(market: Chat, client: Person, ann: Person) -> None:
    job = await market.job(client, ann, format_="sealed")
    room = (await market.join(ann, job))["id"]
    await market.join(client, job)
    there, here = await watch(market, client, room), await market.socket(ann)
    await types(here, room)
    signal = await there.event("typing")
    assert signal["user"].startswith("Guest ")
    assert ann.id not in str(signal)


async def test_who_may_not(market: Chat, room: str, client: Person, ann: Person, eve: Person) -> None:
    there, stranger = await watch(market, client, room), await market.socket(eve)
    for on in (True, False):
        assert (await types(stranger, room, on=on))["error"]["code"] == "FORBIDDEN"
        assert (await types(stranger, new_id(), on=on))["error"]["code"] == "NOT_FOUND"
    moderator = await market.socket(await market.moderator())
    assert (await types(moderator, room))["error"]["code"] == "FORBIDDEN"
    for body in ({}, {"room": room}, {"room": room, "on": 1}, {"room": 5, "on": True}, {"room": "a/b", "on": True}):
        answer = await stranger.command("typing", body, namespace=NAMESPACE)
        assert answer["error"]["code"] == "VALIDATION_FAILED"
    await silent(there)


async def test_the_removed_type_no_more(market: Chat, typists: Typists, client: Person, ann: Person) -> None:
    job = await market.job(client, ann)
    room = (await market.join(ann, job))["id"]
    here = await market.socket(ann)
    assert (await types(here, room))["ok"]
    assert (await market.remove(client, room, ann.id))[0] == 200

    async def refused() -> bool:
        answer = await types(here, room)
        return not answer["ok"] and answer["error"]["code"] == "FORBIDDEN"

    await until(refused)
