"""What people are told of auctions, from the first bid to the award."""

from __future__ import annotations

import pytest

from server.settings import Settings
from tests.handlers.market import HOUR_MS, Market, Person, opened
from tests.handlers.notifications.conftest import followed, inbox, kinds, told, until_told
from tests.waiting import until
from tests.words import mentions


async def test_an_english_auction(market: Market, client: Person, ann: Person, bob: Person) -> None:
    auction = await market.auction(client, auction={"end_at": market.later(4_000), "soft_close": None})
    await market.bid(ann, auction, 10_000)
    leading = await until_told(market, ann, "leading")
    _, seen = await market.call("GET", f"/auctions/{auction}")
    assert leading["data"] == {
        "auction": auction,
        "job": seen["job"],
        "title": "Paint a fence",
        "format": "english",
        "currency": "EUR",
        "price": 10_000,
        "leader": "Bidder 1",
        "bid_count": 1,
        "end_at": seen["end_at"],
    }
    assert (leading["type"], leading["read"]) == ("notification", False)
    await market.bid(bob, auction, 12_000, kind="auto")
    outbid = await until_told(market, ann, "outbid")
    assert (outbid["data"]["price"], outbid["data"]["leader"], outbid["data"]["min_next"]) == (
        10_100,
        "Bidder 2",
        10_200,
    )
    assert await kinds(market, ann) == ["outbid"]
    await until_told(market, client, "bid_received", lambda it: it["data"]["bidder"] == "Bidder 2")
    received = [it["data"] for it in reversed(await told(market, client))]
    assert [(it["bidder"], it["user"], it["name"], it["amount"], it["price"]) for it in received] == [
        ("Bidder 1", ann.id, "Somebody", 10_000, 10_000),
        ("Bidder 2", bob.id, "Somebody", 10_100, 10_100),
    ]
    assert (await until_told(market, bob, "won"))["data"]["amount"] == 10_100
    lost = (await until_told(market, ann, "lost"))["data"]
    assert (lost["outcome"], lost["winner"], lost["price"]) == ("sold", "Bidder 2", 10_100)
    assert await kinds(market, ann) == ["outbid", "closing_soon", "lost"]
    assert await kinds(market, bob) == ["leading", "closing_soon", "won"]
    closed = (await until_told(market, client, "auction_closed"))["data"]
    assert closed == {
        **{name: leading["data"][name] for name in ("auction", "job", "title", "format", "currency")},
        "outcome": "sold",
        "price": 10_100,
        "bid_count": 2,
        "winner": "Bidder 2",
        "user": bob.id,
        "name": "Somebody",
    }
    assert await kinds(market, client) == ["bid_received", "bid_received", "closing_soon", "auction_closed"]
    for who in (ann, bob):  # what bidders learn of each other are pseudonyms
        other = bob if who is ann else ann
        assert other.id not in str(await inbox(market, who))


async def test_regaining_the_lead_replaces_that_one_lost_it(
    market: Market, client: Person, ann: Person, bob: Person
) -> None:
    auction = await market.auction(client)
    for amount in (10_000, 11_000, 12_000, 13_000, 14_000):
        await market.bid(ann if amount % 2_000 == 0 else bob, auction, amount)
    await until_told(market, ann, "leading", lambda it: it["data"]["price"] == 14_000)
    await until_told(market, bob, "outbid", lambda it: it["data"]["price"] == 14_000)
    assert (await kinds(market, ann), await kinds(market, bob)) == (["leading"], ["outbid"])
    _, page = await market.call("GET", "/notifications", ann)
    assert page["unread"] == 1
    received = [it["data"]["amount"] for it in reversed(await told(market, client))]
    assert received == [10_000, 11_000, 12_000, 13_000, 14_000]  # each bid, whatever else collapses


async def test_a_retraction_and_a_cancellation(market: Market, client: Person, ann: Person, bob: Person) -> None:
    auction = await market.auction(client, auction={"end_at": market.later(20 * HOUR_MS)})
    await market.bid(ann, auction, 10_000)
    _, placed = await market.bid(bob, auction, 11_000)
    await until_told(market, ann, "outbid")
    where = f"/auctions/{auction}/bids/{placed['seq']}/retract"
    assert (await market.call("POST", where, bob, {"reason": "typo"}))[0] == 200
    assert (await until_told(market, ann, "leading"))["data"]["price"] == 10_000
    job = (await market.call("GET", f"/auctions/{auction}"))[1]["job"]
    assert (await market.call("POST", f"/jobs/{job}/cancel", client, {"reason": "It rains"}))[0] == 200
    lost = (await until_told(market, ann, "lost"))["data"]
    assert (lost["outcome"], lost["reason"], lost["winner"]) == ("cancelled", "It rains", None)
    assert "lost" not in await kinds(market, bob)  # whose only bid was taken back
    await inbox(market, ann)


async def test_extensions_are_told_to_all_who_bid(market: Market, client: Person, ann: Person, bob: Person) -> None:
    soft_close = {"window_s": 3_600, "extension_s": 3_600}
    auction = await market.auction(client, auction={"end_at": market.later(HOUR_MS // 2), "soft_close": soft_close})
    await market.bid(ann, auction, 10_000)
    await market.bid(bob, auction, 11_000)
    ends = (await market.call("GET", f"/auctions/{auction}"))[1]["end_at"]
    for who in (client, ann, bob):
        extended = await until_told(market, who, "extended", lambda it: it["data"]["end_at"] == ends)
        assert extended["data"]["previous_end_at"] < ends
        assert (await kinds(market, who)).count("extended") == 1
        await inbox(market, who)


async def test_closing_soon_comes_once_also_if_the_end_moves(settings: Settings, mongodb_url: str) -> None:
    async with opened(settings.model_copy(update={"notify_closing_s": 3_600})) as market:
        client, ann, bob = [await market.person(role) for role in ("client", "freelancer", "freelancer")]
        soft_close = {"window_s": 7_200, "extension_s": 4_000}
        auction = await market.auction(client, auction={"end_at": market.later(2 * HOUR_MS), "soft_close": soft_close})
        await market.bid(ann, auction, 10_000)
        queue = market.context.db["announcements"]
        waiting = await until(lambda: queue.find_one({"kind": "closing_soon"}))
        planned = waiting["due_at"]
        _, seen = await market.call("GET", f"/auctions/{auction}")
        # its time comes: what is told follows the end as it stands, so it is put back as far as the end has moved
        await market.bid(bob, auction, 11_000)
        await queue.update_one({"_id": waiting["_id"]}, {"$set": {"due_at": 0}})
        moved = await until(lambda: queue.find_one({"kind": "closing_soon", "due_at": {"$gt": planned - 1}}))
        assert "closing_soon" not in await kinds(market, ann)
        # told, at last: an hour's lead, an end within the hour
        await queue.update_one({"_id": moved["_id"]}, {"$set": {"due_at": 0, "lead_ms": 3 * HOUR_MS}})
        for who in (client, ann, bob):
            shown = (await until_told(market, who, "closing_soon"))["data"]
            assert (shown["price"], shown["end_at"] >= seen["end_at"]) == (11_000, True)
        await until(lambda: _gone(market, "closing_soon"))
        await market.bid(ann, auction, 12_000)
        await until_told(market, bob, "outbid")
        await followed(market, f"auction:{auction}")
        waiting = await until(lambda: queue.find_one({"kind": "closing_soon"}))
        await queue.update_one({"_id": waiting["_id"]}, {"$set": {"due_at": 0, "lead_ms": 3 * HOUR_MS}})
        await until(lambda: _gone(market, "closing_soon"))
        for who in (client, ann, bob):
            assert (await kinds(market, who)).count("closing_soon") == 1


async def _gone(market: Market, kind: str) -> bool:
    return await market.context.db["announcements"].find_one({"kind": kind}) is None


async def test_an_award_that_expires_soon(settings: Settings) -> None:
    async with opened(settings.model_copy(update={"notify_award_expiring_s": 49 * 3_600})) as market:
        client, ann, bob = [await market.person(role) for role in ("client", "freelancer", "freelancer")]
        soon = {"end_at": market.later(2_000), "soft_close": None}
        auction = await market.auction(client, "reverse", auction=soon)
        await market.bid(ann, auction, 9_000)
        await market.bid(bob, auction, 8_000)
        expiring = (await until_told(market, bob, "award_expiring"))["data"]
        won = (await until_told(market, bob, "won"))["data"]
        assert expiring == won
        await until_told(market, ann, "lost")
        await until(lambda: _gone(market, "award_expiring"))
        assert "award_expiring" not in await kinds(market, ann)
        await market.act(bob, auction, "decline", reason="No time")
        declined = (await until_told(market, client, "award_declined"))["data"]
        assert (declined["bidder"], declined["user"], declined["reason"]) == ("Bidder 2", bob.id, "No time")
        await market.act(client, auction, "award")
        await until_told(market, ann, "award_expiring")
        assert (await kinds(market, bob)).count("award_expiring") == 1


@pytest.mark.parametrize("counted", [False, True])
async def test_a_sealed_auction_tells_nothing_early(
    market: Market, client: Person, ann: Person, bob: Person, counted: bool
) -> None:
    terms = {"end_at": market.later(3_500), "soft_close": None, "show_count": counted}
    auction = await market.auction(client, "sealed", auction=terms)
    for who, amount in ((ann, 9_000), (bob, 8_000), (ann, 7_500)):
        assert (await market.bid(who, auction, amount))[0] == 201
    if counted:
        await until_told(market, client, "bid_received", lambda it: it["data"]["bid_count"] == 2)
    for who in (client, ann, bob):
        await until_told(market, who, "closing_soon")
        early = str(await inbox(market, who))
        for secret in ("9000", "8000", "7500", "Bidder", ann.id, bob.id):
            assert secret not in early
    await until_told(market, bob, "lost")
    won = (await until_told(market, ann, "won"))["data"]
    assert won["amount"] == 7_500
    expected = ["bid_received", "bid_received"] if counted else []
    closed = (await until_told(market, client, "auction_closed"))["data"]
    assert (closed["outcome"], closed["price"], closed["bid_count"]) == ("sold", 7_500, 2)
    assert (closed["winner"], closed["user"], closed["name"]) == ("Bidder 1", ann.id, "Somebody")
    assert await kinds(market, client) == [*expected, "closing_soon", "auction_closed"]
    assert await kinds(market, ann) == ["closing_soon", "won"]
    for who in (client, ann, bob):
        await inbox(market, who)


async def test_proposals(market: Market, client: Person, ann: Person, bob: Person) -> None:
    auction = await market.auction(client, "proposal")
    await market.bid(ann, auction, 9_000, delivery_days=5, cover_letter="I paint fences.")
    await market.bid(bob, auction, 8_000)
    received = (await until_told(market, client, "bid_received", lambda it: it["data"]["amount"] == 8_000))["data"]
    assert (received["bidder"], received["user"], received["price"]) == ("Bidder 2", bob.id, None)
    assert await kinds(market, ann) == []
    assert (await market.act(client, auction, "award", bidder=ann.id))[0] == 200
    assert (await until_told(market, ann, "won"))["data"]["amount"] == 9_000
    await until_told(market, bob, "lost")
    assert not mentions(str(await inbox(market, bob)), "9000")
    assert (await market.act(ann, auction, "decline"))[0] == 200
    assert (await market.act(client, auction, "award", bidder=bob.id))[0] == 200
    await until_told(market, bob, "won")
    await until(lambda: _gone(market, "lost"))
    assert (await kinds(market, ann), await kinds(market, bob)) == (["won"], ["lost", "won"])
    assert (await market.act(bob, auction, "accept"))[0] == 200
    accepted = (await until_told(market, client, "award_accepted"))["data"]
    assert (accepted["bidder"], accepted["user"], accepted["name"], accepted["amount"]) == (
        "Bidder 2",
        bob.id,
        "Somebody",
        8_000,
    )
    # What the client has done itself, it isn't told.
    assert await kinds(market, client) == ["bid_received", "bid_received", "award_declined", "award_accepted"]
    await inbox(market, client)


async def test_counter_offers(market: Market, client: Person, ann: Person) -> None:
    auction = await market.auction(client, "proposal")
    await market.bid(ann, auction, 9_000, delivery_days=5)
    body = {"bidder": "Bidder 1", "amount": 8_000, "message": "Could you?"}
    assert (await market.act(client, auction, "counter", **body))[0] == 200
    wish = (await until_told(market, ann, "counter_offer"))["data"]
    assert (wish["by"], wish["amount"], wish["delivery_days"], wish["excerpt"]) == ("client", 8_000, 5, "Could you?")
    assert (await market.act(ann, auction, "counter", amount=8_500, delivery_days=4))[0] == 200
    answer = (await until_told(market, client, "counter_offer"))["data"]
    assert (answer["by"], answer["bidder"], answer["user"], answer["name"]) == (
        "bidder",
        "Bidder 1",
        ann.id,
        "Somebody",
    )
    assert (answer["amount"], answer["delivery_days"], answer["excerpt"]) == (8_500, 4, None)
    assert await kinds(market, ann) == ["counter_offer"]


async def test_what_is_old_is_no_news(settings: Settings) -> None:
    """A worker that is started on a market of years does not tell everybody of all of it."""
    async with opened(settings, worker=False) as market:
        client, ann = await market.person("client"), await market.person("freelancer")
        auction = await market.auction(client)
        await market.bid(ann, auction, 10_000)
        events = market.context.db["events"]
        await events.update_many({"stream": f"auction:{auction}"}, {"$inc": {"t": -8 * 24 * HOUR_MS}})
        await followed(market, f"auction:{auction}")
        assert (await kinds(market, client), await kinds(market, ann)) == ([], [])
