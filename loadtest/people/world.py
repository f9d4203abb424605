"""What all people of one run in one process share."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterator
from random import Random
from typing import Any, Final
from weakref import WeakSet

from locust.env import Environment

from loadtest.record import Record
from loadtest.town import PASSWORD, Lot, Town
from loadtest.wire.clock import MarketClock
from loadtest.wire.connection import Connection
from loadtest.wire.polling import Polling
from loadtest.wire.rest import Answer, Rest
from loadtest.wire.transport import Transport
from loadtest.wire.websocket import WebSocket

_HOT: Final = 0.8
"""How likely somebody turns to the auction that everybody talks about."""


_NEAR_S: Final = 20.0


class World:
    """One run.

    Args:
        pace: factor on all think times; less than 1 is faster than people are.
        polling: share of the sockets that have no WebSocket.

    Attributes:
        lots: auctions that run. The first ones are the popular ones.
        hot: the one that everybody turns to, if there is one. hot_until: its planned end, on the monotonic clock.
        connections: of all people who are there.
    """

    def __init__(self, environment: Environment, town: Town, *, pace: float, polling: float) -> None:
        self.town = town
        self.pace = pace
        self.clock = MarketClock()
        self.record = Record(environment, self.clock, limited=town.limited)
        self.rest = Rest(town.urls)
        self.lots = list(town.lots)
        self.hot: Lot | None = None
        self.hot_until = math.inf
        self.connections: WeakSet[Connection] = WeakSet()
        self.dice = Random()
        self.began = time.monotonic()
        self._polling = polling
        self._people, self._talkers = _in_turn(town.people), _in_turn(town.talkers)

    def url(self) -> str:
        """Any of the instances."""
        return self.dice.choice(self.town.urls)

    def transport(self) -> Callable[[str], Transport]:
        """The kind of transport that somebody has."""
        return Polling if self.dice.random() < self._polling else WebSocket

    def person(self) -> str:
        """The e-mail address of somebody who bids and watches."""
        return next(self._people)

    def talker(self) -> str:
        """The e-mail address of somebody who has rooms."""
        return next(self._talkers)

    def lot(self) -> Lot:
        """An auction to turn to: few are popular, most are not."""
        if self.hot is not None and self.dice.random() < _HOT:
            return self.hot
        return self.dice.choices(self.lots, [1 / place for place in range(1, len(self.lots) + 1)])[0]

    @property
    def hurried(self) -> bool:
        """Whether the close of the hot auction is near."""
        return self.hot_until - time.monotonic() < _NEAR_S * self.pace

    def log_in(self, email: str) -> dict[str, Any]:
        """The answer of a login; empty if it failed."""
        credentials = {"email": email, "password": PASSWORD}
        answer = self.call(self.url(), "POST", "/auth/login", body=credentials)
        return {} if answer.code else dict(answer.body)

    def call(self, url: str, method: str, path: str, *, name: str = "", **request: Any) -> Answer:
        """A REST call, entered into the record under `name`, or its path."""
        answer = self.rest.call(url, method, path, **request)
        self.record.called(method, name or path, answer)
        return answer

    def storm(self) -> int:
        """Cut all connections at once; returns how many there were."""
        connections = list(self.connections)
        for connection in connections:
            connection.drop()
        return len(connections)

    def end(self) -> None:
        """Nobody is there any more."""
        self.rest.close()


def _in_turn(accounts: list[str]) -> Iterator[str]:
    return itertools.cycle(accounts)


_worlds: dict[int, World] = {}


def begin(environment: Environment, world: World) -> None:
    """From now on this is the world of the environment's users."""
    _worlds[id(environment)] = world


def world_of(environment: Environment) -> World:
    """The world of the run that is on."""
    return _worlds[id(environment)]
