"""Soft close, reserve and the close itself (bidding.md, rules 3, 9-11)."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from models.rules.auction.rules import AUCTION_RULES
from models.rules.auction.view import status
from tests.models.rules.auctions import DAY, ENGLISH, HOUR, MINUTE, NOW, REVERSE, SECOND, Auction

END = NOW + DAY


def soft_close(window_s: int, extension_s: int, hard_end_at: int | None = None) -> dict[str, Any]:
    return {"window_s": window_s, "extension_s": extension_s, "hard_end_at": hard_end_at}


def test_a_bid_in_the_window_extends() -> None:
    auction = Auction(ENGLISH)
    auction.at(END - 120 * SECOND - 1).bid("ann", 100)
    assert auction.types == ["opened", "bid"]
    answer = auction.at(END - 30 * SECOND).bid("bob", 200)
    assert answer["end_at"] == "2026-11-22T10:01:30.000Z"
    assert auction.types == ["opened", "bid", "bid", "extended"]
    assert auction.last == {"end_at": "2026-11-22T10:01:30.000Z", "previous_end_at": "2026-11-22T10:00:00.000Z"}
    assert auction.find("bid").public["end_at"] == "2026-11-22T10:01:30.000Z"
    assert auction.state.end_at == END + 90 * SECOND


def test_the_window_begins_exactly() -> None:
    auction = Auction({**ENGLISH, "soft_close": soft_close(120, 300)})
    auction.at(END - 120 * SECOND).bid("ann", 100)
    assert auction.state.end_at == END + 180 * SECOND


def test_never_shorter() -> None:
    auction = Auction({**ENGLISH, "soft_close": soft_close(120, 30)})
    auction.at(END - 60 * SECOND).bid("ann", 100)
    assert auction.types == ["opened", "bid"]
    assert auction.state.end_at == END


def test_never_past_the_hard_end() -> None:
    auction = Auction({**ENGLISH, "soft_close": soft_close(120, 120, END + MINUTE)})
    auction.at(END - 1).bid("ann", 100)
    assert auction.state.end_at == END + MINUTE
    auction.at(END + MINUTE - 1).bid("bob", 200)
    assert auction.types.count("extended") == 1
    assert auction.at(END + MINUTE).refused("bid", "ann", amount=300).code == "AUCTION_CLOSED"


def test_only_a_change_of_leader_or_price_extends() -> None:
    auction = Auction(ENGLISH)
    auction.auto("ann", 500)
    auction.at(END - 60 * SECOND).auto("ann", 600)  # neither changes
    auction.refused("bid", "bob", amount=105)
    assert auction.state.end_at == END
    auction.bid("bob", 110)  # the price does
    assert auction.state.end_at == END + 60 * SECOND


def test_an_extension_that_was_not_announced_is_owed_at_the_time_of_its_bid() -> None:
    auction = Auction(ENGLISH)
    auction.at(END - 60 * SECOND).bid("ann", 100)
    interrupted = AUCTION_RULES.initial()
    for event in auction.events[:2]:
        AUCTION_RULES.apply(interrupted, event)
    owed = AUCTION_RULES.due(interrupted, END + 7 * DAY)
    assert owed is not None
    assert (owed.type, owed.t, owed.public) == ("extended", END - 60 * SECOND, auction.last)


def test_closed_is_stamped_with_the_end_however_late_it_is_noticed() -> None:
    auction = Auction(ENGLISH)
    auction.bid("ann", 300)
    assert AUCTION_RULES.next_due(auction.state) == END
    assert status(auction.state, END) == "closed"
    auction.at(END + 5 * HOUR).pass_time()
    closed, awarded = auction.events[-2:]
    assert (closed.type, closed.t) == ("closed", END)
    assert closed.public == {
        "outcome": "sold",
        "winner": "Bidder 1",
        "price": 300,
        "bid_count": 1,
        "reserve_met": None,
        "reserve_amount": None,
        "reserve_salt": None,
    }
    assert (awarded.type, awarded.t) == ("awarded", END + 5 * HOUR)
    assert awarded.public == {"bidder": "Bidder 1", "amount": 300, "accept_by": "2026-11-24T15:00:00.000Z"}


def test_a_command_at_the_end_first_closes() -> None:
    auction = Auction(ENGLISH)
    auction.bid("ann", 300)
    assert auction.at(END).refused("bid", "bob", amount=400).code == "AUCTION_CLOSED"
    assert auction.types == ["opened", "bid", "closed", "awarded"]
    assert auction.refused("retract", "ann", seq=2, reason="typo").code == "AUCTION_CLOSED"
    assert auction.refused("pause", "root", admin=True).code == "AUCTION_CLOSED"
    assert auction.refused("cancel", "owner", reason="late").code == "AUCTION_CLOSED"
    assert auction.types.count("closed") == 1


def test_without_bids() -> None:
    auction = Auction({**ENGLISH, "reserve_amount": 500})
    auction.at(END).pass_time()
    assert auction.types == ["opened", "closed"]
    assert (auction.last["outcome"], auction.last["winner"], auction.last["price"]) == ("no_bids", None, None)
    assert auction.refused("award", "owner").code == "AWARD_CONFLICT"


@pytest.mark.parametrize(("terms", "short", "enough"), [(ENGLISH, 499, 500), (REVERSE, 501, 500)])
def test_reserve(terms: dict[str, Any], short: int, enough: int) -> None:
    auction = Auction({**terms, "reserve_amount": 500})
    commitment = auction.last["reserve_commitment"]
    assert "500" not in str(auction.last["terms"])
    assert auction.view()["reserve_met"] is False
    auction.auto("ann", short)
    assert auction.last["reserve_met"] is False
    unmet = Auction({**terms, "reserve_amount": 500})
    unmet.auto("ann", short)
    unmet.at(END).pass_time()
    assert unmet.types == ["opened", "bid", "closed"]
    assert (unmet.last["outcome"], unmet.last["winner"]) == ("reserve_not_met", None)
    auction.auto("ann", enough)
    assert (auction.last["reserve_met"], auction.last["price"]) == (True, 500)
    auction.at(END).pass_time()
    closed = auction.find("closed").public
    assert (closed["outcome"], closed["price"], closed["reserve_amount"]) == ("sold", 500, 500)
    assert hashlib.sha256(bytes.fromhex(closed["reserve_salt"]) + b"500").hexdigest() == commitment
    assert auction.view()["reserve"] == {"amount": 500, "salt": closed["reserve_salt"]}


def test_the_revealed_salt_does_not_open_the_other_commitment() -> None:
    auction = Auction({**ENGLISH, "reserve_amount": 500})
    auction.at(END).pass_time()
    assert auction.last["reserve_salt"] != auction.state.salt


def test_the_client_may_award_below_the_reserve() -> None:
    auction = Auction({**ENGLISH, "reserve_amount": 500})
    auction.auto("ann", 300)
    auction.auto("bob", 200)
    auction.at(END).pass_time()
    answer = auction.do("award", "owner")
    assert answer == {"seq": 5, "bidder": "Bidder 1", "amount": 210, "accept_by": "2026-11-24T10:00:00.000Z"}


def test_status() -> None:
    auction = Auction({**ENGLISH, "start_at": NOW + HOUR})
    assert status(AUCTION_RULES.initial(), NOW) == ""
    assert status(auction.state, NOW) == "scheduled"
    assert status(auction.state, NOW + HOUR) == "open"
    auction.at(NOW + HOUR).do("pause", "root", admin=True)
    assert status(auction.state, END) == "paused"
    auction.do("resume", "root", admin=True)
    auction.at(END).pass_time()
    assert status(auction.state, END) == "closed"
