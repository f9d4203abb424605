"""Being removed: the last event is one's own removal, and nothing else is ever read again."""

from __future__ import annotations

import asyncio
from typing import Any

from server.settings import Settings
from tests.handlers.chat.conftest import NAMESPACE, Chat
from tests.handlers.market import Person, opened
from tests.waiting import until


async def test_removal_ends_delivery_at_its_seq(market: Chat, client: Person, ann: Person, bob: Person) -> None:
    job = await market.job(client, ann, bob)
    room = (await market.join(client, job))["id"]
    for who in (ann, bob):
        await market.join(who, job)
    here, there = await market.socket(ann), await market.socket(bob)
    for wire in (here, there):
        assert (await wire.command("subscribe", {"stream": f"room:{room}"}, namespace=NAMESPACE))["ok"]
    tasks = [market.say(client, room, f"before {index}") for index in range(20)]
    removal = market.remove(client, room, ann.id)
    tasks += [market.say(client, room, f"after {index}") for index in range(20)]
    *_, (status, removed) = await asyncio.gather(*tasks, removal)
    assert (status, removed["ok"]) == (200, True)
    last = (await market.said(client, room, "the last"), await market.events(client, room))[1]

    async def seen(wire: Any, until_seq: int) -> list[Any]:
        events: list[Any] = []
        while not events or events[-1]["seq"] < until_seq:
            events += (await wire.event())["events"]
        return events

    assert [event["seq"] for event in await seen(there, len(last))] == list(range(5, len(last) + 1))
    theirs = await seen(here, removed["seq"])
    assert [event["seq"] for event in theirs] == list(range(5, removed["seq"] + 1))
    assert theirs[-1] == {**theirs[-1], "type": "member_removed", "user": ann.id, "by": "client"}
    for event, body in (
        ("subscribe", {"stream": f"room:{room}"}),
        ("subscribe", {"stream": f"room:{room}", "after": removed["seq"]}),
        ("send", {"room": room, "text": "x", "key": "k"}),
        ("read", {"room": room, "seq": 1}),
        ("react", {"room": room, "seq": 5, "emoji": "👍", "on": True, "key": "k"}),
    ):
        ack = await here.command(event, body, namespace=NAMESPACE)
        assert (ack["ok"], ack["error"]["code"]) == (False, "FORBIDDEN"), event
    assert not [event for _, event, _ in here.events if event == "events"], "nothing came after the removal"


async def test_a_removed_member_is_out_for_good(market: Chat, client: Person, ann: Person, moderator: Person) -> None:
    job = await market.job(client, ann)
    room = (await market.join(client, job))["id"]
    seq = await market.said(ann, room, "Rude")
    assert (await market.remove(moderator, room, ann.id))[0] == 200
    for method, path, body in (
        ("GET", f"/rooms/{room}", None),
        ("GET", f"/rooms/{room}/messages", None),
        ("GET", f"/streams/room:{room}/events", None),
        ("POST", "/rooms", {"kind": "job", "job": job}),
        ("POST", f"/rooms/{room}/read", {"seq": 1}),
        ("PUT", f"/rooms/{room}/mute", {"muted": True}),
        ("PATCH", f"/rooms/{room}/messages/{seq}", {"text": "x"}),
        ("DELETE", f"/rooms/{room}/messages/{seq}", None),
        ("GET", f"/rooms/{room}/messages/{seq}/versions", None),
        ("GET", f"/rooms/{room}/search?q=rude", None),
    ):
        status, problem = await market.call(method, path, ann, body)
        assert (status, problem["code"]) == (403, "FORBIDDEN"), path
    assert (await market.say(ann, room, "Let me in"))[0] == 403
    _, mine = await market.call("GET", "/rooms", ann)
    assert mine["items"] == []
    assert (await market.events(client, room))[-1]["by"] == "moderator"


async def test_who_may_remove_whom(
    market: Chat, room: str, client: Person, ann: Person, bob: Person, eve: Person, moderator: Person
) -> None:
    job = await market.job(client, ann, bob)
    open_ = (await market.join(client, job))["id"]
    await market.join(ann, job)
    for who, where, name, expected in (
        (ann, open_, client.id, 403),
        (eve, open_, ann.id, 403),
        (bob, open_, ann.id, 403),
        (client, open_, client.id, 403),
        (client, open_, bob.id, 404),  # has not joined
        (client, open_, "Guest aaaaaa", 404),
        (client, room, ann.id, 403),  # in a dm nobody but moderators
        (client, "nowhere", ann.id, 404),
        (client, open_, ann.id, 200),
        (client, open_, ann.id, 404),
        (moderator, room, ann.id, 200),
    ):
        assert (await market.remove(who, where, name))[0] == expected, (name, expected)


async def test_a_member_of_a_hidden_auction_is_removed_by_pseudonym(market: Chat, client: Person, ann: Person) -> None:
    job = await market.job(client, ann, format_="sealed")
    room = (await market.join(client, job))["id"]
    await market.said(ann, room, "Hello")
    name = (await market.look(ann, room))["me"]
    assert (await market.remove(client, room, ann.id))[0] == 404
    status, removed = await market.remove(client, room, name)
    assert status == 200
    event = (await market.events(client, room))[removed["seq"] - 1]
    assert (event["user"], event["by"]) == (name, "client")
    assert (await market.say(ann, room, "Again"))[0] == 403


async def test_the_list_forgets_who_was_removed(market: Chat, room: str, ann: Person, moderator: Person) -> None:
    assert (await market.remove(moderator, room, ann.id))[0] == 200

    async def gone() -> bool:
        return (await market.call("GET", "/rooms", ann))[1]["items"] == []

    await until(gone)


async def test_what_one_instance_decided_holds_on_the_other(
    market: Chat, settings: Settings, client: Person, ann: Person, bob: Person
) -> None:
    """Also where the room is remembered as it was before."""
    job = await market.job(client, ann, bob)
    room = (await market.join(client, job))["id"]
    async with opened(settings, worker=False) as running:
        there = Chat(running.context, running.http)
        assert len((await there.look(client, room))["members"]) == 1
        await market.join(ann, job)
        await market.join(bob, job)
        assert await there.said(ann, room, "I joined over there") == 5
        assert (await there.react(bob, room, 5, "👍"))[0] == 200
        assert (await market.look(client, room))["unread"] == 1
        assert (await market.remove(client, room, ann.id))[0] == 200
        for refused in (
            await there.say(ann, room, "Still here?"),
            await there.react(ann, room, 5, "👍"),
            await there.edit(ann, room, 5, "Still mine"),
            await there.call("GET", f"/rooms/{room}", ann),
        ):
            assert refused[0] == 403
        assert (await there.events(client, room)) == (await market.events(client, room))
