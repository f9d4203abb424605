"""After the close: award, accept, decline, reopen (bidding.md, rule 16)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.models.rules.auctions import DAY, ENGLISH, HOUR, MINUTE, NOW, PROPOSAL, REVERSE, SEALED, Auction

END = NOW + DAY


def closed(terms: dict[str, Any] = ENGLISH) -> Auction:
    """Limits 900, 700, 500 of Ann, Bob and Cem; the price is 710."""
    auction = Auction(terms)
    auction.auto("cem", 500)
    auction.auto("bob", 700)
    auction.auto("ann", 900)
    auction.at(END).pass_time()
    return auction


def test_the_winner_accepts() -> None:
    auction = closed()
    assert auction.refused("accept", "bob").code == "FORBIDDEN"
    assert auction.refused("accept", "owner", admin=True).code == "FORBIDDEN"
    assert auction.refused("award", "owner").code == "AWARD_CONFLICT"
    assert auction.refused("reopen", "owner", end_at=END + DAY).code == "AWARD_CONFLICT"
    assert auction.at(END + 48 * HOUR - 1).do("accept", "ann") == {"seq": 7, "bidder": "Bidder 3", "amount": 710}
    assert auction.last == {"bidder": "Bidder 3", "amount": 710}
    assert auction.view()["award"] == {
        "bidder": "Bidder 3",
        "amount": 710,
        "accept_by": "2026-11-24T10:00:00.000Z",
        "accepted": True,
    }
    assert auction.refused("accept", "ann").code == "AWARD_CONFLICT"
    assert auction.refused("decline", "ann").code == "AWARD_CONFLICT"
    assert auction.refused("award", "owner").code == "AWARD_CONFLICT"
    assert auction.at(END + 90 * DAY).pass_time() == []


def test_an_award_expires_after_48_hours_exactly() -> None:
    auction = closed()
    auction.at(END + 50 * HOUR)
    assert auction.refused("accept", "ann").code == "AWARD_CONFLICT"
    declined = auction.events[-1]
    assert (declined.type, declined.t) == ("declined", END + 48 * HOUR)
    assert declined.public == {"bidder": "Bidder 3", "reason": "expired"}


def test_the_client_awards_the_next_at_what_it_stands_at() -> None:
    auction = closed()
    assert auction.do("decline", "ann", reason="No time") == {"seq": 7, "bidder": "Bidder 3"}
    assert auction.last == {"bidder": "Bidder 3", "reason": "No time"}
    assert auction.refused("award", "eve").code == "FORBIDDEN"
    assert auction.refused("award", "owner", bidder="Bidder 3").code == "AWARD_CONFLICT"
    assert auction.refused("award", "owner", bidder="Bidder 9").code == "AWARD_CONFLICT"
    assert auction.refused("award", "owner", bidder="nobody").code == "AWARD_CONFLICT"
    assert auction.refused("award", "owner", bidder=2).code == "VALIDATION_FAILED"
    assert auction.do("award", "owner")["amount"] == 510  # Bob against Cem alone
    auction.do("decline", "bob")
    answer = auction.do("award", "owner", bidder="cem")  # by user id; alone, at the start
    assert (answer["bidder"], answer["amount"]) == ("Bidder 1", 100)
    auction.do("decline", "cem")
    assert auction.refused("award", "owner").code == "AWARD_CONFLICT"


def test_the_client_may_skip_one() -> None:
    auction = closed({**ENGLISH, "reserve_amount": 2_000})
    assert auction.do("award", "owner", bidder="Bidder 1")["amount"] == 100
    assert auction.state.phase == "awarded"


def test_exact_bids_stand_at_themselves() -> None:
    auction = Auction(REVERSE)
    auction.bid("ann", 900)
    auction.bid("bob", 700)
    auction.at(END).pass_time()
    auction.do("decline", "bob")
    assert auction.do("award", "owner")["amount"] == 900


def test_not_before_the_close() -> None:
    auction = Auction(ENGLISH)
    auction.bid("ann", 100)
    assert auction.refused("award", "owner", bidder="Bidder 1").code == "AWARD_CONFLICT"
    assert auction.refused("accept", "ann").code == "AWARD_CONFLICT"
    assert auction.refused("reopen", "owner", end_at=END + DAY).code == "AWARD_CONFLICT"


def test_a_reason_that_would_look_like_an_expiry() -> None:
    assert closed().refused("decline", "ann", reason="expired").code == "VALIDATION_FAILED"


def test_reopen() -> None:
    auction = closed()
    auction.do("decline", "ann")
    for end_at in (END, NOW, "tomorrow", None, END + 366 * DAY):
        assert auction.refused("reopen", "owner", end_at=end_at).code == "VALIDATION_FAILED"
    assert auction.refused("reopen", "owner", end_at=END + DAY, hard_end_at=END + HOUR).code == "VALIDATION_FAILED"
    assert auction.refused("reopen", "eve", end_at=END + DAY).code == "FORBIDDEN"
    assert auction.do("reopen", "owner", end_at=END + DAY) == {"seq": 8, "end_at": "2026-11-23T10:00:00.000Z"}
    assert auction.last == {
        "end_at": "2026-11-23T10:00:00.000Z",
        "hard_end_at": None,
        "price": 510,
        "leader": "Bidder 2",
        "bid_count": 3,
        "reserve_met": None,
    }
    assert auction.bid("ann", 600)["leading"] is False  # she may come back, her old bids don't
    auction.at(END + DAY).pass_time()
    assert auction.types.count("closed") == 2
    assert auction.find("closed").public["winner"] == "Bidder 2"
    auction.do("accept", "bob")


def test_a_reopened_auction_keeps_the_distance_of_its_hard_end() -> None:
    terms = {**ENGLISH, "soft_close": {"window_s": 60, "extension_s": 60, "hard_end_at": END + HOUR}}
    auction = Auction(terms)
    auction.at(END).pass_time()
    auction.do("reopen", "owner", end_at=END + DAY)
    assert auction.state.hard_end_at == END + DAY + HOUR
    auction.at(END + DAY).pass_time()
    auction.do("reopen", "owner", end_at=END + 2 * DAY, hard_end_at=END + 2 * DAY + MINUTE)
    assert auction.state.hard_end_at == END + 2 * DAY + MINUTE


def test_a_suspended_winner_to_be_cannot_be_awarded() -> None:
    auction = Auction({**ENGLISH, "reserve_amount": 500})
    auction.bid("ann", 300)
    auction.do("suspend", "owner", revision=2)
    auction.at(END).pass_time()
    assert auction.last["outcome"] == "no_bids"
    assert auction.refused("award", "owner", bidder="Bidder 1").code == "AWARD_CONFLICT"
    auction.do("reopen", "owner", end_at=END + DAY)
    auction.do("reconfirm", "ann")
    assert auction.state.leader() == "Bidder 1"


@pytest.mark.parametrize("terms", [SEALED, PROPOSAL])
def test_reopening_a_hidden_format(terms: dict[str, Any]) -> None:
    auction = Auction(terms)
    auction.bid("ann", 500)
    auction.bid("bob", 400)
    auction.at(END).pass_time()
    if terms is PROPOSAL:
        auction.do("award", "owner", bidder="Bidder 2")
    auction.do("decline", "bob")
    auction.do("reopen", "owner", end_at=END + DAY)
    assert auction.state.bid_count == 1
    assert auction.view()["bid_count"] == (1 if terms is PROPOSAL else None)
    assert auction.view()["envelopes"] is None
    assert auction.bid("bob", 450)["seq"] == 2
    auction.at(END + DAY).pass_time()
    if terms is PROPOSAL:
        assert auction.find("closed").public["outcome"] == "undecided"
    else:
        assert auction.find("closed").public["price"] == 450
