"""Sealed bids and proposals: what is hidden stays hidden, and the public stream follows."""

from __future__ import annotations

from typing import Any

from models.rules.log import verify
from tests.handlers.market import Market, Person
from tests.waiting import until
from tests.words import mentions


async def test_sealed_bids_are_opened_together_at_the_end(
    market: Market, client: Person, ann: Person, bob: Person, admin: Person
) -> None:
    auction = await market.auction(client, "sealed", auction={"end_at": market.later(4_000), "soft_close": None})
    for who, amount in ((ann, 9_000), (bob, 8_000), (ann, 7_500)):
        status, placed = await market.bid(who, auction, amount)
        assert (status, placed["price"], placed["leading"]) == (201, None, None)
    assert placed["seq"] == 2  # Ann's own second submission: no count leaks
    status, _ = await market.call("POST", f"/auctions/{auction}/bids/1/retract", bob, {"reason": "typo"})
    assert status == 200
    assert (await market.bid(bob, auction, 7_900))[1]["seq"] == 2

    for who in (None, bob, client):
        _, seen = await market.call("GET", f"/auctions/{auction}", who)
        assert (seen["price"], seen["leader"], seen["bid_count"], seen["envelopes"]) == (None, None, None, None)
        assert not mentions(str(seen), "7500")
    assert (await market.call("GET", f"/auctions/{auction}", client))[1]["owner"]["bidders"] == {}
    assert (await market.call("GET", f"/auctions/{auction}", ann))[1]["mine"]["limit"] == 7_500
    assert await market.types(auction) == ["opened"]
    status, refused = await market.call("GET", f"/auctions/{auction}/export", admin)
    assert (status, refused["code"]) == (409, "CONFLICT")
    for who in (None, client, admin):
        assert (await market.call("GET", f"/streams/sealed:{auction}", who))[0] == 404

    async def over() -> bool:
        return (await market.types(auction))[-1] == "awarded"

    await until(over)
    assert await market.types(auction) == ["opened", "opened", "closed", "awarded"]
    _, seen = await market.call("GET", f"/auctions/{auction}")
    assert [(row["bidder"], row["amount"]) for row in seen["envelopes"]] == [("Bidder 1", 7_500), ("Bidder 2", 7_900)]
    assert (seen["status"], seen["winner"]) == ("awarded", "Bidder 1")
    assert verify((await market.text(f"/auctions/{auction}/log")).encode().splitlines()).ok
    audit = verify((await market.text(f"/auctions/{auction}/export", admin)).encode().splitlines())
    assert (audit.ok, audit.resolution_checked) == (True, True)


async def test_proposals_are_the_clients_to_read_and_to_choose(
    market: Market, client: Person, ann: Person, bob: Person
) -> None:
    auction = await market.auction(client, "proposal")
    await market.bid(ann, auction, 9_000, delivery_days=5, cover_letter="I paint fences.")
    await market.bid(bob, auction, 8_000, delivery_days=30, cover_letter="I am cheaper.")
    _, seen = await market.call("GET", f"/auctions/{auction}", ann)
    assert (seen["bid_count"], seen["mine"]["offer"]["cover_letter"]) == (2, "I paint fences.")
    assert "cheaper" not in str(seen)
    _, clients = await market.call("GET", f"/auctions/{auction}", client)
    assert [offer["delivery_days"] for offer in clients["owner"]["offers"]] == [30, 5]

    status, countered = await market.act(client, auction, "counter", bidder="Bidder 1", amount=8_500)
    assert (status, countered["by"]) == (200, "client")
    assert (await market.call("GET", f"/auctions/{auction}", ann))[1]["mine"]["counter"]["amount"] == 8_500
    assert (await market.act(ann, auction, "counter", amount=8_700, delivery_days=6))[1]["by"] == "bidder"
    assert (await market.act(ann, auction, "counter", amount=10_001))[1]["code"] == "BEYOND_START"
    outsider = await market.person("freelancer")
    assert (await market.act(outsider, auction, "counter", amount=1_000))[1]["code"] == "FORBIDDEN"

    status, awarded = await market.act(client, auction, "award", bidder=ann.id)
    assert (status, awarded["bidder"], awarded["amount"]) == (200, "Bidder 1", 8_700)
    public = await market.text(f"/streams/auction:{auction}/events")
    for secret in ("8700", "8500", "paint fences", ann.id):
        assert not mentions(public, secret)
    assert (await market.act(ann, auction, "accept"))[0] == 200


async def test_the_public_stream_catches_up_after_a_crash_before_projecting(
    market: Market, client: Person, ann: Person, monkeypatch: Any
) -> None:
    """The instance dies between the durable event and its projection: the worker's follower completes it."""
    from handlers.bidding.projection import Projection

    auction = await market.auction(client, "sealed", auction={"show_count": True})
    complete = Projection.complete

    async def dead(self: Projection, truth: str) -> None:
        return None

    monkeypatch.setattr(Projection, "complete", dead)
    assert (await market.bid(ann, auction, 5_000))[0] == 201
    monkeypatch.setattr(Projection, "complete", complete)
    # what the follower does when it sees the event again
    listings = market.context.followers._followers["bidding.listings"]
    await listings.handle(await market.context.streams.read(f"sealed:{auction}"))
    assert (await market.types(auction))[-1] == "counted"
    await listings.handle(await market.context.streams.read(f"sealed:{auction}"))
    assert (await market.types(auction)).count("counted") == 1
