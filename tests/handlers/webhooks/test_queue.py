"""Queued once, tried until it is delivered or dead: crashes, leases, several workers, replays."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from handlers.webhooks.lanes import Lanes
from handlers.webhooks.sender import Sender
from handlers.webhooks.targets import Reach
from models.webhook import Delivery, Webhook
from server.background import end
from server.settings import Settings
from tests.handlers.bidding.test_indexes import profiled
from tests.handlers.market import Market, Person, opened
from tests.handlers.webhooks.conftest import Desk, Receiver, forget_token, never_answers, subscribe
from tests.waiting import until

DAY_MS = 86_400_000


async def test_a_follower_that_reads_everything_again_tells_nothing_twice(
    settings: Settings, receiver: Receiver
) -> None:
    async with opened(settings) as market:
        client, ann = await market.person("client"), await market.person("freelancer")
        await subscribe(market, client, receiver.url())
        auction = await market.auction(client)
        await market.bid(ann, auction, 10_000)
        await until(lambda: len(receiver.received) == 2)
        jobs = market.context.db["jobs"]
        # as if the worker had died between queueing and taking the mark away
        await jobs.update_many({}, [{"$set": {"unannounced": "$published_at"}}])
        await until(partial(_none_marked, market))
    async with opened(settings, worker=False) as between:
        await forget_token(between)
    async with opened(settings) as again:
        bob = await again.person("freelancer")
        await again.bid(bob, auction, 10_500)
        await until(lambda: len(receiver.of_type("bid.submitted")) == 2)
        assert await again.context.db["webhook_deliveries"].count_documents({}) == 3
    assert len({one.delivery for one in receiver.received}) == len(receiver.received) == 3


async def _none_marked(market: Market) -> bool:
    return await market.context.db["jobs"].count_documents({"unannounced": {"$exists": True}}) == 0


async def test_hearing_again_and_by_several_workers_queues_once(
    quiet: Market, desk: Desk, receiver: Receiver, client: Person, ann: Person
) -> None:
    await subscribe(quiet, client, receiver.url())
    auction = await quiet.auction(client)
    for amount in range(10_000, 11_000, 100):
        who = ann if amount % 200 else await quiet.person("freelancer")
        assert (await quiet.bid(who, auction, amount))[0] == 201
    await asyncio.gather(*(desk.hear(f"auction:{auction}") for _ in range(5)))
    await desk.hear(f"auction:{auction}")
    stored = await desk.stored()
    assert [one["type"] for one in stored] == ["job.created"] + ["bid.submitted"] * 10
    assert await desk.deliver() == 11
    assert len({one.delivery for one in receiver.received}) == len(receiver.received) == 11


async def test_the_tries_of_one_receiver_are_in_the_order_of_time(
    quiet: Market, receiver: Receiver, client: Person, ann: Person
) -> None:
    await subscribe(quiet, client, receiver.url())
    sealed = await quiet.auction(
        client, "sealed", auction={"end_at": quiet.later(2_000), "soft_close": None, "direction": "reverse"}
    )
    people = [await quiet.person("freelancer") for _ in range(4)]
    amounts = (4_000, 1_000, 3_000, 2_000)
    for who, amount in zip(people, amounts, strict=True):
        assert (await quiet.bid(who, sealed, amount))[0] == 201
    await until(lambda: _is_over(quiet, sealed))
    async with Sender(Reach(private=True), 10.0, 1) as sender:
        desk = Desk(quiet, sender, Lanes(1, 1))
        # the public stream in whatever pieces it comes
        events = await quiet.context.streams.read(f"auction:{sealed}")
        for event in reversed(events):
            await desk.ears.follow([event])
        await desk.hear()
        await desk.deliver()
    told = [(one.body["type"], one.body["data"].get("bid_amount")) for one in receiver.received]
    assert told == [
        ("job.created", None),
        *(("bid.submitted", amount) for amount in sorted(amounts)),
        ("auction.closed", None),
    ]


async def _is_over(market: Market, auction: str) -> bool:
    from models.rules.stream import Command

    await market.context.streams.append(f"sealed:{auction}", Command("tick", "system"))
    return "closed" in await market.types(auction)


async def test_history_is_no_news(quiet: Market, desk: Desk, receiver: Receiver, client: Person, ann: Person) -> None:
    auction = await quiet.auction(client)
    await quiet.bid(ann, auction, 10_000)
    hook = await subscribe(quiet, client, receiver.url(), events=["auction.closed"])
    # it had this type for long, the other only since now
    await desk.change(hook["id"], wanted=[{"type": "bid.submitted", "since": quiet.context.clock.now() + 60_000}])
    await desk.hear(f"auction:{auction}")
    assert await desk.stored() == []
    await desk.change(hook["id"], wanted=[{"type": "bid.submitted", "since": 0}])
    await quiet.context.db["events"].update_many({"type": "bid"}, {"$inc": {"t": -31 * DAY_MS}})
    await desk.hear(f"auction:{auction}")
    assert await desk.stored() == []  # older than deliveries are kept


async def test_a_failed_delivery_is_tried_again_later_and_dies_in_the_end(
    quiet: Market, desk: Desk, receiver: Receiver, client: Person
) -> None:
    hook = await subscribe(quiet, client, receiver.url())
    await quiet.auction(client)
    await desk.hear()
    receiver.status(500)
    waits = []
    for _ in range(10):
        now = quiet.context.clock.now()
        assert await desk.deliver() == 1
        assert await desk.deliver() == 0  # not before its time
        (stored,) = await desk.stored()
        waits.append((stored["next_at"] - now) / 1000)
        await desk.make_due()
    (dead,) = await desk.stored()
    assert (dead["state"], dead["attempts"], dead["error"], len(dead["tries"])) == ("dead", 10, "status", 10)
    for wait, planned in zip(waits, (10, 30, 90, 270, 810, 2_430, 7_290, 21_870, 65_610), strict=False):
        assert 0.79 * planned <= wait <= 1.21 * planned + 5
    assert len({one.delivery for one in receiver.received}) == 1
    assert len({one.raw for one in receiver.received}) == 1
    status, page = await quiet.call("GET", f"/webhooks/{hook['id']}/deliveries?state=dead", client)
    assert (status, [one["id"] for one in page["items"]]) == (200, [dead["_id"]])

    receiver.status(204)
    _, shown = await quiet.call("GET", f"/webhooks/{hook['id']}", client)
    assert shown["failing_since"] is not None
    _, answer = await quiet.call(
        "POST", f"/webhooks/{hook['id']}/replay", client, {"since": "2020-01-01T00:00:00.000Z"}
    )
    assert answer == {"replayed": 1}
    assert await desk.deliver() == 1
    (stored,) = await desk.stored()
    assert (stored["state"], stored["attempts"], stored["replays"], "error" in stored) == ("delivered", 1, 1, False)
    assert stored["tries"][-1]["status"] == 204
    _, shown = await quiet.call("GET", f"/webhooks/{hook['id']}", client)
    assert (shown["failing_since"], shown["status"]) == (None, "active")


async def test_a_try_that_was_cut_short_is_made_again_when_its_lease_ends(
    quiet: Market, desk: Desk, receiver: Receiver, client: Person
) -> None:
    await subscribe(quiet, client, receiver.url())
    await quiet.auction(client)
    await desk.hear()
    receiver.behave, released = never_answers()
    working = asyncio.create_task(desk.deliveries.run())
    await until(lambda: receiver.received)
    await end([working])  # the worker is gone in the middle of its try
    released.set()
    (stored,) = await desk.stored()
    assert (stored["state"], stored["attempts"]) == ("queued", 1)
    assert await desk.deliver() == 0  # its lease has not ended
    await desk.make_due()
    assert await desk.deliver() == 1
    assert [one.delivery for one in receiver.received] == [stored["_id"]] * 2
    assert (await desk.stored())[0]["state"] == "delivered"


async def test_who_has_lost_its_lease_changes_nothing_any_more(
    quiet: Market, desk: Desk, receiver: Receiver, client: Person
) -> None:
    await subscribe(quiet, client, receiver.url())
    await quiet.auction(client)
    await desk.hear()
    receiver.behave, released = never_answers()
    assert await desk.deliveries.begin() == 1
    await until(lambda: receiver.received)
    receiver.status(200)
    await desk.make_due()
    async with Sender(Reach(private=True), 10.0, 4) as sender:
        other = Desk(quiet, sender)
        assert await other.deliver() == 1
    (delivered,) = await desk.stored()
    await asyncio.sleep(0)
    released.set()
    await desk.deliveries.settled()
    assert await desk.stored() == [delivered]
    assert (delivered["state"], delivered["attempts"], len(delivered["tries"])) == ("delivered", 2, 1)


async def test_a_delivery_at_whose_last_try_the_worker_died_is_dead(
    quiet: Market, desk: Desk, receiver: Receiver, client: Person
) -> None:
    await subscribe(quiet, client, receiver.url())
    await quiet.auction(client)
    await desk.hear()
    await Delivery.get_pymongo_collection().update_many({}, {"$set": {"attempts": 10}})
    await desk.deliver()
    (stored,) = await desk.stored()
    assert (stored["state"], stored["error"], receiver.received) == ("dead", "interrupted", [])


async def test_several_workers_share_the_queue(quiet: Market, desk: Desk, receiver: Receiver, client: Person) -> None:
    await subscribe(quiet, client, receiver.url())
    for _ in range(30):
        await quiet.auction(client)
    await desk.hear()
    async with Sender(Reach(private=True), 10.0, 4) as one, Sender(Reach(private=True), 10.0, 4) as other:
        desks = [Desk(quiet, sender, Lanes(4, 4)) for sender in (one, other)]
        await asyncio.gather(*(each.deliver() for each in desks))
    assert len(receiver.received) == 30
    assert len({one.delivery for one in receiver.received}) == 30
    assert {one["state"] for one in await desk.stored()} == {"delivered"}


async def test_a_webhook_that_fails_for_long_is_disabled_and_can_be_revived(
    quiet: Market, desk: Desk, receiver: Receiver, client: Person
) -> None:
    hook = await subscribe(quiet, client, receiver.url())
    where = f"/webhooks/{hook['id']}"
    for _ in range(3):
        await quiet.auction(client)
    await desk.hear()
    receiver.status(503)
    first, *others = [one["_id"] for one in await desk.stored()]
    await Delivery.get_pymongo_collection().update_many({"_id": {"$ne": first}}, {"$set": {"next_at": 2**50}})
    await Delivery.get_pymongo_collection().update_one({"_id": first}, {"$set": {"attempts": 9}})
    await desk.deliver()
    assert (await quiet.call("GET", where, client))[1]["status"] == "active"  # it has not failed for long yet
    now = quiet.context.clock.now()
    await desk.change(hook["id"], failing_since=now - 3 * DAY_MS - 1)
    await Delivery.get_pymongo_collection().update_one({"_id": others[0]}, {"$set": {"attempts": 9, "next_at": 0}})
    await desk.deliver()
    _, shown = await quiet.call("GET", where, client)
    assert shown["status"] == "disabled"
    assert shown["disabled_at"] >= shown["failing_since"]

    tries = len(receiver.received)
    await desk.make_due()
    await quiet.auction(client)
    await desk.hear()
    await desk.deliver()
    assert len(receiver.received) == tries  # it is left alone
    states = [(one["state"], one["error"]) for one in await desk.stored()]
    assert states == [("dead", "status"), ("dead", "status"), ("dead", "disabled"), ("dead", "disabled")]
    for path, body in (("/ping", None), ("/replay", {"since": "2020-01-01T00:00:00Z"})):
        status, refused = await quiet.call("POST", where + path, client, body)
        assert (status, refused["code"]) == (409, "CONFLICT")

    receiver.status(200)
    _, shown = await quiet.call("PATCH", where, client, {"status": "active"})
    assert (shown["status"], shown["failing_since"], shown["disabled_at"]) == ("active", None, None)
    assert (await quiet.call("POST", where + "/replay", client, {"since": "2020-01-01T00:00:00Z"}))[1] == {
        "replayed": 4
    }
    assert await desk.deliver() == 4
    assert {one["state"] for one in await desk.stored()} == {"delivered"}


async def test_an_admin_who_is_none_any_more_is_told_nothing(
    quiet: Market, desk: Desk, receiver: Receiver, client: Person
) -> None:
    admin = await quiet.person("both", admin=True)
    await subscribe(quiet, admin, receiver.url(), scope="all")
    await quiet.auction(client)
    await desk.hear()
    await quiet.context.db["users"].update_one({"_id": admin.id}, {"$set": {"admin": False}})
    await desk.deliver()
    await quiet.auction(client)
    await desk.hear()
    assert [(one["state"], one["error"]) for one in await desk.stored()] == [("dead", "forbidden")]
    assert receiver.received == []


async def test_what_is_left_of_a_deleted_webhook_is_cleared_away(
    quiet: Market, desk: Desk, receiver: Receiver, client: Person
) -> None:
    await subscribe(quiet, client, receiver.url())
    await quiet.auction(client)
    await desk.hear()
    await Webhook.get_pymongo_collection().delete_many({})  # and the process died before it came to the deliveries
    await desk.deliver()
    assert (await desk.stored(), receiver.received) == ([], [])


async def test_hanging_receivers_leave_room_for_the_others(
    quiet: Market, receiver: Receiver, other_receiver: Receiver, client: Person
) -> None:
    """Four places, two per lane: a receiver that hangs fills its own, and all of the other's come through."""
    owner = await quiet.person("client")
    await subscribe(quiet, client, receiver.url(host="localhost"), events=["job.created"])
    await subscribe(quiet, owner, other_receiver.url(), events=["job.created"])
    for _ in range(8):
        await quiet.auction(client)
    for _ in range(8):
        await quiet.auction(owner)
    receiver.behave, released = never_answers()
    async with Sender(Reach(private=True), 60.0, 4) as sender:
        desk = Desk(quiet, sender, Lanes(4, 2))
        await desk.hear()
        working = asyncio.create_task(desk.deliveries.run())
        await until(lambda: len(other_receiver.received) == 8)
        await until(lambda: receiver.received)
        assert len(receiver.received) <= 2
        released.set()
        await until(lambda: len(receiver.received) == 8)
        await end([working])
    assert receiver.most_at_once == 2


def test_suspects_have_one_place_each_and_half_of_all_together() -> None:
    lanes = Lanes(8, 3)
    bad = [f"bad{number}" for number in range(8)]
    for lane in bad:
        lanes.enter(lane)
    assert lanes.full
    assert not lanes.has_room("good")
    for lane in bad:
        lanes.leave(lane, failed=True)
    for lane in bad:
        if lanes.has_room(lane):
            lanes.enter(lane)
            assert not lanes.has_room(lane)
    assert not lanes.full
    for _ in range(3):
        assert lanes.has_room("good")
        lanes.enter("good")
    assert not lanes.has_room("good")
    assert lanes.has_room("better")
    lanes.leave("bad0", failed=None)  # nobody was asked
    assert lanes.has_room("bad0")
    lanes.enter("bad0")
    lanes.leave("bad0", failed=False)
    for _ in range(2):
        assert lanes.has_room("bad0")
        lanes.enter("bad0")


async def test_the_queue_is_read_lane_by_lane_however_long_the_lanes_are(
    quiet: Market, desk: Desk, client: Person
) -> None:
    names = [f"receiver{number}.example.com" for number in range(3)]
    for name in names:
        await subscribe(quiet, client, f"https://{name}/")
    for _ in range(20):
        await quiet.auction(client)
    await desk.hear()
    asked: list[dict[str, Any]] = []
    async with profiled(quiet.context.settings) as answered:
        assert sorted(await desk.deliveries._due_lanes()) == names
        asked += await quiet.context.db["system.profile"].find({"command.aggregate": "webhook_deliveries"}).to_list()
    (lanes,) = [one for one in answered if one.collection == "webhook_deliveries"]
    assert lanes.plan.startswith("DISTINCT_SCAN { state: 1, lane: 1")
    assert asked[0]["keysExamined"] < 10
    assert len(await desk.stored()) == 60


async def test_everything_is_found_by_an_index(settings: Settings, receiver: Receiver) -> None:
    async with profiled(settings) as answered, opened(settings) as market:
        client, ann = await market.person("client"), await market.person("freelancer")
        admin = await market.person("both", admin=True)
        hook = await subscribe(market, client, receiver.url())
        await subscribe(market, admin, receiver.url(), scope="all")
        where = f"/webhooks/{hook['id']}"
        auction = await market.auction(client)
        await market.bid(ann, auction, 10_000)
        await until(lambda: len(receiver.received) == 4)
        for query in ("", "?state=delivered", "?limit=1&page=2"):
            assert (await market.call("GET", f"{where}/deliveries{query}", client))[0] == 200
        assert (await market.call("GET", "/webhooks", client))[0] == 200
        since = {"since": "2020-01-01T00:00:00.000Z"}
        assert (await market.call("POST", f"{where}/replay", client, since))[0] == 200
        assert (await market.call("PATCH", where, client, {"url": receiver.url("/other")}))[0] == 200
        assert (await market.call("DELETE", where, client))[0] == 204
    swept = ("jobs", "unannounced")
    ours = [one for one in answered if one.collection.startswith("webhook") or (one.collection, one.asked) == swept]
    assert {one.collection for one in ours} == {"jobs", "webhooks", "webhook_deliveries"}
    assert [one for one in ours if "COLLSCAN" in one.plan or one.sorted] == []
    plans = {(one.collection, one.asked, one.plan) for one in ours}
    assert ("jobs", "unannounced", "IXSCAN { unannounced: 1 }") in plans
    queue = "IXSCAN { state: 1, lane: 1, next_at: 1, created_at: 1, place: 1 }"
    assert ("webhook_deliveries", "lane next_at state", queue) in plans
