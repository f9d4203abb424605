"""Suspending, reconfirming, cancelling, pausing (bidding.md, rules 15 and 17)."""

from __future__ import annotations

import pytest

from models.rules.auction.rules import AUCTION_RULES
from models.rules.log import verify
from models.rules.stream import Command, Rejected
from tests.models.rules.auctions import (
    DAY,
    ENGLISH,
    HOUR,
    MINUTE,
    NOW,
    PROPOSAL,
    REVERSE,
    SEALED,
    SECOND,
    Auction,
    export,
    salt,
)

END = NOW + DAY


def leading(auction: Auction) -> tuple[str | None, int | None]:
    return auction.state.leader(), auction.state.price


def test_a_suspension_empties_the_auction_until_bids_are_reconfirmed() -> None:
    auction = Auction(ENGLISH)
    auction.auto("ann", 500)
    auction.auto("bob", 500)
    auction.auto("cem", 700)
    assert auction.do("suspend", "owner", revision=2, changes=["budget"]) == {"seq": 5, "revision": 2}
    assert auction.last == {
        "revision": 2,
        "changes": ["budget"],
        "by": "client",
        "price": None,
        "leader": None,
        "end_at": "2026-11-22T10:00:00.000Z",
        "bid_count": 3,
        "reserve_met": None,
    }
    assert auction.do("reconfirm", "bob") == {
        "seq": 6,
        "price": 100,
        "leading": True,
        "end_at": "2026-11-22T10:00:00.000Z",
    }
    auction.do("reconfirm", "ann")
    assert leading(auction) == ("Bidder 1", 500)  # Ann's limit is the earlier one, as before
    auction.at(END).pass_time()
    assert auction.find("closed").public["winner"] == "Bidder 1"  # Cem never reconfirmed


def test_new_bids_while_suspended() -> None:
    auction = Auction(ENGLISH)
    auction.auto("ann", 500)
    auction.do("suspend", "owner", revision=2)
    auction.bid("bob", 120)
    auction.bid("ann", 130)
    assert leading(auction) == ("Bidder 1", 130)
    auction.do("reconfirm", "ann")
    assert auction.state.standings[1].limit == 500
    assert leading(auction) == ("Bidder 1", 130)


def test_a_known_revision_changes_nothing() -> None:
    auction = Auction(ENGLISH)
    auction.bid("ann", 100)
    auction.do("suspend", "owner", revision=2)
    assert auction.do("suspend", "owner", revision=2) == {"seq": 3, "revision": 2}
    assert auction.do("suspend", "owner", revision=1) == {"seq": 3, "revision": 2}
    assert auction.types == ["opened", "bid", "suspended"]
    auction.do("suspend", "owner", revision=3)
    assert auction.refused("reconfirm", "ann", revision=2).code == "STALE_STATE"
    assert auction.refused("reconfirm", "ann", revision="3").code == "VALIDATION_FAILED"
    assert auction.do("reconfirm", "ann", revision=3)["leading"] is True
    assert auction.do("reconfirm", "ann") == {
        "seq": 5,
        "price": 100,
        "leading": True,
        "end_at": "2026-11-22T10:00:00.000Z",
    }
    assert auction.types.count("reconfirmed") == 1


def test_who_may_suspend_and_reconfirm() -> None:
    auction = Auction(ENGLISH)
    assert auction.refused("suspend", "eve", revision=2).code == "FORBIDDEN"
    assert auction.refused("suspend", "owner", revision=0).code == "VALIDATION_FAILED"
    assert auction.refused("suspend", "owner", revision=2, changes="budget").code == "VALIDATION_FAILED"
    assert auction.refused("suspend", "owner", revision=2, changes=[1]).code == "VALIDATION_FAILED"
    assert auction.refused("reconfirm", "eve").code == "FORBIDDEN"
    auction.do("suspend", "root", revision=2, admin=True)
    assert auction.last["by"] == "admin"


def test_a_reconfirmation_in_the_window_extends() -> None:
    auction = Auction(ENGLISH)
    auction.auto("ann", 500)
    auction.do("suspend", "owner", revision=2)
    auction.at(END - 60 * SECOND).do("reconfirm", "ann")
    assert auction.types[-2:] == ["reconfirmed", "extended"]
    assert auction.state.end_at == END + 60 * SECOND


def test_an_edit_is_no_way_round_the_window() -> None:
    auction = Auction(ENGLISH)
    auction.bid("ann", 100)
    auction.at(END - 60 * SECOND)
    assert auction.refused("suspend", "owner", revision=2).code == "CANCEL_TOO_LATE"
    auction.do("suspend", "root", revision=2, admin=True)
    assert auction.types[-2:] == ["suspended", "extended"]


def test_cancel_is_free_before_the_first_bid() -> None:
    auction = Auction({**ENGLISH, "start_at": NOW + HOUR})
    assert auction.refused("cancel", "eve").code == "FORBIDDEN"
    assert auction.do("cancel", "owner") == {"seq": 2}
    assert auction.last == {"reason": None, "by": "client"}
    for name in ("bid", "retract", "cancel", "pause", "resume", "suspend", "reconfirm", "award", "reopen"):
        assert auction.refused(name, "owner", admin=True).code == "AUCTION_CLOSED"
    assert auction.at(END + DAY).pass_time() == []


def test_cancel_needs_a_reason_later() -> None:
    auction = Auction(ENGLISH)
    auction.bid("ann", 100)
    for reason in (None, "", "   ", 5, "x" * 501, "\ud800"):
        assert auction.refused("cancel", "owner", reason=reason).code == "VALIDATION_FAILED"
    auction.do("cancel", "owner", reason="The project was stopped")
    assert auction.last["reason"] == "The project was stopped"


def test_the_question_for_a_reason_does_not_tell_of_secret_bids() -> None:
    assert Auction(SEALED).refused("cancel", "owner").code == "VALIDATION_FAILED"
    assert Auction({**SEALED, "show_count": True}).do("cancel", "owner") == {"seq": 2}


def test_cancel_in_the_window_is_for_admins() -> None:
    auction = Auction(ENGLISH)
    auction.at(END - 120 * SECOND)
    assert auction.refused("cancel", "owner", reason="r").code == "CANCEL_TOO_LATE"
    auction.do("cancel", "root", reason="Fraud", admin=True)
    assert auction.last == {"reason": "Fraud", "by": "admin"}


def test_a_pause_shifts_the_ends() -> None:
    auction = Auction({**REVERSE, "soft_close": {"window_s": 60, "extension_s": 60, "hard_end_at": END + HOUR}})
    auction.bid("ann", 900)
    auction.at(END - 10 * MINUTE)
    assert auction.refused("pause", "owner").code == "FORBIDDEN"
    assert auction.do("pause", "root", admin=True) == {"seq": 3}
    assert auction.do("pause", "root", admin=True) == {"seq": 3}
    assert auction.refused("bid", "bob", amount=800).code == "AUCTION_PAUSED"
    assert AUCTION_RULES.next_due(auction.state) is None
    auction.at(END + 50 * MINUTE)  # the end passes, nothing closes
    assert auction.pass_time() == []
    assert auction.refused("bid", "bob", amount=800).code == "AUCTION_PAUSED"
    assert auction.refused("resume", "owner").code == "FORBIDDEN"
    assert auction.do("resume", "root", admin=True) == {"seq": 4, "end_at": "2026-11-22T11:00:00.000Z"}
    assert auction.last == {"end_at": "2026-11-22T11:00:00.000Z", "hard_end_at": "2026-11-22T12:00:00.000Z"}
    assert auction.do("resume", "root", admin=True) == {"seq": 4, "end_at": "2026-11-22T11:00:00.000Z"}
    assert auction.bid("bob", 800)["leading"] is True
    auction.at(END + HOUR).pass_time()
    assert auction.find("closed").t == END + HOUR


def test_no_pause_before_the_start() -> None:
    auction = Auction({**ENGLISH, "start_at": NOW + HOUR})
    assert auction.refused("pause", "root", admin=True).code == "AUCTION_NOT_OPEN"


@pytest.mark.parametrize(("paused_at", "code"), [(END - 200 * SECOND, None), (END - 100 * SECOND, "CANCEL_TOO_LATE")])
def test_a_paused_auction_is_cancelled_by_the_time_of_its_pause(paused_at: int, code: str | None) -> None:
    auction = Auction(ENGLISH)
    auction.at(paused_at).do("pause", "root", admin=True)
    auction.at(END + DAY)
    if code:
        assert auction.refused("cancel", "owner").code == code
    else:
        auction.do("cancel", "owner")
        assert auction.state.phase == "cancelled"


def test_suspended_while_paused_does_not_extend() -> None:
    auction = Auction(ENGLISH)
    auction.bid("ann", 100)
    auction.at(END - 60 * SECOND).do("pause", "root", admin=True)
    auction.later(SECOND).do("suspend", "root", revision=2, admin=True)
    assert auction.types[-1] == "suspended"
    assert verify(export(auction.events, private=True)).ok
    assert auction.refused("reconfirm", "ann").code == "AUCTION_PAUSED"


def test_what_an_admin_does_says_who_it_was_to_the_server_alone() -> None:
    auction = Auction(ENGLISH)
    auction.do("pause", "root", admin=True)
    auction.do("resume", "root", admin=True)
    auction.do("cancel", "owner", admin=True, reason="Mine")
    paused, resumed, cancelled = auction.events[-3:]
    assert paused.private["admin"] == resumed.private["admin"] == "root"
    assert "root" not in str(paused.public) + str(resumed.public)
    assert "admin" not in cancelled.private


@pytest.mark.parametrize("terms", [ENGLISH, SEALED, PROPOSAL])
def test_whom_the_client_has_blocked_can_not_bid(terms: dict[str, object]) -> None:
    auction = Auction(terms)
    for actor, code in {"ann": "BLOCKED", "owner": "SELF_BID"}.items():
        command = Command("bid", actor, {"amount": 100}, context={"salt": salt(1), "blocked": True})
        with pytest.raises(Rejected, match=code):
            AUCTION_RULES.decide(auction.state, command, NOW)


@pytest.mark.parametrize("terms", [ENGLISH, SEALED, PROPOSAL])
def test_whom_the_client_has_blocked_since_can_not_let_a_bid_count_again(terms: dict[str, object]) -> None:
    auction = Auction(terms)
    auction.bid("ann", 120)
    auction.do("suspend", "owner", revision=2)
    blocked = Command("reconfirm", "ann", {}, context={"blocked": True})
    with pytest.raises(Rejected, match="BLOCKED"):
        AUCTION_RULES.decide(auction.state, blocked, NOW)
    auction.do("reconfirm", "ann")


def test_whom_the_client_has_blocked_since_can_not_offer_something_else() -> None:
    auction = Auction(PROPOSAL)
    auction.bid("ann", 120)
    blocked = Command("counter", "ann", {"amount": 110}, context={"blocked": True})
    with pytest.raises(Rejected, match="BLOCKED"):
        AUCTION_RULES.decide(auction.state, blocked, NOW)
    auction.do("counter", "ann", amount=110)
