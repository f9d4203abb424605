"""Inboxes: nobody else's are read, counted or written to, and what is in one's own cannot be had from others by asking."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Final

import orjson
import pytest

from server.clock import new_id
from tests.attack.rooms import CHAT, ask, chatting, direct, invited, log, refused, room_of, said, say
from tests.attack.town import PASSWORD, Person, Town
from tests.server.realtime.wire import Wire
from tests.waiting import until

INBOX: Final = "/notifications"
WAYS: Final = ("websocket", "polling")
SEQS: Final[tuple[Any, ...]] = (-1, 2**53, 1.5, "1", None, True, [1], {"$gt": 0})
_BACKGROUND_S: Final = 2.0
"""Longer than followers take to tell people of something."""


async def told(town: Town, who: Person) -> list[dict[str, Any]]:
    """Somebody's notifications, the newest first."""
    reply = await town.call("GET", "/notifications?limit=100", who)
    assert reply.status == 200, reply.raw
    items: list[dict[str, Any]] = reply.json["items"]
    return items


async def test_inboxes_of_others(town: Town, client: Person, ann: Person, admin: Person) -> None:
    """By every way, for everybody, whether or not there is such a user: the same refusal."""
    moderator = await town.person("both", moderator=True)
    async with town.unchanged():
        for who in (ann, admin, moderator):
            for user in (client.id, new_id(), "x", "system", f"{who.id} ", who.id.upper(), f"{who.id}:"):
                path = f"/streams/user:{user.replace(' ', '%20')}"
                for rest in ("", "/events", "/events?after=0&wait=1"):
                    for accept in ("application/json", "text/event-stream"):
                        headers = {"Accept": accept}
                        (await town.call("GET", path + rest, who, headers=headers, at=1)).refused("FORBIDDEN")
            for namespace in (INBOX, CHAT, "/bidding"):
                async with chatting(town, who, namespace=namespace) as socket:
                    for user in (client.id, new_id()):
                        for fields in ({}, {"after": 0}):
                            ack = await ask(socket, "subscribe", namespace, stream=f"user:{user}", **fields)
                            refused(ack, "FORBIDDEN")
                    assert (await ask(socket, "subscribe", namespace, stream=f"user:{who.id}"))["ok"]
        for path in (f"/streams/user:{client.id}", f"/streams/user:{client.id}/events", "/notifications"):
            (await town.call("GET", path)).refused("UNAUTHENTICATED")
        (await town.call("POST", "/notifications/read", json={"seq": 1})).refused("UNAUTHENTICATED")
        async with Wire(town.urls[0], "websocket") as socket:
            assert await socket.connect(INBOX) == {"message": "UNAUTHENTICATED"}


@pytest.mark.parametrize("way", WAYS)
async def test_reading_what_is_not_there(town: Town, client: Person, way: str) -> None:
    """Ahead of the last one, and seqs that are none; nothing is read by that, on no device."""
    before = (await town.call("GET", f"/streams/user:{client.id}", client)).json
    last = before["seq"]
    async with chatting(town, client, way, at=1, namespace=INBOX) as socket:
        for number, seq in enumerate((*SEQS, last + 1_000, 2**53 - 1), 1_000):
            await socket.send(f"42{INBOX},{number}" + orjson.dumps(["read", {"seq": seq}]).decode())
            refused(await socket.ack(number, namespace=INBOX), "VALIDATION_FAILED")
            reply = await town.call("POST", "/notifications/read", client, json={"seq": seq})
            assert reply.refused("VALIDATION_FAILED")["errors"][0]["loc"] == ["body", "seq"]
        for event, fields in (("send", {"user": client.id}), ("notify", {"kind": "won"}), ("open", {})):
            refused(await ask(socket, event, INBOX, **fields), "UNKNOWN_COMMAND")
    after = (await town.call("GET", f"/streams/user:{client.id}", client)).json
    assert after["state"]["read_to"] == before["state"]["read_to"]


QUERIES: Final = (
    "before=-1", "before=x", "before=1.5", "before=9007199254740992", "limit=0", "limit=101", "limit=x", "cursor=x",
    "cursor=-1", "before=1&cursor=1", "before=%00", "before=%7B%22%24gt%22%3A0%7D", "before=" + "9" * 400, "limit=1&limit=2",
)  # fmt: skip


@pytest.mark.parametrize("query", QUERIES, ids=range(len(QUERIES)))
async def test_queries_that_make_no_sense(town: Town, client: Person, query: str) -> None:
    errors = (await town.call("GET", f"/notifications?{query}", client)).refused("VALIDATION_FAILED")["errors"]
    assert errors[0]["loc"][0] == "query"


async def test_nobody_is_called_twice(town: Town, client: Person) -> None:
    """By naming somebody fifty times in one message, in the text and beside it, edits and reactions."""
    ann = await town.person("freelancer")
    _, room = await invited(town, client, ann)
    seq = await said(town, client, room, f"@{ann.id} " * 100, mentions=[ann.id] * 50)
    for number in range(3):
        body = {"text": f"@{ann.id} again {number}", "mentions": [ann.id]}
        assert (await town.call("PATCH", f"/rooms/{room}/messages/{seq}", client, json=body)).status == 200
        emoji = {"emoji": "👍" if number % 2 else "👎"}
        assert (await town.call("POST", f"/rooms/{room}/messages/{seq}/reactions", client, json=emoji)).status == 200
    last = await said(town, client, room, f"@{ann.id}")

    async def called() -> list[Any]:
        return [item["data"]["message"] for item in await told(town, ann) if item["kind"] == "mention"]

    await until(lambda: _are(called, [last, seq]))
    await asyncio.sleep(_BACKGROUND_S)
    assert await called() == [last, seq]


async def _are(look: Any, wanted: list[Any]) -> bool:
    return bool(await look() == wanted)


async def test_silence_after_a_removal_a_block_and_a_mute(town: Town, client: Person) -> None:
    """Nothing of a room comes to whoever was removed; nothing is told of what was refused."""
    ann, bob = await town.person("freelancer"), await town.person("freelancer")
    _, room = await invited(town, client, ann, bob)
    mine = await direct(town, client, ann)
    assert (await town.call("DELETE", f"/rooms/{room}/members/{ann.id}", client)).status == 200
    assert (await town.call("PUT", f"/rooms/{room}/mute", bob, json={"muted": True})).status == 200
    assert (await town.call("POST", "/blocks", ann, json={"user": client.id})).status == 201
    await said(town, client, room, f"between us, without @{ann.id}")
    (await say(town, client, mine, f"refused @{ann.id}")).refused("BLOCKED")
    (await say(town, client, room, "refused", mentions=[ann.id])).refused("VALIDATION_FAILED")
    (await say(town, client, room, "refused: write to me@example.com")).refused("CONTACT_SHARING")
    named = await said(town, client, room, f"and now @{bob.id}")

    async def heard() -> bool:
        return [item["data"]["message"] for item in await told(town, bob) if item["kind"] != "security"] == [named]

    await until(heard)  # who has muted it is told when it is named; what came before it is not told by now
    for who in (ann, bob):
        text = json.dumps(await told(town, who))
        assert "between us" not in text
        assert "refused" not in text


async def test_what_is_deleted_is_in_no_inbox(town: Town, client: Person) -> None:
    """Neither on a page nor in the stream, whichever of the two was told of first."""
    ann = await town.person("freelancer")
    room = await direct(town, client, ann)
    seqs = [await said(town, client, room, f"a slip, @{ann.id}") for _ in range(10)]
    deletions = [town.call("DELETE", f"/rooms/{room}/messages/{seq}", client, at=seq % 2) for seq in seqs]
    assert {reply.status for reply in await asyncio.gather(*deletions)} == {200}
    last = await said(town, client, room, f"the end, @{ann.id}")

    async def over() -> bool:
        return last in [item["data"].get("message") for item in await told(town, ann)]

    async def gone() -> bool:
        paths = ("/notifications?limit=100", f"/streams/user:{ann.id}/events")
        texts = [(await town.call("GET", path, ann)).raw.decode() for path in paths]
        return not any("slip" in text for text in texts)

    await until(over)
    await until(gone)
    await asyncio.sleep(_BACKGROUND_S)
    assert await gone()


async def test_excerpts_are_short_and_of_one_line(town: Town, client: Person) -> None:
    ann = await town.person("freelancer")
    room = await direct(town, client, ann)
    texts = [
        "😀" * 4_000,
        "line\n" * 800,
        "<img src=x onerror=alert(1)>",
        "a" + "\u0301" * 3_999,
        "\u202egnp.exe\n\n\n.",
    ]
    for text in texts:
        await said(town, client, room, text)

    async def excerpts() -> list[str] | None:
        """Of all messages; that Ann logged in is told of at some time as well."""
        found = [item["data"]["excerpt"] for item in await told(town, ann) if item["kind"] == "message"]
        return found if len(found) == len(texts) else None

    for excerpt in await until(excerpts) or ():
        assert 0 < len(excerpt) <= 140
        assert "\n" not in excerpt


async def test_devices_of_odd_names(town: Town) -> None:
    """A login is told of with what the device calls itself, which may be anything; it is cut short and kept as text."""
    ann = await town.person("freelancer")
    names = (
        "<script>alert(1)</script>",
        '{"$gt": ""}',
        "x" * 7_000,
        "é",
        "%00%0d%0aSet-Cookie: x",
    )
    for name in names:
        body = {"email": ann.email, "password": PASSWORD}
        reply = await town.call("POST", "/auth/login", json=body, headers={"User-Agent": name})
        assert reply.status in (200, 400), reply.raw
    answered = len((await town.call("GET", "/auth/sessions", ann)).json["items"])

    async def all_told() -> bool:
        return sum(item["kind"] == "security" for item in await told(town, ann)) == answered - 1

    await until(all_told)
    for item in await told(town, ann):
        assert len(item["data"]["device"]) <= 300
        assert item["data"]["device"].isprintable()


async def test_a_crowd_is_told_of_a_message_once_each(town: Town, client: Person) -> None:
    """However many say something at once, on both instances: unread counts come out as a recount does."""
    people = [await town.person("freelancer") for _ in range(5)]
    job = await town.post(client, visibility="invited", invited=[person.id for person in people])
    room = await room_of(town, client, kind="job", job=job["id"])
    for person in people:
        await room_of(town, person, kind="job", job=job["id"])
    sends = [say(town, person, room, at=number % 2) for number in range(6) for person in people]
    assert {reply.status for reply in await asyncio.gather(*sends)} == {201}
    messages = {event["seq"] for event in await log(town, client, room) if event["type"] == "message"}

    async def all_told() -> bool:
        items = [item for item in await told(town, client) if item["data"].get("room") == room]
        return len(items) >= len(messages)

    await until(all_told)
    items = [item for item in await told(town, client) if item["data"].get("room") == room]
    assert sorted(item["data"]["message"] for item in items) == sorted(messages)
    for person in people:
        unread = (await town.call("GET", f"/rooms/{room}", person)).json["unread"]
        events = [event for event in await log(town, person, room) if event["type"] == "message"]
        own = max(event["seq"] for event in events if event["user"] == person.id)
        assert unread == sum(event["seq"] > own for event in events if event["user"] != person.id)
        page = (await town.call("GET", "/notifications?limit=100", person)).json
        assert page["unread"] == len(page["items"])
