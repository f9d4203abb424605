"""Who leads and at what price (bidding.md, rule 7): a pure function of the active bids.

Only three numbers per bidder matter, its `Standing`; only the two best standings set the price. So a bid costs the same
however many came before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from models.rules.auction.ledger import Bid
from models.rules.auction.terms import Terms


class Standing(NamedTuple):
    """One bidder's active bids in sum.

    Attributes:
        limit: the best strength.
        tie: the earliest seq that reached it; of equal limits the earlier leads.
        floor: the best exact amount; None without one.
    """

    limit: int
    tie: int
    floor: int | None


class Resolution(NamedTuple):
    """The outcome of the active bids: the numbers of the two best bidders (0: none) and the price.

    `reserve_met` is None without a reserve.
    """

    first: int
    second: int
    price: int | None
    reserve_met: bool | None


def add(standing: Standing | None, seq: int, strength: int, exact: bool, sign: int) -> Standing:
    """A bidder's standing with one more bid, which must be later than the others."""
    if standing is None:
        return Standing(strength, seq, strength if exact else None)
    limit, tie, floor = standing
    if sign * strength > sign * limit:
        limit, tie = strength, seq
    if exact and (floor is None or sign * strength > sign * floor):
        floor = strength
    return Standing(limit, tie, floor)


def standing_of(bids: Iterable[Bid], sign: int) -> Standing | None:
    """The standing of one bidder's active bids, in the order of their seq; None without any."""
    standing: Standing | None = None
    for bid in bids:
        standing = add(standing, bid.seq, bid.amount, bid.exact, sign)
    return standing


def outranks(one: Standing, other: Standing, sign: int) -> bool:
    """Whether one bidder ranks before another: by limit, then by who reached it first."""
    if one.limit != other.limit:
        return sign * one.limit > sign * other.limit
    return one.tie < other.tie


def ranked(standings: Mapping[int, Standing], sign: int) -> list[int]:
    """The bidders' numbers, best first."""
    return sorted(standings, key=lambda number: (-sign * standings[number].limit, standings[number].tie))


def top_two(standings: Mapping[int, Standing], sign: int) -> tuple[int, int]:
    """The numbers of the two best bidders; 0 for none."""
    first = second = 0
    for number, standing in standings.items():
        if not first or outranks(standing, standings[first], sign):
            first, second = number, first
        elif not second or outranks(standing, standings[second], sign):
            second = number
    return first, second


def promote(
    standings: Mapping[int, Standing], first: int, second: int, number: int, better: Standing, sign: int
) -> tuple[int, int]:
    """The two best after one bidder's standing got `better`, from the two best before. Needs no look at the rest."""
    if not first or number == first:
        return number, second
    if outranks(better, standings[first], sign):
        return number, first
    if not second or number == second or outranks(better, standings[second], sign):
        return first, number
    return first, second


def price_of(terms: Terms, first: Standing, second: Standing | None) -> int:
    """`best of { start, leader's floor, worse(l1, step(l2)), reserve if l1 meets it }`; alone, without the l2 term."""
    sign = terms.sign
    best = sign * terms.start_amount
    if first.floor is not None:
        best = max(best, sign * first.floor)
    if second is not None:
        best = max(best, min(sign * first.limit, sign * terms.step(second.limit)))
    reserve = terms.reserve_amount
    if reserve is not None and sign * first.limit >= sign * reserve:
        best = max(best, sign * reserve)
    return sign * best


def resolve(terms: Terms, standings: Mapping[int, Standing]) -> Resolution:
    """The outcome of all standings, from nothing."""
    first, second = top_two(standings, terms.sign)
    return settle(terms, first, second, standings.get(first), standings.get(second))


def settle(terms: Terms, first: int, second: int, leader: Standing | None, runner_up: Standing | None) -> Resolution:
    """The outcome when the two best are known, by number and standing."""
    if leader is None:
        return Resolution(0, 0, None, None if terms.reserve_amount is None else False)
    return Resolution(first, second, price_of(terms, leader, runner_up), terms.meets_reserve(leader.limit))


def standing_amount(terms: Terms, standings: Mapping[int, Standing], number: int) -> int:
    """What a bidder stands at if those who rank before it are away; the price, for the leader.

    So a client may award anybody, the bidder never pays beyond its limit, and of the limit no more shows than a price shows.
    """
    sign = terms.sign
    own = standings[number]
    after = {other: it for other, it in standings.items() if outranks(own, it, sign)}
    next_best, _ = top_two(after, sign)
    return price_of(terms, own, after[next_best] if next_best else None)
