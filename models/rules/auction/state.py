"""The state of one auction: what folding its events gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final, NamedTuple

from models.rules.auction.ledger import Bid, Ledger
from models.rules.auction.naming import pseudonym
from models.rules.auction.resolution import Resolution, Standing
from models.rules.auction.terms import NO_TERMS, Terms, public_terms

UNOPENED: Final = ""
OPEN: Final = "open"
PAUSED: Final = "paused"
CLOSED: Final = "closed"
AWARDED: Final = "awarded"
ACCEPTED: Final = "accepted"
CANCELLED: Final = "cancelled"


class Offer(NamedTuple):
    """A bidder's last submission in a hidden format.

    Attributes:
        ordinal: 1, 2, 3 ... per bidder; what the bidder knows as its `seq`.
        seq, t: of the event; the earlier seq wins a tie.
        withdrawn: kept, so that ordinals go on.
    """

    ordinal: int
    seq: int
    t: int
    amount: int
    delivery_days: int | None
    cover_letter: str | None
    withdrawn: bool = False


class Counter(NamedTuple):
    """The last counter-offer between the client and one bidder. `by` is `client` or `bidder`."""

    by: str
    t: int
    amount: int
    delivery_days: int | None
    message: str | None


class Award(NamedTuple):
    """To whom, at what amount (None where it isn't public), until when (ms) it may be accepted."""

    bidder: int
    amount: int | None
    accept_by: int


class Reserve(NamedTuple):
    """The reserve and its salt, as the close reveals them."""

    amount: int
    salt: str


class OwedAward(NamedTuple):
    """An award that the close decided and the next event will make."""

    bidder: int
    amount: int | None


@dataclass(slots=True)
class State:
    """An auction after `seq` events.

    Bidders are numbered from 1 in the order of their first bid; 0 means nobody. On a projection (the public stream of a
    hidden format) everything private is missing: no users, no bids, no offers.

    Attributes:
        phase: `open` (also before its start), `paused`, `closed`, `awarded`, `accepted`, `cancelled`; empty before `opened`.
        salt, commitment: the salt of `opened` (private) and the public commitment to the reserve.
        end_at, hard_end_at: ms, as they stand now; `extended_from` is the end before, while `extended` is owed.
        users: user ids by number - 1; `numbers` is the inverse.
        retracted: seqs of bids taken back. `suspended`, `dropped`: per bidder, bids up to that seq don't count: until
            reconfirmed, or for good (the bidder declined and the auction was reopened).
        standings, first, second, price, reserve_met: the resolution of the active bids in open formats.
        bid_count: bids placed and not retracted; in hidden formats, bidders with a submission.
        envelopes: rows of the last `opened` event of a sealed auction; None while they are closed.
        revealed: the reserve, since a close revealed it.
        outcome: of the last close: `sold`, `reserve_not_met`, `no_bids`, or `undecided` (proposals that wait for the client).
        declined: bidders who did not take the award since the last opening.
        source: on a projection, the last seq of the stream of truth that is in it.
        announced, public_seq: in a hidden format's stream of truth, the last event that has a public part, and how many have.
    """

    seq: int = 0
    t: int = 0
    phase: str = UNOPENED
    job: str = ""
    owner: str = ""
    visibility: str = "public"
    invited: frozenset[str] = frozenset()
    terms: Terms = NO_TERMS
    salt: str | None = None
    commitment: str | None = None
    end_at: int = 0
    hard_end_at: int | None = None
    extended_from: int | None = None
    paused_at: int | None = None
    revision: int = 0
    users: list[str] = field(default_factory=list)
    numbers: dict[str, int] = field(default_factory=dict)
    ledger: Ledger = field(default_factory=Ledger)
    retracted: set[int] = field(default_factory=set)
    suspended: dict[int, int] = field(default_factory=dict)
    dropped: dict[int, int] = field(default_factory=dict)
    standings: dict[int, Standing] = field(default_factory=dict)
    offers: dict[int, Offer] = field(default_factory=dict)
    counters: dict[int, Counter] = field(default_factory=dict)
    first: int = 0
    second: int = 0
    price: int | None = None
    reserve_met: bool | None = None
    bid_count: int = 0
    envelopes: tuple[Mapping[str, Any], ...] | None = None
    revealed: Reserve | None = None
    outcome: str | None = None
    winner: int = 0
    owed: OwedAward | None = None
    award: Award | None = None
    declined: set[int] = field(default_factory=set)
    source: int = 0
    announced: int = 0
    public_seq: int = 0

    @property
    def is_projection(self) -> bool:
        """Whether this is the public stream of a hidden format."""
        return self.source > 0

    @property
    def is_hidden_truth(self) -> bool:
        """Whether this is the private stream of a hidden format."""
        return self.terms.hidden and self.source == 0

    @property
    def next_public_seq(self) -> int:
        """The seq that the next public event will have in the auction's public stream."""
        return (self.public_seq if self.is_hidden_truth else self.seq) + 1

    @property
    def shows_count(self) -> bool:
        """Whether the number of bids may be known now."""
        return self.terms.show_count or self.phase not in (OPEN, PAUSED, CANCELLED)

    def leader(self) -> str | None:
        """The leader's pseudonym."""
        return pseudonym(self.first) if self.first else None

    def user(self, number: int) -> str | None:
        """The user behind a number; None on a projection."""
        return self.users[number - 1] if 0 < number <= len(self.users) else None

    def counts(self, bid: Bid) -> bool:
        """Whether a bid is active."""
        return (
            bid.seq not in self.retracted
            and bid.seq > self.suspended.get(bid.bidder, 0)
            and bid.seq > self.dropped.get(bid.bidder, 0)
        )

    def offer_stands(self, number: int) -> bool:
        """Whether a bidder has a submission that is neither withdrawn nor suspended."""
        offer = self.offers.get(number)
        return offer is not None and not offer.withdrawn and offer.seq > self.suspended.get(number, 0)

    def standing_offers(self) -> dict[int, Offer]:
        """The submissions that count, by bidder, in the order of the bidders' numbers."""
        return {number: offer for number, offer in self.offers.items() if self.offer_stands(number)}

    def ranked_offers(self) -> list[tuple[int, Offer]]:
        """The submissions that count, best first; of equal ones the earlier."""
        sign = self.terms.sign
        return sorted(self.standing_offers().items(), key=lambda item: (-sign * item[1].amount, item[1].seq))

    def take(self, resolution: Resolution) -> None:
        """Adopt a resolution."""
        self.first, self.second, self.price, self.reserve_met = resolution

    def copy(self) -> State:
        """An independent copy; what never changes in place is shared."""
        return replace(
            self,
            users=self.users.copy(),
            numbers=self.numbers.copy(),
            ledger=self.ledger.copy(),
            retracted=self.retracted.copy(),
            suspended=self.suspended.copy(),
            dropped=self.dropped.copy(),
            standings=self.standings.copy(),
            offers=self.offers.copy(),
            counters=self.counters.copy(),
            declined=self.declined.copy(),
        )

    def dump(self) -> dict[str, Any]:
        """The state as JSON, compact: records are lists, bids are columns of text."""
        dumped = {name: getattr(self, name) for name in _PLAIN}
        return {
            **dumped,
            "terms": self.terms.to_json(),
            "reserve": self.terms.reserve_amount,
            "invited": sorted(self.invited),
            "ledger": self.ledger.dump(),
            "retracted": sorted(self.retracted),
            "declined": sorted(self.declined),
            "suspended": [[number, seq] for number, seq in self.suspended.items()],
            "dropped": [[number, seq] for number, seq in self.dropped.items()],
            "standings": [[number, *standing] for number, standing in self.standings.items()],
            "offers": [[number, *offer] for number, offer in self.offers.items()],
            "counters": [[number, *counter] for number, counter in self.counters.items()],
            "envelopes": None if self.envelopes is None else [dict(row) for row in self.envelopes],
            "users": self.users.copy(),
            "revealed": None if self.revealed is None else list(self.revealed),
            "owed": None if self.owed is None else list(self.owed),
            "award": None if self.award is None else list(self.award),
        }

    @classmethod
    def load(cls, dumped: Mapping[str, Any]) -> State:
        """The inverse of `dump`."""
        get = dumped.__getitem__
        envelopes, revealed, owed, award = get("envelopes"), get("revealed"), get("owed"), get("award")
        return cls(
            **{name: get(name) for name in _PLAIN},
            terms=public_terms(get("terms"), get("reserve")),
            invited=frozenset(get("invited")),
            ledger=Ledger.load(get("ledger")),
            retracted=set(get("retracted")),
            declined=set(get("declined")),
            suspended=dict(get("suspended")),
            dropped=dict(get("dropped")),
            standings={number: Standing(*rest) for number, *rest in get("standings")},
            offers={number: Offer(*rest) for number, *rest in get("offers")},
            counters={number: Counter(*rest) for number, *rest in get("counters")},
            envelopes=None if envelopes is None else tuple(envelopes),
            users=list(get("users")),
            numbers={user: number for number, user in enumerate(get("users"), 1)},
            revealed=None if revealed is None else Reserve(*revealed),
            owed=None if owed is None else OwedAward(*owed),
            award=None if award is None else Award(*award),
        )


_SHAPED: Final = frozenset(
    {
        "terms",
        "invited",
        "users",
        "numbers",
        "ledger",
        "retracted",
        "suspended",
        "dropped",
        "standings",
        "offers",
        "counters",
        "envelopes",
        "revealed",
        "owed",
        "award",
        "declined",
    }
)
_PLAIN: Final = tuple(each.name for each in fields(State) if each.name not in _SHAPED)
