"""What of an auction is told to whom: by example, and for every random course of an auction in whatever batches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize

from models.rules.inbox.auctions import Announcement, audience, brought_up_to_date, timing
from models.rules.inbox.notices import LONGEST_EXCERPT
from models.rules.stream import Event
from models.rules.times import from_rfc3339, to_rfc3339
from tests.models.rules import test_machine
from tests.models.rules.auctions import DAY, ENGLISH, HOUR, MINUTE, NOW, PROPOSAL, REVERSE, SEALED, Auction
from tests.models.rules.inboxes import LEADS, Town, report, source


def told(auction: Auction, *, since: int = 1) -> list[tuple[str, str, int]]:
    """`(user, kind, seq)` of the notices of all events from a seq on."""
    return [(it.user, it.kind, it.seq) for it in report(auction, auction.events[since - 1 :]).notices]


def announced(auction: Auction) -> list[Announcement]:
    return list(report(auction, auction.events).announcements)


def last(auction: Auction, kind: str) -> Announcement:
    return [it for it in announced(auction) if it.kind == kind][-1]


def test_whoever_takes_the_lead_and_whoever_loses_it() -> None:
    auction = Auction(ENGLISH)
    auction.bid("ann", 100)
    auction.auto("bob", 300)
    auction.bid("ann", 200)  # in vain: Bob's limit was there before
    auction.auto("bob", 400)  # no change that anybody sees
    assert told(auction) == [
        ("owner", "bid_received", 2),
        ("ann", "leading", 2),
        ("owner", "bid_received", 3),
        ("bob", "leading", 3),
        ("ann", "outbid", 3),
        ("owner", "bid_received", 4),
        ("ann", "outbid", 4),
        ("owner", "bid_received", 5),
    ]
    assert told(auction, since=5) == [("owner", "bid_received", 5)]


def test_data_is_what_the_addressee_may_see() -> None:
    auction = Auction(ENGLISH)
    auction.bid("ann", 100)
    auction.auto("bob", 300)
    about = {"auction": "a", "job": "job", "title": "Paint a fence", "format": "english", "currency": "EUR"}
    end_at = to_rfc3339(NOW + DAY)
    received, leading, outbid = report(auction, auction.events[2:]).notices
    assert received.data == {
        **about,
        "bidder": "Bidder 2",
        "user": "bob",
        "name": "Bob",
        "amount": 110,
        "price": 110,
        "bid_count": 2,
    }
    standing = {**about, "price": 110, "leader": "Bidder 2", "bid_count": 2, "end_at": end_at}
    assert leading.data == standing
    assert outbid.data == {**standing, "min_next": 120}
    assert leading.group == outbid.group == "standing:auction:a"


def test_a_retraction_gives_the_lead_to_the_next() -> None:
    auction = Auction(ENGLISH)
    auction.bid("ann", 100)
    seq = auction.bid("bob", 200)["seq"]
    auction.do("retract", "bob", seq=seq, reason="typo")
    assert told(auction, since=4) == [("ann", "leading", 4)]


def test_reconfirming_takes_the_lead() -> None:
    auction = Auction(ENGLISH)
    auction.bid("ann", 100)
    auction.bid("bob", 200)
    auction.do("suspend", "owner", revision=1, changes=["budget"])
    auction.do("reconfirm", "ann")
    auction.do("reconfirm", "bob")
    assert told(auction, since=4) == [("ann", "leading", 5), ("bob", "leading", 6), ("ann", "outbid", 6)]


def test_the_end_comes_near_once_and_moves() -> None:
    auction = Auction(ENGLISH)
    auction.bid("ann", 100)
    auction.at(NOW + DAY - MINUTE).bid("bob", 200)
    closing, extended = announced(auction)
    assert (closing.kind, closing.id, closing.due_at, closing.lead_ms) == (
        "closing_soon",
        "closing_soon:auction:a",
        NOW + DAY - LEADS.closing_ms,
        LEADS.closing_ms,
    )
    assert (extended.kind, extended.id, extended.seq) == ("extended", "extended:auction:a", 4)
    end_at = auction.state.end_at
    assert extended.data["previous_end_at"] == to_rfc3339(NOW + DAY)
    assert extended.data["end_at"] == to_rfc3339(end_at)
    for announcement in (closing, extended):
        assert audience(announcement, auction.state) == ["owner", "ann", "bob"]
    assert extended.notice("ann").group == "end:auction:a"
    assert closing.notice("ann").group == ""
    now = end_at - LEADS.closing_ms - 1
    assert timing(closing, auction.state, now) == end_at - LEADS.closing_ms  # not when it was planned
    assert timing(closing, auction.state, end_at) is None
    assert timing(extended, auction.state, end_at) == extended.due_at
    shown = brought_up_to_date(closing, auction.state)
    assert (shown.data["end_at"], shown.data["price"]) == (to_rfc3339(end_at), 200)
    assert brought_up_to_date(extended, auction.state) == extended


def test_a_short_auction_closes_soon_from_its_middle_on() -> None:
    auction = Auction({**ENGLISH, "start_at": NOW + MINUTE, "end_at": NOW + 3 * MINUTE})
    assert last(auction, "closing_soon").due_at == NOW + 2 * MINUTE


def test_a_paused_auction_is_looked_at_again_and_a_cancelled_one_is_not() -> None:
    auction = Auction(ENGLISH)
    auction.bid("ann", 100)
    closing = last(auction, "closing_soon")
    auction.do("pause", "root", admin=True)
    later = timing(closing, auction.state, NOW + DAY)
    assert later is not None
    assert later > NOW + DAY
    auction.do("cancel", "owner", reason="Rain")
    assert timing(closing, auction.state, NOW + DAY - 1) is None
    lost = last(auction, "lost")
    assert audience(lost, auction.state) == ["ann"]
    assert (lost.data["outcome"], lost.data["reason"]) == ("cancelled", "Rain")


def test_the_close_and_the_award() -> None:
    auction = Auction(ENGLISH)
    auction.bid("ann", 100)
    auction.bid("bob", 200)
    auction.at(NOW + DAY).pass_time()
    assert told(auction, since=4) == [("owner", "auction_closed", 4), ("bob", "won", 5)]
    won = report(auction, auction.events[3:]).notices[1]
    accept_by = auction.find("awarded").public["accept_by"]
    assert (won.data["amount"], won.data["accept_by"]) == (200, accept_by)
    lost, expiring = announced(auction)[1:]
    assert (lost.kind, lost.data["outcome"], lost.data["winner"], lost.data["price"]) == (
        "lost",
        "sold",
        "Bidder 2",
        200,
    )
    assert audience(lost, auction.state) == ["ann"]
    assert (expiring.kind, expiring.due_at) == ("award_expiring", from_rfc3339(accept_by) - LEADS.award_ms)
    assert audience(expiring, auction.state) == ["bob"]
    assert timing(expiring, auction.state, NOW + DAY) == expiring.due_at
    auction.do("decline", "bob")
    assert timing(expiring, auction.state, NOW + DAY) is None
    auction.later(MINUTE).do("award", "owner")
    assert told(auction, since=7) == [("ann", "won", 7)]
    assert timing(expiring, auction.state, NOW + DAY) is None
    auction.do("accept", "ann")
    assert timing(last(auction, "award_expiring"), auction.state, NOW + DAY) is None


def test_an_unmet_reserve_is_nobodys_luck() -> None:
    auction = Auction({**ENGLISH, "reserve_amount": 1_000})
    auction.bid("ann", 100)
    auction.bid("bob", 200)
    auction.do("suspend", "owner", revision=1)
    auction.do("reconfirm", "bob")
    auction.at(auction.state.end_at).pass_time()
    lost = last(auction, "lost")
    assert (lost.data["outcome"], lost.data["winner"]) == ("reserve_not_met", None)
    assert audience(lost, auction.state) == ["ann", "bob"]  # also whose bid was still suspended


def test_only_the_client_is_told_of_an_auction_without_bids() -> None:
    auction = Auction(REVERSE)
    auction.at(NOW + DAY).pass_time()
    assert [it.kind for it in announced(auction)] == ["closing_soon"]
    assert told(auction) == [("owner", "auction_closed", 2)]


def test_reopening_begins_anew() -> None:
    auction = Auction(ENGLISH)
    auction.bid("ann", 100)
    auction.bid("bob", 200)
    auction.at(NOW + DAY).pass_time()
    auction.do("decline", "bob")
    auction.do("reopen", "owner", end_at=auction.now + 2 * HOUR)
    seq = auction.state.seq
    closing = last(auction, "closing_soon")
    assert (closing.seq, closing.due_at) == (seq, auction.now + 2 * HOUR - LEADS.closing_ms)
    assert closing.id == announced(auction)[0].id
    assert told(auction, since=seq) == [("ann", "leading", seq)]


@pytest.mark.parametrize("counted", [False, True])
def test_of_a_sealed_auction_nothing_is_told_but_a_public_count(counted: bool) -> None:
    auction = Auction({**SEALED, "show_count": counted})
    auction.bid("ann", 800)
    auction.bid("ann", 700)
    auction.bid("bob", 750)
    auction.do("retract", "bob", seq=1, reason=None)
    notices = report(auction, auction.events).notices
    assert [(it.user, it.kind, it.data["bid_count"]) for it in notices] == (
        [("owner", "bid_received", 1), ("owner", "bid_received", 2)] if counted else []
    )
    for it in notices:
        assert set(it.data) == {"auction", "job", "title", "format", "currency", "bid_count"}
    closing = last(auction, "closing_soon")
    assert brought_up_to_date(closing, auction.state).data["price"] is None
    assert audience(closing, auction.state) == ["owner", "ann"]
    auction.bid("bob", 900)
    auction.at(NOW + DAY).pass_time()
    lost = last(auction, "lost")
    assert audience(lost, auction.state) == ["bob"]
    assert (lost.data["winner"], lost.data["price"]) == ("Bidder 1", 700)
    assert told(auction, since=len(auction.events)) == [("ann", "won", len(auction.events))]


def test_proposals_are_the_clients_to_see_and_decided_by_its_choice() -> None:
    auction = Auction(PROPOSAL)
    auction.do("bid", "ann", amount=500, delivery_days=3, cover_letter="Hello")
    auction.do("bid", "bob", amount=400)
    auction.do("bid", "cem", amount=450)
    auction.do("bid", "ann", amount=480)
    received = report(auction, auction.events).notices
    assert [(it.user, it.kind, it.data["bidder"], it.data["amount"]) for it in received] == [
        ("owner", "bid_received", "Bidder 1", 500),
        ("owner", "bid_received", "Bidder 2", 400),
        ("owner", "bid_received", "Bidder 3", 450),
        ("owner", "bid_received", "Bidder 1", 480),
    ]
    auction.at(NOW + DAY).pass_time()
    assert [it.kind for it in announced(auction)] == ["closing_soon"]  # undecided: nobody has lost yet
    auction.do("award", "owner", bidder="ann")
    town = Town()
    town.follow(auction, [auction.events])
    assert town.boxes["ann"].shown[-1].public["data"]["amount"] == 480
    assert (town.kinds("ann"), town.kinds("bob"), town.kinds("cem")) == (["won"], ["lost"], ["lost"])
    assert "480" not in str(town.boxes["bob"].events)
    seq = auction.state.seq
    auction.do("decline", "ann")
    auction.do("award", "owner", bidder="bob")
    town.follow(auction, [auction.events[seq:]])  # in a batch of its own, long after the close
    assert (town.kinds("ann"), town.kinds("bob"), town.kinds("cem")) == (["won"], ["lost", "won"], ["lost"])


def test_a_counter_offer_is_told_to_the_other_side() -> None:
    auction = Auction(PROPOSAL)
    auction.do("bid", "ann", amount=500, delivery_days=3)
    auction.do("bid", "bob", amount=400)
    seq = auction.state.seq
    auction.do("counter", "owner", bidder="Bidder 1", amount=450, message="A bit\nless? " + "x" * 200)
    auction.do("counter", "ann", amount=480, delivery_days=2)
    auction.do("counter", "owner", bidder="Bidder 2", amount=390)
    wish, answer, other = report(auction, auction.events[seq:]).notices
    about = {"auction": "a", "job": "job", "title": "Paint a fence", "format": "proposal", "currency": "EUR"}
    assert (wish.user, wish.kind) == ("ann", "counter_offer")
    assert "Bidder" not in str(wish.data)  # not even its own pseudonym, whose number would tell how many there are
    assert wish.data["excerpt"].startswith("A bit less? xxx")
    assert len(wish.data["excerpt"]) == LONGEST_EXCERPT
    assert (wish.data["by"], wish.data["amount"], wish.data["delivery_days"]) == ("client", 450, 3)
    assert answer.user == "owner"
    assert answer.data == {
        **about,
        "by": "bidder",
        "bidder": "Bidder 1",
        "user": "ann",
        "name": "Ann",
        "amount": 480,
        "delivery_days": 2,
        "excerpt": None,
    }
    assert (other.user, other.data["amount"], other.data["delivery_days"]) == ("bob", 390, None)
    assert wish.group == answer.group != other.group  # one negotiation each


def test_of_a_negotiation_the_last_word_stands() -> None:
    auction = Auction(PROPOSAL)
    auction.do("bid", "ann", amount=500)
    for amount in (450, 460):
        auction.do("counter", "owner", bidder="Bidder 1", amount=amount)
    town = Town()
    for event in auction.events:
        town.follow(auction, [[event]])
    assert [it.public["data"]["amount"] for it in town.boxes["ann"].shown] == [460]


def test_the_client_is_told_of_the_end_and_of_the_answers() -> None:
    auction = Auction(ENGLISH)
    auction.bid("ann", 100)
    auction.bid("bob", 200)
    seq = auction.state.seq
    auction.at(NOW + DAY).pass_time()
    auction.do("decline", "bob", reason="Too far")
    auction.do("award", "owner")
    auction.at(NOW + 4 * DAY).pass_time()  # and Ann doesn't answer
    about = {"auction": "a", "job": "job", "title": "Paint a fence", "format": "english", "currency": "EUR"}
    ended, *answers = [it for it in report(auction, auction.events[seq:]).notices if it.user == "owner"]
    assert ended.data == {
        **about,
        "outcome": "sold",
        "price": 200,
        "bid_count": 2,
        "winner": "Bidder 2",
        "user": "bob",
        "name": "Bob",
    }
    assert [(it.kind, it.data) for it in answers] == [
        ("award_declined", {**about, "bidder": "Bidder 2", "user": "bob", "name": "Bob", "reason": "Too far"}),
        ("award_declined", {**about, "bidder": "Bidder 1", "user": "ann", "name": "Ann", "reason": "expired"}),
    ]


@pytest.mark.parametrize(
    ("terms", "amount", "outcome", "price"),
    [
        (ENGLISH, None, "no_bids", None),
        ({**ENGLISH, "reserve_amount": 500}, 100, "reserve_not_met", 100),
        (PROPOSAL, 300, "undecided", None),
    ],
)
def test_the_client_is_told_of_an_end_without_a_winner(
    terms: dict[str, Any], amount: int | None, outcome: str, price: int | None
) -> None:
    auction = Auction(terms)
    if amount is not None:
        auction.bid("ann", amount)
    auction.at(NOW + DAY).pass_time()
    (ended,) = [it for it in report(auction, auction.events).notices if it.kind == "auction_closed"]
    assert ended.user == "owner"
    assert {name: ended.data[name] for name in ("outcome", "price", "winner", "user", "name")} == {
        "outcome": outcome,
        "price": price,
        "winner": None,
        "user": None,
        "name": None,
    }


def test_an_accepted_proposal_is_told_with_its_amount() -> None:
    auction = Auction(PROPOSAL)
    auction.bid("ann", 500)
    auction.do("award", "owner", bidder="ann")
    auction.do("accept", "ann")
    mine = [it for it in report(auction, auction.events).notices if it.user == "owner"]
    assert [it.kind for it in mine] == ["bid_received", "award_accepted"]  # it has ended the auction itself
    assert (mine[1].data["bidder"], mine[1].data["amount"]) == ("Bidder 1", 500)


def test_choosing_early_closes() -> None:
    auction = Auction(PROPOSAL)
    auction.bid("ann", 500)
    auction.bid("bob", 400)
    auction.do("award", "owner", bidder="ann")
    town = Town()
    town.follow(auction, [auction.events])
    town.follow(auction, [[event] for event in auction.events])
    assert (town.kinds("ann"), town.kinds("bob")) == (["won"], ["lost"])


def batches(events: Sequence[Event], cuts: set[int]) -> list[list[Event]]:
    """Consecutive batches, cut behind these seqs."""
    found: list[list[Event]] = [[]]
    for event in events:
        found[-1].append(event)
        if event.seq in cuts:
            found.append([])
    return [batch for batch in found if batch]


class Told(test_machine.Market):
    """The random auctions of the rules' own test, told in two ways: exactly once, and nothing stale."""

    @initialize(first=st.sets(st.integers(1, 60)), second=st.sets(st.integers(1, 60)))
    def cut(self, first: set[int], second: set[int]) -> None:
        """Where batches end, the first time and when everything comes again."""
        self.cuts = (first, second)

    def teardown(self) -> None:
        """Look at the whole course."""
        if not hasattr(self, "auction") or not hasattr(self, "cuts"):
            return
        auction, town = self.auction, Town()
        town.follow(auction, batches(auction.events, self.cuts[0]))
        before = {user: len(box.events) for user, box in town.boxes.items()}
        for cuts in (self.cuts[1], set(range(100)), set()):
            town.follow(auction, batches(auction.events, cuts))
        assert {user: len(box.events) for user, box in town.boxes.items()} == before
        self.each_once(town)
        self.nothing_stale(town)
        if auction.state.terms.format == "sealed":
            self.nothing_revealed()

    def each_once(self, town: Town) -> None:
        """Every bid, award and close is told once."""
        auction = self.auction
        types = Counter(event.type for event in auction.events)
        received = town.kinds("owner").count("bid_received")
        if auction.state.terms.format != "sealed":
            assert received == types["bid"]
        elif not auction.state.terms.show_count:
            assert received == 0
        kinds = Counter(
            event.public["kind"] for box in town.boxes.values() for event in box.events if event.type == "notification"
        )
        assert kinds["won"] == types["awarded"]
        assert kinds["award_accepted"] == types["accepted"]
        assert kinds["award_declined"] == types["declined"]
        chosen = sum(event.type == "closed" and "amount" in event.private for event in auction.events)
        assert kinds["auction_closed"] == town.kinds("owner").count("auction_closed") == types["closed"] - chosen
        for user, box in town.boxes.items():
            keys = [key for key in box.keys if key.startswith("lost:")]
            assert len(keys) <= types["closed"] + types["cancelled"], user

    def nothing_stale(self, town: Town) -> None:
        """Of each person's standing the last word is the true one, and no older word comes after a newer one."""
        for box in town.boxes.values():
            for group in ("standing", "end"):
                seqs = [
                    event.private["source"] for event in box.events if event.private.get("group", "").startswith(group)
                ]
                assert seqs == sorted(set(seqs))
        leader, last_word = None, {}
        for event in self.auction.events:
            if "leader" not in event.public:
                continue
            if event.public["leader"] not in (None, leader):
                last_word[event.public["leader"]] = "leading"
            lost = {leader} if event.type in ("bid", "reconfirmed") else set()
            if event.type == "bid":
                lost.add(event.public["bidder"])
            leader = event.public["leader"]
            last_word |= dict.fromkeys(lost - {leader, None}, "outbid")
        standing = {
            f"Bidder {self.auction.state.numbers[user]}": kinds[-1]
            for user in self.auction.state.users
            if (kinds := [kind for kind in town.kinds(user) if kind in ("leading", "outbid")])
        }
        assert standing == last_word

    def nothing_revealed(self) -> None:
        """While it runs nobody learns anything of a sealed auction but what is public."""
        auction = self.auction
        opened = [event.seq for event in auction.events if event.public.get("phase") == "envelopes"]
        running = auction.events[: opened[0] - 1] if opened else auction.events
        news = report(auction, running)
        for it in (*news.notices, *news.announcements):
            assert it.kind in ("bid_received", "closing_soon", "lost"), it
            assert not {"user", "name", "bidder", "amount"} & set(it.data)
            if it.kind == "bid_received":
                assert auction.state.terms.show_count
            if it.kind == "lost":
                assert (it.data["outcome"], it.data["price"]) == ("cancelled", None)


TestTold = Told.TestCase
TestTold.settings = settings(
    max_examples=80, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


def test_sources() -> None:
    """Of hidden formats the stream of truth is told of."""
    assert [source(Auction(terms)) for terms in (ENGLISH, SEALED)] == ["auction:a", "sealed:a"]


def test_every_announcement_has_all_it_needs() -> None:
    plain: dict[str, Any] = {"kind": "lost", "source": "auction:a", "seq": 1, "data": {}, "due_at": 0}
    assert Announcement(**plain).id == "lost:auction:a:1"
    assert Announcement(**plain, latest=True).id == "lost:auction:a"
