"""Exactly once and never stale, whatever comes again; and many at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from handlers.notifications.announcer import Announcer
from handlers.notifications.service import Inboxes
from models.rules.inbox.auctions import Announcement
from models.rules.stream import Command
from server.clock import new_salt
from server.errors import AppError
from server.settings import Settings
from tests.handlers.market import Market, Person, opened
from tests.handlers.notifications.conftest import crowd, followed, inbox, kinds, kinds_of, told, until_told
from tests.waiting import until


@pytest.fixture
async def still(settings: Settings) -> AsyncIterator[Market]:
    """A market whose worker does nothing unless it is called."""
    async with opened(settings, worker=False) as market:
        yield market


def announcer(market: Market) -> Announcer:
    context = market.context
    return Announcer(context.streams, context.clock, Inboxes(context.streams, 16))


async def test_history_is_read_again_without_doubles(market: Market, client: Person, ann: Person, bob: Person) -> None:
    """The real follower loses its token, as after an outage longer than the oplog."""
    auction = await market.auction(client, auction={"end_at": market.later(4_000), "soft_close": None})
    for amount in range(10_000, 16_000, 1_000):
        await market.bid(ann if amount % 2_000 == 0 else bob, auction, amount)
    await until_told(market, bob, "won")
    await until_told(market, ann, "lost")
    await until_told(market, client, "bid_received", lambda it: it["data"]["amount"] == 15_000)
    before = {who: await inbox(market, who) for who in (client, ann, bob)}
    followers, positions = market.context.followers, market.context.db["followers"]
    await followers.stop()
    await positions.update_one({"_id": "notifications.auctions"}, {"$unset": {"token": ""}})
    await followers.start()
    await until(lambda: positions.find_one({"_id": "notifications.auctions", "token": {"$exists": True}}))
    other = await market.auction(client)
    await market.bid(ann, other, 10_000)
    await until_told(market, ann, "leading", lambda it: it["data"]["auction"] == other)
    await until_told(market, client, "bid_received", lambda it: it["data"]["auction"] == other)
    queue = market.context.db["announcements"]
    await until(lambda: _empty(queue, {"kind": {"$in": ["lost", "extended"]}}))
    for who, events in before.items():
        after = await inbox(market, who)
        assert after[: len(events)] == events
        assert {event["data"]["auction"] for event in after[len(events) :]} <= {other}


async def _empty(collection: Any, condition: dict[str, Any]) -> bool:
    return await collection.find_one(condition) is None


@pytest.mark.parametrize("sizes", [(500, 1), (1, 500), (3, 7)])
async def test_other_batches_give_the_same(still: Market, sizes: tuple[int, int]) -> None:
    client, ann, bob = [await still.person(role) for role in ("client", "freelancer", "freelancer")]
    auction = await still.auction(client)
    for amount in range(10_000, 20_000, 1_000):
        await still.bid(ann if amount % 2_000 == 0 else bob, auction, amount)
    await followed(still, f"auction:{auction}", batch=sizes[0])
    before = {who: await inbox(still, who) for who in (client, ann, bob)}
    await followed(still, f"auction:{auction}", batch=sizes[1])
    assert {who: await inbox(still, who) for who in (client, ann, bob)} == before
    assert await kinds(still, client) == ["bid_received"] * 10
    assert (await kinds(still, ann), await kinds(still, bob)) == (["outbid"], ["leading"])
    assert (await told(still, ann))[0]["data"]["price"] == 19_000


async def test_of_a_batch_one_append_per_bidder(still: Market) -> None:
    client, ann, bob = [await still.person(role) for role in ("client", "freelancer", "freelancer")]
    auction = await still.auction(client)
    for amount in range(10_000, 50_000, 1_000):
        await still.bid(ann if amount % 2_000 == 0 else bob, auction, amount)
    await followed(still, f"auction:{auction}")
    assert (await kinds_of(still, ann.id), await kinds_of(still, bob.id)) == (["outbid"], ["leading"])
    assert len(await kinds_of(still, client.id)) == 40


async def test_two_workers_at_once(still: Market) -> None:
    """A lease that ran out: the old worker goes on while the new one has begun."""
    client, ann, bob = [await still.person(role) for role in ("client", "freelancer", "freelancer")]
    auction = await still.auction(client)
    for amount in range(10_000, 30_000, 1_000):
        await still.bid(ann if amount % 2_000 == 0 else bob, auction, amount)
    async with opened(still.context.settings, worker=False) as other:
        await asyncio.gather(
            *(followed(market, f"auction:{auction}", batch=size) for market in (still, other) for size in (2, 5))
        )
        assert len(await kinds_of(other, client.id)) == 20
        assert await kinds(other, ann) == ["outbid"]
        standings = [it["data"]["price"] for it in await inbox(other, ann) if it["type"] == "notification"]
        assert standings == sorted(set(standings))


async def test_a_close_with_hundreds_of_bidders(still: Market) -> None:
    """Everybody is told once, also if the worker dies half-way, and two others go on."""
    client = await still.person("client")
    auction = await still.auction(client, auction={"end_at": still.later(4_000), "soft_close": None})
    users = await crowd(still, auction, 300)
    await followed(still, f"auction:{auction}", batch=100)
    queue = still.context.db["announcements"]
    await queue.delete_many({})

    async def over() -> bool:
        await still.context.streams.append(f"auction:{auction}", Command("tick", "system"))
        return (await still.types(auction))[-1] == "awarded"

    await until(over, pause_s=0.2)
    await followed(still, f"auction:{auction}")
    await queue.delete_many({"kind": "closing_soon"})

    class Dying(Inboxes):
        async def deliver(self, notices: Any) -> None:
            told = list(notices)
            await super().deliver(told[:70])
            raise AppError("UNAVAILABLE")

    context = still.context
    with pytest.raises(AppError):
        await Announcer(context.streams, context.clock, Dying(context.streams, 16)).serve_next()
    told_of = await asyncio.gather(*(kinds_of(still, user) for user in users))
    assert sum("lost" in kinds for kinds in told_of) == 70
    assert not await announcer(still).serve_next()  # it is leased
    await queue.update_one({"kind": "lost"}, {"$set": {"due_at": 0}})
    async with opened(context.settings, worker=False) as other:
        one, two = announcer(still), announcer(other)
        assert await one.serve_next()
        assert not await two.serve_next()
        # and both at the same time, as after a pause longer than the lease
        await followed(other, f"auction:{auction}")
        await queue.delete_many({"kind": "closing_soon"})
        kept = await queue.find_one({"kind": "lost"})
        served = asyncio.create_task(one.serve_next())
        await until(lambda: queue.find_one({"kind": "lost", "due_at": {"$gt": kept["due_at"]}}), pause_s=0)
        await queue.update_one({"kind": "lost"}, {"$set": {"due_at": 0}})
        assert await two.serve_next()
        assert await served
    *losers, winner = await asyncio.gather(*(kinds_of(still, user) for user in users))
    assert {kinds.count("lost") for kinds in losers} == {1}
    assert (winner.count("won"), winner.count("lost")) == (1, 0)


async def test_an_extension_that_is_overtaken_while_it_is_told(still: Market) -> None:
    """Whoever tells of an extension goes on to the newer one; nobody hears of the older after it."""
    client = await still.person("client")
    soft_close = {"window_s": 3_600, "extension_s": 3_600}
    auction = await still.auction(client, auction={"end_at": still.later(1_800_000), "soft_close": soft_close})
    users = await crowd(still, auction, 5)
    await followed(still, f"auction:{auction}")
    queue, context = still.context.db["announcements"], still.context

    class Overtaken(Inboxes):
        async def deliver(self, notices: Any) -> None:
            told = list(notices)
            await super().deliver(told[:3])
            await crowd(still, auction, 1, first=6)
            await followed(still, f"auction:{auction}")
            await super().deliver(told[3:])

    await queue.delete_many({"kind": "closing_soon"})
    assert await Announcer(context.streams, context.clock, Overtaken(context.streams, 16)).serve_next()
    assert (await queue.find_one({"kind": "extended"}))["due_at"] <= context.clock.now()
    assert await announcer(still).serve_next()
    assert await queue.find_one({"kind": "extended"}) is None
    end_at = (await still.call("GET", f"/auctions/{auction}"))[1]["end_at"]
    for user in [client.id, *users]:
        events = await context.streams.read(f"user:{user}")
        ends = [event.public["data"]["end_at"] for event in events if event.public.get("kind") == "extended"]
        assert ends[-1] == end_at
        assert len(ends) == 2


async def test_an_announcement_of_nothing_is_dropped(still: Market) -> None:
    """Its auction is not there, or not open any more."""
    from handlers.notifications.announcer import announce

    for kind in ("closing_soon", "award_expiring"):
        await announce(Announcement(kind, "auction:nowhere", 1, {"accept_by": "never"}, 0, 1_000))
        assert await announcer(still).serve_next()
    assert not await announcer(still).serve_next()


async def test_an_older_announcement_does_not_replace_a_newer_one(still: Market) -> None:
    from handlers.notifications.announcer import announce

    for seq in (5, 3, 5):
        await announce(Announcement("extended", "auction:a", seq, {"seq": seq}, 0, latest=True))
    (kept,) = await still.context.db["announcements"].find().to_list()
    assert (kept["seq"], kept["data"]) == (5, {"seq": 5})


async def test_a_thousand_bids_on_one_owner(still: Market) -> None:
    """All received, in their order, in few commits."""
    client = await still.person("client")
    auction = await still.auction(client)
    context = {"salt": new_salt()}
    stream = f"auction:{auction}"
    await asyncio.gather(
        *(
            still.context.streams.append(
                stream, Command("bid", f"crowd-{number % 7}", {"amount": 10_000 + 100 * number}, f"{number}", context)
            )
            for number in range(1_000)
        )
    )
    await followed(still, stream)
    events = await still.context.streams.read(f"user:{client.id}", limit=2_000)
    amounts = [event.public["data"]["amount"] for event in events if event.type == "notification"]
    assert amounts == [10_000 + 100 * number for number in range(1_000)]
    assert events[-1].public["unread"] == 1_000
