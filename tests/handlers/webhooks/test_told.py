"""What receivers are told: the events of a whole market, with its worker, over real HTTP."""

from __future__ import annotations

import re
from typing import Any

import pytest

from handlers.webhooks.signing import VERIFICATION
from tests.handlers.market import Market, Person
from tests.handlers.webhooks.conftest import Receiver, subscribe
from tests.waiting import until

SECRETS = ("limit", "reserve_amount", "salt", "terms")


def verifier() -> Any:
    """The function that the documentation gives to receivers."""
    code = re.search(r"```python\n(.*?)```", VERIFICATION, re.DOTALL)
    assert code
    names: dict[str, Any] = {}
    exec(code[1], names)  # noqa: S102
    return names["is_genuine"]


async def test_an_open_auction_is_told_from_its_job_to_its_award(
    market: Market, receiver: Receiver, client: Person, ann: Person, bob: Person
) -> None:
    hook = await subscribe(market, client, receiver.url())
    auction = await market.auction(
        client, auction={"end_at": market.later(4_000), "soft_close": None, "reserve_amount": 10_707}
    )
    _, shown = await market.call("GET", f"/auctions/{auction}")
    job = shown["job"]
    await market.bid(ann, auction, 10_000)
    await market.bid(bob, auction, 30_303, kind="auto", confirm=True)
    await until(lambda: receiver.of_type("auction.closed"))

    async def awarded() -> bool:
        return (await market.types(auction))[-1] == "awarded"

    await until(awarded)
    assert (await market.act(bob, auction, "accept"))[0] == 200
    await until(lambda: receiver.of_type("award.accepted"))
    await until(lambda: len(receiver.received) == 5)

    (created,) = receiver.of_type("job.created")
    assert created.keys() == {"id", "type", "created_at", "data"}
    assert created["data"]["project_id"] == job
    assert created["data"]["client_id"] == client.id
    assert created["data"]["auction"]["id"] == auction
    first, second = sorted(receiver.data("bid.submitted"), key=lambda data: data["seq"])
    assert first == {
        "project_id": job,
        "job": job,
        "auction": auction,
        "format": "english",
        "currency": "EUR",
        "seq": 2,
        "contractor_id": ann.id,
        "bidder": "Bidder 1",
        "bid_amount": 10_000,
        "price": 10_000,
        "placed_at": first["placed_at"],
    }
    assert (second["contractor_id"], second["bid_amount"], second["price"]) == (bob.id, 10_707, 10_707)
    (closed,) = receiver.data("auction.closed")
    assert (closed["outcome"], closed["winner"], closed["contractor_id"]) == ("sold", "Bidder 2", bob.id)
    assert (closed["price"], closed["bid_count"], closed["currency"]) == (10_707, 2, "EUR")
    (accepted,) = receiver.data("award.accepted")
    assert (accepted["contractor_id"], accepted["amount"], accepted["project_id"]) == (bob.id, 10_707, job)
    for one in receiver.received:
        assert b"30303" not in one.raw  # the limit
        assert not any(f'"{secret}"'.encode() in one.raw for secret in SECRETS)
        assert one.headers["Content-Type"] == "application/json"
        assert one.headers["Rialto-Event"] == one.body["type"]
        assert verifier()(hook["secret"], one.headers["Rialto-Signature"], one.raw)
        assert not verifier()(hook["secret"] + "x", one.headers["Rialto-Signature"], one.raw)
        assert not verifier()(hook["secret"], one.headers["Rialto-Signature"], one.raw + b" ")


async def test_sealed_bids_are_told_when_the_envelopes_are_opened_and_in_their_order(
    market: Market, receiver: Receiver, other_receiver: Receiver, client: Person, ann: Person, bob: Person
) -> None:
    admin = await market.person("both", admin=True)
    await subscribe(market, client, receiver.url())
    await subscribe(market, admin, other_receiver.url(), scope="all")
    auction = await market.auction(
        client, "sealed", auction={"end_at": market.later(4_000), "soft_close": None, "show_count": True}
    )
    for who, amount in ((ann, 9_000), (bob, 8_000), (ann, 7_500)):
        assert (await market.bid(who, auction, amount))[0] == 201
    await until(lambda: receiver.of_type("auction.closed") and other_receiver.of_type("auction.closed"))
    await until(lambda: len(receiver.of_type("bid.submitted")) == len(other_receiver.of_type("bid.submitted")) == 2)

    _, page = await market.call("GET", f"/streams/auction:{auction}/events")
    opened = next(event for event in page["events"] if event.get("phase") == "envelopes")
    for one in (receiver, other_receiver):
        bodies = sorted(one.of_type("bid.submitted"), key=lambda body: body["data"]["bid_amount"])
        told = [(body["data"]["contractor_id"], body["data"]["bid_amount"]) for body in bodies]
        assert told == [(ann.id, 7_500), (bob.id, 8_000)]
        assert {body["created_at"] for body in bodies} == {opened["t"]}
        assert {body["data"]["seq"] for body in bodies} == {opened["seq"]}
        assert [body["data"]["placed_at"] for body in bodies] == [row["placed_at"] for row in opened["bids"]]
        assert not any(b"9000" in each.raw for each in one.received)  # replaced, so it was never opened


async def test_proposals_are_told_to_the_client_at_once(
    market: Market, receiver: Receiver, client: Person, ann: Person, bob: Person
) -> None:
    await subscribe(market, client, receiver.url())
    auction = await market.auction(client, "proposal")
    await market.bid(ann, auction, 9_000, delivery_days=5, cover_letter="I paint fences.")
    await until(lambda: receiver.of_type("bid.submitted"))
    (data,) = receiver.data("bid.submitted")
    assert (data["contractor_id"], data["bid_amount"], data["seq"]) == (ann.id, 9_000, 1)
    assert (data["delivery_days"], data["cover_letter"]) == (5, "I paint fences.")

    assert (await market.act(client, auction, "award", bidder=ann.id))[0] == 200
    assert (await market.act(ann, auction, "accept"))[0] == 200
    await until(lambda: receiver.of_type("award.accepted"))
    (accepted,) = receiver.data("award.accepted")
    assert (accepted["contractor_id"], accepted["amount"]) == (ann.id, 9_000)
    (closed,) = receiver.data("auction.closed")
    assert (closed["outcome"], closed["price"], closed["contractor_id"]) == ("sold", None, ann.id)


async def test_everybody_is_told_of_its_own_jobs_only(
    market: Market, receiver: Receiver, other_receiver: Receiver, client: Person, ann: Person, bob: Person
) -> None:
    stranger = await market.person("both")
    for who in (stranger, ann):
        await subscribe(market, who, other_receiver.url())
    await subscribe(market, client, receiver.url(), events=["bid.submitted"])
    auction = await market.auction(client)
    await market.bid(ann, auction, 10_000)
    await until(lambda: receiver.received)
    assert [one.body["type"] for one in receiver.received] == ["bid.submitted"]
    own = await market.auction(stranger)
    await market.bid(ann, own, 10_000)
    await until(lambda: other_receiver.of_type("bid.submitted"))
    await until(lambda: other_receiver.of_type("job.created"))
    assert {data["auction"] for data in other_receiver.data("bid.submitted")} == {own}
    assert len(other_receiver.received) == 2
    assert len(receiver.received) == 1


@pytest.mark.parametrize("auction", [True, False])
async def test_a_job_is_told_when_it_is_published_and_once(
    market: Market, receiver: Receiver, client: Person, auction: bool
) -> None:
    await subscribe(market, client, receiver.url())
    body = {
        "title": "Paint a fence",
        "description": "Forty metres, two coats, green.",
        "category": "crafts",
        "status": "draft",
        "budget": {"min": 0, "max": 20_000, "currency": "EUR"},
    }
    terms = {"format": "reverse", "start_amount": 10_000, "end_at": market.later(3_600_000), "reserve_amount": 7_331}
    if auction:
        body["auction"] = terms
    _, job = await market.call("POST", "/jobs", client, body)
    other = await market.auction(client)  # is told, while the draft is not
    await until(lambda: receiver.received)
    assert [data["auction"]["id"] for data in receiver.data("job.created")] == [other]
    for _ in range(2):
        assert (await market.call("POST", f"/jobs/{job['id']}/publish", client, {}))[0] == 200
    await until(lambda: len(receiver.received) == 2)
    if not auction:  # it gets one later, which is no second publication
        assert (await market.call("PATCH", f"/jobs/{job['id']}", client, {"auction": terms}))[0] == 200
    jobs = market.context.db["jobs"]
    assert await jobs.count_documents({"unannounced": {"$exists": True}}) == 0
    told = receiver.data("job.created")[1]
    assert told["project_id"] == job["id"]
    assert told["title"] == "Paint a fence"
    assert (told["auction"] is not None) is auction
    assert b"7331" not in receiver.received[1].raw
    assert len(receiver.received) == 2
