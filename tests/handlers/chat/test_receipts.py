"""Read, delivered, unread, muted."""

from __future__ import annotations

import asyncio
import random
from typing import Any

from tests.handlers.chat.conftest import NAMESPACE, Chat
from tests.handlers.market import Person


async def unread(market: Chat, who: Person) -> Any:
    """`GET /rooms/unread`."""
    status, answer = await market.call("GET", "/rooms/unread", who)
    assert status == 200
    return answer


async def test_receipts_are_told_and_never_go_back(market: Chat, room: str, client: Person, ann: Person) -> None:
    watching = await market.socket(client)
    await watching.command("subscribe", {"stream": f"room:{room}"}, namespace=NAMESPACE)
    reader = await market.socket(ann)
    seqs = [await market.said(client, room, text) for text in "abc"]

    async def mark(event: str, seq: int) -> None:
        assert await reader.command(event, {"room": room, "seq": seq}, namespace=NAMESPACE) == {"ok": True}

    await mark("delivered", seqs[1])
    about = {"room": room, "user": ann.id}
    assert await watching.event("receipt") == {**about, "read_seq": 0, "delivered_seq": seqs[1]}
    await mark("read", seqs[0])
    assert await watching.event("receipt") == {**about, "read_seq": seqs[0], "delivered_seq": seqs[1]}
    await mark("read", seqs[0])
    await mark("delivered", seqs[0])  # neither is news
    assert (await market.call("POST", f"/rooms/{room}/read", ann, {"seq": seqs[2]})) == (200, {"ok": True})
    assert await watching.event("receipt") == {**about, "read_seq": seqs[2], "delivered_seq": seqs[2]}
    await mark("read", seqs[0])
    shown = await market.look(client, room)
    assert shown["receipts"] == [{"user": ann.id, "read_seq": seqs[2], "delivered_seq": seqs[2]}]
    assert (await market.look(ann, room))["read_seq"] == seqs[2]
    assert (await market.call("POST", f"/rooms/{room}/delivered", ann, {"seq": seqs[2]}))[0] == 200


async def test_nobody_reads_ahead(market: Chat, room: str, ann: Person) -> None:
    for path in ("read", "delivered"):
        for body in ({"seq": 4}, {"seq": 0}, {"seq": -1}, {"seq": "3"}, {"seq": 2**53}, {}):
            status, problem = await market.call("POST", f"/rooms/{room}/{path}", ann, body)
            assert (status, problem["code"]) == (422, "VALIDATION_FAILED")
    assert await market.context.db["memberships"].count_documents({}) == 0


async def test_unread_counts_equal_a_recount(market: Chat, client: Person, ann: Person, bob: Person) -> None:
    chance = random.Random(7)
    rooms = [await market.dm(client, ann), await market.dm(client, bob)]
    job = await market.job(client, ann, bob)
    rooms.append((await market.join(client, job))["id"])
    people = {rooms[0]: [client, ann], rooms[1]: [client, bob], rooms[2]: [client, ann, bob]}
    read: dict[tuple[str, str], int] = {}
    for step in range(120):
        room = chance.choice(rooms)
        who = chance.choice(people[room])
        seq = await market.said(who, room, f"message {step}")
        reader = chance.choice(people[room])
        if chance.random() < 0.3:
            upto = chance.randint(1, seq)
            assert (await market.call("POST", f"/rooms/{room}/read", reader, {"seq": upto}))[0] == 200
            read[room, reader.id] = max(upto, read.get((room, reader.id), 0))
        if chance.random() < 0.2:
            await market.delete(who, room, seq)
    total: dict[str, dict[str, int]] = {}
    for room in rooms:
        events = await market.events(client, room)
        deleted = {event["message"] for event in events if event["type"] == "deleted"}
        messages = [event for event in events if event["type"] == "message"]
        for who in people[room]:
            own = max((event["seq"] for event in messages if event["user"] == who.id), default=0)
            after = max(own, read.get((room, who.id), 0))
            count = sum(event["seq"] > after and event["seq"] not in deleted for event in messages)
            assert (await market.look(who, room))["unread"] == count
            if count:
                total.setdefault(who.id, {})[room] = count
    for who in (client, ann, bob):
        answer = await unread(market, who)
        assert {room["id"]: room["unread"] for room in answer["rooms"]} == total.get(who.id, {})
        assert answer["total"] == sum(total.get(who.id, {}).values())


async def test_two_devices_at_once(market: Chat, room: str, client: Person, ann: Person) -> None:
    seqs = [await market.said(client, room, str(index)) for index in range(10)]
    marks = [market.call("POST", f"/rooms/{room}/read", ann, {"seq": seq}) for seq in seqs]
    marks += [market.call("POST", f"/rooms/{room}/delivered", ann, {"seq": seq}) for seq in seqs]
    assert {status for status, _ in await asyncio.gather(*marks)} == {200}
    shown = await market.look(ann, room)
    assert (shown["read_seq"], shown["delivered_seq"], shown["unread"]) == (seqs[-1], seqs[-1], 0)


async def test_muting(market: Chat, room: str, client: Person, ann: Person, eve: Person) -> None:
    await market.said(client, room, "Hello")
    for muted in (True, True, False, True):
        assert await market.call("PUT", f"/rooms/{room}/mute", ann, {"muted": muted}) == (
            200,
            {"ok": True, "muted": muted},
        )
        assert (await market.look(ann, room))["muted"] is muted
    assert (await unread(market, ann)) == {"total": 1, "rooms": [{"id": room, "unread": 1, "muted": True}]}
    assert (await market.look(client, room))["muted"] is False
    assert (await market.call("PUT", f"/rooms/{room}/mute", ann, {"muted": 1}))[0] == 422
    assert (await market.call("PUT", f"/rooms/{room}/mute", eve, {"muted": True}))[0] == 403
