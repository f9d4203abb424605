"""Placing a bid in the open formats (bidding.md, rules 3, 5-8, 18, 19)."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from models.rules.auction.rules import AUCTION_RULES
from models.rules.stream import Command, Rejected
from tests.models.rules.auctions import DAY, ENGLISH, HOUR, NOW, REVERSE, Auction, salt


def outcome(auction: Auction) -> tuple[str | None, int | None]:
    return auction.state.leader(), auction.state.price


def test_the_first_bid_needs_the_start_only() -> None:
    auction = Auction(ENGLISH)
    assert auction.bid("ann", 100) == {
        "seq": 2,
        "price": 100,
        "leading": True,
        "end_at": "2026-11-22T10:00:00.000Z",
    }
    assert outcome(auction) == ("Bidder 1", 100)


@pytest.mark.parametrize(
    ("terms", "bids", "expected"),
    [
        # a sole auto bidder leads at the start
        (ENGLISH, [("ann", "auto", 500)], ("Bidder 1", 100)),
        # the challenger's limit plus a step, at most the leader's limit
        (ENGLISH, [("ann", "auto", 500), ("bob", "auto", 300)], ("Bidder 1", 310)),
        (ENGLISH, [("ann", "auto", 500), ("bob", "exact", 495)], ("Bidder 1", 500)),
        # equal limits: the earlier leads, at the limit
        (ENGLISH, [("ann", "auto", 500), ("bob", "auto", 500)], ("Bidder 1", 500)),
        # overtaken: the old limit plus a step
        (ENGLISH, [("ann", "auto", 500), ("bob", "auto", 900)], ("Bidder 2", 510)),
        # an exact bid is a floor under the price
        (ENGLISH, [("ann", "auto", 500), ("bob", "exact", 900)], ("Bidder 2", 900)),
        (ENGLISH, [("ann", "exact", 300), ("ann", "auto", 700), ("bob", "exact", 400)], ("Bidder 1", 410)),
        # three bidders: only the two best set the price
        (ENGLISH, [("ann", "auto", 500), ("bob", "auto", 300), ("cem", "auto", 400)], ("Bidder 1", 410)),
        # reverse: the same downwards
        (REVERSE, [("ann", "auto", 500)], ("Bidder 1", 1_000)),
        (REVERSE, [("ann", "auto", 500), ("bob", "auto", 700)], ("Bidder 1", 690)),
        (REVERSE, [("ann", "auto", 500), ("bob", "exact", 505)], ("Bidder 1", 500)),
        (REVERSE, [("ann", "auto", 500), ("bob", "auto", 500)], ("Bidder 1", 500)),
        (REVERSE, [("ann", "auto", 500), ("bob", "auto", 300)], ("Bidder 2", 490)),
        # the minimum stops the step
        ({**REVERSE, "minimum_amount": 495}, [("ann", "auto", 495), ("bob", "exact", 500)], ("Bidder 1", 495)),
        # the reserve lifts the price as soon as the limit meets it, and not before
        ({**ENGLISH, "reserve_amount": 400}, [("ann", "auto", 500)], ("Bidder 1", 400)),
        ({**ENGLISH, "reserve_amount": 400}, [("ann", "auto", 399)], ("Bidder 1", 100)),
        ({**ENGLISH, "reserve_amount": 400}, [("ann", "auto", 399), ("ann", "auto", 400)], ("Bidder 1", 400)),
        ({**REVERSE, "reserve_amount": 400}, [("ann", "auto", 300)], ("Bidder 1", 400)),
        ({**REVERSE, "reserve_amount": 400}, [("ann", "auto", 401)], ("Bidder 1", 1_000)),
    ],
)
def test_resolution(terms: dict[str, Any], bids: list[tuple[str, str, int]], expected: tuple[str, int]) -> None:
    auction = Auction(terms)
    for bidder, kind, amount in bids:
        auction.do("bid", bidder, amount=amount, kind=kind)
    assert outcome(auction) == expected


def test_the_step_is_looked_up_on_the_amount() -> None:
    auction = Auction({**ENGLISH, "increments": [{"from": 0, "step": 10}, {"from": 200, "step": 50}]})
    auction.bid("ann", 190)
    assert auction.refused("bid", "bob", amount=199).details == {"min_next": 200}
    auction.bid("bob", 200)
    assert auction.refused("bid", "ann", amount=249).details == {"min_next": 250}
    assert auction.bid("ann", 250)["price"] == 250


def test_without_a_table_the_step_is_a_hundredth_of_the_start() -> None:
    terms = {name: value for name, value in REVERSE.items() if name != "increments"}
    auction = Auction({**terms, "start_amount": 12_345})
    auction.bid("ann", 12_345)
    assert auction.refused("bid", "bob", amount=12_223).details == {"min_next": 12_222}
    assert auction.view()["terms"]["increments"] == [{"from": 0, "step": 123}]
    assert auction.view()["min_next"] == 12_222


def test_a_challenger_must_be_strictly_better_than_the_price() -> None:
    auction = Auction({**REVERSE, "minimum_amount": 500})
    auction.bid("ann", 500)
    refusal = auction.refused("bid", "bob", amount=500)  # a step would be 490, but the minimum stops it
    assert (refusal.code, refusal.details) == ("BID_TOO_WEAK", {"min_next": None})
    assert auction.view()["min_next"] is None


def test_the_leader_may_only_better_its_limit() -> None:
    auction = Auction(ENGLISH)
    auction.auto("ann", 500)
    assert auction.refused("bid", "ann", amount=600).code == "ALREADY_LEADING"
    assert auction.refused("bid", "ann", amount=500, kind="auto").code == "LIMIT_NOT_IMPROVED"
    assert auction.refused("bid", "ann", amount=400, kind="auto").code == "LIMIT_NOT_IMPROVED"
    assert auction.auto("ann", 501) == {"seq": 3, "price": 100, "leading": True, "end_at": "2026-11-22T10:00:00.000Z"}


def test_a_better_limit_counts_from_when_it_was_reached() -> None:
    auction = Auction(ENGLISH)
    auction.auto("ann", 300)
    auction.auto("bob", 500)
    auction.auto("ann", 500)  # equal to Bob's, later
    assert outcome(auction) == ("Bidder 2", 500)


@pytest.mark.parametrize("amount", [0, -5, 1.5, 100.0, "500", None, True, 2**53, 10**30, float("nan"), [500], {}])
def test_unsound_amounts(amount: Any) -> None:
    assert Auction(ENGLISH).refused("bid", "ann", amount=amount).code == "AMOUNT_INVALID"


def test_bounds_of_amounts() -> None:
    auction = Auction({**REVERSE, "minimum_amount": 200})
    assert auction.refused("bid", "ann", amount=199).details == {"minimum_amount": 200}
    assert auction.refused("bid", "ann", amount=199).code == "AMOUNT_INVALID"
    beyond = auction.refused("bid", "ann", amount=1_001)
    assert (beyond.code, beyond.details) == ("BEYOND_START", {"start_amount": 1_000})
    assert Auction(ENGLISH).refused("bid", "ann", amount=99).code == "BEYOND_START"
    assert auction.bid("ann", 200)["price"] == 200
    assert Auction(ENGLISH).auto("ann", 2**53 - 1)["price"] == 100


def test_the_largest_amount_ends_the_bidding() -> None:
    auction = Auction(ENGLISH)
    auction.bid("ann", 2**53 - 1)
    assert auction.refused("bid", "bob", amount=2**53 - 1).details == {"min_next": None}


def test_currency() -> None:
    auction = Auction(ENGLISH)
    assert auction.refused("bid", "ann", amount=100, currency="USD").details == {"currency": "EUR"}
    assert auction.bid("ann", 100, currency="EUR")["leading"] is True


def test_kinds() -> None:
    auction = Auction(ENGLISH)
    assert auction.refused("bid", "ann", amount=100, kind="maybe").code == "VALIDATION_FAILED"
    assert auction.refused("bid", "ann", amount=100, kind=["auto"]).code == "VALIDATION_FAILED"
    assert auction.refused("bid", "ann", amount=100, cover_letter="Hello").code == "VALIDATION_FAILED"


def test_a_jump_must_be_confirmed() -> None:
    auction = Auction({**ENGLISH, "confirm_jump_percent": 50})
    first = auction.refused("bid", "ann", amount=151)
    assert (first.code, first.details) == ("CONFIRM_REQUIRED", {"price": 100, "confirm_jump_percent": 50})
    auction.bid("ann", 150)
    assert auction.refused("bid", "bob", amount=226).code == "CONFIRM_REQUIRED"
    assert auction.refused("bid", "bob", amount=226, confirm="yes").code == "CONFIRM_REQUIRED"
    assert auction.refused("bid", "bob", amount=226, kind="auto").code == "CONFIRM_REQUIRED"
    assert auction.bid("bob", 226, confirm=True)["price"] == 226
    slipped_zero = Auction({**REVERSE, "confirm_jump_percent": 50})
    assert slipped_zero.refused("bid", "ann", amount=99).code == "CONFIRM_REQUIRED"
    assert slipped_zero.bid("ann", 500)["leading"] is True


def test_if_seq() -> None:
    auction = Auction(ENGLISH)
    auction.bid("ann", 100, if_seq=1)
    stale = auction.refused("bid", "bob", amount=200, if_seq=1)
    assert (stale.code, stale.details) == ("STALE_STATE", {"seq": 2})
    assert auction.refused("bid", "bob", amount=200, if_seq="2").code == "VALIDATION_FAILED"
    assert auction.bid("bob", 200, if_seq=2)["leading"] is True


def test_who_may_bid() -> None:
    auction = Auction(ENGLISH, visibility="invited", invited=["ann", "bob", "ann"])
    assert auction.refused("bid", "owner", amount=100).code == "SELF_BID"
    assert auction.refused("bid", "eve", amount=100).code == "NOT_INVITED"
    assert auction.bid("ann", 100)["leading"] is True


def test_only_between_start_and_end() -> None:
    auction = Auction({**ENGLISH, "start_at": NOW + HOUR})
    early = auction.at(NOW + HOUR - 1).refused("bid", "ann", amount=100)
    assert (early.code, early.details) == ("AUCTION_NOT_OPEN", {"start_at": "2026-11-21T11:00:00.000Z"})
    auction.at(NOW + HOUR).bid("ann", 100)
    auction.at(NOW + DAY - 1).bid("bob", 200)
    moved = auction.state.end_at
    assert auction.at(moved).refused("bid", "ann", amount=300).code == "AUCTION_CLOSED"
    assert auction.find("closed").t == moved


def test_time_does_not_go_back() -> None:
    auction = Auction(ENGLISH)
    auction.later(HOUR).bid("ann", 100)
    auction.later(-10 * HOUR).bid("bob", 200)  # the clock of another instance is behind
    assert auction.events[-1].t == NOW + HOUR


def test_a_bid_event_shows_the_amount_but_never_a_limit() -> None:
    auction = Auction({**ENGLISH, "reserve_amount": 450})
    auction.auto("ann", 400)
    auction.bid("bob", 300)
    auction.auto("cem", 350)
    ann, bob, cem = auction.events[1:]
    assert ann.public == {
        "bidder": "Bidder 1",
        "amount": 100,
        "price": 100,
        "leader": "Bidder 1",
        "end_at": "2026-11-22T10:00:00.000Z",
        "bid_count": 1,
        "reserve_met": False,
        "bidder_commitment": hashlib.sha256(bytes.fromhex(salt(2)) + b"ann").hexdigest(),
        "limit_commitment": hashlib.sha256(bytes.fromhex(salt(2)) + b"400").hexdigest(),
    }
    assert ann.private == {"bidder": "ann", "kind": "auto", "m": 400, "salt": salt(2)}
    assert (bob.public["amount"], bob.public["price"]) == (300, 310)
    assert "limit_commitment" not in bob.public
    assert (cem.public["amount"], cem.public["bid_count"]) == (360, 3)


def test_commands_that_are_none() -> None:
    auction = Auction(ENGLISH)
    assert auction.refused("buy", "ann").code == "UNKNOWN_COMMAND"
    assert auction.do("tick", "system") == {}
    assert auction.refused("open", "owner", job="j", terms=ENGLISH).code == "STALE_STATE"


def test_a_service_that_forgets_the_salt_is_told() -> None:
    with pytest.raises(Rejected) as refusal:
        AUCTION_RULES.decide(Auction(ENGLISH).state, Command("bid", "ann", {"amount": 100}), NOW)
    assert refusal.value.code == "INTERNAL"
    with pytest.raises(Rejected) as refusal:
        AUCTION_RULES.decide(AUCTION_RULES.initial(), Command("bid", "ann", {"amount": 100}), NOW)
    assert refusal.value.code == "AUCTION_NOT_FOUND"
