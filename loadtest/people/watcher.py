"""Somebody who looks on."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from locust.env import Environment

from loadtest.people.person import Person, habit
from loadtest.people.views import View
from loadtest.town import Lot

_STRANGERS: Final = 0.6
"""Of those who only watch: they have no account, or do not bother to log in."""


class Onlooker(Person):
    """Follows some auctions on `/bidding`.

    Attributes:
        watched: by the auction's stream.
        most: how many auctions are followed at a time.
    """

    abstract = True
    namespaces: ClassVar[tuple[str, ...]] = ("/bidding",)
    most = 3

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.watched: dict[str, View] = {}

    def settle_in(self) -> None:
        """Choose what to watch."""
        self.watched.clear()
        for _ in range(self.dice.randint(1, self.most)):
            self.watch(self.world.lot())

    def heard(self, namespace: str, event: str, payload: dict[str, Any]) -> None:
        """Keep the views level."""
        if namespace == "/bidding" and event == "events" and payload["stream"] in self.watched:
            self.watched[payload["stream"]].take(payload["events"])

    def watch(self, lot: Lot) -> None:
        """Follow an auction from now on. Raises Lost, NoAnswer."""
        assert self.connection is not None
        stream = f"auction:{lot.id}"
        if stream in self.watched:
            return
        view = self.watched[stream] = View(lot)
        try:
            ack = self.connection.follow("/bidding", stream)
        except BaseException:
            self.watched.pop(stream, None)
            raise
        if ack.code:
            self.watched.pop(stream, None)
        else:
            view.begin(ack.body["state"])

    def turn_away(self) -> None:
        """Stop following one auction, rather one that is over. Raises Lost, NoAnswer."""
        assert self.connection is not None
        over = [stream for stream, view in self.watched.items() if view.over]
        if over or len(self.watched) >= self.most:
            stream = self.dice.choice(over or list(self.watched))
            del self.watched[stream]
            self.connection.unfollow("/bidding", stream)


class Watcher(Onlooker):
    """Watches, looks around, and never bids; most are strangers."""

    weight = 55
    think_s = 15.0
    stay_s = 150.0

    def account(self) -> str:
        """See `Person`."""
        return "" if self.dice.random() < _STRANGERS else self.world.person()

    @habit(5)
    def look_elsewhere(self) -> None:
        """Turn from one auction to another."""
        self.turn_away()
        self.watch(self.world.lot())

    @habit(2)
    def look_closer(self) -> None:
        """Read about the auction and its job."""
        lot = self.dice.choice(list(self.watched.values())).lot if self.watched else self.world.lot()
        self.rest("GET", f"/auctions/{lot.id}", "/auctions/{id}")
        self.rest("GET", f"/jobs/{lot.job}", "/jobs/{id}")

    @habit(1)
    def look_around(self) -> None:
        """Read the list of jobs."""
        self.rest("GET", "/jobs", query={"status": "open", "sort": self.dice.choice(["newest", "ending", "popular"])})

    @habit(2)
    def look_at_the_clock(self) -> None:
        """Compare clocks."""
        self.compare_clocks()
