"""Whoever was removed, banned or blocked, or never was there, finds no way in: by no transport, on no instance, at no time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from typing import Any, Final

import aiohttp
import pytest
from yarl import URL

from server.clock import new_id
from tests.attack.rooms import CHAT, ask, chatting, direct, invited, log, refused, removed, room_of, said, say
from tests.attack.town import Person, Reply, Town
from tests.server.realtime.wire import Closed, Wire
from tests.waiting import until

SECRET: Final = "the words that were said behind their back"
_STRAGGLERS_S: Final = 0.3
"""How long to wait for what must not come."""

NAMESPACES: Final = (CHAT, "/bidding", "/notifications")
"""Streams can be watched in each of them."""


async def denied(town: Town, who: Person, room: str, seq: int, code: str = "FORBIDDEN") -> None:
    """Fails unless everything that can be done with a room is refused on every instance; `seq`: one of its messages."""
    base, stream = f"/rooms/{room}", f"/streams/room:{room}"
    message = f"{base}/messages/{seq}"
    calls: list[tuple[str, str, Any]] = [
        *[
            ("GET", base + rest, None)
            for rest in ("", "/messages", "/messages?after=0", "/presence", "/search?q=words")
        ],
        *[
            ("GET", stream + rest, None)
            for rest in ("", "/events", "/events?after=1&wait=1", f"/events?after={seq}&wait=1")
        ],
        ("GET", f"{message}/versions", None),
        ("POST", f"{base}/messages", {"text": "x"}),
        ("POST", f"{base}/messages", {"text": "x", "reply_to": seq}),
        ("PATCH", message, {"text": "x"}),
        ("DELETE", message, None),
        ("POST", f"{message}/reactions", {"emoji": "👍"}),
        ("DELETE", f"{message}/reactions/%F0%9F%91%8D", None),
        ("POST", f"{base}/read", {"seq": seq}),
        ("POST", f"{base}/delivered", {"seq": seq}),
        ("PUT", f"{base}/mute", {"muted": True}),
        ("POST", f"{base}/reports", {"messages": [seq], "reason": "spam"}),
        ("DELETE", f"{base}/members/{who.id}", None),
    ]
    for at in (0, 1):
        for method, path, body in calls:
            key = town.key() if method != "GET" else None
            reply = await town.call(method, path, who, json=body, key=key, at=at)
            assert reply.status >= 400, (method, path, reply.raw)
            assert reply.refused(code), (method, path)
        headers = {"Accept": "text/event-stream", "Last-Event-ID": str(seq)}
        (await town.call("GET", f"{stream}/events", who, headers=headers, at=at)).refused(code)
        for namespace in NAMESPACES:
            async with chatting(town, who, at=at, namespace=namespace) as socket:
                for fields in ({}, {"after": 0}, {"after": seq}):
                    refused(await ask(socket, "subscribe", namespace, stream=f"room:{room}", **fields), code)
        async with chatting(town, who, "polling", at=at) as socket:
            for event, fields in commands(town, seq).items():
                refused(await ask(socket, event, room=room, **fields), code)


def commands(town: Town, seq: int) -> dict[str, dict[str, Any]]:
    """Every command of /chat."""
    return {
        "send": {"text": "x", "key": town.key()},
        "edit": {"seq": seq, "text": "x", "key": town.key()},
        "delete": {"seq": seq, "key": town.key()},
        "react": {"seq": seq, "emoji": "👍", "on": True, "key": town.key()},
        "read": {"seq": seq},
        "delivered": {"seq": seq},
        "typing": {"on": True},
    }


async def test_strangers(town: Town, client: Person, rival: Person, ann: Person, bob: Person) -> None:
    """Also those who are in other rooms with the same people; and of a direct room not even moderators see anything."""
    room = await direct(town, client, ann)
    seq = await said(town, client, room, SECRET)
    await direct(town, client, bob)
    moderator = await town.person("both", moderator=True)
    async with town.unchanged():
        for who in (rival, bob):
            await denied(town, who, room, seq)
            await denied(town, who, new_id(), seq, "NOT_FOUND")
            for path in ("/rooms?limit=100", "/rooms/unread", "/notifications?limit=100"):
                reply = await town.call("GET", path, who)
                assert room not in reply.raw.decode()
                assert SECRET not in reply.raw.decode()
        for path in ("", "/messages", "/search?q=words", "/presence"):
            (await town.call("GET", f"/rooms/{room}{path}", moderator)).refused("FORBIDDEN")
            (await town.call("GET", f"/rooms/{room}{path}")).refused("UNAUTHENTICATED")
        (await town.call("GET", f"/streams/room:{room}/events", moderator)).refused("FORBIDDEN")
        (await town.call("GET", f"/streams/room:{room}/events")).refused("UNAUTHENTICATED")
        async with Wire(town.urls[0], "websocket") as socket:
            assert await socket.connect("/bidding") != {"message": "UNAUTHENTICATED"}
            refused(await ask(socket, "subscribe", "/bidding", stream=f"room:{room}"), "UNAUTHENTICATED")


class Watch:
    """Somebody who watches a room in every way at once, on both instances, and what came of it."""

    def __init__(self, town: Town, who: Person, room: str) -> None:
        self._town, self._who, self._room = town, who, room
        self._exits = AsyncExitStack()
        self.sockets: list[tuple[str, Wire]] = []
        self._tasks: list[asyncio.Task[str]] = []

    async def __aenter__(self) -> Watch:
        for at in (0, 1):
            for way in ("websocket", "polling"):
                for namespace in NAMESPACES:
                    wire = await self._exits.enter_async_context(
                        chatting(self._town, self._who, way, at=at, namespace=namespace)
                    )
                    assert (await ask(wire, "subscribe", namespace, stream=f"room:{self._room}"))["ok"]
                    self.sockets.append((namespace, wire))
            self._tasks.append(asyncio.ensure_future(self._event_source(at)))
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._exits.aclose()

    async def heard(self) -> list[str]:
        """Everything that each of the sockets was sent so far, and the event sources until they were closed."""
        heard = []
        for namespace, wire in self.sockets:
            await ask(wire, "sync_time", namespace, t0=1)
            heard.append(json.dumps(wire.events))
        return heard + [await task for task in self._tasks]

    async def _event_source(self, at: int) -> str:
        received = ""
        url = f"{self._town.urls[at]}/api/v1/streams/room:{self._room}/events"
        headers = {"Accept": "text/event-stream", "Authorization": f"Bearer {self._who.token}"}
        with suppress(aiohttp.ClientPayloadError):
            async with self._town.http.get(url, headers=headers) as answer:
                async for chunk in answer.content.iter_any():
                    received += chunk.decode()
        return received


async def test_whoever_is_removed_hears_of_that_and_of_nothing_more(town: Town, client: Person, bob: Person) -> None:
    ann = await town.person("freelancer")
    job, room = await invited(town, client, ann, bob)
    own = await said(town, ann, room, f"@{bob.id} was here")
    await said(town, client, room)
    kept = town.key()
    body = {"text": "Sent before"}
    assert (await town.call("POST", f"/rooms/{room}/messages", ann, json=body, key=kept)).status == 201
    async with Watch(town, ann, room) as watch, chatting(town, bob) as other:
        await ask(other, "subscribe", stream=f"room:{room}")
        last = await removed(town, client, room, ann.id)
        seq = await said(town, client, room, f"{SECRET} @{ann.id}")
        assert (await ask(other, "typing", room=room, on=True))["ok"]
        assert (await ask(other, "read", room=room, seq=seq))["ok"]
        assert (await ask(other, "react", room=room, seq=own, emoji="🎉", on=True, key=town.key()))["ok"]
        assert (await town.call("GET", f"/rooms/{room}/messages?after={seq - 1}", bob)).json["items"][0].get(
            "mentions"
        ) is None
        await asyncio.sleep(_STRAGGLERS_S)
        for heard in await watch.heard():
            assert "member_removed" in heard, heard
            for secret in (SECRET, "typing", "receipt", "🎉", f'"seq": {last + 1}', f'"seq":{last + 1}'):
                assert secret not in heard, heard
        async with town.unchanged():
            for namespace, socket in watch.sockets:  # on connections that are open still
                for fields in ({}, {"after": 0}, {"after": last}):
                    refused(await ask(socket, "subscribe", namespace, stream=f"room:{room}", **fields), "FORBIDDEN")
                if namespace == CHAT:
                    for event, fields in commands(town, own).items():
                        refused(await ask(socket, event, room=room, **fields), "FORBIDDEN")
    async with town.unchanged():
        await denied(town, ann, room, own)
        (await town.call("POST", "/rooms", ann, json={"kind": "job", "job": job})).refused("FORBIDDEN")
        (await town.call("POST", f"/rooms/{room}/messages", ann, json=body, key=kept)).refused("FORBIDDEN")
        (await say(town, bob, room, mentions=[ann.id])).refused("VALIDATION_FAILED")
        (await town.call("DELETE", f"/rooms/{room}/members/{ann.id}", client)).refused("NOT_FOUND")
        for path in ("/rooms?limit=100", "/rooms/unread", "/notifications?limit=100"):
            assert SECRET not in (await town.call("GET", path, ann)).raw.decode()
        rooms = (await town.call("GET", "/rooms?limit=100", ann)).json["items"]
        assert room not in [item["id"] for item in rooms]
    # a new bid or another invitation is no ticket either
    await town.call("PATCH", f"/jobs/{job}", client, json={"invited": [bob.id]})
    await town.call("PATCH", f"/jobs/{job}", client, json={"invited": [bob.id, ann.id]})
    (await town.call("POST", "/rooms", ann, json={"kind": "job", "job": job})).refused("FORBIDDEN")
    await denied(town, ann, room, own)


async def test_a_slow_reader_is_asked_again(town: Town, client: Person, ann: Person) -> None:
    """Who reads the history as an event source, page by page, may be removed in the middle of it."""
    _, room = await invited(town, client, ann)
    seq = await said(town, client, room)
    await _fill(town, room, seq, 1_100)
    url = URL(town.urls[1])
    reader, writer = await asyncio.open_connection(url.host, url.port, limit=1_024)
    try:
        head = f"GET /api/v1/streams/room:{room}/events HTTP/1.1\r\nHost: {url.host}\r\nAccept: text/event-stream\r\n"
        writer.write(f"{head}Authorization: Bearer {ann.token}\r\n\r\n".encode())
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
        await removed(town, client, room, ann.id)
        await said(town, client, room, SECRET)
        tail = b""
        while chunk := await reader.read(1 << 20):
            tail = (tail + chunk)[-100_000:]
        assert b"id: " in tail  # what was on its way
        assert SECRET.encode() not in tail
    finally:
        writer.close()


async def _fill(town: Town, room: str, seq: int, count: int) -> None:
    """Let a room have so many long messages more, like the one at `seq`, its last."""
    whole = await town.db["events"].find_one({"stream": f"room:{room}", "seq": seq})
    assert whole is not None
    long = {**whole["pub"], "text": "😀" * 4_000}
    more = [
        {**whole, "_id": new_id(), "seq": number, "pub": {**long, "id": new_id()}, "key": new_id(), "cmd": new_id()}
        for number in range(seq + 1, seq + 1 + count)
    ]
    await town.db["events"].insert_many(more)


@pytest.mark.parametrize("way", ["websocket", "polling"])
async def test_a_room_full_of_long_messages_can_be_resumed(town: Town, client: Person, way: str) -> None:
    """Nobody makes a history too heavy for those who take their time to read it, while other rooms go on."""
    ann = await town.person("freelancer")
    room, lively = await direct(town, client, ann), (await invited(town, client, ann))[1]
    seq = await said(town, client, room)
    await _fill(town, room, seq, 600)
    async with chatting(town, ann, way) as socket:
        assert (await ask(socket, "subscribe", stream=f"room:{lively}"))["ok"]
        seqs: list[int] = []
        more = True
        while more:
            number = await socket.start("subscribe", {"stream": f"room:{room}", "after": len(seqs)}, namespace=CHAT)
            for _ in range(3):  # while the page is on its way, and not read
                await said(town, client, lively)
            page = await socket.ack(number, namespace=CHAT)
            assert page["ok"], page
            seqs += [event["seq"] for event in page["events"]]
            more = page["more"]
        assert seqs == list(range(1, seq + 601))
        assert (await ask(socket, "sync_time", t0=1))["ok"]


async def test_removal_of_a_party_ends_a_direct_room_for_it(town: Town, client: Person, admin: Person) -> None:
    """It cannot be opened anew around the removal, from neither side."""
    ann = await town.person("freelancer")
    room = await direct(town, client, ann)
    seq = await said(town, client, room)
    await removed(town, admin, room, ann.id)
    await said(town, client, room, SECRET)
    async with town.unchanged():
        await denied(town, ann, room, seq)
        (await town.call("POST", "/rooms", ann, json={"kind": "dm", "user": client.id})).refused("FORBIDDEN")
    assert await room_of(town, client, kind="dm", user=ann.id) == room
    await denied(town, ann, room, seq)


async def test_the_banned_are_silent_everywhere(town: Town, client: Person, admin: Person) -> None:
    """On open sockets and new ones, on both instances, by whatever makes others hear of them; they may go on reading."""
    loud = await town.person("freelancer")
    room = await direct(town, client, loud)
    job = await town.post(client, visibility="invited", invited=[loud.id])
    seq = await said(town, loud, room)
    async with chatting(town, loud, at=0) as here, chatting(town, loud, at=1) as there, chatting(town, client) as other:
        await ask(other, "subscribe", stream=f"room:{room}")
        for socket in (here, there):  # so that both instances know that there is no ban
            assert (await ask(socket, "typing", room=room, on=True))["ok"]
        assert (await town.call("POST", "/moderation/bans", admin, json={"user": loud.id}, at=0)).status == 201

        async def silent() -> bool:
            """On the other instance, too, which hears of it in a moment."""
            if (await ask(there, "react", room=room, seq=seq, emoji="👎", on=True, key=town.key()))["ok"]:
                return False
            typing = [await ask(socket, "typing", room=room, on=True) for socket in (here, there)]
            return not any(ack["ok"] for ack in typing)

        await until(silent)
        async with town.unchanged():
            for at, socket in ((0, here), (1, there)):
                for event in ("send", "edit", "react", "typing"):
                    refused(await ask(socket, event, room=room, **commands(town, seq)[event]), "FORBIDDEN")
                (await say(town, loud, room, at=at)).refused("FORBIDDEN")
                for body in ({"kind": "dm", "user": client.id}, {"kind": "job", "job": job["id"]}):
                    (await town.call("POST", "/rooms", loud, json=body, at=at)).refused("FORBIDDEN")
                assert (await ask(socket, "subscribe", stream=f"room:{room}"))["ok"]
        assert (await town.call("DELETE", f"/moderation/bans/{loud.id}", admin)).status == 204
        await said(town, loud, room)


async def test_the_blocked_say_nothing_more(town: Town, client: Person) -> None:
    """Either way, from the moment that the block was answered, on both instances; what was said before can be repeated."""
    pest = await town.person("freelancer")
    room = await direct(town, client, pest)
    seq, own = await said(town, pest, room), await said(town, client, room)
    kept = town.key()
    before = {"text": "Before"}
    first = await town.call("POST", f"/rooms/{room}/messages", pest, json=before, key=kept)
    async with chatting(town, pest, at=1) as socket, chatting(town, client) as mine:
        await ask(mine, "subscribe", stream=f"room:{room}")
        assert (await ask(socket, "send", room=room, text="Hello", key=town.key()))["ok"]
        assert (await town.call("POST", "/blocks", client, json={"user": pest.id})).status == 201
        for event in ("send", "edit", "react"):
            refused(await ask(socket, event, room=room, **commands(town, seq)[event]), "BLOCKED")
            refused(await ask(mine, event, room=room, **commands(town, own)[event]), "BLOCKED")
        async with town.unchanged():
            for at in (0, 1):
                for who in (client, pest):
                    (await say(town, who, room, at=at)).refused("BLOCKED")
            (await town.call("POST", "/rooms", pest, json={"kind": "dm", "user": client.id})).refused("BLOCKED")
        again = await town.call("POST", f"/rooms/{room}/messages", pest, json=before, key=kept)
        assert again.json == {**first.json, "replayed": True}
        refused(await ask(socket, "typing", room=room, on=True), "BLOCKED")
        await asyncio.sleep(_STRAGGLERS_S)
        await ask(mine, "sync_time", t0=1)
        assert "typing" not in json.dumps(mine.events)
        # the list of blocks is the blocker's own, and only the blocker ends one
        assert pest.id not in (await town.call("GET", "/blocks?limit=100", pest)).raw.decode()
        assert client.id not in (await town.call("GET", "/blocks?limit=100", pest)).raw.decode()
        assert (await town.call("DELETE", f"/blocks/{client.id}", pest)).status == 204
        assert (await town.call("DELETE", f"/blocks/{pest.id}", pest)).status == 204
        (await say(town, pest, room)).refused("BLOCKED")
        assert (await town.call("DELETE", f"/blocks/{pest.id}", client)).status == 204
        await said(town, pest, room)


async def test_keys_are_everybodys_own(town: Town, client: Person) -> None:
    """Whoever uses another's key says something of its own, and learns nothing of the other's answer."""
    ann = await town.person("freelancer")
    room = await direct(town, client, ann)
    key = town.key()

    async def send(who: Person, text: str) -> Reply:
        return await town.call("POST", f"/rooms/{room}/messages", who, json={"text": text}, key=key)

    first, second = await send(client, "One"), await send(ann, "One")
    assert (first.status, second.status) == (201, 201)
    assert first.json["id"] != second.json["id"]
    assert (await send(client, "One")).json == {**first.json, "replayed": True}
    async with town.unchanged(), chatting(town, client, at=1) as socket:
        (await send(client, "Two")).refused("IDEMPOTENCY_MISMATCH")
        for event in ("edit", "delete", "react"):
            fields = {**commands(town, first.json["seq"])[event], "key": key}
            refused(await ask(socket, event, room=room, **fields), "IDEMPOTENCY_MISMATCH")
        ack = await ask(socket, "send", room=room, text="One", key=key)
        assert ack == {"ok": True, **{name: first.json[name] for name in ("seq", "id", "t")}, "replayed": True}
    assert [event["type"] for event in await log(town, client, room)] == [
        "opened", "member_added", "member_added", "message", "message",
    ]  # fmt: skip


async def test_a_logout_closes_chat_on_every_instance(town: Town, client: Person, ann: Person) -> None:
    room = await direct(town, client, ann)
    mine = await town.login(ann.email)
    async with AsyncExitStack() as stack:
        sockets = [
            await stack.enter_async_context(chatting(town, mine, way, at=at, namespace=namespace))
            for at in (0, 1)
            for way in ("websocket", "polling")
            for namespace in (CHAT, "/notifications")
        ]
        assert (await town.call("POST", "/auth/logout", mine)).status == 204
        for socket in sockets:
            await socket.closing()
        for at in (0, 1):
            (await say(town, mine, room, at=at)).refused("UNAUTHENTICATED")
            async with Wire(town.urls[at], "websocket") as again:
                assert await again.connect(CHAT, {"token": mine.token}) == {"message": "UNAUTHENTICATED"}


# session ids


async def test_session_ids_are_not_guessed(town: Town, client: Person, ann: Person) -> None:
    """Of others' sessions, other instances', none: unknown; and who knows a transport's id still is nobody in it."""
    async with Wire(town.urls[0], "polling") as mine:
        sid = mine.opening["sid"]
        assert sid.startswith("a.")
        answer = await mine.connect(CHAT, {"token": client.token})
        base = sid.partition(".")[2]
        others = [
            f"b.{base}", base, f"A.{base}", f"a..{base}", f"a.{base}x", f"a.{base[:-1]}", "a.", ".", "", answer["sid"],
            f"a.{base}%00", "../a", "$ne", "a" * 5_000, f"a.{base},b.{base}", "é",
        ]  # fmt: skip
        for url in town.urls:
            for forged in others:
                query = {"EIO": "4", "transport": "polling", "sid": forged}
                for method in ("GET", "POST"):
                    async with town.http.request(method, f"{url}/socket.io/", params=query, data="1") as reply:
                        assert reply.status == 400, (forged, reply.status)
                        assert (await reply.json())["message"] == "Session ID unknown"
        assert (await ask(mine, "sync_time", t0=1))["ok"]


async def test_names_of_namespaces_lead_nowhere_else(town: Town, ann: Person) -> None:
    for name in ("/", "/admin", "/chat/", "/Chat", "/chat?token=x", "/../chat", "/metrics", "//chat", "/chat\x00"):
        async with Wire(town.urls[0], "websocket") as socket:
            await socket.send(f"40{name},{json.dumps({'token': ann.token})}")
            with suppress(Closed):
                packet = await socket.receive()
                entered = packet.startswith("40") and name.partition("?")[0] != CHAT
                assert not entered, packet


@pytest.fixture(autouse=True)
async def discreet_logs(town: Town, unharmed: None) -> AsyncIterator[None]:
    """No log has learnt what was said."""
    yield
    for name, child in town.children.items():
        text = child.log.read_text()
        assert SECRET not in text, name
        assert "eyJ" not in text, name
