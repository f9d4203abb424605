"""Messages and mentions: to members who are elsewhere, and to the mentioned in any case."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from server.clock import new_id
from server.realtime.client import LiveSocket
from tests.handlers.market import Market, Person
from tests.handlers.notifications.conftest import followed, inbox, kinds, told, until_told
from tests.waiting import until


@pytest.fixture
async def auction(market: Market, client: Person, ann: Person, bob: Person) -> str:
    """One on which both freelancers have bid."""
    auction = await market.auction(client)
    await market.bid(ann, auction, 10_000)
    await market.bid(bob, auction, 11_000)
    return auction


async def room(market: Market, who: Person, **place: Any) -> str:
    status, answer = await market.call("POST", "/rooms", who, place)
    assert status == 201, answer
    return str(answer["id"])


async def say(market: Market, who: Person, where: str, text: str, **more: Any) -> int:
    """The seq of a new message."""
    path = f"/rooms/{where}/messages"
    status, answer = await market.call("POST", path, who, {"text": text, **more}, new_id())
    assert status == 201, answer
    return int(answer["seq"])


async def settled(market: Market, client: Person, ann: Person) -> None:
    """Return when everything said before has been told: what is said last, elsewhere, is."""
    where = await room(market, client, kind="dm", user=ann.id)
    marker = new_id()
    await say(market, client, where, f"Done {marker}")
    await until_told(market, ann, "message", lambda it: marker in it["data"]["excerpt"])


async def test_a_message_to_who_is_elsewhere(market: Market, client: Person, ann: Person, auction: str) -> None:
    where = await room(market, client, kind="dm", user=ann.id)
    text = "Can you start on Monday?\n" + "x" * 300
    seq = await say(market, client, where, text)
    data = (await until_told(market, ann, "message"))["data"]
    assert data == {
        "room": where,
        "room_kind": "dm",
        "job": None,
        "title": None,
        "message": seq,
        "user": client.id,
        "name": "Somebody",
        "excerpt": f"Can you start on Monday? {'x' * 114}…",
    }
    assert "message" not in await kinds(market, client)
    await say(market, ann, where, "Yes")
    assert (await until_told(market, client, "message"))["data"]["excerpt"] == "Yes"
    for who in (client, ann):
        await inbox(market, who)
    before = len(await told(market, ann))
    await followed(market, f"room:{where}", batch=1)
    assert len(await told(market, ann)) == before


async def test_not_to_who_watches_the_room(market: Market, client: Person, ann: Person, auction: str) -> None:
    where = await room(market, client, kind="dm", user=ann.id)
    await say(market, client, where, "Nobody is there")
    await until_told(market, ann, "message")
    heard: list[str] = []
    phone = LiveSocket("/chat", lambda message: heard.extend(event.get("text", "") for event in message["events"]))
    await phone.connect(str(market.http.make_url("/")), ann.token)
    assert (await phone.call("subscribe", {"stream": f"room:{where}"}))["ok"]
    attended = f"rialto:attend:room:{where}"
    await until(lambda: market.context.redis.client.zcard(attended))
    await say(market, client, where, "You see this")
    await until(lambda: "You see this" in heard)
    # the mentioned are told, watching or not; and by then the follower has passed what was said before
    await say(market, client, where, f"And this, @{ann.id}")
    await until_told(market, ann, "mention")
    await phone.close()
    await until(lambda: _nobody(market, attended))
    await say(market, client, where, "You have gone")
    await until_told(market, ann, "message", lambda it: it["data"]["excerpt"] == "You have gone")
    excerpts = [it["data"]["excerpt"] for it in await told(market, ann) if it["kind"] == "message"]
    assert excerpts == ["You have gone", "Nobody is there"]


async def _nobody(market: Market, key: str) -> bool:
    """Whether everybody has left by now; when is remembered."""
    return not await market.context.redis.client.zcount(key, market.context.clock.now() + 1, "+inf")


async def test_muted_and_read_rooms_are_quiet(
    market: Market, client: Person, ann: Person, bob: Person, auction: str
) -> None:
    job = (await market.call("GET", f"/auctions/{auction}"))[1]["job"]
    where = await room(market, client, kind="job", job=job)
    for who in (ann, bob):
        await room(market, who, kind="job", job=job)
    assert (await market.call("PUT", f"/rooms/{where}/mute", ann, {"muted": True}))[0] == 200
    await say(market, client, where, "Questions?")
    await until_told(market, bob, "message")
    data = (await until_told(market, bob, "message"))["data"]
    assert (data["room_kind"], data["job"], data["title"]) == ("job", job, "Paint a fence")
    await say(market, client, where, f"@{ann.id}?")
    await until_told(market, ann, "mention")
    await until_told(market, bob, "message", lambda it: ann.id in it["data"]["excerpt"])
    assert "message" not in await kinds(market, ann)
    assert "mention" not in await kinds(market, bob)
    assert not {"message", "mention"} & set(await kinds(market, client))


async def test_a_guest_of_a_sealed_auction_stays_one(market: Market, client: Person, ann: Person, bob: Person) -> None:
    auction = await market.auction(client, "sealed")
    for who in (ann, bob):
        await market.bid(who, auction, 9_000)
    job = (await market.call("GET", f"/auctions/{auction}"))[1]["job"]
    where = await room(market, client, kind="job", job=job)
    await room(market, bob, kind="job", job=job)
    await say(market, ann, where, "How high is the fence?")
    for who in (client, bob):
        data = (await until_told(market, who, "message"))["data"]
        assert data["user"].startswith("Guest ")
        assert data["name"] is None
        assert ann.id not in str(await inbox(market, who))


async def test_a_removed_member_hears_nothing(
    market: Market, client: Person, ann: Person, bob: Person, auction: str
) -> None:
    job = (await market.call("GET", f"/auctions/{auction}"))[1]["job"]
    where = await room(market, client, kind="job", job=job)
    for who in (ann, bob):
        await room(market, who, kind="job", job=job)
    assert (await market.call("DELETE", f"/rooms/{where}/members/{bob.id}", client))[0] == 200
    await say(market, client, where, "He is gone")
    await until_told(market, ann, "message")
    await settled(market, client, ann)
    assert "message" not in await kinds(market, bob)


async def test_words_that_are_deleted_are_told_no_more(
    market: Market, client: Person, ann: Person, auction: str
) -> None:
    where = await room(market, client, kind="dm", user=ann.id)
    said = await say(market, client, where, f"A slip, @{ann.id}")
    await until_told(market, ann, "mention")
    plain = await say(market, client, where, "Another slip")
    await until_told(market, ann, "message")
    for message in (said, plain):
        status, _ = await market.call("DELETE", f"/rooms/{where}/messages/{message}", client)
        assert status == 200

    async def excerpts() -> list[str]:
        return [it["data"]["excerpt"] for it in await told(market, ann) if it["kind"] in ("message", "mention")]

    await until(lambda: _are(excerpts, ["", ""]))
    _, page = await market.call("GET", f"/streams/user:{ann.id}/events", ann)
    assert "slip" not in str(page)


async def _are(look: Callable[[], Awaitable[list[str]]], wanted: list[str]) -> bool:
    return await look() == wanted
