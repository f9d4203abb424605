"""Keeps the day going: short auctions that are posted, close and make room for others, and now and then one that all turn to."""

from __future__ import annotations

import itertools
import math
import secrets
import time
from typing import Final

import gevent

from loadtest.people.world import World
from loadtest.town import Lot, job, lot_of, moment

RUNNING: Final = 4
"""Short auctions at a time."""

_LASTS_S: Final = (40.0, 90.0)
_LEAST_PACE: Final = 0.1
_EXTENDED_S: Final = 10.0
"""By how much late bids can move an auction's end. People turn to it until then: news of its end is worth seeing."""


class Auctioneer:
    """Posts jobs with the town's clients' accounts. Run `keep_going` in a greenlet of its own."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._emails = itertools.cycle(world.town.clients)
        self._numbers = itertools.count(1)
        self._pace = max(_LEAST_PACE, world.pace)
        self._token = ""

    def keep_going(self) -> None:
        """For ever."""
        while True:
            if self._post_short() is None:
                gevent.sleep(5)
            gevent.sleep(sum(_LASTS_S) / 2 / RUNNING * self._world.pace)

    def post_hot(self, ends_in_s: float) -> None:
        """Post the auction that everybody turns to, until it is over."""
        lot = self._post("english", ends_in_s)
        if lot is not None:
            self._world.hot = lot
            self._world.hot_until = time.monotonic() + ends_in_s
            gevent.spawn_later(ends_in_s + _EXTENDED_S * self._pace, self._cool)

    def _cool(self) -> None:
        self._world.hot, self._world.hot_until = None, math.inf

    def _post_short(self) -> Lot | None:
        lasts_s = self._world.dice.uniform(*_LASTS_S) * self._pace
        lot = self._post(self._world.dice.choice(["english", "reverse"]), lasts_s)
        if lot is not None:
            self._world.lots.insert(self._world.dice.randrange(4), lot)
            gevent.spawn_later(lasts_s + _EXTENDED_S * self._pace, self._world.lots.remove, lot)
        return lot

    def _post(self, format_: str, ends_in_s: float) -> Lot | None:
        if not self._token:
            self._token = self._world.log_in(next(self._emails)).get("access_token", "")
        soft_close = {"window_s": 5, "extension_s": 5, "hard_end_at": moment(ends_in_s + _EXTENDED_S * self._pace)}
        body = job(f"Paint fence {next(self._numbers)}", format_, ends_in_s, soft_close)
        answer = self._world.call(
            self._world.url(), "POST", "/jobs", body=body, token=self._token, key=secrets.token_hex(8)
        )
        if answer.code:
            self._token = ""
            return None
        return lot_of(answer.body)
