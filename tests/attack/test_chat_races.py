"""Two instances, and people who do things at the same time on both of them: one order, and nothing twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any, Final

from tests.attack.rooms import ask, chatting, direct, invited, log, removed, room_of, said, say
from tests.attack.town import Person, Reply, Town
from tests.waiting import until

_TIMES: Final = 12


async def test_both_open_the_same_room(town: Town, client: Person) -> None:
    """From both sides, on both instances, many times at once: there is one."""
    people = [await town.person("freelancer") for _ in range(4)]
    for other in people:
        await town.post(client, visibility="invited", invited=[other.id], auction=None)
        asked = [
            town.call("POST", "/rooms", who, json={"kind": "dm", "user": whom.id}, at=at)
            for who, whom in ((client, other), (other, client))
            for at in (0, 1)
            for _ in range(3)
        ]
        replies = await asyncio.gather(*asked)
        assert {reply.status for reply in replies} == {201}
        [room] = {reply.json["id"] for reply in replies}
        assert [event["type"] for event in await log(town, other, room)] == ["opened", "member_added", "member_added"]
    assert await town.db["rooms"].count_documents({"kind": "dm", "members": people[0].id}) == 1


async def test_somebody_joins_twice(town: Town, client: Person) -> None:
    """By asking for the room and by saying something, on both instances: one member, and one pseudonym."""
    job = await town.post(client, auction=town.terms(format="sealed"))
    room = await room_of(town, client, kind="job", job=job["id"])
    ann = await town.person("freelancer")
    await town.bid(ann, job["auction"]["id"], 90_000)
    asked = [town.call("POST", "/rooms", ann, json={"kind": "job", "job": job["id"]}, at=at) for at in (0, 1, 0, 1)]
    spoken = [say(town, ann, room, at=at) for at in (0, 1, 0, 1)]
    replies = await asyncio.gather(*asked, *spoken)
    assert {reply.status for reply in replies} == {201}
    events = await log(town, ann, room)
    assert Counter(event["type"] for event in events) == {"opened": 1, "member_added": 2, "message": 4}
    assert len({event["user"] for event in events if event["type"] == "message"}) == 1


async def test_one_message_sent_everywhere(town: Town, client: Person) -> None:
    """The same key on sockets and over HTTP, on both instances: one event, one answer."""
    ann = await town.person("freelancer")
    room = await direct(town, client, ann)
    async with chatting(town, ann) as here, chatting(town, ann, "polling", at=1) as there:
        for number in range(_TIMES):
            key, text = town.key(), f"Number {number}"
            path = f"/rooms/{room}/messages"
            posted = [town.call("POST", path, ann, json={"text": text}, key=key, at=at) for at in (0, 1)]
            sent = [ask(socket, "send", room=room, text=text, key=key) for socket in (here, there)]
            answers = await asyncio.gather(*posted, *sent)
            acks: list[dict[str, Any]] = [each.json if isinstance(each, Reply) else each for each in answers]
            assert all(ack["ok"] for ack in acks), acks
            assert len({(ack["seq"], ack["id"], ack["t"]) for ack in acks}) == 1
            assert sum("replayed" not in ack for ack in acks) == 1
    texts = [event["text"] for event in await log(town, ann, room) if event["type"] == "message"]
    assert texts == [f"Number {number}" for number in range(_TIMES)]


async def _chatter(town: Town, who: Person, room: str, at: int, kept: list[Reply]) -> Reply:
    """Say something again and again until it is refused; the refusal."""
    while True:
        reply = await say(town, who, room, at=at)
        if reply.status != 201:
            return reply
        kept.append(reply)


async def test_removed_while_talking(town: Town, client: Person) -> None:
    """What was acknowledged came before the removal, and is there; nothing comes after it."""
    ann = await town.person("freelancer")
    _, room = await invited(town, client, ann)
    kept: list[Reply] = []
    talking = [asyncio.ensure_future(_chatter(town, ann, room, at, kept)) for at in (0, 1, 0, 1)]
    await until(lambda: len(kept) >= _TIMES)
    last = await removed(town, client, room, ann.id)
    for refusal in await asyncio.gather(*talking):
        refusal.refused("FORBIDDEN")
    said_by_her = [event["seq"] for event in await log(town, client, room) if event["type"] == "message"]
    assert said_by_her == sorted(reply.json["seq"] for reply in kept)
    assert said_by_her[-1] < last


async def test_blocked_while_talking(town: Town, client: Person) -> None:
    """Whatever is begun after the block was answered is refused on both instances; what was acknowledged is there, once."""
    pest = await town.person("freelancer")
    room = await direct(town, client, pest)
    kept: list[Reply] = []
    talking = [asyncio.ensure_future(_chatter(town, pest, room, at, kept)) for at in (0, 1, 0, 1)]
    await until(lambda: len(kept) >= _TIMES)
    assert (await town.call("POST", "/blocks", client, json={"user": pest.id})).status == 201
    begun_after = await asyncio.gather(*[say(town, pest, room, "After", at=at) for at in (0, 1) for _ in range(_TIMES)])
    for refusal in (*begun_after, *await asyncio.gather(*talking)):
        refusal.refused("BLOCKED")
    messages = [event for event in await log(town, client, room) if event["type"] == "message"]
    assert [event["seq"] for event in messages] == sorted(reply.json["seq"] for reply in kept)


async def test_edited_while_it_is_deleted(town: Town, client: Person) -> None:
    """Nothing is edited after its deletion, and of no version a word can be read any more, wherever it is asked for."""
    ann = await town.person("freelancer")
    room = await direct(town, client, ann)
    seqs = [await said(town, ann, room, f"secret {number}") for number in range(_TIMES)]

    async def edit(seq: int, number: int) -> Reply:
        path, body = f"/rooms/{room}/messages/{seq}", {"text": f"secret {seq} again {number}"}
        return await town.call("PATCH", path, ann, json=body, at=number % 2)

    async def fight(seq: int) -> None:
        edits = [edit(seq, number) for number in range(4)]
        deletions = [town.call("DELETE", f"/rooms/{room}/messages/{seq}", ann, at=at) for at in (0, 1)]
        replies = await asyncio.gather(*edits, *deletions)
        assert sorted(reply.status for reply in replies[4:]) == [200, 409]
        assert {reply.status for reply in replies[:4]} <= {200, 409}

    await asyncio.gather(*[fight(seq) for seq in seqs])
    events = await log(town, client, room)
    deleted = {event["message"]: event["seq"] for event in events if event["type"] == "deleted"}
    assert set(deleted) == set(seqs)
    assert all(event["seq"] < deleted[event["message"]] for event in events if event["type"] == "edited")

    async def gone() -> bool:
        paths = [f"/rooms/{room}", f"/rooms/{room}/messages?limit=100", f"/streams/room:{room}/events", "/rooms"]
        paths += [f"/streams/room:{room}", f"/rooms/{room}/search?q=secret"]
        texts = [(await town.call("GET", path, client, at=at)).raw.decode() for path in paths for at in (0, 1)]
        return not any("secret" in text for text in texts)

    await until(gone)


async def test_read_everywhere_at_once(town: Town, client: Person) -> None:
    """Marks only grow, whichever device is last."""
    ann = await town.person("freelancer")
    room = await direct(town, client, ann)
    last = [await said(town, ann, room) for _ in range(_TIMES)][-1]
    marks = [
        town.call("POST", f"/rooms/{room}/{what}", client, json={"seq": seq}, at=seq % 2)
        for seq in reversed(range(1, last + 1))
        for what in ("read", "delivered")
    ]
    assert {reply.status for reply in await asyncio.gather(*marks)} == {200}
    shown = (await town.call("GET", f"/rooms/{room}", client)).json
    assert (shown["read_seq"], shown["delivered_seq"], shown["unread"]) == (last, last, 0)


async def test_two_moderators_decide_at_once(town: Town, client: Person) -> None:
    """One of them does, and that is what happens."""
    wardens = [await town.person("both", moderator=True) for _ in range(2)]
    ann = await town.person("freelancer")
    room = await direct(town, client, ann)
    seq = await said(town, ann, room, "Fool")
    body = {"messages": [seq], "reason": "abuse"}
    report = (await town.call("POST", f"/rooms/{room}/reports", client, json=body, key=town.key())).json["id"]
    path = f"/moderation/reports/{report}/resolve"
    actions = ("none", "remove_messages", "remove_member")
    replies = await asyncio.gather(
        *[
            town.call("POST", path, who, json={"action": action}, at=at)
            for action in actions
            for at, who in enumerate(wardens)
        ]
    )
    assert sorted(reply.status for reply in replies) == [200, 409, 409, 409, 409, 409]
    [decided] = [reply.json["resolution"] for reply in replies if reply.status == 200]
    types = {event["type"] for event in await log(town, client, room)}
    assert ("deleted" in types) is (decided["action"] == "remove_messages")
    assert ("member_removed" in types) is (decided["action"] == "remove_member")
    entries = {"subject": f"report:{report}", "action": "report.resolved"}
    assert await town.db["audit"].count_documents(entries) == 1


async def test_one_webhook_too_many_at_once(town: Town) -> None:
    """However many are made at the same time, there are not more than may be."""
    greedy = await town.person("client")
    body = {"url": "http://127.0.0.1:65535/", "events": ["job.created"]}
    replies = await asyncio.gather(
        *[town.call("POST", "/webhooks", greedy, json=body, key=town.key(), at=number % 2) for number in range(40)]
    )
    for reply in replies:
        assert reply.status == 201 or reply.refused("QUOTA_EXCEEDED")
    assert await town.db["webhooks"].count_documents({"owner": greedy.id}) <= 20
    key = town.key()
    another = await town.person("client")
    same = await asyncio.gather(
        *[town.call("POST", "/webhooks", another, json=body, key=key, at=at) for at in (0, 1, 0, 1)]
    )
    assert len({reply.raw for reply in same}) == 1
    assert await town.db["webhooks"].count_documents({"owner": another.id}) == 1
