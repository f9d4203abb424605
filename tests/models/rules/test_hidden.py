"""The formats `sealed` and `proposal`, and the public stream that mirrors them (bidding.md, rules 12 and 13)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from models.rules.auction import projection
from models.rules.auction.rules import AUCTION_RULES
from models.rules.auction.view import own_view
from models.rules.stream import Command, Rejected
from tests.models.rules.auctions import DAY, ENGLISH, HOUR, NOW, PROPOSAL, SEALED, Auction

END = NOW + DAY


def public_types(auction: Auction) -> list[str]:
    return [event.type for event in auction.mirrored]


def test_nothing_of_a_sealed_bid_is_public_before_the_end() -> None:
    auction = Auction({**SEALED, "reserve_amount": 900})
    opened = auction.view()
    assert auction.bid("ann", 777) == {"seq": 1, "price": None, "leading": None, "end_at": "2026-11-22T10:00:00.000Z"}
    auction.bid("bob", 666)
    auction.do("retract", "bob")
    auction.bid("ann", 888)
    assert public_types(auction) == ["opened"]
    assert auction.view() == opened
    assert opened["bid_count"] is None
    assert auction.owner_view() == {"bidders": {}, "reserve_amount": 900, "bid_count": None, "offers": None}
    from_the_truth = AUCTION_RULES.view(auction.state)
    assert from_the_truth == opened
    mine = own_view(auction.state, "ann")
    assert mine["pseudonym"] is None  # its number would tell how many there are
    assert (mine["limit"], mine["rank"], mine["leading"]) == (888, None, None)
    assert [(bid["seq"], bid["amount"], bid["status"]) for bid in mine["bids"]] == [
        (2, 888, "active"),
        (1, 777, "replaced"),
    ]


def test_envelopes_are_opened_once_ranked_and_ties_go_to_the_earlier() -> None:
    auction = Auction(SEALED)
    auction.bid("ann", 500)
    auction.bid("bob", 500)
    auction.bid("cem", 600)
    auction.later(HOUR).bid("ann", 500)  # a replacement, so Ann is now the later one
    auction.bid("dan", 400)
    auction.do("retract", "dan", seq=1, reason="typo")
    auction.at(END + HOUR).pass_time()
    assert public_types(auction) == ["opened", "opened", "closed", "awarded"]
    envelopes, result, award = auction.mirrored[1:]
    assert (envelopes.t, result.t, award.t) == (END, END, END + HOUR)
    assert envelopes.public == {
        "phase": "envelopes",
        "bids": [
            {"bidder": "Bidder 2", "amount": 500, "placed_at": "2026-11-21T10:00:00.000Z"},
            {"bidder": "Bidder 1", "amount": 500, "placed_at": "2026-11-21T11:00:00.000Z"},
            {"bidder": "Bidder 3", "amount": 600, "placed_at": "2026-11-21T10:00:00.000Z"},
        ],
    }
    assert (result.public["winner"], result.public["price"], result.public["bid_count"]) == ("Bidder 2", 500, 3)
    assert (award.public["bidder"], award.public["amount"]) == ("Bidder 2", 500)
    assert auction.view()["envelopes"] == envelopes.public["bids"]
    assert auction.owner_view()["bidders"] == {
        "Bidder 1": "ann",
        "Bidder 2": "bob",
        "Bidder 3": "cem",
        "Bidder 4": "dan",
    }
    assert own_view(auction.state, "ann")["rank"] == 2
    assert own_view(auction.state, "bob")["leading"] is True
    assert own_view(auction.state, "bob")["award"]["amount"] == 500
    assert own_view(auction.state, "dan")["rank"] is None


@pytest.mark.parametrize(("direction", "winner"), [("forward", "Bidder 2"), ("reverse", "Bidder 1")])
def test_either_direction(direction: str, winner: str) -> None:
    auction = Auction({**SEALED, "direction": direction})
    auction.bid("ann", 1_000)
    worse = 999 if direction == "forward" else 1_001
    assert auction.refused("bid", "bob", amount=worse).code == "BEYOND_START"
    auction.bid("bob", 2_000 if direction == "forward" else 1_000)
    auction.at(END).pass_time()
    assert auction.find("closed").public["winner"] == winner


def test_sealed_reserve() -> None:
    auction = Auction({**SEALED, "reserve_amount": 500})
    auction.bid("ann", 501)
    auction.at(END).pass_time()
    assert auction.last["outcome"] == "reserve_not_met"
    assert auction.view()["price"] == 501
    assert auction.do("award", "owner")["amount"] == 501
    empty = Auction({**SEALED, "reserve_amount": 500})
    empty.at(END).pass_time()
    assert (empty.types, empty.last["outcome"]) == (["opened", "opened", "closed"], "no_bids")


def test_the_count_is_public_if_the_auction_says_so() -> None:
    auction = Auction({**SEALED, "show_count": True})
    auction.bid("ann", 500)
    auction.bid("ann", 400)
    auction.bid("bob", 300)
    auction.do("retract", "ann")
    assert [dict(event.public) for event in auction.mirrored[1:]] == [
        {"bid_count": 1},
        {"bid_count": 2},
        {"bid_count": 1},
    ]
    assert set(public_types(auction)[1:]) == {"counted"}
    assert auction.view()["bid_count"] == 1
    assert own_view(auction.state, "bob")["pseudonym"] == "Bidder 2"


def test_no_extension() -> None:
    auction = Auction(SEALED)
    auction.at(END - 1).bid("ann", 500)
    assert auction.at(END).refused("bid", "bob", amount=400).code == "AUCTION_CLOSED"
    assert auction.find("closed").t == END


def test_what_sealed_bids_refuse() -> None:
    auction = Auction({**SEALED, "confirm_jump_percent": 50, "minimum_amount": 10})
    assert auction.refused("bid", "owner", amount=500).code == "SELF_BID"
    assert auction.refused("bid", "ann", amount=500, kind="auto").code == "VALIDATION_FAILED"
    assert auction.refused("bid", "ann", amount=500, delivery_days=5).code == "VALIDATION_FAILED"
    assert auction.refused("bid", "ann", amount=500, cover_letter="Hello").code == "VALIDATION_FAILED"
    assert auction.refused("bid", "ann", amount="500").code == "AMOUNT_INVALID"
    assert auction.refused("bid", "ann", amount=9).code == "AMOUNT_INVALID"
    assert auction.refused("bid", "ann", amount=499).code == "CONFIRM_REQUIRED"
    assert auction.refused("bid", "ann", amount=500, if_seq=2).details == {"seq": 1}
    assert auction.refused("retract", "ann").code == "RETRACT_NOT_ALLOWED"
    auction.bid("ann", 500, if_seq=1)
    auction.bid("ann", 600, if_seq=1)  # the public seq is still the same
    assert auction.refused("retract", "ann", seq=1).code == "RETRACT_NOT_ALLOWED"
    assert auction.refused("retract", "ann", seq="2").code == "VALIDATION_FAILED"
    assert auction.refused("retract", "ann", reason="greed").code == "VALIDATION_FAILED"
    assert auction.do("retract", "ann", seq=2) == {"seq": 2}
    assert auction.refused("retract", "ann").code == "RETRACT_NOT_ALLOWED"
    assert auction.bid("ann", 700)["seq"] == 3
    assert auction.refused("counter", "ann", amount=5).code == "FORBIDDEN"


def test_a_suspended_submission_waits_for_its_bidder() -> None:
    auction = Auction(SEALED)
    auction.bid("ann", 500)
    auction.bid("bob", 500)
    auction.bid("cem", 300)
    auction.bid("dan", 200)
    assert auction.do("suspend", "owner", revision=2) == {"seq": 2, "revision": 2}
    assert public_types(auction) == ["opened", "suspended"]
    assert auction.mirrored[-1].public == {"revision": 2, "changes": [], "by": "client"}
    assert auction.do("reconfirm", "bob")["seq"] == 1
    assert auction.do("reconfirm", "bob")["seq"] == 1
    auction.do("reconfirm", "ann")
    auction.bid("dan", 900)  # a new submission needs no reconfirmation
    auction.do("retract", "cem")  # and a suspended one can be withdrawn
    assert own_view(auction.state, "cem")["bids"][0]["status"] == "retracted"
    auction.at(END).pass_time()
    rows = [(row["bidder"], row["amount"]) for row in auction.mirrored[2].public["bids"]]
    assert rows == [("Bidder 1", 500), ("Bidder 2", 500), ("Bidder 4", 900)]
    assert auction.types.count("reconfirmed") == 2


def proposal() -> Auction:
    auction = Auction(PROPOSAL)
    auction.bid("ann", 500, delivery_days=5, cover_letter="I am Ann.")
    auction.bid("bob", 700, delivery_days=2, cover_letter="I am Bob.")
    return auction


def test_the_client_sees_proposals_the_public_their_count() -> None:
    auction = proposal()
    assert [dict(event.public) for event in auction.mirrored[1:]] == [{"bid_count": 1}, {"bid_count": 2}]
    offers = auction.owner_view()["offers"]
    assert offers[0] == {
        "bidder": "Bidder 1",
        "user": "ann",
        "seq": 1,
        "t": "2026-11-21T10:00:00.000Z",
        "amount": 500,
        "delivery_days": 5,
        "cover_letter": "I am Ann.",
        "suspended": False,
        "counter": None,
    }
    assert own_view(auction.state, "bob")["offer"]["cover_letter"] == "I am Bob."
    assert own_view(auction.state, "bob")["pseudonym"] == "Bidder 2"
    assert own_view(auction.state, "eve") == {
        "pseudonym": None,
        "bids": [],
        "limit": None,
        "rank": None,
        "leading": None,
        "suspended": False,
        "offer": None,
        "counter": None,
        "award": None,
    }


def test_the_client_awards_whichever_it_likes_after_the_end() -> None:
    auction = proposal()
    auction.at(END).pass_time()
    assert auction.last["outcome"] == "undecided"
    assert auction.refused("award", "owner").code == "VALIDATION_FAILED"
    assert auction.refused("award", "owner", bidder="Bidder 3").code == "AWARD_CONFLICT"
    answer = auction.do("award", "owner", bidder="Bidder 2")
    assert answer == {"seq": 5, "bidder": "Bidder 2", "amount": 700, "accept_by": "2026-11-24T10:00:00.000Z"}
    assert auction.mirrored[-1].seq == 5
    assert auction.mirrored[-1].public["amount"] is None
    assert auction.do("accept", "bob")["amount"] == 700
    assert auction.view()["award"]["amount"] is None
    assert auction.view()["price"] is None
    assert own_view(auction.state, "bob")["award"] == {
        "amount": 700,
        "accept_by": "2026-11-24T10:00:00.000Z",
        "accepted": True,
    }


def test_an_award_while_proposals_run_closes_them() -> None:
    auction = proposal()
    answer = auction.later(HOUR).do("award", "owner", bidder="ann")
    assert (answer["seq"], answer["amount"]) == (5, 500)
    assert public_types(auction)[-2:] == ["closed", "awarded"]
    closed = auction.mirrored[-2]
    assert (closed.t, closed.public["outcome"], closed.public["winner"]) == (NOW + HOUR, "sold", "Bidder 1")
    assert closed.public["price"] is None
    assert auction.refused("bid", "cem", amount=100).code == "AUCTION_CLOSED"
    auction.do("decline", "ann")
    assert auction.do("award", "owner", bidder="bob")["amount"] == 700


def test_counter_offers_go_both_ways() -> None:
    auction = proposal()
    answer = auction.do("counter", "owner", bidder="Bidder 2", amount=600, message="Can you?")
    assert answer == {"bidder": "Bidder 2", "by": "client", "amount": 600, "delivery_days": 2}
    counter = own_view(auction.state, "bob")["counter"]
    assert (counter["by"], counter["amount"], counter["message"]) == ("client", 600, "Can you?")
    assert own_view(auction.state, "ann")["counter"] is None
    assert own_view(auction.state, "bob")["limit"] == 700  # the client's wish binds nobody
    auction.do("counter", "bob", amount=650, delivery_days=3)
    assert own_view(auction.state, "bob")["limit"] == 650
    assert auction.do("award", "owner", bidder="Bidder 2")["amount"] == 650
    assert "countered" not in public_types(auction)


def test_what_counter_offers_refuse() -> None:
    auction = proposal()
    assert auction.refused("counter", "owner", amount=600).code == "VALIDATION_FAILED"
    assert auction.refused("counter", "owner", bidder="Bidder 7", amount=600).code == "VALIDATION_FAILED"
    assert auction.refused("counter", "eve", amount=600).code == "FORBIDDEN"
    assert auction.refused("counter", "bob", amount=0).code == "AMOUNT_INVALID"
    assert auction.refused("counter", "bob", amount=600, delivery_days=0).code == "VALIDATION_FAILED"
    assert auction.refused("counter", "bob", amount=600, message="x" * 10_001).code == "VALIDATION_FAILED"
    assert auction.refused("bid", "bob", amount=600, delivery_days="3").code == "VALIDATION_FAILED"
    assert auction.refused("bid", "bob", amount=600, cover_letter=5).code == "VALIDATION_FAILED"
    assert Auction(ENGLISH).refused("counter", "owner", amount=600).code == "FORBIDDEN"
    auction.do("retract", "bob", reason="scope_changed")
    assert auction.refused("counter", "bob", amount=600).code == "FORBIDDEN"


def test_secrets_are_in_no_public_event() -> None:
    auction = proposal()
    auction.do("counter", "owner", bidder="Bidder 2", amount=613, message="Psst")
    auction.at(END).pass_time()
    auction.do("award", "owner", bidder="Bidder 1")
    text = json.dumps([dict(event.public) for event in auction.mirrored])
    for secret in ("ann", "bob", "owner", "613", "Psst", '"amount": 500', "I am"):
        assert secret not in text.replace("minimum_amount", "").replace("start_amount", "")


def test_projecting_twice_or_out_of_order_changes_nothing() -> None:
    auction = Auction({**SEALED, "show_count": True})
    for bidder in ("ann", "bob", "cem"):
        auction.bid(bidder, 500)
    auction.do("pause", "root", admin=True)
    before = AUCTION_RULES.dump(auction.mirror)
    for event in [*reversed(auction.events), *auction.events]:
        auction.project(event)
    assert AUCTION_RULES.dump(auction.mirror) == before
    assert projection.projected_seq(auction.mirror) == 5


def test_a_gap_is_refused() -> None:
    auction = Auction({**SEALED, "show_count": True})
    auction.bid("ann", 500)
    auction.bid("bob", 400)
    mirror = AUCTION_RULES.initial()
    with pytest.raises(Rejected) as refusal:
        AUCTION_RULES.decide(mirror, projection.project_command(auction.events[1]), NOW)
    assert (refusal.value.code, refusal.value.details) == ("STALE_STATE", {"source": 0})
    auction.mirror = mirror
    auction.mirrored.clear()
    auction.project(auction.events[0])
    with pytest.raises(Rejected):
        auction.project(auction.events[2])
    auction.project(auction.events[1])
    auction.project(auction.events[2])
    assert mirror.bid_count == 2


def test_who_may_project_and_where() -> None:
    sealed = Auction(SEALED)
    event = sealed.events[0]
    mirror = projection.project_command(event)

    def refusal(command: Command, auction: Auction, on_mirror: bool = False) -> Any:
        with pytest.raises(Rejected) as refused:
            AUCTION_RULES.decide(auction.mirror if on_mirror else auction.state, command, NOW)
        return refused.value.code

    assert refusal(Command("project", "eve", mirror.payload), sealed, on_mirror=True) == "FORBIDDEN"
    assert refusal(mirror, sealed) == "FORBIDDEN"
    assert refusal(mirror, Auction(ENGLISH)) == "FORBIDDEN"
    assert refusal(Command("project", "system", {"seq": 1}), sealed, on_mirror=True) == "VALIDATION_FAILED"
    assert refusal(Command("bid", "ann", {"amount": 500}), sealed, on_mirror=True) == "FORBIDDEN"
