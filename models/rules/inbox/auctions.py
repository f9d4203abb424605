"""What of an auction's events is told to whom.

Read from the stream of truth. Names stay what the addressee may know: bidders are pseudonyms to each other, the client knows who
they are in the formats that say so; of a sealed auction nothing is told while it runs but the count, where that is public.

Notices go to the one or two people whom an event concerns. An announcement is for all who bid, or for a later time: whoever
carries it out asks `timing` and `audience` then.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from models.rules.auction.naming import auction_id, number_of
from models.rules.auction.state import AWARDED, OPEN, PAUSED, State
from models.rules.inbox.notices import Notice, excerpt
from models.rules.stream import Event
from models.rules.times import from_rfc3339, to_rfc3339

_PAUSED_MS: Final = 10_000
"""How soon to look again at an auction that is paused."""

_OVERTAKEN_BY: Final = frozenset({"bid", "reconfirmed"})
"""Events by which one bidder takes the lead from another; after others who led has lost it by its own doing, or the client's."""


@dataclass(frozen=True, slots=True)
class Announcement:
    """Something to be told to many, or later.

    Attributes:
        kind, source, seq, data: as of a notice.
        due_at: ms; not before then.
        lead_ms: how long before its moment it is to be told; 0: at once.
        latest: whether only the newest of its kind and source is to be told.
        without: a user who is not told.
    """

    kind: str
    source: str
    seq: int
    data: Mapping[str, Any]
    due_at: int
    lead_ms: int = 0
    latest: bool = False
    without: str | None = None

    @property
    def id(self) -> str:
        """The same for what replaces each other."""
        return f"{self.kind}:{self.source}" if self.latest else f"{self.kind}:{self.source}:{self.seq}"

    def notice(self, user: str) -> Notice:
        """Its form for one user."""
        group = f"end:{self.source}" if self.kind == "extended" else ""
        return Notice(user, self.kind, self.source, self.seq, group, self.data)


@dataclass(frozen=True, slots=True)
class Leads:
    """How long before the moment `closing_soon` and `award_expiring` are told, ms."""

    closing_ms: int
    award_ms: int


@dataclass(slots=True)
class News:
    """What comes of some events, in their order."""

    notices: list[Notice] = field(default_factory=list)
    announcements: list[Announcement] = field(default_factory=list)


def leads_to(event: Event) -> bool:
    """Whether an event says who leads after it."""
    return "leader" in event.public


class Reporter:
    """Tells of the events of one auction, one after the other.

    Args:
        source: the stream of truth.
        state: the auction as of the last of the events or later: it knows everybody who had bid by then.
        title: of the job. names: of users, by id; only the client gets to see them.
        leader: the pseudonym of who led before the first event, None for nobody.
        closed: seq of the last `closed` before the first event, 0 for none; asked of proposals only.
        leads: see `Leads`.
    """

    def __init__(
        self,
        source: str,
        state: State,
        *,
        title: str,
        names: Mapping[str, str],
        leader: str | None = None,
        closed: int = 0,
        leads: Leads,
    ) -> None:
        self._source = source
        self._state = state
        self._names = names
        self._leader = leader
        self._close = closed
        self._leads = leads
        self._about = {
            "auction": auction_id(source),
            "job": state.job,
            "title": title,
            "format": state.terms.format,
            "currency": state.terms.currency,
        }
        self._news = News()

    def report(self, events: Iterable[Event]) -> News:
        """The news of consecutive events."""
        for event in events:
            self._report(event)
        return self._news

    def _report(self, event: Event) -> None:
        match event.type:
            case "bid":
                self._bid_received(event)
            case "opened" if event.public["phase"] == "auction":
                start = max(event.t, from_rfc3339(event.public["start_at"]))
                self._closing_soon(event, start, from_rfc3339(event.public["end_at"]))
            case "reopened":
                self._closing_soon(event, event.t, from_rfc3339(event.public["end_at"]))
            case "extended":
                data = {name: event.public[name] for name in ("end_at", "previous_end_at")}
                self._announce("extended", event, data, event.t, latest=True)
            case "closed":
                self._closed(event)
            case "awarded":
                self._awarded(event)
            case "accepted":
                award = self._state.award
                amount = event.public["amount"] or (award.amount if award else None)  # of a proposal it isn't public
                self._answered("award_accepted", event, {"amount": amount})
            case "declined":
                self._answered("award_declined", event, {"reason": event.public["reason"]})
            case "countered":
                self._countered(event)
            case "cancelled":
                data = {"outcome": "cancelled", "reason": event.public["reason"], "price": None, "winner": None}
                self._announce("lost", event, data, event.t)
        if leads_to(event):
            self._leads_now(event)

    def _bid_received(self, event: Event) -> None:
        public, private = event.public, event.private
        if self._state.terms.format == "sealed":
            # While it runs, the client too knows the count at most: not even that somebody replaced a bid.
            if not private["counted"]:
                return
            data = {"bid_count": public["bid_count"]}
        else:
            user = private["bidder"]
            data = {
                "bidder": public["bidder"],
                "user": user,
                "name": self._names.get(user),
                "amount": private["m"] if self._state.terms.hidden else public["amount"],
                "price": public.get("price"),
                "bid_count": public["bid_count"],
            }
        self._tell(self._state.owner, "bid_received", event, data)

    def _leads_now(self, event: Event) -> None:
        """Tell who gained the lead, and who lost it or bid in vain."""
        before, leader = self._leader, event.public["leader"]
        self._leader = leader
        data = {
            "price": event.public["price"],
            "leader": leader,
            "bid_count": event.public["bid_count"],
            "end_at": event.public["end_at"],
        }
        if leader is not None and leader != before:
            self._tell_bidder(leader, "leading", event, data)
        if event.type not in _OVERTAKEN_BY:
            return
        overtaken: set[str] = {before} if before is not None and before != leader else set()
        if event.type == "bid" and event.public["bidder"] != leader:  # a limit that was there already beat it at once
            overtaken.add(event.public["bidder"])
        data = {**data, "min_next": self._state.terms.next_amount(event.public["price"])}
        for bidder in sorted(overtaken):
            self._tell_bidder(bidder, "outbid", event, data)

    def _closing_soon(self, event: Event, start: int, end: int) -> None:
        lead = min(self._leads.closing_ms, (end - start) // 2)  # a short auction closes soon from its middle on
        self._announce("closing_soon", event, {}, end - lead, lead_ms=lead, latest=True)

    def _closed(self, event: Event) -> None:
        public = event.public
        self._close = event.seq
        outcome, winner = public["outcome"], public["winner"]
        is_proposal = self._state.terms.format == "proposal"
        if not (is_proposal and outcome == "sold"):  # that is the client's own choice
            user = self._user(winner)
            who = {"winner": winner, "user": user, "name": self._names.get(user or "")}
            data = {"outcome": outcome, "price": public["price"], "bid_count": public["bid_count"], **who}
            self._tell(self._state.owner, "auction_closed", event, data)
        if not is_proposal and outcome != "no_bids":
            self._lost(event, outcome, winner, public["price"])

    def _awarded(self, event: Event) -> None:
        public = event.public
        amount = event.private.get("amount", public["amount"])
        data = {"amount": amount, "accept_by": public["accept_by"]}
        self._tell_bidder(public["bidder"], "won", event, data)
        due = max(event.t, from_rfc3339(public["accept_by"]) - self._leads.award_ms)
        self._announce("award_expiring", event, data, due)
        if self._state.terms.format == "proposal":
            # Only the client's choice decides. Named after the close, so that its second choice isn't told to those who know.
            self._lost(event, "sold", public["bidder"], None, seq=self._close)

    def _answered(self, kind: str, event: Event, data: Mapping[str, Any]) -> None:
        """Tell the client what became of an award."""
        self._tell(self._state.owner, kind, event, {**self._who(event.public["bidder"]), **data})

    def _who(self, bidder: str) -> dict[str, Any]:
        user = self._user(bidder)
        return {"bidder": bidder, "user": user, "name": self._names.get(user or "")}

    def _countered(self, event: Event) -> None:
        """Tell the other side. A bidder's own pseudonym may tell how many others there are, so only the client is given it."""
        public = event.public
        bidder, by, message = public["bidder"], public["by"], public["message"]
        data = {
            "by": by,
            "amount": public["amount"],
            "delivery_days": public["delivery_days"],
            "excerpt": None if message is None else excerpt(message),
        }
        if by == "client":
            self._tell_bidder(bidder, "counter_offer", event, data)
            return
        self._tell(self._state.owner, "counter_offer", event, {**self._who(bidder), **data})

    def _lost(self, event: Event, outcome: str, winner: str | None, price: int | None, seq: int | None = None) -> None:
        data = {"outcome": outcome, "reason": None, "price": price, "winner": winner}
        self._announce("lost", event, data, event.t, without=self._user(winner), seq=seq)

    def _announce(
        self,
        kind: str,
        event: Event,
        data: Mapping[str, Any],
        due_at: int,
        *,
        lead_ms: int = 0,
        latest: bool = False,
        without: str | None = None,
        seq: int | None = None,
    ) -> None:
        data = {**self._about, **data}
        self._news.announcements.append(
            Announcement(kind, self._source, seq or event.seq, data, due_at, lead_ms, latest, without)
        )

    def _tell_bidder(self, bidder: str, kind: str, event: Event, data: Mapping[str, Any]) -> None:
        user = self._user(bidder)
        if user is not None:
            self._tell(user, kind, event, data)

    def _tell(self, user: str, kind: str, event: Event, data: Mapping[str, Any]) -> None:
        match kind:
            case "outbid" | "leading":
                group = f"standing:{self._source}"
            case "counter_offer":
                group = f"negotiation:{self._source}:{event.public['bidder']}"
            case _:
                group = ""
        self._news.notices.append(Notice(user, kind, self._source, event.seq, group, {**self._about, **data}))

    def _user(self, bidder: str | None) -> str | None:
        return self._state.user(number_of(bidder or ""))


def timing(announcement: Announcement, state: State, now: int) -> int | None:
    """When (ms) it is to be told, by the auction as it stands; not after `now` means at once, None never."""
    if announcement.kind == "closing_soon":
        if state.phase == PAUSED:
            return now + _PAUSED_MS
        if state.phase != OPEN or now >= state.end_at:
            return None
        return state.end_at - announcement.lead_ms
    if announcement.kind == "award_expiring":
        award = state.award
        stands = (
            state.phase == AWARDED
            and award is not None
            and to_rfc3339(award.accept_by) == announcement.data["accept_by"]
        )
        return announcement.due_at if stands else None
    return announcement.due_at


def audience(announcement: Announcement, state: State) -> list[str]:
    """Whom it is told to, by the auction as it stands; nobody twice."""
    match announcement.kind:
        case "award_expiring":
            numbers: Iterable[int] = [state.award.bidder] if state.award is not None else []
        case "lost":
            numbers = sorted((_standing(state) | state.suspended.keys()) - state.declined)
        case _:
            numbers = sorted(_standing(state))
    users = [user for number in numbers if (user := state.user(number)) is not None and user != announcement.without]
    return [state.owner, *users] if announcement.kind in ("closing_soon", "extended") else users


def _standing(state: State) -> set[int]:
    return set(state.standing_offers() if state.terms.hidden else state.standings)


def brought_up_to_date(announcement: Announcement, state: State) -> Announcement:
    """As it is told now: where the auction stands is added to what is told long after it was planned."""
    if announcement.kind != "closing_soon":
        return announcement
    shown = {"end_at": to_rfc3339(state.end_at), "price": state.price}
    return replace(announcement, data={**announcement.data, **shown})
