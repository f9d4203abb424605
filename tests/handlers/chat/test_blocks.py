"""Blocking people: between the two nothing is said directly, and no bids are taken."""

from __future__ import annotations

from server.clock import new_id
from tests.handlers.chat.conftest import Chat
from tests.handlers.market import Person, opened
from tests.waiting import until


async def block(market: Chat, who: Person, whom: Person, key: str | None = None) -> tuple[int, dict[str, object]]:
    return await market.call("POST", "/blocks", who, {"user": whom.id}, key)


async def unblock(market: Chat, who: Person, whom: Person) -> int:
    return (await market.call("DELETE", f"/blocks/{whom.id}", who))[0]


async def test_neither_writes_to_the_other_until_it_is_taken_back(
    market: Chat, room: str, client: Person, ann: Person
) -> None:
    seq = await market.said(ann, room, "Good morning")
    status, made = await block(market, client, ann)
    assert status == 201
    assert (made["user"], made["name"]) == (ann.id, "Somebody")
    for who in (client, ann):
        assert (await market.say(who, room, "Hello?"))[1]["code"] == "BLOCKED"
        assert (await market.react(who, room, seq, "👍"))[1]["code"] == "BLOCKED"
        other = ann if who is client else client
        assert (await market.call("POST", "/rooms", who, {"kind": "dm", "user": other.id}))[1]["code"] == "BLOCKED"
    assert (await market.edit(ann, room, seq, "Good evening"))[1]["code"] == "BLOCKED"
    assert (await market.delete(ann, room, seq))[0] == 200  # what takes back is always allowed
    wire = await market.socket(ann)
    send = {"room": room, "text": "Hello?", "key": new_id()}
    assert (await wire.command("send", send, namespace="/chat"))["error"]["code"] == "BLOCKED"
    typing = await wire.command("typing", {"room": room, "on": True}, namespace="/chat")
    assert typing["error"]["code"] == "BLOCKED"
    assert len(await market.items(ann, room)) == 1  # reading goes on

    assert await unblock(market, ann, client) == 204  # it is the blocker's to take back
    assert (await market.say(ann, room, "Hello?"))[1]["code"] == "BLOCKED"
    assert await unblock(market, client, ann) == 204
    assert (await market.say(ann, room, "Hello?"))[0] == 201


async def test_what_was_said_before_the_block_is_still_answered_for(
    market: Chat, room: str, client: Person, ann: Person
) -> None:
    path, body = f"/rooms/{room}/messages", {"text": "Good morning"}
    _, first = await market.call("POST", path, ann, body, "morning")
    await block(market, client, ann)
    again = await market.call("POST", path, ann, body, "morning")
    assert again == (201, {**first, "replayed": True})
    assert (await market.call("POST", path, ann, {"text": "Or not"}, "morning"))[1]["code"] == "IDEMPOTENCY_MISMATCH"
    assert (await market.call("POST", path, ann, body, "evening"))[1]["code"] == "BLOCKED"


async def test_nobody_opens_a_room_with_a_blocker(market: Chat, client: Person, ann: Person) -> None:
    await market.job(client, ann)
    await block(market, ann, client)
    assert (await market.call("POST", "/rooms", client, {"kind": "dm", "user": ann.id}))[1]["code"] == "BLOCKED"
    await unblock(market, ann, client)
    assert (await market.call("POST", "/rooms", client, {"kind": "dm", "user": ann.id}))[0] == 201


async def test_rooms_of_jobs_and_third_people_are_not_concerned(
    market: Chat, client: Person, ann: Person, bob: Person
) -> None:
    job = await market.job(client, ann)
    room = (await market.join(ann, job))["id"]
    other = await market.dm(client, bob)
    await block(market, client, ann)
    assert (await market.say(ann, room, "I may still ask"))[0] == 201
    assert (await market.say(bob, other, "And I"))[0] == 201


async def test_bids_of_the_blocked_are_refused(market: Chat, client: Person, ann: Person, bob: Person) -> None:
    for format_ in ("english", "sealed", "proposal"):
        auction = await market.auction(client, format_)
        amount = 10_000 if format_ == "english" else 9_000
        status, placed = await market.bid(ann, auction, amount, key="first")
        assert status == 201, placed
        await block(market, client, ann)

        async def refused(auction: str = auction) -> bool:
            return (await market.bid(ann, auction, 1))[1].get("code") == "BLOCKED"

        await until(refused)
        assert (await market.bid(bob, auction, amount + (500 if format_ == "english" else -500)))[0] == 201
        again = await market.bid(ann, auction, amount, key="first")  # what was placed stays placed
        assert (again[0], again[1]["replayed"]) == (201, True)
        await unblock(market, client, ann)

        async def taken(auction: str = auction, format_: str = format_) -> bool:
            status, _ = await market.bid(ann, auction, 30_000 if format_ == "english" else 7_000)
            return status == 201

        await until(taken)


async def test_another_instance_hears_of_a_block(market: Chat, client: Person, ann: Person) -> None:
    auction = await market.auction(client)
    async with opened(market.context.settings, worker=False) as other:
        assert (await other.bid(ann, auction, 10_000))[0] == 201
        await block(market, client, ann)

        async def refused() -> bool:
            return (await other.bid(ann, auction, 1_000_000))[1].get("code") == "BLOCKED"

        await until(refused)


async def test_blocking_again_changes_nothing(market: Chat, client: Person, ann: Person, bob: Person) -> None:
    _, first = await block(market, client, ann)
    assert await block(market, client, ann) == (201, first)
    assert await block(market, client, bob, key="k") == await block(market, client, bob, key="k")
    status, page = await market.call("GET", "/blocks?limit=1", client)
    assert (status, [item["user"] for item in page["items"]]) == (200, [bob.id])
    _, rest = await market.call("GET", f"/blocks?limit=1&cursor={page['next_cursor']}", client)
    assert ([item["user"] for item in rest["items"]], rest["next_cursor"]) == ([ann.id], None)
    assert (await market.call("GET", "/blocks", ann))[1]["items"] == []
    assert await unblock(market, client, ann) == await unblock(market, client, ann) == 204
    assert await market.context.db["audit"].count_documents({"action": "block.added"}) == 2
    assert await market.context.db["audit"].count_documents({"action": "block.removed"}) == 1


async def test_whom_nobody_can_block(market: Chat, client: Person) -> None:
    assert (await block(market, client, client))[1]["code"] == "VALIDATION_FAILED"
    assert (await market.call("POST", "/blocks", client, {"user": new_id()}))[1]["code"] == "NOT_FOUND"
    for body in ({}, {"user": 5}, {"user": "../x"}, {"user": ""}, []):
        assert (await market.call("POST", "/blocks", client, body))[0] == 422
    for method, path, body in (
        ("POST", "/blocks", {"user": "a"}),
        ("GET", "/blocks", None),
        ("DELETE", "/blocks/a", None),
    ):
        assert (await market.call(method, path, None, body))[0] == 401
