"""Taking a bid back (bidding.md, rule 14)."""

from __future__ import annotations

import pytest

from tests.models.rules.auctions import DAY, ENGLISH, HOUR, MINUTE, NOW, SECOND, Auction

END = NOW + DAY


def refusal(auction: Auction, actor: str = "ann", seq: object = 2, reason: object = "typo") -> str:
    return auction.refused("retract", actor, seq=seq, reason=reason).code


def test_the_auction_is_resolved_again() -> None:
    auction = Auction(ENGLISH)
    auction.auto("ann", 500)
    auction.auto("bob", 900)
    auction.auto("cem", 400 + 300)
    assert (auction.state.leader(), auction.state.price) == ("Bidder 2", 710)
    assert auction.later(HOUR).do("retract", "bob", seq=3, reason="scope_changed") == {"seq": 5}
    assert auction.last == {
        "bidder": "Bidder 2",
        "bid_seq": 3,
        "reason": "scope_changed",
        "price": 510,
        "leader": "Bidder 3",
        "end_at": "2026-11-22T10:00:00.000Z",
        "bid_count": 2,
        "reserve_met": None,
    }


def test_an_earlier_limit_comes_back_with_its_place() -> None:
    auction = Auction(ENGLISH)
    auction.auto("ann", 500)
    auction.auto("bob", 500)
    auction.auto("ann", 600)
    auction.do("retract", "ann", seq=4, reason="typo")
    assert (auction.state.leader(), auction.state.price) == ("Bidder 1", 500)
    auction.do("retract", "ann", seq=2, reason="typo")
    assert (auction.state.leader(), auction.state.price) == ("Bidder 2", 100)
    auction.do("retract", "bob", seq=3, reason="typo")
    assert (auction.state.leader(), auction.state.price, auction.state.bid_count) == (None, None, 0)
    assert auction.bid("cem", 100)["leading"] is True  # the start is enough again


def test_only_own_active_bids() -> None:
    auction = Auction(ENGLISH)
    auction.bid("ann", 100)
    auction.bid("bob", 200)
    assert refusal(auction, "bob") == "RETRACT_NOT_ALLOWED"
    assert refusal(auction, "eve") == "RETRACT_NOT_ALLOWED"
    assert refusal(auction, seq=1) == "RETRACT_NOT_ALLOWED"
    assert refusal(auction, seq=9) == "RETRACT_NOT_ALLOWED"
    auction.do("retract", "ann", seq=2, reason="typo")
    assert refusal(auction) == "RETRACT_NOT_ALLOWED"
    auction.do("suspend", "owner", revision=2)
    assert refusal(auction, "bob", 3) == "RETRACT_NOT_ALLOWED"


@pytest.mark.parametrize(
    ("seq", "reason"), [("2", "typo"), (None, "typo"), (True, "typo"), (2, "greed"), (2, None), (2, [])]
)
def test_fields(seq: object, reason: object) -> None:
    auction = Auction(ENGLISH)
    auction.bid("ann", 100)
    assert refusal(auction, seq=seq, reason=reason) == "VALIDATION_FAILED"


def test_an_old_bid_only_with_more_than_twelve_hours_left() -> None:
    early = Auction(ENGLISH)
    early.bid("ann", 100)
    early.at(END - 12 * HOUR - 1).do("retract", "ann", seq=2, reason="typo")
    late = Auction(ENGLISH)
    late.bid("ann", 100)
    assert refusal(late.at(END - 12 * HOUR)) == "RETRACT_NOT_ALLOWED"


def test_in_the_last_twelve_hours_only_a_bid_of_the_last_hour() -> None:
    auction = Auction(ENGLISH)
    auction.at(END - 3 * HOUR).bid("ann", 100)
    assert refusal(auction.later(HOUR + 1)) == "RETRACT_NOT_ALLOWED"
    auction.later(-1).do("retract", "ann", seq=2, reason="typo")


def test_never_in_the_soft_close_window() -> None:
    auction = Auction(ENGLISH)
    auction.at(END - 10 * MINUTE).bid("ann", 100)
    assert refusal(auction.at(END - 120 * SECOND)) == "RETRACT_NOT_ALLOWED"
    auction = Auction(ENGLISH)
    auction.at(END - 10 * MINUTE).bid("ann", 100)
    auction.at(END - 120 * SECOND - 1).do("retract", "ann", seq=2, reason="typo")
    assert auction.state.end_at == END


def test_not_while_paused() -> None:
    auction = Auction(ENGLISH)
    auction.bid("ann", 100)
    auction.do("pause", "root", admin=True)
    assert refusal(auction) == "AUCTION_PAUSED"
