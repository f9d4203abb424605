"""What people are told of auctions, from the first bid to the award."""

from __future__ import annotations

from tests.handlers.market import Market, Person
from tests.handlers.notifications.conftest import kinds, told, until_told


async def test_an_english_auction(market: Market, client: Person, ann: Person, bob: Person) -> None:
    auction = await market.auction(client, auction={"end_at": market.later(4_000), "soft_close": None})
    await market.bid(ann, auction, 10_000)
    leading = await until_told(market, ann, "leading")
    _, job = await market.call("GET", f"/auctions/{auction}")
    assert leading["data"] == {
        "auction": auction,
        "job": job["job"],
        "title": "Paint a fence",
        "format": "english",
        "currency": "EUR",
        "price": 10_000,
        "leader": "Bidder 1",
        "bid_count": 1,
        "end_at": job["end_at"],
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
    won = await until_told(market, bob, "won")
    assert won["data"]["amount"] == 10_100
    lost = await until_told(market, ann, "lost")
    assert (lost["data"]["outcome"], lost["data"]["winner"], lost["data"]["price"]) == ("sold", "Bidder 2", 10_100)
    assert await kinds(market, ann) == ["outbid", "closing_soon", "lost"]
    assert await kinds(market, bob) == ["leading", "closing_soon", "won"]
    assert await kinds(market, client) == ["bid_received", "bid_received", "closing_soon"]
