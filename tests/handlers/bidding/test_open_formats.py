"""English and reverse auctions over REST, from the first bid to the accepted award."""

from __future__ import annotations

import asyncio

import orjson
import pytest

from models.rules.log import verify
from tests.handlers.market import HOUR_MS, Market, Person
from tests.waiting import until
from tests.words import mentions


async def test_a_reverse_auction_from_first_bid_to_acceptance(
    market: Market, client: Person, ann: Person, bob: Person
) -> None:
    auction = await market.auction(client, "reverse", auction={"end_at": market.later(4_000), "soft_close": None})
    status, placed = await market.bid(ann, auction, 9_000)
    assert (status, placed["ok"], placed["price"], placed["leading"]) == (201, True, 9_000, True)
    status, weak = await market.bid(bob, auction, 9_000)
    assert (status, weak["code"], weak["details"]["min_next"]) == (409, "BID_TOO_WEAK", 8_900)
    status, placed = await market.bid(bob, auction, 7_000, kind="auto")
    assert (status, placed["price"], placed["leading"]) == (201, 8_900, True)

    # nobody calls: the worker's timer closes it, and the award follows
    await until(lambda: _types_end_with(market, auction, ["closed", "awarded"]))
    _, seen = await market.call("GET", f"/auctions/{auction}", bob)
    assert (seen["status"], seen["outcome"], seen["winner"]) == ("awarded", "sold", "Bidder 2")
    assert seen["mine"]["award"]["amount"] == 8_900
    _, page = await market.call("GET", f"/streams/auction:{auction}/events")
    closed = next(event for event in page["events"] if event["type"] == "closed")
    assert closed["t"] == seen["end_at"]

    assert (await market.act(ann, auction, "accept"))[1]["code"] == "FORBIDDEN"
    status, accepted = await market.act(bob, auction, "accept")
    assert (status, accepted["amount"]) == (200, 8_900)
    assert (await market.types(auction)) == ["opened", "bid", "bid", "closed", "awarded", "accepted"]


async def _types_end_with(market: Market, auction: str, types: list[str]) -> bool:
    return (await market.types(auction))[-len(types) :] == types


async def test_limits_and_people_are_shown_to_whom_they_belong(
    market: Market, client: Person, ann: Person, bob: Person
) -> None:
    auction = await market.auction(client)
    await market.bid(ann, auction, 50_000, kind="auto")
    await market.bid(bob, auction, 20_000)
    _, everyone = await market.call("GET", f"/auctions/{auction}")
    assert "mine" not in everyone
    assert "owner" not in everyone
    assert (everyone["price"], everyone["leader"], everyone["bid_count"]) == (20_100, "Bidder 1", 2)
    _, mine = await market.call("GET", f"/auctions/{auction}", ann)
    assert (mine["mine"]["limit"], mine["mine"]["rank"], mine["mine"]["leading"]) == (50_000, 1, True)
    assert "owner" not in mine
    _, clients = await market.call("GET", f"/auctions/{auction}", client)
    assert clients["owner"]["bidders"]["Bidder 1"] == {"id": ann.id, "name": "Somebody"}
    public = await market.text(f"/streams/auction:{auction}/events") + await market.text(f"/auctions/{auction}/log")
    for secret in (ann.id, bob.id, "50000"):
        assert not mentions(public, secret)


async def test_the_same_key_is_answered_again_and_another_payload_refused(
    market: Market, client: Person, ann: Person
) -> None:
    auction = await market.auction(client)
    first = await market.bid(ann, auction, 10_000, key="k1")
    again = await market.bid(ann, auction, 10_000, key="k1")
    assert (first[0], again[0], again[1]["replayed"], again[1]["seq"]) == (201, 201, True, first[1]["seq"])
    assert (await market.bid(ann, auction, 10_100, key="k1"))[1]["code"] == "IDEMPOTENCY_MISMATCH"
    status, missing = await market.call("POST", f"/auctions/{auction}/bids", ann, {"amount": 1})
    assert (status, missing["code"]) == (422, "VALIDATION_FAILED")
    assert await market.types(auction) == ["opened", "bid"]


async def test_stale_state_confirmation_and_currency(market: Market, client: Person, ann: Person) -> None:
    auction = await market.auction(client, auction={"confirm_jump_percent": 50})
    assert (await market.bid(ann, auction, 10_000, if_seq=9))[1]["code"] == "STALE_STATE"
    assert (await market.bid(ann, auction, 10_000, currency="USD"))[1]["code"] == "CURRENCY_MISMATCH"
    assert (await market.bid(ann, auction, 100_000))[1]["code"] == "CONFIRM_REQUIRED"
    assert (await market.bid(ann, auction, 100_000, confirm=True, if_seq=1))[0] == 201


async def test_retracting(market: Market, client: Person, ann: Person, bob: Person) -> None:
    auction = await market.auction(client)
    await market.bid(ann, auction, 11_000)
    _, placed = await market.bid(bob, auction, 90_000)
    where = f"/auctions/{auction}/bids/{placed['seq']}/retract"
    assert (await market.call("POST", where, ann, {"reason": "typo"}))[1]["code"] == "RETRACT_NOT_ALLOWED"
    assert (await market.call("POST", where, bob, {"reason": "whim"}))[1]["code"] == "VALIDATION_FAILED"
    status, done = await market.call("POST", where, bob, {"reason": "typo"})
    assert (status, done["ok"]) == (200, True)
    _, seen = await market.call("GET", f"/auctions/{auction}")
    assert (seen["price"], seen["leader"]) == (11_000, "Bidder 1")

    async def counted() -> bool:
        return bool((await market.call("GET", f"/users/{bob.id}"))[1]["retraction_count"] == 1)

    await until(counted)


async def test_decline_then_the_client_awards_the_next_or_reopens(
    market: Market, client: Person, ann: Person, bob: Person
) -> None:
    auction = await market.auction(client, auction={"end_at": market.later(2_500), "soft_close": None})
    await market.bid(ann, auction, 10_000)
    await market.bid(bob, auction, 11_000)
    await until(lambda: _types_end_with(market, auction, ["awarded"]))
    assert (await market.act(client, auction, "award"))[1]["code"] == "AWARD_CONFLICT"
    assert (await market.act(bob, auction, "decline", reason="Too much work"))[0] == 200
    assert (await market.act(ann, auction, "award"))[1]["code"] == "FORBIDDEN"
    status, awarded = await market.act(client, auction, "award", bidder="Bidder 1")
    assert (status, awarded["bidder"], awarded["amount"]) == (200, "Bidder 1", 10_000)
    assert (await market.act(ann, auction, "decline"))[0] == 200
    assert (await market.act(ann, auction, "reopen", end_at=market.later(HOUR_MS)))[1]["code"] == "FORBIDDEN"
    assert (await market.act(client, auction, "reopen", end_at="yesterday"))[0] == 422
    status, reopened = await market.act(client, auction, "reopen", end_at=market.later(HOUR_MS))
    assert status == 200, reopened
    assert (await market.call("GET", f"/auctions/{auction}"))[1]["status"] == "open"


async def test_only_admins_pause_and_resume(market: Market, client: Person, ann: Person, admin: Person) -> None:
    auction = await market.auction(client)
    for who in (client, ann):
        assert (await market.act(who, auction, "pause"))[0] == 403
    _, before = await market.call("GET", f"/auctions/{auction}")
    assert (await market.act(admin, auction, "pause"))[0] == 200
    assert (await market.bid(ann, auction, 10_000))[1]["code"] == "AUCTION_PAUSED"
    await asyncio.sleep(0.01)
    assert (await market.act(admin, auction, "resume"))[0] == 200
    _, after = await market.call("GET", f"/auctions/{auction}")
    assert after["end_at"] > before["end_at"]
    assert (await market.bid(ann, auction, 10_000))[0] == 201


async def test_a_material_edit_suspends_until_reconfirmed(market: Market, client: Person, ann: Person) -> None:
    auction = await market.auction(client)
    await market.bid(ann, auction, 12_000)
    _, jobs = await market.call("GET", "/jobs", client)
    job = jobs["items"][0]["id"]
    status, edited = await market.call("PATCH", f"/jobs/{job}", client, {"description": "Eighty metres, three coats."})
    assert status == 200, edited
    _, seen = await market.call("GET", f"/auctions/{auction}", ann)
    assert (seen["price"], seen["mine"]["suspended"]) == (None, True)
    assert (await market.act(client, auction, "reconfirm"))[1]["code"] == "FORBIDDEN"
    assert (await market.act(ann, auction, "reconfirm"))[0] == 200
    _, seen = await market.call("GET", f"/auctions/{auction}", ann)
    assert (seen["price"], seen["mine"]["leading"]) == (12_000, True)


async def test_the_log_verifies_and_only_admins_export(
    market: Market, client: Person, ann: Person, admin: Person
) -> None:
    auction = await market.auction(client, auction={"reserve_amount": 30_000})
    for amount in (10_000, 12_000):
        await market.bid(ann if amount == 10_000 else admin, auction, amount)
    report = verify((await market.text(f"/auctions/{auction}/log")).encode().splitlines())
    assert (report.ok, report.events, report.resolution_checked) == (True, 3, False)
    for who in (None, client, ann):
        status, _ = await market.call("GET", f"/auctions/{auction}/export", who)
        assert status == (401 if who is None else 403)
    lines = (await market.text(f"/auctions/{auction}/export", admin)).encode().splitlines()
    audit = verify(lines)
    assert (audit.ok, audit.resolution_checked) == (True, True)
    forged = orjson.loads(lines[1])
    forged["private"]["m"] = 99_999
    assert not verify([lines[0], orjson.dumps(forged), *lines[2:]]).ok


@pytest.mark.parametrize("role", ["client", "freelancer"])
async def test_who_may_bid(market: Market, client: Person, role: str) -> None:
    auction = await market.auction(client)
    outsider = await market.person(role)
    status, answer = await market.bid(outsider, auction, 10_000)
    assert (status, answer.get("code")) == ((403, "FORBIDDEN") if role == "client" else (201, None))
    owner = await market.person("both")
    assert (await market.bid(owner, await market.auction(owner), 10_000))[1]["code"] == "SELF_BID"
    assert (await market.bid(client, auction, 10_000))[1]["code"] == "SELF_BID"


async def test_by_invitation_only(market: Market, client: Person, ann: Person, bob: Person) -> None:
    auction = await market.auction(client, visibility="invited", invited=[ann.id])
    assert (await market.bid(bob, auction, 10_000))[1]["code"] == "NOT_INVITED"
    assert (await market.bid(ann, auction, 10_000))[0] == 201
    for path in (f"/auctions/{auction}", f"/streams/auction:{auction}", f"/auctions/{auction}/log"):
        assert (await market.call("GET", path, bob))[0] == 404
        assert (await market.call("GET", path))[0] == 404
    assert (await market.call("GET", f"/streams/auction:{auction}", ann))[0] == 200


@pytest.mark.parametrize(
    ("amount", "code"),
    [
        (0, "AMOUNT_INVALID"),
        (-5, "AMOUNT_INVALID"),
        (2**53, "AMOUNT_INVALID"),
        (9_999, "BEYOND_START"),
        (10.5, "VALIDATION_FAILED"),
        ("10000", "VALIDATION_FAILED"),
        (True, "VALIDATION_FAILED"),
        (None, "VALIDATION_FAILED"),
        (10**30, "VALIDATION_FAILED"),
    ],
)
async def test_bad_amounts_change_nothing(
    market: Market, client: Person, ann: Person, amount: object, code: str
) -> None:
    auction = await market.auction(client)
    status, answer = await market.bid(ann, auction, amount)
    assert (status, answer["code"]) == (422, code)
    assert await market.types(auction) == ["opened"]


async def test_every_command_needs_a_login_and_an_auction(market: Market, client: Person) -> None:
    auction = await market.auction(client)
    reopen = {"end_at": market.later(HOUR_MS)}
    for what, body in (
        ("bids", {"amount": 1}),
        ("bids/2/retract", {"reason": "typo"}),
        ("award", {}),
        ("accept", {}),
        ("decline", {}),
        ("reopen", reopen),
        ("reconfirm", {}),
        ("counter", {"amount": 1}),
        ("pause", {}),
        ("resume", {}),
    ):
        assert (await market.call("POST", f"/auctions/{auction}/{what}", None, body, "key"))[0] == 401
        if what not in ("pause", "resume"):
            freelancer_and_client = await market.person("both")
            status, answer = await market.call("POST", f"/auctions/nothing/{what}", freelancer_and_client, body, "key")
            assert (status, answer["code"]) == (404, "AUCTION_NOT_FOUND")
            status, answer = await market.call(
                "POST", f"/auctions/{auction}/{what}", freelancer_and_client, {**body, "amout": 1}, "key"
            )
            assert (status, answer["code"]) == (422, "VALIDATION_FAILED")
    assert await market.types(auction) == ["opened"]
