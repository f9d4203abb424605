"""While a sealed auction runs, the room of its job tells nobody who bids: not by names, nor by counts, answers or signs of life."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from typing import Any, Final

import pytest

from tests.attack.rooms import ask, chatting, refused, room_of, said, say
from tests.attack.test_confidentiality import without_moving_parts
from tests.attack.town import Person, Town
from tests.waiting import until

DEAF: Final = "http://127.0.0.1:65535/"
_STRAGGLERS_S: Final = 0.3
_BACKGROUND_S: Final = 1.5
"""Longer than followers take to tell people of something."""


@pytest.fixture
async def sealed(town: Town, client: Person) -> dict[str, str]:
    """Ids of a sealed auction, its job and the room, in which nobody but the client is so far."""
    job = await town.post(client, auction=town.terms(format="sealed"))
    room = await room_of(town, client, kind="job", job=job["id"])
    return {"job": job["id"], "auction": job["auction"]["id"], "room": room}


@pytest.fixture
async def bidders(town: Town) -> tuple[Person, Person]:
    """Two who have nothing to do with anybody yet."""
    return await town.person("freelancer"), await town.person("freelancer")


async def seen(town: Town, who: Person, sealed: dict[str, str], people: tuple[Person, ...]) -> dict[str, str]:
    """Everything that chat, inboxes and webhooks answer somebody who wants to know whether these people bid."""
    room, job = sealed["room"], sealed["job"]
    found: dict[str, str] = {}
    paths = [f"/rooms/{room}{rest}" for rest in ("", "/messages", "/presence", "/search?q=fence")]
    paths += [f"/streams/room:{room}", f"/streams/room:{room}/events", "/rooms?limit=100", "/rooms/unread", "/blocks"]
    paths += ["/notifications?limit=100", f"/streams/user:{who.id}", f"/streams/user:{who.id}/events", f"/jobs/{job}"]
    paths += ["/audit", "/moderation/reports", "/moderation/bans", "/webhooks"]
    paths += [f"/users/{other.id}" for other in people]
    hooks = await town.call("GET", "/webhooks", who)
    paths += [f"/webhooks/{hook['id']}/deliveries" for hook in hooks.json["items"]]
    for path in paths:
        reply = await town.call("GET", path, who)
        found[path] = reply.raw.decode()
        if path.endswith("/presence"):  # when they were there last is another matter
            found[path] = json.dumps([item["user"] for item in reply.json["items"]])
    for number, other in enumerate(people):
        probes: list[tuple[str, str, Any]] = [
            ("POST", "/rooms", {"kind": "dm", "user": other.id}),
            ("POST", f"/rooms/{room}/messages", {"text": "x", "mentions": [other.id]}),
            ("DELETE", f"/rooms/{room}/members/{other.id}", None),
            ("GET", f"/streams/user:{other.id}", None),
            ("POST", f"/auctions/{sealed['auction']}/award", {"bidder": other.id}),
        ]
        for method, path, body in probes:
            reply = await town.call(method, path, who, json=body, key=f"probe-{number}")
            assert reply.status >= 400, (path, reply.raw)
            found[f"{method} {path} {number}"] = reply.raw.decode()
    async with chatting(town, who) as socket:
        for fields in ({}, {"after": 0}):
            ack = await ask(socket, "subscribe", stream=f"room:{room}", **fields)
            found[f"subscribe {fields}"] = json.dumps(ack)
        await asyncio.sleep(_STRAGGLERS_S)
        await ask(socket, "unsubscribe", stream=f"room:{room}")
        found["signals"] = json.dumps([event for event in socket.events if event[1] != "presence"])
        found["presence"] = json.dumps([payload["user"] for _, event, payload in socket.events if event == "presence"])
    return found


async def test_nothing_moves_when_sealed_bids_are_placed(
    town: Town, sealed: dict[str, str], client: Person, ann: Person, bidders: tuple[Person, Person]
) -> None:
    """And bidders watch and read the room, without a word: all that the client can ask for is the same before and after."""
    first, second = bidders
    await town.call("POST", "/webhooks", client, json={"url": DEAF, "events": ["bid.submitted"]})
    await said(town, client, sealed["room"], "Which green shall the fence be?")
    await town.bid(ann, sealed["auction"], 95_000)
    await asyncio.sleep(_BACKGROUND_S)
    viewers = {"the client": client, "another bidder": ann}
    before = {name: without_moving_parts(await seen(town, who, sealed, bidders)) for name, who in viewers.items()}
    async with AsyncExitStack() as stack:
        for bidder, amount in ((first, 90_000), (second, 80_000)):
            await town.bid(bidder, sealed["auction"], amount)
            socket = await stack.enter_async_context(chatting(town, bidder, at=1))
            assert (await ask(socket, "subscribe", stream=f"room:{sealed['room']}"))["ok"]
            assert (await ask(socket, "read", room=sealed["room"], seq=2))["ok"]
            assert (await town.call("PUT", f"/rooms/{sealed['room']}/mute", bidder, json={"muted": True})).status == 200
            refused(await ask(socket, "typing", room=sealed["room"], on=True), "FORBIDDEN")
        await asyncio.sleep(_BACKGROUND_S)
        for name, who in viewers.items():
            after = without_moving_parts(await seen(town, who, sealed, bidders))
            different = {where: (text, after[where]) for where, text in before[name].items() if text != after[where]}
            assert not different, name


async def test_guests_stay_guests(
    town: Town, sealed: dict[str, str], client: Person, admin: Person, bidders: tuple[Person, Person]
) -> None:
    """Whatever they do in the room, nobody who is there, keeps order there or follows it elsewhere learns an id or a name."""
    ann, bob = bidders
    room = sealed["room"]
    moderator = await town.person("both", moderator=True)
    for bidder, amount in ((ann, 90_000), (bob, 80_000)):
        await town.bid(bidder, sealed["auction"], amount)
        await room_of(town, bidder, kind="job", job=sealed["job"])
    secrets = {"Ann's id": ann.id, "her address": ann.email, "her session": ann.refresh_token.partition(".")[0]}
    viewers = {"the client": client, "another bidder": bob, "a moderator": moderator, "an admin": admin}
    async with AsyncExitStack() as stack:
        sockets = {
            name: await stack.enter_async_context(chatting(town, who, way, at=at))
            for (name, who), (way, at) in zip(
                viewers.items(), (("websocket", 0), ("polling", 1), ("websocket", 1), ("polling", 0)), strict=True
            )
        }
        for socket in sockets.values():
            assert (await ask(socket, "subscribe", stream=f"room:{room}"))["ok"]
        hers = await stack.enter_async_context(chatting(town, ann, at=1))
        await ask(hers, "subscribe", stream=f"room:{room}")
        asked = await said(town, client, room, "Who are you?")
        assert (await ask(hers, "typing", room=room, on=True))["ok"]
        assert (await ask(hers, "read", room=room, seq=asked))["ok"]
        seq = await said(town, ann, room, "Which green shall the fence be?", reply_to=asked, mentions=[client.id])
        edited = {"text": "Which blue shall the fence be?"}
        assert (await town.call("PATCH", f"/rooms/{room}/messages/{seq}", ann, json=edited)).status == 200
        reaction = await ask(hers, "react", room=room, seq=asked, emoji="👍", on=True, key=town.key())
        assert reaction["ok"]
        gone = await said(town, ann, room, "Never mind")
        assert (await ask(hers, "delete", room=room, seq=gone, key=town.key()))["ok"]
        reported = await town.call(
            "POST", f"/rooms/{room}/reports", bob, json={"messages": [seq, gone], "reason": "other"}
        )
        assert reported.status == 201, reported.raw

        async def told() -> bool:
            return "shall the fence be" in (await town.call("GET", "/notifications?limit=100", client)).raw.decode()

        await until(told)
        await asyncio.sleep(_BACKGROUND_S)
        for name, socket in sockets.items():
            await ask(socket, "sync_time", t0=1)
            heard = json.dumps(socket.events)
            for what, secret in secrets.items():
                assert secret not in heard, f"{name} hears {what}: {heard}"
            for event in ("typing", "receipt", "Which green", "Guest "):
                assert event in heard, (name, event, heard)
    for name, who in viewers.items():
        for where, text in (await seen(town, who, sealed, ())).items():
            for what, secret in secrets.items():
                assert secret not in text, f"{name} finds {what} in {where}: {text[:2000]}"
    entries = await town.call("GET", f"/audit?action=report.made&subject=report:{reported.json['id']}", admin)
    assert bob.id not in entries.raw.decode()


async def test_pseudonyms_are_no_handles_on_people(
    town: Town, sealed: dict[str, str], client: Person, bidders: tuple[Person, Person]
) -> None:
    """By a pseudonym nobody is blocked, banned, written to or found outside the room; by an id nobody is found within."""
    ann, bob = bidders
    room = sealed["room"]
    for bidder, amount in ((ann, 90_000), (bob, 80_000)):
        await town.bid(bidder, sealed["auction"], amount)
    name = (await town.call("POST", "/rooms", ann, json={"kind": "job", "job": sealed["job"]})).json["me"]
    assert name.startswith("Guest ")
    path = name.replace(" ", "%20")
    async with town.unchanged():
        for who in (client, bob):
            (await town.call("POST", "/blocks", who, json={"user": name})).refused("VALIDATION_FAILED")
            (await town.call("POST", "/rooms", who, json={"kind": "dm", "user": name})).refused("VALIDATION_FAILED")
            (await town.call("GET", f"/users/{path}", who)).refused("NOT_FOUND")
            (await town.call("GET", f"/streams/user:{path}", who)).refused("FORBIDDEN")
            (await say(town, who, room, mentions=[ann.id])).refused("VALIDATION_FAILED")
        (await town.call("DELETE", f"/rooms/{room}/members/{ann.id}", client)).refused("NOT_FOUND")
        (await town.call("DELETE", f"/rooms/{room}/members/{path}", bob)).refused("FORBIDDEN")
    assert await said(town, client, room, f"Well, @{name}", mentions=[name])
    again = (await town.call("POST", "/rooms", ann, json={"kind": "job", "job": sealed["job"]})).json["me"]
    assert again == name
    # a guest who is removed does not come back as another
    assert (await town.call("DELETE", f"/rooms/{room}/members/{path}", client)).status == 200
    (await town.call("POST", "/rooms", ann, json={"kind": "job", "job": sealed["job"]})).refused("FORBIDDEN")
    (await say(town, ann, room)).refused("FORBIDDEN")


async def test_a_direct_room_is_no_question_who_bids(
    town: Town, sealed: dict[str, str], client: Person, bidders: tuple[Person, Person]
) -> None:
    """Neither side gets one by a sealed bid, as long as that is secret; nor does blocking tell anything."""
    ann, bob = bidders
    await town.bid(ann, sealed["auction"], 90_000)
    answers = []
    for other in (ann, bob):
        reply = await town.call("POST", "/rooms", client, json={"kind": "dm", "user": other.id})
        problem = reply.refused("FORBIDDEN")
        answers.append({field: value for field, value in problem.items() if field != "request_id"})
        mine = await town.call("POST", "/rooms", other, json={"kind": "dm", "user": client.id})
        mine.refused("FORBIDDEN")
        assert (await town.call("POST", "/blocks", client, json={"user": other.id})).status == 201
        (await town.call("POST", "/rooms", client, json={"kind": "dm", "user": other.id})).refused("BLOCKED")
        assert (await town.call("DELETE", f"/blocks/{other.id}", client)).status == 204
    assert answers[0] == answers[1]


async def test_after_the_close_everybody_in_the_room_goes_by_an_id(town: Town, client: Person) -> None:
    """And not before: the guest's events up to then say nothing, also when they are read afterwards."""
    ann = await town.person("freelancer")
    job = await town.post(client, auction=town.terms(format="sealed", end_at=town.in_seconds(4), reserve_amount=None))
    await town.bid(ann, job["auction"]["id"], 90_000)
    room = await room_of(town, ann, kind="job", job=job["id"])
    async with chatting(town, client, at=1) as socket:
        start = (await ask(socket, "subscribe", stream=f"room:{room}"))["seq"]
        await said(town, ann, room, "Hello")
        events: list[dict[str, Any]] = []
        while not any(event["type"] == "revealed" for event in events):
            events += (await socket.event())["events"]
    assert [event["seq"] for event in events] == list(range(start + 1, start + 1 + len(events)))
    for event in events:
        assert (ann.id in json.dumps(event)) is (event["type"] == "revealed")
    status = (await town.call("GET", f"/auctions/{job['auction']['id']}")).json["status"]
    assert status in ("closed", "awarded")
    assert ann.id in (await town.call("GET", f"/rooms/{room}", client)).raw.decode()
    assert await room_of(town, client, kind="dm", user=ann.id)


async def test_a_cancellation_opens_no_envelope(
    town: Town, sealed: dict[str, str], client: Person, bidders: tuple[Person, Person]
) -> None:
    """A client does not learn who bids by having bids collected and the auction cancelled."""
    ann, bob = bidders
    await town.bid(ann, sealed["auction"], 90_000)
    name = (await town.call("POST", "/rooms", ann, json={"kind": "job", "job": sealed["job"]})).json["me"]
    await said(town, ann, sealed["room"], "Which green?")
    cancelled = await town.call("POST", f"/jobs/{sealed['job']}/cancel", client, json={"reason": "Never mind"})
    assert cancelled.status == 200
    await asyncio.sleep(_BACKGROUND_S)
    for where, text in (await seen(town, client, sealed, (bob,))).items():
        assert ann.id not in text, (where, text)
    for other in (ann, bob):
        (await town.call("POST", "/rooms", client, json={"kind": "dm", "user": other.id})).refused("FORBIDDEN")
    assert (await town.call("POST", "/rooms", ann, json={"kind": "job", "job": sealed["job"]})).json["me"] == name
    shown = (await town.call("GET", f"/auctions/{sealed['auction']}", client)).json
    assert (shown["owner"]["bidders"], shown["bid_count"]) == ({}, None)
