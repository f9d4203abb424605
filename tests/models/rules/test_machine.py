"""Whole auctions of all formats under random commands at random times; the laws are checked after every event.

`tests.models.rules.auctions.Auction` holds most of the checks: a rejected command changes nothing, the brute-force resolution
agrees, prices and ends only move as they may, an interrupted decision is completed. What needs the whole course is here.
"""

from __future__ import annotations

import json
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from models.rules.auction import projection
from models.rules.auction.rules import AUCTION_RULES
from models.rules.auction.view import own_view, status
from models.rules.canonical import canonical_json
from models.rules.log import verify
from models.rules.stream import Rejected
from tests.models.rules.auctions import DAY, HOUR, MINUTE, NOW, SECOND, Auction, export, replay

CODES = {
    "FORBIDDEN",
    "NOT_INVITED",
    "SELF_BID",
    "AUCTION_NOT_OPEN",
    "AUCTION_CLOSED",
    "AUCTION_PAUSED",
    "AMOUNT_INVALID",
    "BEYOND_START",
    "BID_TOO_WEAK",
    "ALREADY_LEADING",
    "LIMIT_NOT_IMPROVED",
    "CONFIRM_REQUIRED",
    "RETRACT_NOT_ALLOWED",
    "CANCEL_TOO_LATE",
    "AWARD_CONFLICT",
    "STALE_STATE",
    "VALIDATION_FAILED",
}
BIDDERS = ["ann", "bob", "cem", "dan", "eve"]
bidders = st.sampled_from(BIDDERS)


@st.composite
def all_terms(draw: st.DrawFn) -> dict[str, Any]:
    """Terms of every format, with narrow amounts and ends that come soon."""
    format_ = draw(st.sampled_from(["reverse", "english", "sealed", "proposal"]))
    directions = {"reverse": ["reverse"], "english": ["forward"]}.get(format_, ["reverse", "forward"])
    direction = draw(st.sampled_from(directions))
    start = draw(st.integers(100, 400))
    minimum = draw(st.integers(1, 100))
    reserves = st.integers(start, start + 200) if direction == "forward" else st.integers(minimum, start)
    steps = st.integers(1, 30)
    start_at = NOW + draw(st.sampled_from([0, 0, 0, SECOND]))
    end_at = start_at + draw(st.sampled_from([10 * MINUTE, 2 * HOUR, DAY]))
    hard = draw(st.sampled_from([None, 0, MINUTE, HOUR]))
    return {
        "format": format_,
        "direction": direction,
        "currency": "EUR",
        "start_amount": start,
        "minimum_amount": minimum,
        "reserve_amount": draw(st.none() | reserves),
        "increments": [{"from": 0, "step": draw(steps)}, {"from": 200, "step": draw(steps)}],
        "start_at": start_at,
        "end_at": end_at,
        "soft_close": {
            "window_s": draw(st.sampled_from([0, 60, 300])),
            "extension_s": draw(st.sampled_from([0, 60, 300])),
            "hard_end_at": None if hard is None else end_at + hard,
        },
        "confirm_jump_percent": draw(st.sampled_from([None, 20, 200])),
        "show_count": draw(st.booleans()),
    }


class Market(RuleBasedStateMachine):
    """One auction and everybody's attempts at it."""

    auction: Auction

    def __init__(self) -> None:
        super().__init__()
        self.refusals: list[Rejected] = []

    @initialize(terms=all_terms(), invited=st.sampled_from([None, None, ["ann", "bob", "cem"]]), early=st.booleans())
    def open(self, terms: dict[str, Any], invited: list[str] | None, early: bool) -> None:
        """Open it."""
        if invited is None:
            self.auction = Auction(terms)
        else:
            self.auction = Auction(terms, visibility="invited", invited=invited)
        if not early:
            self.auction.at(terms["start_at"])

    def attempt(self, name: str, actor: str, /, *, admin: bool = False, **payload: Any) -> None:
        """Try a command; being refused is fine."""
        try:
            self.auction.do(name, actor, admin=admin, **payload)
        except Rejected as rejected:
            self.refusals.append(rejected)

    # -- time ---------------------------------------------------------------------------------------------------------

    @rule(ms=st.sampled_from([1, SECOND, 30 * SECOND, MINUTE, -MINUTE]))
    def wait(self, ms: int) -> None:
        """Let a little time pass, sometimes on a clock that is behind."""
        self.auction.later(ms)

    @precondition(lambda self: self.auction.state.bid_count >= 3)
    @rule(ms=st.sampled_from([20 * MINUTE, 2 * HOUR, 10 * HOUR]))
    def wait_long(self, ms: int) -> None:
        """Let more time pass."""
        self.auction.later(ms)

    @precondition(lambda self: self.auction.state.bid_count >= 2)
    @rule(ms=st.sampled_from([-4 * MINUTE, -MINUTE, -SECOND, -1, -1, 0, 1]))
    def wait_for_the_end(self, ms: int) -> None:
        """Come close to the end."""
        if self.auction.state.end_at + ms > self.auction.now:
            self.auction.at(self.auction.state.end_at + ms)

    @precondition(lambda self: self.auction.state.award)
    @rule()
    def wait_for_the_expiry(self) -> None:
        """Leave an award unanswered."""
        self.auction.later(49 * HOUR).pass_time()

    @rule()
    def notice(self) -> None:
        """A timer fires, perhaps late."""
        self.auction.pass_time()

    # -- bidders ------------------------------------------------------------------------------------------------------

    @rule(actor=bidders, gain=st.integers(-5, 60), auto=st.booleans(), confirm=st.booleans())
    def bid(self, actor: str, gain: int, auto: bool, confirm: bool) -> None:
        """Bid near what is needed."""
        state = self.auction.state
        base = state.terms.next_amount(state.price) or state.terms.start_amount
        amount = base + state.terms.sign * gain
        kind = "auto" if auto and not state.terms.hidden else "exact"
        self.attempt("bid", actor, amount=amount, kind=kind, confirm=confirm)

    @rule(actors=st.lists(st.tuples(bidders, st.integers(0, 25), st.booleans()), min_size=2, max_size=6))
    def bidding_war(self, actors: list[tuple[str, int, bool]]) -> None:
        """Several bids in quick succession."""
        for actor, gain, auto in actors:
            self.auction.later(gain)
            self.bid(actor, gain, auto, True)

    @precondition(lambda self: self.auction.state.bid_count >= 1)
    @rule(
        before=st.sampled_from([4 * MINUTE, 30 * SECOND, 1]), actor=bidders, gain=st.integers(0, 60), auto=st.booleans()
    )
    def snipe(self, before: int, actor: str, gain: int, auto: bool) -> None:
        """Bid in the last minutes, or milliseconds."""
        if self.auction.state.end_at - before > self.auction.now:
            self.auction.at(self.auction.state.end_at - before)
        self.bid(actor, gain, auto, True)

    @rule(actor=bidders, gain=st.integers(0, 40))
    def raise_own_limit(self, actor: str, gain: int) -> None:
        """Bid near one's own limit, which the leader may do."""
        limit = own_view(self.auction.state, actor)["limit"]
        if limit is not None:
            amount = limit + self.auction.state.terms.sign * gain
            self.attempt("bid", actor, amount=amount, kind="auto", confirm=True)

    @rule(actor=bidders, of=st.sampled_from(BIDDERS))
    def tie(self, actor: str, of: str) -> None:
        """Bid exactly what another's limit is."""
        limit = own_view(self.auction.state, of)["limit"]
        if limit is not None:
            kind = "exact" if self.auction.state.terms.hidden else "auto"
            self.attempt("bid", actor, amount=limit, kind=kind, confirm=True)

    @precondition(lambda self: self.auction.state.terms.format == "proposal")
    @rule(actor=bidders, days=st.integers(0, 5), amount=st.integers(50, 500))
    def propose(self, actor: str, days: int, amount: int) -> None:
        """Submit a proposal."""
        self.attempt("bid", actor, amount=amount, delivery_days=days, cover_letter="Hello", confirm=True)

    @rule(actor=bidders, back=st.integers(0, 2), reason=st.sampled_from(["typo", "scope_changed"]))
    def retract(self, actor: str, back: int, reason: str) -> None:
        """Take back one of the last own bids."""
        own = own_view(self.auction.state, actor)["bids"]
        if own:
            self.attempt("retract", actor, seq=own[min(back, len(own) - 1)]["seq"], reason=reason)

    @precondition(lambda self: self.auction.state.suspended)
    @rule(actors=st.lists(bidders, min_size=1, max_size=4))
    def reconfirm(self, actors: list[str]) -> None:
        """Stand by one's bids."""
        for actor in actors:
            self.attempt("reconfirm", actor)

    @precondition(lambda self: self.auction.state.award)
    @rule(accept=st.sampled_from([False, False, True]))
    def answer(self, accept: bool) -> None:
        """Accept or decline an award."""
        award = self.auction.state.award
        assert award is not None
        winner = self.auction.state.user(award.bidder)
        assert winner is not None
        self.attempt("accept" if accept else "decline", winner)

    # -- the client and admins ----------------------------------------------------------------------------------------

    @precondition(lambda self: self.auction.state.bid_count >= 2)
    @rule(admin=st.booleans())
    def suspend(self, admin: bool) -> None:
        """Edit the job."""
        self.attempt("suspend", "owner", revision=self.auction.state.revision + 1, changes=["budget"], admin=admin)

    @precondition(lambda self: self.auction.state.bid_count >= 2)
    @rule(then=st.sampled_from([None, SECOND, SECOND, HOUR]))
    def pause(self, then: int | None) -> None:
        """An admin pauses, and mostly resumes."""
        self.attempt("pause", "root", admin=True)
        if then is not None:
            self.auction.later(then)
            self.attempt("resume", "root", admin=True)

    @precondition(lambda self: self.auction.state.phase == "paused")
    @rule()
    def resume(self) -> None:
        """An admin resumes."""
        self.attempt("resume", "root", admin=True)

    @precondition(lambda self: self.auction.state.seq > 20)
    @rule(reason=st.sampled_from([None, "Enough"]), admin=st.booleans())
    def cancel(self, reason: str | None, admin: bool) -> None:
        """Cancel, now and then."""
        self.attempt("cancel", "owner", reason=reason, admin=admin)

    @precondition(lambda self: self.auction.state.phase == "closed" or self.auction.state.terms.format == "proposal")
    @rule(bidder=st.sampled_from([None, "Bidder 1", "Bidder 2", "Bidder 3", "ann"]))
    def award(self, bidder: str | None) -> None:
        """Award."""
        self.attempt("award", "owner", bidder=bidder)

    @precondition(lambda self: self.auction.state.phase == "closed")
    @rule(days=st.integers(0, 3))
    def reopen(self, days: int) -> None:
        """Open it again."""
        self.attempt("reopen", "owner", end_at=self.auction.now + days * DAY)

    @precondition(lambda self: self.auction.state.terms.format == "proposal")
    @rule(
        actor=st.sampled_from(["owner", *BIDDERS]),
        bidder=st.sampled_from(["Bidder 1", "Bidder 2"]),
        days=st.integers(0, 9),
    )
    def counter(self, actor: str, bidder: str, days: int) -> None:
        """Negotiate."""
        self.attempt("counter", actor, bidder=bidder, amount=100 + days, delivery_days=days or None, message="Well?")

    # -- mistakes -----------------------------------------------------------------------------------------------------

    @rule(
        name=st.sampled_from(
            [
                "bid",
                "retract",
                "suspend",
                "reconfirm",
                "award",
                "accept",
                "decline",
                "reopen",
                "cancel",
                "pause",
                "resume",
            ]
        ),
        actor=st.sampled_from(["stranger", "eve", "owner"]),
        amount=st.sampled_from([None, 0, -1, 1.5, "7", True, 2**60, float("inf")]),
    )
    def blunder(self, name: str, actor: str, amount: Any) -> None:
        """Do what one may not, with what makes no sense."""
        self.attempt(name, actor, amount=amount, seq=amount, revision=amount, bidder="Bidder 9", end_at=amount)

    @invariant()
    def state_survives_a_snapshot(self) -> None:
        """`load(dump(s))` equals `s`, through JSON."""
        for state in (self.auction.state, self.auction.mirror):
            dumped = AUCTION_RULES.dump(state)
            loaded = AUCTION_RULES.load(json.loads(json.dumps(dumped)))
            assert loaded == state
            assert AUCTION_RULES.dump(loaded) == dumped
            assert AUCTION_RULES.copy(state) == state

    @invariant()
    def the_mirror_shows_what_the_truth_allows(self) -> None:
        """The view from either stream of a hidden format is the same, and tells nothing early."""
        auction = self.auction
        view = auction.view()
        canonical_json(view)
        if not auction.state.terms.hidden:
            return
        assert AUCTION_RULES.view(auction.state) == view
        assert projection.projected_seq(auction.mirror) == auction.state.announced
        assert auction.mirror.seq == auction.state.public_seq
        assert not {event.type for event in auction.mirrored} & {"bid", "retracted", "reconfirmed", "countered"}
        if auction.state.phase in ("open", "paused"):
            assert view["price"] is None
            assert view["leader"] is None
            assert view["envelopes"] is None
        if auction.state.terms.format == "proposal":
            assert view["price"] is None
            assert "amount" not in str([event.public for event in auction.mirrored[1:] if event.type == "counted"])

    @invariant()
    def everybody_can_look(self) -> None:
        """Views never fail, and one's own limit is what counts."""
        for user in (*BIDDERS, "stranger"):
            mine = own_view(self.auction.state, user)
            canonical_json(mine)
            assert mine["rank"] != 1 or mine["leading"]
        canonical_json(self.auction.owner_view())
        assert status(self.auction.state, self.auction.now) in {
            "scheduled",
            "open",
            "paused",
            "closed",
            "awarded",
            "accepted",
            "cancelled",
        }

    @invariant()
    def refusals_are_answers(self) -> None:
        """A code that clients know, details that are JSON."""
        for rejected in self.refusals:
            assert rejected.code in CODES
            json.dumps(rejected.details, allow_nan=False)
        self.refusals.clear()

    @invariant()
    def one_close_per_opening(self) -> None:
        """Exactly one `closed`, however it was noticed, and one more per reopening."""
        types = self.auction.types
        runs = self.auction.state.phase in ("open", "paused", "cancelled")
        assert types.count("closed") == types.count("reopened") + (0 if runs else 1)

    def teardown(self) -> None:
        """Fold, export and verify the whole course."""
        if not hasattr(self, "auction"):
            return
        auction = self.auction
        auction.later(400 * DAY).pass_time()
        auction.later(2 * DAY).pass_time()  # an award begins when it is noticed, and ends 48 h later
        assert auction.state.phase not in ("open", "awarded")
        assert replay(auction.events) == auction.state
        assert replay(auction.mirrored) == auction.mirror
        for private in (True, False):
            report = verify(export(auction.events, private=private))
            assert (report.ok, report.reason) == (True, None)
            assert report.resolution_checked is private
            if auction.mirrored:
                assert verify(export(auction.mirrored, private=private)).ok


TestMarket = Market.TestCase
TestMarket.settings = settings(max_examples=80, stateful_step_count=40)
