"""Properties of the resolution: two ways agree, the two directions mirror each other, nothing depends on how it was reached."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from models.rules.auction.increments import Increments
from models.rules.auction.ledger import Bid
from models.rules.auction.resolution import (
    Standing,
    add,
    promote,
    ranked,
    resolve,
    standing_amount,
    standing_of,
    top_two,
)
from models.rules.auction.terms import Terms
from models.rules.stream import Rejected
from tests.models.rules import brute
from tests.models.rules.auctions import ENGLISH, REVERSE, Auction, export, replay

BIDDERS = ["ann", "bob", "cem", "dan"]
MOVES = st.lists(st.tuples(st.sampled_from(BIDDERS), st.booleans(), st.integers(1, 120)), max_size=25)


@st.composite
def tables(draw: st.DrawFn) -> tuple[tuple[int, int], ...]:
    """Tables of increments, also ones whose steps fall."""
    starts = draw(st.lists(st.integers(1, 200), unique=True, max_size=4))
    return tuple((start, draw(st.integers(1, 40))) for start in (0, *sorted(starts)))


@st.composite
def terms_and_bids(draw: st.DrawFn) -> tuple[Terms, list[Bid]]:
    """Any set of active bids, whether or not they could have been placed one after the other."""
    forward = draw(st.booleans())
    start = draw(st.integers(1, 200))
    minimum = draw(st.integers(1, start))
    reserve = draw(st.none() | (st.integers(start, 300) if forward else st.integers(minimum, start)))
    terms = Terms(
        format="english" if forward else "reverse",
        direction="forward" if forward else "reverse",
        currency="EUR",
        start_amount=start,
        minimum_amount=minimum,
        reserve_amount=reserve,
        increments=Increments(draw(tables())),
        start_at=0,
        end_at=1,
    )
    amounts = st.integers(start, 300) if forward else st.integers(minimum, start)
    rows = draw(st.lists(st.tuples(st.integers(1, 5), amounts, st.booleans()), max_size=20))
    return terms, [Bid(seq, 0, *row) for seq, row in enumerate(rows, 2)]


def standings_of(terms: Terms, bids: list[Bid]) -> dict[int, Standing]:
    found: dict[int, Standing] = {}
    for bid in bids:
        found[bid.bidder] = add(found.get(bid.bidder), bid.seq, bid.amount, bid.exact, terms.sign)
    return found


@given(terms_and_bids())
@settings(max_examples=400)
def test_brute_force_agrees(drawn: tuple[Terms, list[Bid]]) -> None:
    terms, bids = drawn
    rows = [{"from": start, "step": step} for start, step in terms.increments.rows]
    plain = brute.Terms(terms.sign > 0, terms.start_amount, terms.minimum_amount, terms.reserve_amount, rows)
    leader, price = brute.resolve(plain, [brute.Active(it.seq, str(it.bidder), it.amount, it.exact) for it in bids])
    standings = standings_of(terms, bids)
    found = resolve(terms, standings)
    assert (found.first, found.price) == (int(leader or 0), price)
    order = ranked(standings, terms.sign)
    assert (found.first, found.second) == tuple([*order, 0, 0][:2])


@given(terms_and_bids(), st.randoms(use_true_random=False))
def test_the_order_of_bidders_in_memory_does_not_matter(drawn: tuple[Terms, list[Bid]], random: Any) -> None:
    terms, bids = drawn
    standings = standings_of(terms, bids)
    shuffled = list(standings.items())
    random.shuffle(shuffled)
    assert top_two(dict(shuffled), terms.sign) == top_two(standings, terms.sign)
    for bidder, standing in standings.items():
        assert standing_of([bid for bid in bids if bid.bidder == bidder], terms.sign) == standing


@given(terms_and_bids())
def test_promoting_one_bid_at_a_time_finds_the_same_two(drawn: tuple[Terms, list[Bid]]) -> None:
    terms, bids = drawn
    standings: dict[int, Standing] = {}
    first = second = 0
    for bid in bids:
        better = add(standings.get(bid.bidder), bid.seq, bid.amount, bid.exact, terms.sign)
        first, second = promote(standings, first, second, bid.bidder, better, terms.sign)
        standings[bid.bidder] = better
        assert (first, second) == top_two(standings, terms.sign)


@given(terms_and_bids())
def test_standing_amounts_are_within_ones_own_limit(drawn: tuple[Terms, list[Bid]]) -> None:
    terms, bids = drawn
    standings = standings_of(terms, bids)
    sign = terms.sign
    for place, number in enumerate(ranked(standings, sign)):
        amount = standing_amount(terms, standings, number)
        assert sign * terms.start_amount <= sign * amount <= sign * standings[number].limit
        if place == 0:
            assert amount == resolve(terms, standings).price
        floor = standings[number].floor
        assert floor is None or sign * amount >= sign * floor


K = 10_000


@settings(max_examples=150)
@given(MOVES, st.integers(1, 30), st.none() | st.integers(0, 300))
def test_reverse_on_x_is_english_on_k_minus_x(
    moves: list[tuple[str, bool, int]], step: int, reserve: int | None
) -> None:
    """The mirror property, over whole auctions: what is accepted, what is refused and why, leader and price."""
    table = {"increments": [{"from": 0, "step": step}]}
    english = Auction(
        {**ENGLISH, **table, "start_amount": 1_000, "reserve_amount": None if reserve is None else 1_000 + reserve}
    )
    reverse = Auction(
        {
            **REVERSE,
            **table,
            "start_amount": K - 1_000,
            "reserve_amount": None if reserve is None else K - 1_000 - reserve,
        }
    )
    for bidder, exact, gain in moves:
        kind = "exact" if exact else "auto"
        base = 1_000 if english.state.price is None else english.state.price
        amount = base + gain - 20
        up = attempt(english, bidder, amount, kind)
        down = attempt(reverse, bidder, K - amount, kind)
        if up is None or isinstance(up, str):
            assert up == down
        else:
            assert isinstance(down, dict)
            assert {**up, "price": None} == {**down, "price": None}
            assert up["price"] == K - down["price"]
        assert english.state.leader() == reverse.state.leader()
        assert english.state.reserve_met == reverse.state.reserve_met


def attempt(auction: Auction, bidder: str, amount: int, kind: str) -> dict[str, Any] | str:
    try:
        return auction.do("bid", bidder, amount=amount, kind=kind)
    except Rejected as rejected:
        return rejected.code


@given(MOVES)
def test_replaying_gives_the_same_state_and_the_same_hashes(moves: list[tuple[str, bool, int]]) -> None:
    auction = Auction(ENGLISH)
    for bidder, exact, gain in moves:
        attempt(auction, bidder, (auction.state.price or 100) + gain, "exact" if exact else "auto")
    assert replay(auction.events) == auction.state
    assert [event.seq for event in auction.events] == list(range(1, len(auction.events) + 1))
    assert export(auction.events, private=False) == export(list(auction.events), private=False)
