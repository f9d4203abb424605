"""Pages of the history, both ways, with everything that happened since applied."""

from __future__ import annotations

from typing import Any

import pytest

from tests.handlers.chat.conftest import Chat
from tests.handlers.market import Person


@pytest.fixture
async def talk(market: Chat, room: str, client: Person, ann: Person) -> list[int]:
    """Seqs of 70 messages with other events between them; the first two are edited, the third is deleted, late."""
    seqs = []
    for index in range(70):
        who = (client, ann)[index % 2]
        seqs.append(await market.said(who, room, f"message {index}", **({"reply_to": seqs[3]} if index == 4 else {})))
        if index % 7 == 0:
            await market.react(ann, room, seqs[-1], "👍")
    await market.edit(client, room, seqs[0], "edited once")
    await market.edit(client, room, seqs[0], "edited twice")
    await market.edit(ann, room, seqs[1], f"edited @{client.id}")
    await market.delete(client, room, seqs[2])
    return seqs


async def page(market: Chat, who: Person, room: str, query: str) -> Any:
    """One page."""
    status, answer = await market.call("GET", f"/rooms/{room}/messages{query}", who)
    assert status == 200, answer
    return answer


async def test_both_ways_give_the_same(market: Chat, room: str, client: Person, talk: list[int]) -> None:
    back: list[Any] = []
    query = "?limit=9"
    while True:
        found = await page(market, client, room, query)
        back = found["items"] + back
        if found["next_cursor"] is None:
            break
        query = f"?limit=9&cursor={found['next_cursor']}"
    on: list[Any] = []
    query = "?limit=11&after=0"
    while True:
        found = await page(market, client, room, query)
        on += found["items"]
        if found["next_cursor"] is None:
            break
        query = f"?limit=11&after=0&cursor={found['next_cursor']}"
    assert on == back
    assert [item["seq"] for item in on] == talk
    assert found["seq"] == (await market.look(client, room))["seq"]
    newest = await page(market, client, room, "?limit=100")
    assert newest["items"] == on
    assert newest["next_cursor"] is None
    assert (await market.look(client, room))["messages"] == on[-50:]


async def test_everything_is_applied(market: Chat, room: str, client: Person, ann: Person, talk: list[int]) -> None:
    items = (await page(market, ann, room, f"?after=0&before={talk[5]}"))["items"]
    assert [item["seq"] for item in items] == talk[:5]
    assert [item["text"] for item in items] == ["edited twice", f"edited @{client.id}", "", "message 3", "message 4"]
    assert items[0]["reactions"] == [{"emoji": "👍", "users": [ann.id]}]
    assert items[1]["mentions"] == [client.id]
    assert items[2]["deleted"] == "author"
    assert items[4]["reply_to"] == talk[3]
    assert [item["user"] for item in items] == [client.id, ann.id, client.id, ann.id, client.id]
    assert "edited_at" in items[0]
    assert "edited_at" not in items[3]


async def test_the_edges(market: Chat, room: str, client: Person, talk: list[int]) -> None:
    for query, expected in (
        ("", talk[-20:]),
        (f"?before={talk[3]}", talk[:3]),
        (f"?before={talk[3]}&limit=2", talk[1:3]),
        ("?before=0", []),
        ("?before=1", []),
        (f"?before={talk[0]}", []),
        (f"?after={talk[-1]}", []),
        (f"?after={talk[-3]}", talk[-2:]),
        ("?after=9007199254740991", []),
        ("?before=9007199254740991&limit=1", talk[-1:]),
        (f"?after={talk[3]}&before={talk[7]}", talk[4:7]),
        (f"?after={talk[3]}&before={talk[7]}&limit=2", talk[4:6]),
        (f"?after={talk[7]}&before={talk[3]}", []),
    ):
        found = await page(market, client, room, query)
        assert [item["seq"] for item in found["items"]] == expected, query
    assert (await page(market, client, room, f"?before={talk[3]}&limit=2"))["next_cursor"] == str(talk[1])
    assert (await page(market, client, room, f"?after={talk[3]}&before={talk[7]}"))["next_cursor"] is None


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=101", "before=-1", "after=x", "cursor=a", "before=9007199254740992"]
)
async def test_bad_queries(market: Chat, room: str, client: Person, query: str) -> None:
    status, problem = await market.call("GET", f"/rooms/{room}/messages?{query}", client)
    assert (status, problem["code"]) == (422, "VALIDATION_FAILED")


async def test_the_state_plus_the_events_after_it_is_a_fresh_state(
    market: Chat, room: str, client: Person, ann: Person, talk: list[int]
) -> None:
    """A client that folds events as the contract describes them comes to what a fresh look gives."""
    shown = await market.look(client, room)
    items = {item["seq"]: dict(item) for item in shown["messages"]}
    late = await market.said(ann, room, "late")
    await market.edit(ann, room, late, "later")
    await market.react(client, room, late, "🎉")
    await market.react(client, room, talk[-1], "🎉")
    await market.delete(client, room, talk[-2])
    for event in (await market.events(client, room))[shown["seq"] :]:
        kind = event["type"]
        if kind == "message":
            items[event["seq"]] = dict(event)
            continue
        item = items[event["message"]]
        if kind == "edited":
            item |= {"text": event["text"], "edited_at": event["t"]}
        elif kind == "reaction":
            item.setdefault("reactions", []).append({"emoji": event["emoji"], "users": [event["user"]]})
        elif kind == "deleted":
            item.pop("reactions", None)
            item |= {"text": "", "deleted": event["by"]}
    fresh = (await market.look(client, room))["messages"]
    assert list(items.values())[-50:] == fresh
