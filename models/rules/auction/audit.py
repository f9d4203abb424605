"""Checking a log of an auction that carries the private fields: was every event what the rules demand?

Two checks, independent of each other. Each event is decided again from the command it stands for, which covers who may do
what and when, commitments, strengths, times. And price, leader, end and winner are worked out a second time in the plain
way of bidding.md's rule 7, by sorting all bidders, without the incremental resolution that made the log.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from models.rules.auction.commitments import reserve_commitment
from models.rules.auction.naming import number_of
from models.rules.auction.rules import AUCTION_RULES
from models.rules.auction.terms import Terms, public_terms
from models.rules.stream import Command, Draft, Event, Rejected
from models.rules.times import from_rfc3339, to_rfc3339

_OPERATOR: Final = "admin"


class PublicAudit:
    """What can be checked of a public log: that it is one auction's, and that its close keeps what its opening promised."""

    def __init__(self) -> None:
        self._commitment: str | None = None
        self._opened = False
        self._envelopes: list[Mapping[str, Any]] | None = None

    def check(self, event: Event) -> str | None:
        """Look at the next event; the reason why it is wrong, or None."""
        public = event.public
        if not self._opened:
            if event.type != "opened" or public.get("phase") != "auction":
                return "an auction's log begins with opened"
            self._opened = True
            self._commitment = public.get("reserve_commitment")
        elif event.type == "opened":
            self._envelopes = public["bids"]
        elif event.type == "closed":
            return self._check_close(public)
        return None

    def _check_close(self, public: Mapping[str, Any]) -> str | None:
        amount, salt = public["reserve_amount"], public["reserve_salt"]
        revealed = None if amount is None else reserve_commitment(salt, amount)
        if revealed != self._commitment:
            return "the revealed reserve is not the one that was committed to"
        if self._envelopes and public["outcome"] == "sold" and public["winner"] != self._envelopes[0]["bidder"]:
            return "the winner is not the first of the opened bids"
        return None


class Audit:
    """Replays a stream of truth with its private fields."""

    def __init__(self) -> None:
        self._state = AUCTION_RULES.initial()
        self._recount: Recount | None = None

    def check(self, event: Event) -> str | None:
        """Look at the next event; the reason why it is not what the rules give, or None."""
        owed = AUCTION_RULES.due(self._state, event.t)
        if owed is None:
            try:
                decision = AUCTION_RULES.decide(self._state, self._command(event), event.t)
            except Rejected as rejected:
                return f"the rules refuse it: {rejected}"
            if not decision.drafts:
                return "the rules see no reason for it"
            owed = decision.drafts[0]
        reason = _difference(owed, event)
        if reason is None:
            AUCTION_RULES.apply(self._state, event)
            reason = self._recounted(event)
        return reason

    def _recounted(self, event: Event) -> str | None:
        if self._recount is None:
            self._recount = Recount(public_terms(event.public["terms"], event.private["reserve"]))
        return self._recount.check(event)

    def _command(self, event: Event) -> Command:
        """The command that an event stands for. What it doesn't tell is assumed in its favour: confirmed, by whoever may."""
        public, private, state = event.public, event.private, self._state
        context = {"salt": private.get("salt"), "admin": public.get("by") == "admin"}
        bidder = state.user(number_of(str(public.get("bidder", "")))) or ""
        match event.type:
            case "opened":
                terms = public_terms(public["terms"], private["reserve"]).to_command()
                payload = {"job": public["job"], "terms": terms, "visibility": public["visibility"]}
                return Command("open", private["owner"], {**payload, "invited": private["invited"]}, context=context)
            case "bid":
                payload = {name: private.get(name) for name in ("kind", "delivery_days", "cover_letter")}
                return Command(
                    "bid", private["bidder"], {**payload, "amount": private["m"], "confirm": True}, context=context
                )
            case "retracted":
                seq = public["ordinal"] if state.terms.hidden else public["bid_seq"]
                return Command("retract", bidder, {"seq": seq, "reason": public["reason"]})
            case "reconfirmed":
                return Command("reconfirm", bidder)
            case "countered":
                actor = state.owner if public["by"] == "client" else bidder
                return Command("counter", actor, {**public, "confirm": True})
            case "closed":  # by the clock it would have been owed; so a client chose a proposal
                return Command("award", state.owner, {"bidder": public["winner"]})
            case "awarded":
                return Command("award", state.owner, {"bidder": public["bidder"]})
            case "accepted":
                return Command("accept", bidder)
            case "declined":
                return Command("decline", bidder, {"reason": public["reason"]})
            case "suspended":
                return Command("suspend", state.owner, public, context=context)
            case "cancelled":
                return Command("cancel", state.owner, public, context=context)
            case "reopened":
                times = {name: public[name] and from_rfc3339(public[name]) for name in ("end_at", "hard_end_at")}
                return Command("reopen", state.owner, times)
            case "paused" | "resumed":
                return Command(event.type.removesuffix("d"), _OPERATOR, context={"admin": True})
            case _:
                return Command(event.type, _OPERATOR)


_ADMIN: Final = "admin"
"""A private field that says which admin it was; it decides nothing."""


def _difference(expected: Draft, event: Event) -> str | None:
    if expected.type != event.type:
        return f"the rules give {expected.type} here"
    if expected.t is not None and expected.t != event.t:
        return f"its t must be {to_rfc3339(expected.t)}"
    for part, wanted, found in (("", expected.public, event.public), ("private ", expected.private, event.private)):
        for name in sorted({*wanted, *found} - {_ADMIN}):
            if name not in wanted:
                return f"{part}field {name} does not belong there"
            if name not in found:
                return f"{part}field {name} is missing"
            if wanted[name] != found[name] or type(wanted[name]) is not type(found[name]):
                return f"{part}field {name} is {found[name]!r}, the rules give {wanted[name]!r}"
    return None


class Recount:
    """The plain second resolution. Amounts are kept as `value = d * amount`, so that more is always better."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._bids: dict[str, list[tuple[int, int, bool]]] = {}
        self._waiting: dict[str, list[tuple[int, int, bool]]] = {}
        self._sums: dict[str, tuple[int, int, int | None]] = {}
        self._gone: list[str] = []
        self._price: int | None = None
        self._leader: str | None = None
        self._paused = False
        self._end_at = terms.end_at
        self._hard_end_at = terms.hard_end_at

    def check(self, event: Event) -> str | None:
        """Take the next event in; the reason why its outcome is wrong, or None."""
        public = event.public
        if event.type in ("paused", "resumed"):
            self._paused = event.type == "paused"
        if event.type in ("resumed", "reopened"):
            hard_end_at = public["hard_end_at"]
            self._end_at = from_rfc3339(public["end_at"])
            self._hard_end_at = None if hard_end_at is None else from_rfc3339(hard_end_at)
        self._take(event)
        if self._terms.hidden:
            return self._check_sealed(public) if event.type == "closed" else None
        if event.type == "closed":
            return self._check_close(public)
        if "price" not in public:
            return None
        return self._check_outcome(event)

    def _take(self, event: Event) -> None:
        """Move bids between those that count and those that don't."""
        who = event.public.get("bidder")
        match event.type:
            case "bid":
                value = self._terms.sign * event.private["m"]
                bid = (event.seq, value, event.private["kind"] == "exact")
                self._bids.setdefault(str(who), []).append(bid)
                if self._terms.hidden:
                    self._bids[str(who)] = [bid]
                    self._waiting.pop(str(who), None)
                self._improve(str(who), bid)
            case "countered" if event.public["by"] == "bidder":
                (seq, _, exact) = self._bids[str(who)][0]
                self._bids[str(who)] = [(seq, self._terms.sign * event.public["amount"], exact)]
            case "retracted" if self._terms.hidden:
                self._bids.pop(str(who), None)
                self._waiting.pop(str(who), None)
            case "retracted":
                self._bids[str(who)] = [bid for bid in self._bids[str(who)] if bid[0] != event.public["bid_seq"]]
                self._sum_up(str(who))
            case "suspended":
                for name, bids in self._bids.items():
                    self._waiting[name] = self._waiting.get(name, []) + bids
                self._bids, self._sums = {}, {}
            case "reconfirmed":
                self._bids[str(who)] = sorted(self._waiting.pop(str(who)) + self._bids.get(str(who), []))
                self._sum_up(str(who))
            case "declined":
                self._gone.append(str(who))
            case "reopened":
                for name in self._gone:
                    for place in (self._bids, self._waiting, self._sums):
                        place.pop(name, None)
                self._gone = []

    def _improve(self, who: str, bid: tuple[int, int, bool]) -> None:
        """One bid more: the sum is the best value, minus the earliest seq that reached it, and the best exact value."""
        seq, value, exact = bid
        best, tie, floor = self._sums.get(who, (value, -seq, None))
        if exact:
            floor = value if floor is None else max(floor, value)
        self._sums[who] = (*max((best, tie), (value, -seq)), floor)

    def _sum_up(self, who: str) -> None:
        self._sums.pop(who, None)
        for bid in self._bids[who]:
            self._improve(who, bid)

    def _outcome(self) -> tuple[str | None, int | None]:
        """Leader and price by rule 7, from all sums."""
        ranking = sorted(self._sums.items(), key=lambda item: item[1][:2], reverse=True)
        if not ranking:
            return None, None
        terms, (leader, (limit, _, floor)) = self._terms, ranking[0]
        candidates = [terms.sign * terms.start_amount]
        if floor is not None:
            candidates.append(floor)
        if len(ranking) > 1:
            candidates.append(min(limit, terms.sign * terms.step(terms.sign * ranking[1][1][0])))
        if terms.reserve_amount is not None and limit >= terms.sign * terms.reserve_amount:
            candidates.append(terms.sign * terms.reserve_amount)
        return leader, terms.sign * max(candidates)

    def _check_outcome(self, event: Event) -> str | None:
        leader, price = self._outcome()
        changed = (leader, price) != (self._leader, self._price)
        may_extend = event.type in ("bid", "reconfirmed", "suspended") and not self._paused
        if may_extend and changed and self._end_at - self._terms.window_ms <= event.t < self._end_at:
            extended = event.t + self._terms.extension_ms
            if self._hard_end_at is not None:
                extended = min(extended, self._hard_end_at)
            self._end_at = max(self._end_at, extended)
        self._leader, self._price = leader, price
        for name, wanted in (("leader", leader), ("price", price), ("end_at", to_rfc3339(self._end_at))):
            if event.public[name] != wanted:
                return f"by a recount, {name} is {wanted!r}, not {event.public[name]!r}"
        return None

    def _check_close(self, public: Mapping[str, Any]) -> str | None:
        leader, price = self._outcome()
        met = price is not None and (self._terms.meets_reserve(price) is not False)
        wanted = leader if met else None
        if public["winner"] != wanted or public["price"] != price:
            return f"by a recount, {wanted!r} wins at {price!r}"
        return None

    def _check_sealed(self, public: Mapping[str, Any]) -> str | None:
        if self._terms.format != "sealed":
            return None
        offers = [(value, -seq, who) for who, bids in self._bids.items() for seq, value, _ in bids]
        value, _, winner = max(offers, default=(None, 0, None))
        price = None if value is None else self._terms.sign * value
        if price is not None and self._terms.meets_reserve(price) is False:
            winner = None
        if public["winner"] != winner or public["price"] != price:
            return f"by a recount, {winner!r} wins at {price!r}"
        return None
