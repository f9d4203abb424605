"""Somebody who wants to win."""

from __future__ import annotations

from typing import Any, ClassVar, Final

import gevent

from loadtest.people.person import habit, new_key
from loadtest.people.views import View
from loadtest.people.watcher import Onlooker
from loadtest.town import START_AMOUNT, STEP

_HESITATES_S: Final = 1.5
_REPEATS: Final = 0.05
"""Of the accepted bids that are sent a second time, as after an ack that got lost on the way."""

_HURRY: Final = 0.3
_AUTOMATIC: Final = 0.15
_INSISTS: Final = 0.6
"""Of those who bid again when another one was quicker."""


class Bidder(Onlooker):
    """Logs in, follows auctions and one's own notifications, and bids."""

    weight = 22
    think_s = 8.0
    stay_s = 240.0
    namespaces: ClassVar[tuple[str, ...]] = ("/bidding", "/notifications")

    def account(self) -> str:
        """See `Person`."""
        return self.world.person()

    def wait_time(self) -> float:
        """See `Person`; before the close of a hot auction there is less to think about."""
        return super().wait_time() * (_HURRY if self.world.hurried else 1)

    def settle_in(self) -> None:
        """Choose what to bid on, and follow the notifications."""
        super().settle_in()
        assert self.connection is not None
        self.connection.follow("/notifications", f"user:{self.user['id']}")

    @habit(12)
    def bid(self) -> None:
        """Outbid somebody."""
        running = [view for view in self.watched.values() if not view.over and not view.leading]
        if not running:
            self.turn_away()
            self.watch(self.world.lot())
            return
        view = self.dice.choice(running)
        automatic = not view.lot.hidden and self.dice.random() < _AUTOMATIC
        steps = self.dice.randint(5, 20) if automatic else self.dice.randint(1, 3)
        amount = view.better(steps, START_AMOUNT)
        if view.lot.hidden:
            amount = START_AMOUNT - self.dice.randint(0, 1_000) * STEP
        least = self._place(view, amount, "auto" if automatic else "exact")
        if least is not None and self.dice.random() < _INSISTS:
            gevent.sleep(self.dice.uniform(0.3, 1) * _HESITATES_S * self.world.pace)
            self._place(view, least, "exact")

    def _place(self, view: View, amount: int, kind: str) -> int | None:
        """Bid; returns what would have been enough, if it was not."""
        bid: dict[str, Any] = {
            "auction": view.lot.id,
            "amount": amount,
            "kind": kind,
            "confirm": True,
            "key": new_key(),
        }
        ack = self.command("/bidding", "bid", bid)
        if ack.code:
            view.over = view.over or ack.code == "AUCTION_CLOSED"
            least = ack.body["error"].get("details", {}).get("min_next")
            return None if least is None else int(least)
        view.placed(ack.body)
        if self.dice.random() < _REPEATS:
            again = self.command("/bidding", "bid", bid)
            if not again.body.get("replayed") or again.body.get("seq") != ack.body["seq"]:
                self.world.record.wrong("/bidding bid", "a bid sent twice was not answered as the first time")
        return None

    @habit(2)
    def look_elsewhere(self) -> None:
        """Turn from one auction to another."""
        self.turn_away()
        self.watch(self.world.lot())

    @habit(1)
    def retract(self) -> None:
        """Take the last bid back."""
        own = [view for view in self.watched.values() if view.own and not view.over and not view.lot.hidden]
        if own:
            view = self.dice.choice(own)
            seq, view.own = view.own, 0
            command = {"auction": view.lot.id, "seq": seq, "reason": "typo", "key": new_key()}
            self.command("/bidding", "retract", command)

    @habit(2)
    def read_notifications(self) -> None:
        """See what came, and mark it as read."""
        answer = self.rest("GET", "/notifications", query={"limit": 20})
        if not answer.code and answer.body["items"]:
            seq = max(item["seq"] for item in answer.body["items"])
            self.command("/notifications", "read", {"seq": seq})

    @habit(1)
    def look_at_the_clock(self) -> None:
        """Compare clocks."""
        self.compare_clocks()
