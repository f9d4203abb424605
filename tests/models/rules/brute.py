"""The resolution a second time, by brute force: all active bids, read from the events, ranked by bidding.md's words.

Written without a look at `models.rules.auction.resolution`: no standings, no sign trick, two directions spelled out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from models.rules.stream import Event


class Active(NamedTuple):
    """A bid that counts."""

    seq: int
    bidder: str
    strength: int
    exact: bool


def active_bids(events: Sequence[Event]) -> list[Active]:
    """The bids that count after all these events, oldest first."""
    placed = [
        Active(event.seq, event.public["bidder"], event.private["m"], event.private["kind"] == "exact")
        for event in events
        if event.type == "bid"
    ]
    return [bid for bid in placed if _counts(bid, events)]


def _counts(bid: Active, events: Sequence[Event]) -> bool:
    counts = True
    declined: set[str] = set()
    for event in events:
        if event.seq <= bid.seq:
            continue
        if event.type == "retracted" and event.public["bid_seq"] == bid.seq:
            return False
        if event.type == "suspended":
            counts = False
        if event.type == "reconfirmed" and event.public["bidder"] == bid.bidder:
            counts = True
        if event.type == "declined":
            declined.add(event.public["bidder"])
        if event.type == "reopened":
            if bid.bidder in declined:
                return False
            declined.clear()
    return counts


class Terms(NamedTuple):
    """As much of the terms as the resolution needs."""

    forward: bool
    start: int
    minimum: int
    reserve: int | None
    increments: list[dict[str, int]]

    def best(self, amounts: Sequence[int]) -> int:
        """The best of some amounts."""
        return max(amounts) if self.forward else min(amounts)

    def worse(self, one: int, other: int) -> int:
        """The worse of two."""
        return min(one, other) if self.forward else max(one, other)

    def step(self, price: int) -> int:
        """The least improvement on a price."""
        increment = 0
        for row in self.increments:
            if row["from"] <= price:
                increment = row["step"]
        return max(self.minimum, price + increment if self.forward else price - increment)


def terms_of(opened: Event) -> Terms:
    """The terms from the first event."""
    terms: dict[str, Any] = opened.public["terms"]
    return Terms(
        terms["direction"] == "forward",
        terms["start_amount"],
        terms["minimum_amount"],
        opened.private["reserve"],
        terms["increments"],
    )


def resolve(terms: Terms, bids: Sequence[Active]) -> tuple[str | None, int | None]:
    """Leader and price."""
    if not bids:
        return None, None
    limits: dict[str, int] = {}
    for bidder in {bid.bidder for bid in bids}:
        limits[bidder] = terms.best([bid.strength for bid in bids if bid.bidder == bidder])
    ties = {
        bidder: min(bid.seq for bid in bids if bid.bidder == bidder and bid.strength == limit)
        for bidder, limit in limits.items()
    }
    ranking = sorted(limits, key=lambda bidder: ties[bidder])
    ranking.sort(key=lambda bidder: limits[bidder], reverse=terms.forward)  # stable: ties stay to the earlier
    leader = ranking[0]
    candidates = [terms.start]
    candidates += [bid.strength for bid in bids if bid.bidder == leader and bid.exact]
    if len(ranking) > 1:
        candidates.append(terms.worse(limits[leader], terms.step(limits[ranking[1]])))
    if terms.reserve is not None and terms.best([limits[leader], terms.reserve]) == limits[leader]:
        candidates.append(terms.reserve)
    return leader, terms.best(candidates)
