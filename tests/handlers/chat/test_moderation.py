"""Bans, and contact details before there is a contract."""

from __future__ import annotations

from typing import Any

import pytest

from server.clock import new_id
from server.settings import Settings
from tests.handlers.chat.conftest import NAMESPACE, Chat
from tests.handlers.market import HOUR_MS, Person, opened
from tests.waiting import until

NUMBER = "call me: +49 170 1234567"


async def ban(market: Chat, who: Person | None, whom: str, reason: str = "Spam") -> tuple[int, Any]:
    return await market.call("POST", "/moderation/bans", who, {"user": whom, "reason": reason})


async def test_the_banned_say_nothing_and_enter_nowhere(
    market: Chat, room: str, client: Person, ann: Person, moderator: Person
) -> None:
    job = await market.job(client, ann)
    seq = await market.said(client, room, "Good morning")
    own = await market.said(ann, room, "Good morning")
    wire = await market.socket(ann)
    status, made = await ban(market, moderator, ann.id)
    assert status == 201
    assert (made["user"], made["by"], made["reason"]) == (ann.id, moderator.id, "Spam")
    for status, refused in (
        await market.say(ann, room, "Hello"),
        await market.edit(ann, room, own, "Hello"),
        await market.react(ann, room, seq, "👍"),
        await market.call("POST", "/rooms", ann, {"kind": "job", "job": job}),
        await market.call("POST", "/rooms", ann, {"kind": "dm", "user": client.id}),
    ):
        assert (status, refused["code"]) == (403, "FORBIDDEN")
    answers = [
        await wire.command("send", {"room": room, "text": "Hello", "key": new_id()}, namespace=NAMESPACE),
        await wire.command("typing", {"room": room, "on": True}, namespace=NAMESPACE),
    ]
    assert [answer["error"]["code"] for answer in answers] == ["FORBIDDEN", "FORBIDDEN"]
    assert len(await market.items(ann, room)) == 2  # reading goes on
    assert (await market.say(client, room, "Good riddance"))[0] == 201

    assert (await market.call("DELETE", f"/moderation/bans/{ann.id}", moderator))[0] == 204
    assert (await market.say(ann, room, "Hello"))[0] == 201
    assert (await market.call("DELETE", f"/moderation/bans/{ann.id}", moderator))[0] == 204


async def test_other_instances_hear_of_a_ban(market: Chat, room: str, ann: Person, moderator: Person) -> None:
    async with opened(market.context.settings, worker=False) as other:
        where = f"/rooms/{room}/messages"
        assert (await other.call("POST", where, ann, {"text": "One"}, new_id()))[0] == 201
        await ban(market, moderator, ann.id)

        async def refused() -> bool:
            return (await other.call("POST", where, ann, {"text": "More"}, new_id()))[0] == 403

        await until(refused)


async def test_who_bans_whom(market: Chat, ann: Person, moderator: Person, admin: Person) -> None:
    second = await market.moderator()
    for who, whom, status in (
        (None, ann.id, 401),
        (ann, moderator.id, 403),
        (moderator, moderator.id, 403),
        (moderator, second.id, 403),
        (moderator, admin.id, 403),
        (admin, admin.id, 403),
        (moderator, new_id(), 404),
        (admin, second.id, 201),
        (moderator, ann.id, 201),
    ):
        assert (await ban(market, who, whom))[0] == status
    status, again = await ban(market, admin, ann.id, "Another reason")
    assert (status, again["by"], again["reason"]) == (201, moderator.id, "Spam")
    _, page = await market.call("GET", "/moderation/bans", moderator)
    assert [item["user"] for item in page["items"]] == [ann.id, second.id]
    for who, status in ((None, 401), (ann, 403)):
        assert (await market.call("GET", "/moderation/bans", who))[0] == status
        assert (await market.call("DELETE", f"/moderation/bans/{ann.id}", who))[0] == status
    for body in (
        {},
        {"user": 1},
        {"user": "a b"},
        {"user": ann.id, "reason": "x" * 2_001},
        {"user": ann.id, "reason": "\x00"},
    ):
        assert (await market.call("POST", "/moderation/bans", moderator, body))[0] == 422


# -- contact details --------------------------------------------------------------------------------------------------


async def test_contact_details_are_refused_before_a_contract(
    market: Chat, room: str, client: Person, ann: Person
) -> None:
    for who in (client, ann):
        status, refused = await market.say(who, room, NUMBER)
        assert (status, refused["code"], refused["details"]) == (422, "CONTACT_SHARING", {"found": "phone"})
    seq = await market.said(ann, room, "I have a number")
    assert (await market.edit(ann, room, seq, NUMBER))[1]["code"] == "CONTACT_SHARING"
    wire = await market.socket(ann)
    send = {"room": room, "text": "joe@example.com", "key": new_id()}
    refused = await wire.command("send", send, namespace=NAMESPACE)
    assert refused["error"]["details"] == {"found": "email"}
    assert (await market.say(ann, room, "Order 4500012345 of 2026-11-21 for 1,200.50 EUR"))[0] == 201


async def accepted(market: Chat, client: Person, winner: Person) -> str:
    """The job of an auction whose award was accepted."""
    auction = await market.auction(client, "proposal")
    assert (await market.bid(winner, auction, 9_000, delivery_days=3))[0] == 201
    assert (await market.act(client, auction, "award", bidder=winner.id))[0] == 200
    assert (await market.act(winner, auction, "accept"))[0] == 200
    return str((await market.call("GET", f"/auctions/{auction}", client))[1]["job"])


async def test_they_pass_between_two_who_have_a_contract(
    market: Chat, room: str, client: Person, ann: Person, bob: Person
) -> None:
    other = await market.dm(client, bob)
    await accepted(market, client, ann)
    for who in (client, ann):
        assert (await market.say(who, room, NUMBER))[0] == 201
    assert (await market.say(bob, other, NUMBER))[1]["code"] == "CONTACT_SHARING"


async def test_in_the_room_of_a_job_they_pass_from_the_parties_alone(
    market: Chat, client: Person, ann: Person, bob: Person
) -> None:
    auction = await market.auction(client, "proposal", auction={"end_at": market.later(HOUR_MS), "soft_close": None})
    for who in (ann, bob):
        assert (await market.bid(who, auction, 9_000, delivery_days=3))[0] == 201
    job = str((await market.call("GET", f"/auctions/{auction}", client))[1]["job"])
    room = (await market.join(client, job))["id"]
    for who in (client, ann, bob):
        assert (await market.say(who, room, NUMBER))[1]["code"] == "CONTACT_SHARING"
    assert (await market.act(client, auction, "award", bidder=ann.id))[0] == 200
    assert (await market.say(ann, room, NUMBER))[1]["code"] == "CONTACT_SHARING"  # not yet accepted
    assert (await market.act(ann, auction, "accept"))[0] == 200
    assert (await market.say(ann, room, NUMBER))[0] == (await market.say(client, room, NUMBER))[0] == 201
    assert (await market.say(bob, room, NUMBER))[1]["code"] == "CONTACT_SHARING"


class TestWithoutFilter:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"chat_contact_filter": False})

    async def test_everything_passes(self, market: Chat, room: str, ann: Person) -> None:
        assert (await market.say(ann, room, NUMBER))[0] == 201
