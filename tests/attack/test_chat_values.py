"""What cannot be said: bad texts, emoji, seqs, keys and ids are refused by name, change nothing and take nobody along."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Final
from urllib.parse import quote

import orjson
import pytest

from server.clock import new_id
from tests.attack.rooms import ask, chatting, direct, invited, log, refused, room_of, said, say
from tests.attack.test_access import _cursor
from tests.attack.town import Person, Reply, Town
from tests.server.realtime.wire import Wire

WAYS: Final = ("websocket", "polling")
_LONGEST: Final = 4_000
_MEGABYTE: Final = 1_000_000
_ROCKET: Final = "😀"

TEXTS: Final[dict[str, Any]] = {
    "empty": "",
    "blank": " \n\t ",
    "a letter too many": "x" * (_LONGEST + 1),
    "an emoji too many": _ROCKET * (_LONGEST + 1),
    "half a megabyte": "x" * 500_000,
    "NUL": "a\x00b",
    "bell": "\x07",
    "escape": "\x1b[2J",
    "carriage return": "a\r\nb",
    "delete": "a\x7f",
    "next line": "a\x85b",
    "C1": "a\x9fb",
    "nothing to see": "\u200b\u200d\u2060\ufeff",
    "Hangul filler": "\u3164",
    "Braille blank": "\u2800",
    "separators": "\u2028\u2029",
    "private use": "\ue000",
    "tags": "\U000e0041",
    "number": 7,
    "null": None,
    "truth": True,
    "list": ["x"],
    "operator": {"$gt": ""},
}

GOOD_TEXTS: Final = (
    "x" * _LONGEST,
    _ROCKET * _LONGEST,
    "\ufdfa" * _LONGEST,
    "line\n\ttab",
    "\u202eabc",
    "<script>alert(1)</script>",
    '{"$gt": ""}',
    "@nobody @" + "a" * 200 + " @Guest abcdef",
    "' OR 1=1 --",
    "%00 \\x00 \\u0000",
    "é" + "\u0301" * 200,
)  # fmt: skip
"""What may look bad, and is nobody's business."""

EMOJI: Final = (
    "", "a", "1", "nope", "👍👍", "👍 ", " 👍", "👍a", "🇽🇽", "🇩", "👍🏻🏻", "🏻👍", "👨\u200d👩", "\u200d", "\ufe0f", "👍\u200d",
    "👍\ufe0f\u20e3", "<b>", "&#128077;", ":+1:", "%F0%9F%91%8D", "\U0001f3f4\U000e0041", "👩\u200d👩\u200d👩\u200d👩", "\u20e3",
    "👍" * 8, "x" * 17, "👍" * 500, "\x00", "\n", 7, None, True, ["👍"], {"$ne": "👍"},
)  # fmt: skip

SEQS: Final[tuple[Any, ...]] = (0, -1, 2**53, 2**63, 2**64, 1.5, "1", "", None, True, [1], {"$gt": 0})
KEYS: Final[tuple[Any, ...]] = ("", " ", "a b", "k" * 201, "é", "a\tb", "\x00", 7, None, {"$gt": ""}, ["k"], True)
IDS: Final[tuple[Any, ...]] = (
    "",
    "a b",
    "../x",
    "a:b",
    "$gt",
    "x" * 65,
    "\x00",
    "é",
    7,
    None,
    {"$gt": ""},
    ["x"],
    True,
)
MENTIONS: Final[tuple[Any, ...]] = (
    "x", 7, {}, [7], [None], [""], ["$gt"], [{"$gt": ""}], ["Guest abcdef"], ["Guest ABCDEF"], ["x" * 65], ["a"] * 51, [[]],
)  # fmt: skip


@pytest.fixture(scope="module")
async def room(town: Town, client: Person, ann: Person) -> str:
    """The client and Ann."""
    return await direct(town, client, ann)


@pytest.fixture(scope="module")
async def other(town: Town, client: Person, bob: Person) -> str:
    """The client and Bob, who have said more."""
    room = await direct(town, client, bob)
    for _ in range(20):
        await said(town, bob, room)
    return room


# texts


async def test_texts_that_are_none(town: Town, room: str, client: Person) -> None:
    seq = await said(town, client, room)
    async with town.unchanged():
        for name, text in TEXTS.items():
            for method, path in (("POST", f"/rooms/{room}/messages"), ("PATCH", f"/rooms/{room}/messages/{seq}")):
                reply = await town.call(method, path, client, json={"text": text}, key=town.key())
                assert reply.refused("VALIDATION_FAILED")["errors"][0]["loc"] == ["body", "text"], name


@pytest.mark.parametrize("way", WAYS)
async def test_texts_that_are_none_over_sockets(town: Town, room: str, client: Person, way: str) -> None:
    seq = await said(town, client, room)
    async with chatting(town, client, way) as socket, town.unchanged():
        for name, text in TEXTS.items():
            for event, fields in (("send", {}), ("edit", {"seq": seq})):
                ack = await ask(socket, event, room=room, text=text, key=town.key(), **fields)
                refused(ack, "VALIDATION_FAILED")
                assert ack["error"]["details"]["errors"][0]["loc"] == ["text"], name
        for text in ("\\ud83d", "\\ude00\\ud83d"):  # halves of characters, as JavaScript cuts them
            packet = json.dumps(["send", {"room": room, "text": "?", "key": town.key()}]).replace("?", text)
            await socket.send(f"42/chat,77{packet}")
            refused(await socket.ack(77, namespace="/chat"), "VALIDATION_FAILED")
        for fields in ({"room": room, "key": "k"}, {"text": "x", "key": "k"}, {"room": room, "text": "x"}, {}):
            refused(await ask(socket, "send", **fields), "VALIDATION_FAILED")


async def test_bodies_that_are_no_messages(town: Town, room: str, client: Person) -> None:
    path = f"/rooms/{room}/messages"
    bodies = {
        "lone surrogate": (b'{"text": "\\ud83d"}', "MALFORMED_JSON"),
        "surrogates the wrong way round": (b'{"text": "\\ude00\\ud83d"}', "MALFORMED_JSON"),
        "UTF-16 in UTF-8": (b'{"text": "\xed\xa0\xbd"}', "MALFORMED_JSON"),
        "overlong": (b'{"text": "\xc0\x80"}', "MALFORMED_JSON"),
        "Latin-1": (b'{"text": "\xe9"}', "MALFORMED_JSON"),
        "two texts": (b'{"text": "a", "text": "b"}', "MALFORMED_JSON"),
        "a megabyte": (orjson.dumps({"text": "x" * (_MEGABYTE - 11)}), "VALIDATION_FAILED"),
        "a megabyte and a byte": (orjson.dumps({"text": "x" * (_MEGABYTE - 10)}), "TOO_LARGE"),
        "attachments": (b'{"text": "a", "attachments": [{"id": "x"}]}', "VALIDATION_FAILED"),
        "attachment": (b'{"text": "a", "attachments": {"id": "x"}}', "VALIDATION_FAILED"),
        "list": (b'["text"]', "VALIDATION_FAILED"),
        "nothing": (b"", "VALIDATION_FAILED"),
    }
    async with town.unchanged():
        for name, (body, code) in bodies.items():
            assert (await town.call("POST", path, client, data=body, key=town.key())).refused(code), name


async def test_what_looks_bad_is_kept_as_it_is(town: Town, room: str, client: Person, ann: Person) -> None:
    seqs = [await said(town, client, room, text) for text in GOOD_TEXTS]
    reply = await town.call("GET", f"/rooms/{room}/messages?after={seqs[0] - 1}&limit=100", ann)
    found = {item["seq"]: item for item in reply.json["items"]}
    assert [found[seq]["text"] for seq in seqs] == list(GOOD_TEXTS)
    assert all("mentions" not in found[seq] for seq in seqs)


async def test_contact_details_in_disguise(town: Town, room: str, client: Person) -> None:
    """Refused before anything is stored, in edits as well."""
    seq = await said(town, client, room)
    texts = (
        "ann@example.com",
        "ａｎｎ＠ｅｘａｍｐｌｅ．ｃｏｍ",
        "an\u200bn@exa\u00admple.com",
        "+44 20 7946 0958",
        "https://example.com",
    )
    async with town.unchanged():
        for text in texts:
            (await say(town, client, room, text)).refused("CONTACT_SHARING")
            path = f"/rooms/{room}/messages/{seq}"
            (await town.call("PATCH", path, client, json={"text": text})).refused("CONTACT_SHARING")


# emoji


async def test_emoji_that_are_none(town: Town, room: str, client: Person) -> None:
    seq = await said(town, client, room)
    path = f"/rooms/{room}/messages/{seq}/reactions"
    async with chatting(town, client, at=1) as socket, town.unchanged():
        for emoji in EMOJI:
            (await town.call("POST", path, client, json={"emoji": emoji})).refused("VALIDATION_FAILED")
            ack = await ask(socket, "react", room=room, seq=seq, emoji=emoji, on=True, key=town.key())
            refused(ack, "VALIDATION_FAILED")
            if isinstance(emoji, str) and emoji:
                (await town.call("DELETE", f"{path}/{quote(emoji, safe='')}", client)).refused("NOT_FOUND")
        for on in ("true", 1, None, []):
            ack = await ask(socket, "react", room=room, seq=seq, emoji="👍", on=on, key=town.key())
            refused(ack, "VALIDATION_FAILED")


async def test_a_message_is_no_wall_of_reactions(town: Town, room: str, client: Person) -> None:
    """Fifty different ones, and two forms of the same are one."""
    seq = await said(town, client, room)
    path = f"/rooms/{room}/messages/{seq}/reactions"
    for form in ("❤", "❤\ufe0f"):
        assert (await town.call("POST", path, client, json={"emoji": form})).status == 200
    for number in range(49):
        reply = await town.call("POST", path, client, json={"emoji": chr(0x1F600 + number)})
        assert reply.status == 200, reply.raw
    async with town.unchanged():
        (await town.call("POST", path, client, json={"emoji": "👍"})).refused("CONFLICT")
    shown = (await town.call("GET", f"/rooms/{room}/messages?after={seq - 1}", client)).json["items"][0]
    assert len(shown["reactions"]) == 50


# seqs, keys, names, rooms


@pytest.mark.parametrize("way", WAYS)
async def test_fields_of_the_wrong_form(town: Town, room: str, client: Person, way: str) -> None:
    seq = await said(town, client, room)
    commands: dict[str, dict[str, Any]] = {
        "send": {"text": "x", "key": "k"},
        "edit": {"text": "x", "seq": seq, "key": "k"},
        "delete": {"seq": seq, "key": "k"},
        "react": {"seq": seq, "emoji": "👍", "on": True, "key": "k"},
        "read": {"seq": seq},
        "delivered": {"seq": seq},
        "typing": {"on": True},
    }
    async with chatting(town, client, way) as socket, town.unchanged():
        for event, fields in commands.items():
            bad: list[tuple[str, Any]] = [("room", odd) for odd in IDS]
            bad += [("seq", odd) for odd in SEQS if "seq" in fields] + [("key", odd) for odd in KEYS if "key" in fields]
            bad += [("reply_to", odd) for odd in SEQS if event == "send" and odd is not None]
            bad += [("mentions", odd) for odd in MENTIONS if event in ("send", "edit")]
            bad += [("on", odd) for odd in ("yes", 1, None) if "on" in fields]
            await _all_refused(socket, event, {"room": room, **fields}, bad)


async def _all_refused(socket: Wire, event: str, fields: dict[str, Any], bad: list[tuple[str, Any]]) -> None:
    """Each of the bad values in place of a good one; sent as text, since not all are what orjson would write."""
    for number, (name, value) in enumerate(bad, 1_000):
        whole = orjson.dumps([event, {**fields, name: None}]).decode()
        text = "18446744073709551616" if value == 2**64 else orjson.dumps(value).decode()
        await socket.send(f"42/chat,{number}" + whole.replace(f'"{name}":null', f'"{name}":{text}'))
        ack = await socket.ack(number, namespace="/chat")
        refused(ack, "VALIDATION_FAILED")
        assert ack["error"]["details"]["errors"][0]["loc"][0] == name, (event, name, value, ack)


async def test_rooms_and_messages_that_are_not_there(
    town: Town, room: str, other: str, client: Person, ann: Person
) -> None:
    """Forged rooms, seqs of other rooms, of what is no message, of what is to come and of what is gone."""
    own, gone = await said(town, client, room), await said(town, client, room)
    assert (await town.call("DELETE", f"/rooms/{room}/messages/{gone}", client)).status == 200
    last = (await town.call("GET", f"/rooms/{room}", client)).json["seq"]
    await said(town, client, other, "To show that it is beyond")
    elsewhere = (await town.call("GET", f"/rooms/{other}", client)).json["seq"] + 200
    async with chatting(town, client, at=1) as socket, chatting(town, ann) as another, town.unchanged():
        for seq in (1, 2, 3, last, last + 1, elsewhere, 2**53 - 1):
            for event, fields in _commands(town, seq).items():
                refused(await ask(socket, event, room=room, **fields), "NOT_FOUND")
            (await say(town, client, room, reply_to=seq)).refused("NOT_FOUND")
        for event, fields in _commands(town, gone).items():
            refused(await ask(socket, event, room=room, **fields), "CONFLICT")
        refused(await ask(socket, "send", room=room, text="x", reply_to=gone, key=town.key()), "CONFLICT")
        for beyond in (last + 1, 2**53 - 1):
            for event in ("read", "delivered"):
                refused(await ask(socket, event, room=room, seq=beyond), "VALIDATION_FAILED")
                reply = await town.call("POST", f"/rooms/{room}/{event}", client, json={"seq": beyond})
                reply.refused("VALIDATION_FAILED")
            refused(await ask(socket, "subscribe", stream=f"room:{room}", after=beyond), "VALIDATION_FAILED")
            path = f"/streams/room:{room}/events?after={beyond}"
            (await town.call("GET", path, client)).refused("VALIDATION_FAILED")
        for event, fields in (_commands(town, own) | {"send": {"text": "x", "key": town.key()}}).items():
            refused(await ask(socket, event, room=new_id(), **fields), "NOT_FOUND")
            refused(await ask(another, event, room=other, **fields), "FORBIDDEN")
        for event in ("edit", "delete"):  # hers is the room, not the message
            refused(await ask(another, event, room=room, **_commands(town, own)[event]), "FORBIDDEN")
        for event in ("read", "delivered", "typing"):
            fields = {"on": True} if event == "typing" else {"seq": 1}
            refused(await ask(another, event, room=other, **fields), "FORBIDDEN")
            refused(await ask(another, event, room=new_id(), **fields), "NOT_FOUND")


def _commands(town: Town, seq: int) -> dict[str, dict[str, Any]]:
    """What is done with a message."""
    return {
        "edit": {"seq": seq, "text": "x", "key": town.key()},
        "delete": {"seq": seq, "key": town.key()},
        "react": {"seq": seq, "emoji": "👍", "on": True, "key": town.key()},
    }


async def test_people_who_are_not_in_the_room(
    town: Town, room: str, client: Person, ann: Person, bob: Person, admin: Person
) -> None:
    """They are neither mentioned nor removed, nor answered for; and nobody speaks as somebody else."""
    seq = await said(town, client, room)
    async with town.unchanged():
        for name in (bob.id, admin.id, new_id(), "system"):
            (await say(town, client, room, mentions=[name])).refused("VALIDATION_FAILED")
            (await say(town, client, room, mentions=[ann.id, name])).refused("VALIDATION_FAILED")
            path = f"/rooms/{room}/members/{name}"
            for who in (client, ann):
                (await town.call("DELETE", path, who)).refused("FORBIDDEN")
            (await town.call("DELETE", path, admin)).refused("NOT_FOUND")
        path = f"/rooms/{room}/messages/{seq}"
        (await town.call("PATCH", path, client, json={"text": "x", "mentions": [bob.id]})).refused("VALIDATION_FAILED")
    forged = {
        "user": ann.id,
        "id": "mine",
        "seq": 1,
        "t": "2020-01-01T00:00:00.000Z",
        "actor": ann.id,
        "by": "moderator",
    }
    mine = await said(town, client, room, f"@{bob.id} @{ann.id}", **forged)
    event = (await log(town, client, room))[mine - 1]
    assert (event["user"], event["mentions"], set(event) & {"actor", "by"}) == (client.id, [ann.id], set())
    assert event["id"] != "mine"


async def test_rooms_that_nobody_may_ask_for(
    town: Town, client: Person, rival: Person, ann: Person, bob: Person
) -> None:
    draft = (await town.post(client, status="draft", auction=None))["id"]
    hidden = (await town.post(client, visibility="invited", invited=[ann.id]))["id"]
    public = (await town.post(client))["id"]
    cases: list[tuple[Person, Any, str]] = [
        (client, {"kind": "dm", "user": client.id}, "VALIDATION_FAILED"),
        (client, {"kind": "dm"}, "VALIDATION_FAILED"),
        (client, {"kind": "dm", "job": public}, "VALIDATION_FAILED"),
        (client, {"kind": "job"}, "VALIDATION_FAILED"),
        (client, {"kind": "job", "user": ann.id}, "VALIDATION_FAILED"),
        (client, {"kind": "contract", "contract": "x"}, "VALIDATION_FAILED"),
        (client, {"kind": "dm", "user": {"$ne": ""}}, "VALIDATION_FAILED"),
        (client, {"kind": "dm", "user": f"{ann.id}:{bob.id}"}, "VALIDATION_FAILED"),
        (client, {"kind": "dm", "user": new_id()}, "FORBIDDEN"),
        (client, {"kind": "dm", "user": "system"}, "FORBIDDEN"),
        (rival, {"kind": "dm", "user": ann.id}, "FORBIDDEN"),
        (ann, {"kind": "dm", "user": rival.id}, "FORBIDDEN"),
        (ann, {"kind": "job", "job": new_id()}, "NOT_FOUND"),
        (ann, {"kind": "job", "job": draft}, "NOT_FOUND"),
        (bob, {"kind": "job", "job": hidden}, "NOT_FOUND"),
        (rival, {"kind": "job", "job": public}, "FORBIDDEN"),
        (bob, {"kind": "job", "job": public}, "FORBIDDEN"),
    ]
    before = await town.db["rooms"].count_documents({})
    async with town.unchanged():
        for who, body, code in cases:
            (await town.call("POST", "/rooms", who, json=body, key=town.key())).refused(code)
    assert await town.db["rooms"].count_documents({}) == before


async def test_who_is_refused_does_not_join(town: Town, client: Person, ann: Person, bob: Person) -> None:
    """Whoever may join a job's room does so by saying something: not by failing to."""
    job = await town.post(client, visibility="invited", invited=[ann.id])
    room = await room_of(town, client, kind="job", job=job["id"])
    async with chatting(town, ann, at=1) as socket, town.unchanged():
        for fields, code in (({"reply_to": 99}, "NOT_FOUND"), ({"mentions": [bob.id]}, "VALIDATION_FAILED")):
            (await say(town, ann, room, **fields)).refused(code)
            refused(await ask(socket, "send", room=room, text="x", key=town.key(), **fields), code)
        (await say(town, ann, room, "ann@example.com")).refused("CONTACT_SHARING")
        for event in ("edit", "react", "typing"):
            fields = {"on": True} if event == "typing" else _commands(town, 1)[event]
            refused(await ask(socket, event, room=room, **fields), "FORBIDDEN")


# queries


QUERIES: Final = (
    "messages?limit=0", "messages?limit=101", "messages?limit=x", "messages?before=-1", "messages?before=x", "messages?after=1.5",
    "messages?before=9007199254740992", "messages?after=" + "9" * 400, "messages?cursor=x", "messages?cursor=-1",
    "messages?before=1&before=2", "messages?after=%00", "messages?after=%7B%22%24gt%22%3A0%7D", "messages?cursor=e30",
    "search", "search?q=", "search?q=%00", "search?q=" + "a" * 201, "search?q=a&limit=0", "search?q=a&cursor=x",
    "search?q=a&q=b", "search?q=a&cursor=" + "9" * 30, "search?q=%1b",
)  # fmt: skip


@pytest.mark.parametrize("query", QUERIES, ids=range(len(QUERIES)))
async def test_queries_that_make_no_sense(town: Town, room: str, client: Person, query: str) -> None:
    errors = (await town.call("GET", f"/rooms/{room}/{query}", client)).refused("VALIDATION_FAILED")["errors"]
    assert errors[0]["loc"][0] == "query"


CURSORS: Final[tuple[tuple[Any, ...], ...]] = (
    ("active",), ("active", 1), ("oldest", 1, "x"), ("active", "x", "x"), ("active", 1.5, "x"), ("active", True, "x"),
    ("active", {"$gt": 0}, "x"), ("active", 1, {"$ne": ""}), ("active", 2**63, "x"), ("active", 1, "x", 1), ("$where", 1, "x"),
)  # fmt: skip


async def test_forged_cursors(town: Town, client: Person, admin: Person) -> None:
    for values in CURSORS:
        for path in ("/rooms", "/blocks", "/webhooks"):
            (await town.call("GET", f"{path}?cursor={_cursor(*values)}", client)).refused("VALIDATION_FAILED")
        for path in ("/moderation/reports", "/moderation/bans", "/audit"):
            (await town.call("GET", f"{path}?cursor={_cursor(*values)}", admin)).refused("VALIDATION_FAILED")


async def test_a_search_finds_what_was_said_and_nothing_else(
    town: Town, other: str, client: Person, ann: Person
) -> None:
    """Operators, patterns and quotes are words; other rooms' and deleted words are found by nobody."""
    _, room = await invited(town, client, ann)
    kept, gone = await said(town, client, room, "a zebra crossing"), await said(town, client, room, "zebra stripes")
    await said(town, client, other, "zebra elsewhere")
    edited = await said(town, client, room, "zebra once")
    path = f"/rooms/{room}/messages/"
    assert (await town.call("PATCH", f"{path}{edited}", client, json={"text": "an okapi"})).status == 200
    assert (await town.call("DELETE", f"{path}{gone}", client)).status == 200

    async def found(words: str) -> list[int]:
        reply = await town.call("GET", f"/rooms/{room}/search?q={quote(words)}&limit=100", ann)
        assert reply.status == 200, reply.raw
        assert "elsewhere" not in reply.raw.decode()
        assert "stripes" not in reply.raw.decode()
        return [item["seq"] for item in reply.json["items"]]

    while await found("okapi") != [edited] or await found("zebra") != [kept]:
        pass
    odd = (
        ".*",
        "^",
        "z.bra",
        "zeb",
        '{"$gt": ""}',
        "$where",
        "-zebra",
        '"zebra',
        '"',
        '""',
        "\\",
        "'; return true; //",
        "*",
        "%",
    )
    for words in odd:
        assert set(await found(words)) <= {kept, edited}, words
    assert await found("stripes") == []
    assert await found("once") == []
    assert await found("elsewhere") == []


# reports, mutes, moderation


async def test_reports_that_are_none(
    town: Town, room: str, other: str, client: Person, ann: Person, bob: Person
) -> None:
    own, hers = await said(town, client, room), await said(town, ann, room)
    beyond = (await town.call("GET", f"/rooms/{other}", client)).json["seq"] + 500
    good = {"messages": [hers], "reason": "spam"}
    bodies: list[Any] = [
        {}, {**good, "messages": []}, {**good, "messages": [own]}, {**good, "messages": [hers, own]}, {**good, "messages": [1]},
        {**good, "messages": [beyond]}, {**good, "messages": list(range(1, 22))}, {**good, "messages": hers}, {**good, "messages": ["1"]},
        {**good, "messages": [{"$gt": 0}]}, {**good, "reason": "taste"}, {**good, "note": "x" * 2_001}, {**good, "note": "\x00"},
    ]  # fmt: skip
    async with town.unchanged():
        for body in bodies:
            reply = await town.call("POST", f"/rooms/{room}/reports", client, json=body, key=town.key())
            reply.refused("VALIDATION_FAILED")
        (await town.call("POST", f"/rooms/{room}/reports", bob, json=good)).refused("FORBIDDEN")
        (await town.call("POST", f"/rooms/{new_id()}/reports", client, json=good)).refused("NOT_FOUND")
        for odd in ("yes", 1, None, {}):
            reply = await town.call("PUT", f"/rooms/{room}/mute", client, json={"muted": odd})
            reply.refused("VALIDATION_FAILED")


async def test_a_report_of_what_was_edited_a_hundred_times(
    town: Town, room: str, client: Person, ann: Person, admin: Person
) -> None:
    """Nobody makes messages too large to be reported, nor a list of reports too large to be looked at."""
    seqs = [await said(town, ann, room) for _ in range(2)]

    async def edit(seq: int, number: int) -> Reply:
        body = {"text": _ROCKET * (_LONGEST - 3) + str(number)}
        return await town.call("PATCH", f"/rooms/{room}/messages/{seq}", ann, json=body, at=number % 2)

    edits = await asyncio.gather(*[edit(seq, number) for seq in seqs for number in range(100)])
    assert {reply.status for reply in edits} == {200}
    (await edit(seqs[0], 100)).refused("CONFLICT")
    path, body = f"/rooms/{room}/reports", {"reason": "abuse"}
    async with town.unchanged():
        (await town.call("POST", path, client, json={**body, "messages": seqs})).refused("VALIDATION_FAILED")
    made = [(await town.call("POST", path, client, json={**body, "messages": [seq]})).json["id"] for seq in seqs]
    whole = (await town.call("GET", f"/moderation/reports/{made[0]}", admin)).json
    assert len(whole["messages"][0]["versions"]) == 101
    listed = await town.call("GET", "/moderation/reports?limit=2", admin)
    assert {report["id"] for report in listed.json["items"]} == set(made)
    assert len(listed.raw) < 100_000


async def test_moderation_of_nobody(town: Town, client: Person, ann: Person, admin: Person) -> None:
    moderator = await town.person("both", moderator=True)
    another = await town.person("both", moderator=True)
    async with town.unchanged():
        for user in (new_id(), "system", "x"):
            (await town.call("POST", "/moderation/bans", admin, json={"user": user})).refused("NOT_FOUND")
            (await town.call("POST", "/blocks", client, json={"user": user})).refused("NOT_FOUND")
        for user in ("", "$gt", {"$gt": ""}, 7, None):
            (await town.call("POST", "/moderation/bans", admin, json={"user": user})).refused("VALIDATION_FAILED")
            (await town.call("POST", "/blocks", client, json={"user": user})).refused("VALIDATION_FAILED")
        (await town.call("POST", "/blocks", client, json={"user": client.id})).refused("VALIDATION_FAILED")
        for user in (moderator, another, admin):  # themselves, their equals, those above them
            (await town.call("POST", "/moderation/bans", moderator, json={"user": user.id})).refused("FORBIDDEN")
        (await town.call("POST", "/moderation/bans", admin, json={"user": admin.id})).refused("FORBIDDEN")
        for who in (client, ann):
            (await town.call("POST", "/moderation/bans", who, json={"user": ann.id})).refused("FORBIDDEN")
            (await town.call("GET", "/moderation/reports", who)).refused("FORBIDDEN")
        (await town.call("GET", "/audit", moderator)).refused("FORBIDDEN")
        for query in ("actor=%00", "actor=", "action=" + "x" * 201, "subject=%C3%A9", "actor=a&actor=b"):
            (await town.call("GET", f"/audit?{query}", admin)).refused("VALIDATION_FAILED")


async def test_claims_to_keep_order(town: Town, room: str, client: Person, ann: Person) -> None:
    """Only a token of ours says who is a moderator, and says it in one way."""
    seq = await said(town, client, room)
    mine = {"sub": ann.id, "sid": "y", "jti": "z"}
    forged = [town.token(**mine, mod=odd) for odd in ("true", 1, {}, [True])]
    forged.append(town.token("another key of thirty-two bytes or more", **mine, mod=True))
    async with town.unchanged():
        for token in forged:
            (await town.call("DELETE", f"/rooms/{room}/messages/{seq}", token)).refused("UNAUTHENTICATED")
            (await town.call("GET", "/moderation/reports", token)).refused("UNAUTHENTICATED")
            async with Wire(town.urls[0], "websocket") as socket:
                assert await socket.connect("/chat", {"token": token}) == {"message": "UNAUTHENTICATED"}


async def test_the_client_of_a_job_is_no_moderator(town: Town, client: Person, ann: Person, bob: Person) -> None:
    """It removes members, not itself and not their messages; they remove nobody."""
    _, room = await invited(town, client, ann, bob)
    seq = await said(town, ann, room)
    async with town.unchanged():
        (await town.call("DELETE", f"/rooms/{room}/messages/{seq}", client)).refused("FORBIDDEN")
        (await town.call("GET", f"/rooms/{room}/messages/{seq}/versions", client)).refused("FORBIDDEN")
        for who, name in ((client, client), (ann, bob), (ann, ann), (ann, client)):
            (await town.call("DELETE", f"/rooms/{room}/members/{name.id}", who)).refused("FORBIDDEN")
