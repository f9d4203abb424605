"""Saying something, changing it, taking it back, reacting: over REST and sockets, once per key."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from handlers.chat.redaction import Redaction
from models.rules.room.rules import ROOM_RULES
from server.clock import new_id
from tests.handlers.chat.conftest import NAMESPACE, Chat
from tests.handlers.market import Person
from tests.waiting import until


async def test_a_message_is_an_event_and_an_item(market: Chat, room: str, client: Person, ann: Person) -> None:
    status, answer = await market.say(client, room, "Hello\n\tthere 👋")
    assert status == 201
    assert set(answer) == {"ok", "seq", "id", "t"}
    assert answer["ok"] is True
    event = (await market.events(ann, room))[-1]
    said = {"id": answer["id"], "user": client.id, "text": "Hello\n\tthere 👋", "type": "message"}
    assert event == {**said, "seq": answer["seq"], "t": answer["t"]}
    assert await market.items(ann, room) == [event]


async def test_the_same_key_says_it_once(market: Chat, room: str, client: Person, ann: Person) -> None:
    first = await market.say(client, room, "Once", key="k-1")
    again = await market.say(client, room, "Once", key="k-1", attachments=[])
    assert again == (201, {**first[1], "replayed": True})
    status, problem = await market.say(client, room, "Twice", key="k-1")
    assert (status, problem["code"]) == (409, "IDEMPOTENCY_MISMATCH")
    assert (await market.say(ann, room, "Once", key="k-1"))[1]["seq"] == first[1]["seq"] + 1  # a key is one's own
    wire = await market.socket(client)
    ack = await wire.command("send", {"room": room, "text": "Once", "key": "k-1"}, namespace=NAMESPACE)
    assert ack == {"ok": True, **{name: first[1][name] for name in ("seq", "id", "t")}, "replayed": True}
    assert [item["text"] for item in await market.items(client, room)] == ["Once", "Once"]


async def test_a_key_is_needed(market: Chat, room: str, client: Person) -> None:
    status, problem = await market.call("POST", f"/rooms/{room}/messages", client, {"text": "Hello"})
    assert (status, problem["code"]) == (422, "VALIDATION_FAILED")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"text": ""},
        {"text": " \n\t "},
        {"text": "\u200b\u2060"},
        {"text": "x" * 4_001},
        {"text": "bell\x07"},
        {"text": "return\r\n"},
        {"text": "next\x85line"},
        {"text": 5},
        {"text": None},
        {"text": "file", "attachments": [{"id": "x"}]},
        {"text": "who", "mentions": ["nobody"]},
        {"text": "who", "mentions": "nobody"},
        {"text": "who", "mentions": ["x"] * 51},
        {"text": "answer", "reply_to": 0},
        {"text": "answer", "reply_to": "1"},
        {"text": "answer", "reply_to": 2**53},
    ],
)
async def test_what_cannot_be_said(market: Chat, room: str, client: Person, body: dict[str, Any]) -> None:
    before = await market.events(client, room)
    status, problem = await market.call("POST", f"/rooms/{room}/messages", client, body, new_id())
    assert (status, problem["code"]) == (422, "VALIDATION_FAILED")
    assert problem["errors"]
    wire = await market.socket(client)
    ack = await wire.command("send", {"room": room, "key": new_id(), **body}, namespace=NAMESPACE)
    assert (ack["ok"], ack["error"]["code"]) == (False, "VALIDATION_FAILED")
    assert await market.events(client, room) == before


async def test_the_longest_text_is_kept_as_it_is(market: Chat, room: str, client: Person) -> None:
    text = "  " + "é" * 3_996 + " \n"
    await market.said(client, room, text)
    assert (await market.items(client, room))[0]["text"] == text


async def test_a_surrogate_alone_harms_nobody(market: Chat, room: str, client: Person, ann: Person) -> None:
    raw = b'{"text": "half \\ud83d"}'
    headers = {"Authorization": f"Bearer {client.token}", "Idempotency-Key": "k", "Content-Type": "application/json"}
    url = f"/api/v1/rooms/{room}/messages"
    async with market.http.post(url, data=raw, headers=headers) as response:
        assert response.status == 400
    assert (await market.say(ann, room, "Still here"))[0] == 201


async def test_an_answer_names_what_it_answers(market: Chat, room: str, client: Person, ann: Person) -> None:
    question = await market.said(client, room, "When?")
    await market.said(ann, room, "Now", reply_to=question)
    assert (await market.items(client, room))[-1]["reply_to"] == question
    for seq in (1, question + 50):  # no message, nothing at all
        status, problem = await market.say(ann, room, "To what?", reply_to=seq)
        assert (status, problem["code"]) == (404, "NOT_FOUND")
    await market.delete(client, room, question)
    status, problem = await market.say(ann, room, "Too late", reply_to=question)
    assert (status, problem["code"]) == (409, "CONFLICT")


async def test_mentions_are_members(market: Chat, room: str, client: Person, ann: Person, eve: Person) -> None:
    text = f"@{ann.id} and @{eve.id}, mail@{ann.id}x"
    await market.said(client, room, text)
    await market.said(client, room, "Look, Ann", mentions=[ann.id, ann.id])
    await market.said(client, room, f"Nobody: {ann.id}")
    assert [item.get("mentions") for item in await market.items(ann, room)] == [[ann.id], [ann.id], None]


async def test_an_edit_keeps_the_versions(market: Chat, room: str, client: Person, ann: Person, eve: Person) -> None:
    seq = await market.said(client, room, "One")
    assert await market.edit(client, room, seq, "Two") == (200, {"ok": True, "seq": seq + 1})
    assert await market.edit(client, room, seq, f"Three @{ann.id}", key="e") == (200, {"ok": True, "seq": seq + 2})
    again = await market.edit(client, room, seq, f"Three @{ann.id}", key="e")
    assert again == (200, {"ok": True, "seq": seq + 2, "replayed": True})
    item = (await market.items(ann, room))[0]
    assert (item["text"], item["mentions"]) == (f"Three @{ann.id}", [ann.id])
    assert item["edited_at"] >= item["t"]
    path = f"/rooms/{room}/messages/{seq}/versions"
    _, versions = await market.call("GET", path, client)
    assert [version["text"] for version in versions["items"]] == ["One", "Two", f"Three @{ann.id}"]
    assert [version["seq"] for version in versions["items"]] == [seq, seq + 1, seq + 2]
    for other in (ann, eve):
        assert (await market.call("GET", path, other))[0] == 403
    assert (await market.call("GET", f"/rooms/{room}/messages/999/versions", client))[0] == 404


async def test_who_may_change_a_message(
    market: Chat, room: str, client: Person, ann: Person, eve: Person, moderator: Person
) -> None:
    seq = await market.said(client, room, "Mine")
    for other in (ann, eve, moderator):
        assert (await market.edit(other, room, seq, "Yours"))[1]["code"] == "FORBIDDEN"
    for other in (ann, eve):
        assert (await market.delete(other, room, seq))[1]["code"] == "FORBIDDEN"
    assert (await market.edit(client, room, 999, "What"))[1]["code"] == "NOT_FOUND"
    assert (await market.edit(client, room, 1, "Not a message"))[1]["code"] == "NOT_FOUND"
    for forged in ("x", "-1", "1.0", "9" * 30):
        assert (await market.call("DELETE", f"/rooms/{room}/messages/{forged}", client))[0] == 404
    assert (await market.edit(client, room, seq, "  "))[1]["code"] == "VALIDATION_FAILED"
    assert [event["type"] for event in await market.events(client, room)][-1] == "message"


async def test_a_deleted_message_is_a_tombstone(market: Chat, room: str, client: Person, ann: Person) -> None:
    seq = await market.said(client, room, f"Secret @{ann.id}")
    await market.react(ann, room, seq, "👍")
    status, answer = await market.delete(client, room, seq, key="d")
    assert (status, answer) == (200, {"ok": True, "seq": seq + 2})
    assert (await market.delete(client, room, seq, key="d"))[1] == {**answer, "replayed": True}
    item = (await market.items(ann, room))[0]
    assert (item["text"], item["deleted"]) == ("", "author")
    assert not {"reactions", "mentions"} & item.keys()
    for status, problem in (
        await market.delete(client, room, seq),
        await market.edit(client, room, seq, "Back"),
        await market.react(ann, room, seq, "👍"),
    ):
        assert (status, problem["code"]) == (409, "CONFLICT")


@pytest.mark.parametrize("by_follower", [False, True])
async def test_nobody_reads_on_what_was_deleted(
    market: Chat, room: str, client: Person, ann: Person, by_follower: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not by resuming from before it either; the author and those who keep order still have the versions."""
    if by_follower:  # the instance that appended it died before it could do more

        async def dies(*_: object) -> None:
            return None

        monkeypatch.setattr(Redaction, "react", dies)
    other = await market.said(client, room, "$pub.text stays")
    seq = await market.said(client, room, "first secret")
    await market.edit(client, room, seq, "second secret")
    await market.react(ann, room, seq, "👍")
    before = await market.context.streams.read(f"room:{room}")
    await market.delete(client, room, seq)

    async def gone() -> bool:
        return "secret" not in str(await market.events(ann, room))

    await until(gone)
    events = await market.events(ann, room)
    assert [event["type"] for event in events[seq - 1 :]] == ["message", "edited", "reaction", "deleted"]
    assert [event["seq"] for event in events[:-1]] == [event.seq for event in before]
    assert events[other - 1]["text"] == "$pub.text stays"
    _, versions = await market.call("GET", f"/rooms/{room}/messages/{seq}/versions", client)
    assert [version["text"] for version in versions["items"]] == ["first secret", "second secret"]
    replayed = ROOM_RULES.initial()
    for event in await market.context.streams.read(f"room:{room}"):
        ROOM_RULES.apply(replayed, event)
    assert replayed == (await market.context.streams.current(f"room:{room}")).state


async def test_a_moderator_deletes_in_any_room(market: Chat, room: str, client: Person, moderator: Person) -> None:
    seq = await market.said(client, room, "Rude")
    wire = await market.socket(moderator)
    ack = await wire.command("delete", {"room": room, "seq": seq, "key": "m"}, namespace=NAMESPACE)
    assert ack == {"ok": True, "seq": seq + 1}
    event = (await market.events(client, room))[-1]
    assert (event["by"], event["message"]) == ("moderator", seq)
    assert moderator.id not in str(event)
    assert (await market.items(client, room))[0]["deleted"] == "moderator"
    stored = await market.context.db["events"].find_one({"stream": f"room:{room}", "seq": seq + 1})
    assert stored is not None
    assert stored["prv"] == {"actor": moderator.id}


async def test_reactions(market: Chat, room: str, client: Person, ann: Person) -> None:
    seq = await market.said(client, room, "Done!")
    assert (await market.react(ann, room, seq, "🎉"))[1] == {"ok": True, "seq": seq + 1}
    assert (await market.react(ann, room, seq, "🎉"))[1] == {"ok": True, "seq": seq + 1}  # it is so already
    await market.react(client, room, seq, "🎉")
    await market.react(ann, room, seq, "❤")  # a heart is a heart, with the selector or without
    await market.react(client, room, seq, "❤️")
    shown = (await market.items(client, room))[0]["reactions"]
    assert shown == [
        {"emoji": "🎉", "users": [ann.id, client.id]},
        {"emoji": "❤️", "users": [ann.id, client.id]},
    ]
    await market.react(ann, room, seq, "🎉", on=False)
    await market.react(client, room, seq, "❤", on=False)
    shown = (await market.items(client, room))[0]["reactions"]
    assert shown == [{"emoji": "🎉", "users": [client.id]}, {"emoji": "❤️", "users": [ann.id]}]
    before = len(await market.events(client, room))
    for emoji in ("ok", "", "👍👍", "1", ":)", "x" * 17, "🇽🇽"):
        assert (await market.react(ann, room, seq, emoji))[1]["code"] == "VALIDATION_FAILED", emoji
    assert (await market.react(ann, room, seq, "ok", on=False))[0] == 404
    assert (await market.react(ann, room, 1, "👍"))[0] == 404
    assert len(await market.events(client, room)) == before


async def test_sockets_do_all_of_it_live(market: Chat, room: str, client: Person, ann: Person) -> None:
    here, there = await market.socket(client), await market.socket(ann)
    ack = await there.command("subscribe", {"stream": f"room:{room}"}, namespace=NAMESPACE)
    assert ack["state"]["id"] == room
    assert ack["state"]["me"] == ann.id

    async def do(event: str, **body: Any) -> dict[str, Any]:
        answer = await here.command(event, {"room": room, "key": new_id(), **body}, namespace=NAMESPACE)
        assert answer["ok"], answer
        return answer

    seq = (await do("send", text="Hello"))["seq"]
    assert (await do("edit", seq=seq, text="Hullo"))["seq"] == seq + 1
    assert (await do("react", seq=seq, emoji="👋", on=True))["seq"] == seq + 2
    assert (await do("react", seq=seq, emoji="👋", on=False))["seq"] == seq + 3
    assert (await do("delete", seq=seq))["seq"] == seq + 4
    seen: list[Any] = []
    while len(seen) < 5:
        seen += (await there.event())["events"]
    assert [event["type"] for event in seen] == ["message", "edited", "reaction", "reaction", "deleted"]
    assert [event["seq"] for event in seen] == list(range(seq, seq + 5))
    assert (seen[0]["text"], seen[1]["text"]) == ("Hello", "Hullo")


@pytest.mark.parametrize(
    ("event", "body", "code"),
    [
        ("send", {"text": "x"}, "VALIDATION_FAILED"),
        ("send", {"text": "x", "key": "a b"}, "VALIDATION_FAILED"),
        ("edit", {"seq": 1, "text": "x", "key": "k"}, "NOT_FOUND"),
        ("edit", {"seq": -1, "text": "x", "key": "k"}, "VALIDATION_FAILED"),
        ("delete", {"seq": 2**60, "key": "k"}, "VALIDATION_FAILED"),
        ("react", {"seq": 1, "emoji": "👍", "on": 1, "key": "k"}, "VALIDATION_FAILED"),
        ("react", {"seq": 1, "emoji": "👍", "on": True, "key": "k"}, "NOT_FOUND"),
        ("read", {"seq": 0}, "VALIDATION_FAILED"),
        ("read", {"seq": 4}, "VALIDATION_FAILED"),
        ("delivered", {"seq": 4}, "VALIDATION_FAILED"),
        ("shout", {}, "UNKNOWN_COMMAND"),
    ],
)
async def test_bad_commands(market: Chat, room: str, ann: Person, event: str, body: dict[str, Any], code: str) -> None:
    wire = await market.socket(ann)
    ack = await wire.command(event, {"room": room, **body}, namespace=NAMESPACE)
    assert (ack["ok"], ack["error"]["code"]) == (False, code)
    assert len(await market.events(ann, room)) == 3


async def test_a_forged_room_is_not_there(market: Chat, ann: Person) -> None:
    wire = await market.socket(ann)
    for room in (new_id(), "x", "room", "-"):
        body = {"room": room, "text": "Hello", "key": "k"}
        assert (await wire.command("send", body, namespace=NAMESPACE))["error"]["code"] == "NOT_FOUND"
        ack = await wire.command("subscribe", {"stream": f"room:{room}"}, namespace=NAMESPACE)
        assert ack["error"]["code"] == "NOT_FOUND"
    ack = await wire.command("send", {"room": "../x", "text": "Hello", "key": "k"}, namespace=NAMESPACE)
    assert ack["error"]["code"] == "VALIDATION_FAILED"


async def test_the_order_of_one_sender_is_kept(market: Chat, room: str, client: Person, ann: Person) -> None:
    here, there = await market.socket(client), await market.socket(ann)
    numbers = [
        await wire.start("send", {"room": room, "text": f"{who} {index}", "key": new_id()}, namespace=NAMESPACE)
        for index in range(60)
        for who, wire in (("c", here), ("a", there))
    ]
    for number, wire in zip(numbers, [here, there] * 60, strict=True):
        assert (await wire.ack(number, namespace=NAMESPACE))["ok"]
    texts = [item["text"] for item in await market.items(ann, room, "?limit=100&after=0")]
    texts += [item["text"] for item in await market.items(ann, room, "?limit=20")]
    for who in "ca":
        assert [text for text in texts if text[0] == who] == [f"{who} {index}" for index in range(60)]


async def test_many_tries_at_once_say_it_once(market: Chat, room: str, client: Person) -> None:
    tries = await asyncio.gather(*(market.say(client, room, "Once", key="same") for _ in range(20)))
    assert len({answer["seq"] for _, answer in tries}) == 1
    assert sum("replayed" not in answer for _, answer in tries) == 1
    assert len(await market.items(client, room)) == 1
