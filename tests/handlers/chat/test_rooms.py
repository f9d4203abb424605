"""Which rooms there are, who may open them and who may read them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from handlers.chat.places import Places
from handlers.chat.relations import Relations
from handlers.chat.service import Rooms
from models.rules.room.naming import dm_place
from models.rules.stream import Command
from server.clock import new_id
from tests.handlers.chat.conftest import NAMESPACE, Chat
from tests.handlers.market import Person
from tests.waiting import until


async def open_dm(market: Chat, one: Person, other: Person) -> tuple[int, Any]:
    """`POST /rooms`."""
    return await market.call("POST", "/rooms", one, {"kind": "dm", "user": other.id})


async def test_two_people_have_one_room(market: Chat, client: Person, ann: Person) -> None:
    room = await market.dm(client, ann)
    shown = await market.look(ann, room)
    assert shown["kind"] == "dm"
    assert {member["user"] for member in shown["members"]} == {client.id, ann.id}
    assert [member["name"] for member in shown["members"]] == ["Somebody"] * 2
    assert (shown["seq"], shown["unread"], shown["muted"], shown["me"]) == (3, 0, False, ann.id)
    assert (shown["messages"], shown["receipts"]) == ([], [])
    assert (await open_dm(market, ann, client))[1]["id"] == room
    assert (await open_dm(market, client, ann))[1]["id"] == room
    assert [event["type"] for event in await market.events(client, room)] == ["opened", "member_added", "member_added"]


async def test_many_openings_at_once_make_one_room(market: Chat, client: Person, ann: Person) -> None:
    await market.auction(client, visibility="invited", invited=[ann.id])
    both = [(client, ann), (ann, client)] * 10
    answers = await asyncio.gather(*(open_dm(market, one, other) for one, other in both))
    assert {status for status, _ in answers} == {201}
    assert len({room["id"] for _, room in answers}) == 1
    assert len(await market.events(ann, answers[0][1]["id"])) == 3


async def test_an_opening_that_a_crash_cut_short_is_finished(market: Chat, client: Person, ann: Person) -> None:
    await market.auction(client, visibility="invited", invited=[ann.id])
    room = await Places(market.context.clock).allot(dm_place(ann.id, client.id), "dm")
    assert (await market.call("GET", f"/rooms/{room}", client))[0] == 404
    assert (await market.call("GET", "/rooms", client))[1]["items"] == []
    status, opened = await open_dm(market, client, ann)
    assert (status, opened["id"]) == (201, room)
    assert len(opened["members"]) == 2


async def test_strangers_have_no_room(market: Chat, client: Person, ann: Person, bob: Person, eve: Person) -> None:
    await market.job(client, ann)
    for one, other in ((client, bob), (ann, bob), (eve, client), (client, eve)):
        status, problem = await open_dm(market, one, other)
        assert (status, problem["code"]) == (403, "FORBIDDEN")
    status, problem = await open_dm(market, client, client)
    assert (status, problem["code"]) == (422, "VALIDATION_FAILED")
    ghost = Person(new_id(), "", "")
    assert (await open_dm(market, client, ghost))[0] == 403
    assert await market.context.db["rooms"].count_documents({}) == 0


@pytest.mark.parametrize("format_", ["english", "reverse", "proposal"])
async def test_a_bid_makes_acquainted(market: Chat, client: Person, ann: Person, bob: Person, format_: str) -> None:
    await market.job(client, ann, format_=format_)
    assert (await open_dm(market, ann, client))[0] == 201
    assert (await open_dm(market, client, ann))[0] == 201
    assert (await open_dm(market, bob, client))[0] == 403


async def test_an_invitation_counts_once_it_is_out(market: Chat, client: Person, ann: Person) -> None:
    job = {"title": "t", "description": "d", "category": "c", "visibility": "invited", "invited": [ann.id]}
    status, draft = await market.call("POST", "/jobs", client, {**job, "status": "draft"})
    assert status == 201, draft
    assert (await open_dm(market, client, ann))[0] == 403
    assert (await market.call("POST", f"/jobs/{draft['id']}/publish", client, {}))[0] == 200
    assert (await open_dm(market, client, ann))[0] == 201


async def test_sealed_bids_are_no_way_to_find_out_who_bid(market: Chat, client: Person, ann: Person) -> None:
    terms = {"end_at": market.later(2_500), "soft_close": None}
    await market.job(client, ann, format_="sealed", auction=terms)
    assert (await open_dm(market, client, ann))[0] == 403
    assert (await open_dm(market, ann, client))[0] == 403

    async def acquainted() -> bool:
        return (await open_dm(market, client, ann))[0] == 201

    await until(acquainted)


async def test_an_admins_commands_are_no_bids(market: Chat, client: Person, admin: Person) -> None:
    auction = await market.auction(client)
    assert (await market.call("POST", f"/auctions/{auction}/pause", admin, {}, "k"))[0] == 200
    assert (await open_dm(market, admin, client))[0] == 403


async def test_acquaintance_is_found_among_many_jobs(
    market: Chat, client: Person, ann: Person, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("handlers.chat.relations._AT_ONCE", 2)
    for _ in range(3):
        await market.auction(client)
    await market.job(client, ann)
    await market.auction(client)
    relations = Relations(market.context.streams)
    assert await relations.acquainted(client.id, ann.id)
    assert await relations.acquainted(ann.id, client.id)
    assert not await relations.acquainted(client.id, bob.id)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"kind": "dm"},
        {"kind": "job"},
        {"kind": "contract", "contract": "x"},
        {"kind": "dm", "user": "a b"},
        {"kind": "job", "job": 5},
    ],
)
async def test_bad_openings(market: Chat, client: Person, body: dict[str, Any]) -> None:
    status, problem = await market.call("POST", "/rooms", client, body)
    assert (status, problem["code"]) == (422, "VALIDATION_FAILED")


# -- rooms of jobs ----------------------------------------------------------------------------------------------------


async def test_the_room_of_a_job(market: Chat, client: Person, ann: Person, bob: Person, eve: Person) -> None:
    job = await market.job(client, ann)
    status, problem = await market.call("POST", "/rooms", eve, {"kind": "job", "job": job})
    assert (status, problem["code"]) == (403, "FORBIDDEN")
    assert (await market.call("POST", "/rooms", ann, {"kind": "job", "job": new_id()}))[0] == 404
    room = await market.join(client, job)
    assert (room["kind"], room["job"]) == ("job", job)
    assert [(member["user"], member["role"]) for member in room["members"]] == [(client.id, "client")]
    assert "people" not in room
    joined = await market.join(ann, job)
    assert joined["id"] == room["id"]
    assert [member["user"] for member in joined["members"]] == [client.id, ann.id]
    assert (await market.join(ann, job))["seq"] == joined["seq"]  # once
    assert (await market.call("POST", "/rooms", bob, {"kind": "job", "job": job}))[0] == 403


async def test_people_join_when_they_first_say_something(
    market: Chat, client: Person, ann: Person, bob: Person
) -> None:
    job = await market.job(client, ann)
    room = (await market.join(client, job))["id"]
    assert (await market.look(ann, room))["me"] is None  # who may join may look
    assert (await market.call("GET", f"/rooms/{room}", bob))[0] == 403
    seq = await market.said(ann, room, "Which green?", key=None)
    events = await market.events(client, room)
    assert [event["type"] for event in events] == ["opened", "member_added", "member_added", "message"]
    assert seq == 4
    assert (await market.look(ann, room))["me"] == ann.id
    status, problem = await market.say(bob, room, "Me too")
    assert (status, problem["code"]) == (403, "FORBIDDEN")
    auction = (await market.call("GET", f"/jobs/{job}", bob))[1]["auction"]["id"]
    assert (await market.bid(bob, auction, 17_000))[0] == 201
    assert await market.said(bob, room, "Me too") == 6


async def test_nobody_knows_of_the_room_of_an_invited_job(
    market: Chat, client: Person, ann: Person, bob: Person
) -> None:
    auction = await market.auction(client, visibility="invited", invited=[ann.id])
    job = (await market.call("GET", f"/auctions/{auction}", client))[1]["job"]
    await market.join(ann, job)
    assert (await market.call("POST", "/rooms", bob, {"kind": "job", "job": job}))[0] == 404


async def test_a_sealed_auction_hides_who_talks(market: Chat, client: Person, ann: Person, bob: Person) -> None:
    terms = {"end_at": market.later(5_000), "soft_close": None}
    job = await market.job(client, ann, bob, format_="sealed", auction=terms)
    room = (await market.join(client, job))["id"]
    names = {}
    for who in (ann, bob):
        seq = await market.said(who, room, "A question")
        names[who.id] = (await market.look(who, room))["me"]
        await market.call("POST", f"/rooms/{room}/read", who, {"seq": seq})
        await market.react(who, room, seq, "👍")
    assert len({*names.values()}) == 2
    assert all(name.startswith("Guest ") for name in names.values())
    assert names[bob.id] != "Guest 2"
    watching = await market.socket(client)
    ack = await watching.command("subscribe", {"stream": f"room:{room}"}, namespace=NAMESPACE)
    _, listed = await market.call("GET", "/rooms", client)
    seen = str([await market.events(client, room), await market.look(client, room), ack, listed])
    seen += str(await market.items(client, room))
    assert ann.id not in seen
    assert bob.id not in seen
    assert client.id in seen
    await market.call("POST", f"/rooms/{room}/read", ann, {"seq": ack["seq"]})
    assert (await watching.event("receipt"))["user"] == names[ann.id]

    async def revealed() -> bool:
        return (await market.events(client, room))[-1]["type"] == "revealed"

    await until(revealed)
    assert (await market.events(client, room))[-1]["members"] == {name: user for user, name in names.items()}
    shown = await market.look(client, room)
    assert {member["user"] for member in shown["members"]} == {client.id, ann.id, bob.id}
    assert shown["aliases"] == {name: user for user, name in names.items()}
    assert [item["user"] for item in await market.items(client, room)] == [ann.id, bob.id]
    await market.said(ann, room, "Hello again")
    assert (await market.events(client, room))[-1]["user"] == ann.id


async def test_who_comes_in_as_the_auction_ends_is_revealed_too(market: Chat, client: Person, ann: Person) -> None:
    """The end is followed before the room is there: then what happens in the room brings it about."""
    terms = {"end_at": market.later(1_500), "soft_close": None}
    job = await market.job(client, ann, format_="sealed", auction=terms)
    room = (await market.join(client, job))["id"]

    async def over() -> bool:
        return bool((await market.call("GET", f"/jobs/{job}", client))[1]["status"] == "awarded")

    stream = f"room:{room}"
    await until(over)
    command = Command("join", ann.id, {"role": "freelancer"}, context={"names": ["Guest zzzzzz"]})
    await market.context.streams.append(stream, command)  # decided by an instance that had not heard of the end

    async def revealed() -> bool:
        return (await market.events(client, room))[-1]["type"] == "revealed"

    await until(revealed)


async def test_the_client_knows_who_proposes(market: Chat, client: Person, ann: Person, bob: Person) -> None:
    job = await market.job(client, ann, bob, format_="proposal")
    room = (await market.join(client, job))["id"]
    await market.said(ann, room, "A question")
    name = (await market.look(ann, room))["me"]
    assert (await market.look(client, room))["people"] == {name: ann.id}
    theirs = await market.look(bob, room)
    assert "people" not in theirs
    assert ann.id not in str(theirs)


# -- reading ----------------------------------------------------------------------------------------------------------


async def test_who_may_read(
    market: Chat, room: str, client: Person, ann: Person, eve: Person, moderator: Person, admin: Person
) -> None:
    job = await market.job(client, ann)
    open_ = (await market.join(client, job))["id"]
    paths = ["/rooms/{}", "/rooms/{}/messages", "/rooms/{}/search?q=x", "/streams/room:{}", "/streams/room:{}/events"]
    for path in paths:
        assert (await market.call("GET", path.format(room)))[0] == 401
        assert (await market.call("GET", path.format(new_id()), ann))[0] == 404
        for who, of_dm, of_job in (
            (client, 200, 200),
            (ann, 200, 200),
            (eve, 403, 403),
            (moderator, 403, 200),
            (admin, 403, 200),
        ):
            assert (await market.call("GET", path.format(room), who))[0] == of_dm, path
            assert (await market.call("GET", path.format(open_), who))[0] == of_job, path
    for who in (moderator, admin, eve):
        for each in (room, open_):
            status, problem = await market.say(who, each, "Hello")
            assert (status, problem["code"]) == (403, "FORBIDDEN")
            assert (await market.react(who, each, 1, "👍"))[0] == 403
    wire = await market.socket(eve)
    for event, body in (
        ("subscribe", {"stream": f"room:{room}"}),
        ("read", {"room": room, "seq": 1}),
        ("send", {"room": room, "text": "x", "key": "k"}),
        ("edit", {"room": room, "seq": 4, "text": "x", "key": "k"}),
        ("delete", {"room": room, "seq": 4, "key": "k"}),
        ("react", {"room": room, "seq": 4, "emoji": "👍", "on": True, "key": "k"}),
        ("delivered", {"room": room, "seq": 1}),
    ):
        assert (await wire.command(event, body, namespace=NAMESPACE))["error"]["code"] == "FORBIDDEN", event


async def test_chat_needs_a_token(market: Chat) -> None:
    for method, path in (("GET", "/rooms"), ("POST", "/rooms"), ("GET", "/rooms/unread")):
        assert (await market.call(method, path))[0] == 401


async def test_a_contract_has_a_room_of_its_parties(
    market: Chat, client: Person, ann: Person, eve: Person, moderator: Person
) -> None:
    rooms = Rooms(market.context.streams, market.context.clock)
    parties = {client.id: "client", ann.id: "freelancer"}
    room = await rooms.contract_room("c-1", parties)
    assert await rooms.contract_room("c-1", parties) == room
    shown = await market.look(ann, room)
    assert (shown["kind"], shown["contract"]) == ("contract", "c-1")
    assert {member["user"]: member["role"] for member in shown["members"]} == parties
    await market.said(client, room, "Let us begin")
    assert len(await market.items(ann, room)) == 1
    assert (await market.call("GET", f"/rooms/{room}", eve))[0] == 403
    assert (await market.call("GET", f"/rooms/{room}", moderator))[0] == 200


# -- lists ------------------------------------------------------------------------------------------------------------


async def test_ones_rooms_are_listed_by_activity(market: Chat, client: Person, ann: Person, bob: Person) -> None:
    first, second = await market.dm(client, ann), await market.dm(client, bob)
    third = (await market.join(client, await market.job(client)))["id"]
    seq = await market.said(ann, first, "Hello")

    async def listed() -> Any:
        _, page = await market.call("GET", "/rooms", client)
        ids = [room["id"] for room in page["items"]]
        return page if ids[:1] == [first] and len(ids) == 3 else None

    page = await until(listed)
    assert {room["id"] for room in page["items"]} == {first, second, third}
    top = page["items"][0]
    assert (top["unread"], top["seq"], top["last_message"]["text"], top["me"]) == (1, seq, "Hello", client.id)
    assert "messages" not in top
    assert {member["name"] for member in top["members"]} == {"Somebody"}
    assert page["items"][1]["last_message"] is None
    _, some = await market.call("GET", "/rooms?limit=2", client)
    _, rest = await market.call("GET", f"/rooms?limit=2&cursor={some['next_cursor']}", client)
    assert [room["id"] for room in some["items"] + rest["items"]] == [room["id"] for room in page["items"]]
    assert rest["next_cursor"] is None
    _, jobs = await market.call("GET", "/rooms?kind=job&page=1", client)
    assert ([room["id"] for room in jobs["items"]], jobs["total"]) == ([third], 1)
    _, others = await market.call("GET", "/rooms", bob)
    assert [room["id"] for room in others["items"]] == [second]


async def test_a_list_is_read_from_its_index(market: Chat, client: Person) -> None:
    rooms = market.context.db["rooms"]
    plan = await rooms.find({"members": client.id}).sort([("active_at", -1), ("_id", 1)]).explain()
    assert "members_active" in str(plan["queryPlanner"]["winningPlan"])
    assert "'SORT'" not in str(plan["queryPlanner"]["winningPlan"])
