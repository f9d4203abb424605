"""What somebody knows of an auction that they watch."""

from __future__ import annotations

from typing import Any

from loadtest.town import STEP, Lot


class View:
    """An auction as one person sees it.

    Attributes:
        leads: the pseudonym of who leads.
        me: one's own pseudonym; empty until one has bid.
        own: seq of one's last bid, 0 without one.
    """

    __slots__ = ("_bidders", "leads", "lot", "me", "over", "own", "price")

    def __init__(self, lot: Lot) -> None:
        self.lot = lot
        self.price: int | None = None
        self.leads: str | None = None
        self.me = ""
        self.own = 0
        self.over = False
        self._bidders: dict[int, str] = {}

    @property
    def leading(self) -> bool:
        """Whether the best bid is one's own."""
        return bool(self.me) and self.leads == self.me

    def begin(self, state: dict[str, Any]) -> None:
        """Learn from the state that a subscription begins with."""
        self.price, self.leads = state["price"], state["leader"]
        self.over = state["phase"] != "open"
        self.me = (state.get("mine") or {}).get("pseudonym") or self.me

    def take(self, events: list[dict[str, Any]]) -> None:
        """Learn from events."""
        for event in events:
            self.price = event.get("price", self.price)
            self.leads = event.get("leader", self.leads)
            if event["type"] == "bid" and not self.me:
                self._bidders = {event["seq"]: event["bidder"]}
                self._recognise()
            elif event["type"] in ("closed", "cancelled", "awarded"):
                self.over = True

    def placed(self, ack: dict[str, Any]) -> None:
        """One's own bid was accepted."""
        self.own = ack["seq"]
        self.price = ack.get("price", self.price)
        self._recognise()

    def _recognise(self) -> None:
        """The event of one's own bid tells one's pseudonym; it comes before or after the ack."""
        self.me = self._bidders.get(self.own, self.me)

    def better(self, steps: int, start: int) -> int:
        """An amount so many steps better than the price."""
        return start if self.price is None else max(1, self.price + self.lot.sign * steps * STEP)
