"""Finding words in a room."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from pymongo.errors import BulkWriteError

from handlers.chat.service import Rooms
from handlers.chat.tasks import Listings
from tests.handlers.chat.conftest import Chat
from tests.handlers.market import Person
from tests.waiting import until


async def search(market: Chat, who: Person, room: str, words: str, more: str = "") -> Any:
    """One page of what is found."""
    status, found = await market.call("GET", f"/rooms/{room}/search?q={quote(words)}{more}", who)
    assert status == 200, found
    return found


async def level(market: Chat, room: str, count: int) -> None:
    """Return when the follower has entered that many messages of the room, all as they are now."""

    async def entered() -> bool:
        events = [event for event in await market.context.streams.read(f"room:{room}") if event.type != "reaction"]
        documents = await market.context.db["messages"].find({"room": room}).to_list()
        newest = max((document["version"] for document in documents), default=0)
        texts = [event.seq for event in events if event.type in ("message", "edited", "deleted")]
        return len(documents) == count and newest == texts[-1]

    await until(entered)


async def test_words_are_found_in_one_room(
    market: Chat, room: str, client: Person, ann: Person, bob: Person, eve: Person
) -> None:
    other = await market.dm(client, bob)
    await market.said(client, other, "moss green elsewhere")
    seqs = [
        await market.said(client, room, text) for text in ("Moss green", "Grün wie Moos", "moss, or sea green?", "no")
    ]
    await market.react(ann, room, seqs[0], "👍")
    await level(market, room, 4)
    found = await search(market, ann, room, "green")
    assert [item["seq"] for item in found["items"]] == [seqs[2], seqs[0]]
    assert found["items"][1]["reactions"] == [{"emoji": "👍", "users": [ann.id]}]
    assert [item["seq"] for item in (await search(market, ann, room, "grün"))["items"]] == [seqs[1]]
    assert [item["seq"] for item in (await search(market, ann, room, '"sea green"'))["items"]] == [seqs[2]]
    assert [item["seq"] for item in (await search(market, ann, room, "green -sea"))["items"]] == [seqs[0]]
    assert [item["seq"] for item in (await search(market, ann, room, "no"))["items"]] == [seqs[3]]  # no stop words
    first = await search(market, ann, room, "green", "&limit=1")
    assert [item["seq"] for item in first["items"]] == [seqs[2]]
    second = await search(market, ann, room, "green", f"&limit=1&cursor={first['next_cursor']}")
    assert ([item["seq"] for item in second["items"]], second["next_cursor"]) == ([seqs[0]], None)
    assert (await market.call("GET", f"/rooms/{room}/search?q=green", eve))[0] == 403
    assert (await market.call("GET", f"/rooms/{room}/search?q=green", bob))[0] == 403


async def test_edits_and_deletions_are_followed(market: Chat, room: str, client: Person) -> None:
    edited, deleted, kept = [await market.said(client, room, f"red {name}") for name in "abc"]
    await market.edit(client, room, edited, "blue")
    await market.delete(client, room, deleted)
    assert deleted not in [item["seq"] for item in (await search(market, client, room, "red"))["items"]]  # at once
    await level(market, room, 3)
    assert [item["seq"] for item in (await search(market, client, room, "red"))["items"]] == [kept]
    assert [item["text"] for item in (await search(market, client, room, "blue"))["items"]] == ["blue"]
    stored = await market.context.db["messages"].find_one({"_id": f"{room}#{deleted}"})
    assert stored is not None
    assert stored["text"] == ""


@pytest.mark.parametrize("query", ["", "q=", "q=" + "x" * 201, "q=x&limit=0", "q=x&cursor=a", "q=%00"])
async def test_bad_searches(market: Chat, room: str, client: Person, query: str) -> None:
    status, problem = await market.call("GET", f"/rooms/{room}/search?{query}", client)
    assert (status, problem["code"]) == (422, "VALIDATION_FAILED")


async def test_following_again_and_in_any_order_changes_nothing(market: Chat, room: str, client: Person) -> None:
    one, two = [await market.said(client, room, text) for text in ("one", "two")]
    await market.edit(client, room, one, "uno")
    await market.delete(client, room, two)
    await level(market, room, 2)
    database = market.context.db
    before = await database["messages"].find({"room": room}).to_list(), await database["rooms"].find().to_list()
    listings = Listings(Rooms(market.context.streams, market.context.clock))
    events = await market.context.streams.read(f"room:{room}")
    for batch in (events, events[::-1], events[:4], events[-1:]):
        await listings.handle(batch)
    assert (
        await database["messages"].find({"room": room}).to_list(),
        await database["rooms"].find().to_list(),
    ) == before
    await database["messages"].delete_many({})
    await listings.handle(events[::-1])
    assert await database["messages"].find({"room": room}).sort("seq", 1).to_list() == sorted(
        before[0], key=lambda document: document["seq"]
    )


async def test_other_failures_of_the_store_are_not_swallowed(market: Chat, room: str, client: Person) -> None:
    await market.said(client, room, "one")
    await level(market, room, 1)
    validator = {"$jsonSchema": {"properties": {"version": {"maximum": 0}}}}
    await market.context.db.command("collMod", "messages", validator=validator)
    listings = Listings(Rooms(market.context.streams, market.context.clock))
    await market.context.db["messages"].delete_many({})
    with pytest.raises(BulkWriteError):
        await listings.handle(await market.context.streams.read(f"room:{room}"))
    await market.context.db.command("collMod", "messages", validator={})
