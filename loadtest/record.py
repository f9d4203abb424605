"""What people did and what became of it, entered into Locust's statistics.

Every command and every REST call is one entry: under its name if it was done, under its name and the code if it was refused
for a reason that belongs to the market (`EXPECTED`), as a failure otherwise. Deliveries have entries of their own, which are
not in Locust's total: a hundred thousand deliveries must not hide a failed command.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from locust.env import Environment

from loadtest.wire.clock import MarketClock
from loadtest.wire.follow import Fault
from loadtest.wire.listener import Ack
from loadtest.wire.rest import Answer

log = logging.getLogger(__name__)

SOCKET: Final = "SOCKET"
REFUSED: Final = "REFUSED"
EVENTS: Final = "EVENTS"
WAITED: Final = "WAITED"

_NO_LONGER: Final = frozenset({"AUCTION_CLOSED", "AUCTION_NOT_OPEN"})

EXPECTED: Final[Mapping[str, frozenset[str]]] = {
    "/bidding bid": frozenset({"BID_TOO_WEAK", "ALREADY_LEADING", "LIMIT_NOT_IMPROVED", "BEYOND_START"}) | _NO_LONGER,
    "/bidding retract": frozenset({"RETRACT_NOT_ALLOWED"}) | _NO_LONGER,
}
"""Refusals that are a part of the day, by command."""

_SHOWN: Final = 20
"""Faults of streams that are logged with all details."""

_STAMPED_EARLIER: Final = frozenset({"opened", "closed"})
"""Types of events whose `t` is not when they were written: a close is stamped with the auction's end, whoever noticed when."""


class Record:
    """Of one run, in one process. It is the `Listener` of all its connections.

    Args:
        clock: the market's time, for the lag of events.
        limited: whether the market limits rates, so that RATE_LIMITED is no failure.

    Attributes:
        faults: broken promises of streams, by kind.
        sockets: open ones. most_sockets: that there ever were.
    """

    def __init__(self, environment: Environment, clock: MarketClock, *, limited: bool) -> None:
        self.faults: Counter[str] = Counter()
        self.sockets = 0
        self.most_sockets = 0
        self._environment = environment
        self._clock = clock
        self._always = frozenset({"RATE_LIMITED"}) if limited else frozenset()

    # -- commands -----------------------------------------------------------------------------------------------------

    def answered(self, name: str, ack: Ack) -> None:
        """See `loadtest.wire.listener.Listener`."""
        self._enter(SOCKET, name, ack.ms, ack.size, ack.code)

    def called(self, method: str, name: str, answer: Answer) -> None:
        """A REST call was answered; `name` is its path with placeholders, and ends in `?wait` if it waits for an event."""
        self._enter(
            WAITED if name.endswith("?wait") else method, f"{method} {name}", answer.ms, answer.size, answer.code
        )

    def _enter(self, kind: str, name: str, ms: float, size: int, code: str) -> None:
        if not code:
            self._fire(kind, name, ms, size)
        elif code in self._always or code in EXPECTED.get(name, ()):
            self._fire(REFUSED, f"{name}: {code}", ms, size)
        else:
            self._fire(kind, name, ms, size, code)

    def wrong(self, name: str, what: str, ms: float = 0.0) -> None:
        """A command was answered, and the answer can't be right."""
        self._fire(SOCKET, name, ms, 0, what)

    def _fire(self, kind: str, name: str, ms: float, size: int, failure: str = "") -> None:
        self._environment.events.request.fire(
            request_type=kind,
            name=name,
            response_time=ms,
            response_length=size,
            exception=Failed(failure) if failure else None,
            context={},
        )

    # -- connections --------------------------------------------------------------------------------------------------

    def opened(self, ms: float, again: bool) -> None:
        """See `Listener`."""
        self.sockets += 1
        self.most_sockets = max(self.most_sockets, self.sockets)
        self._fire(SOCKET, "reconnect" if again else "connect", ms, 0)

    def closed(self) -> None:
        """See `Listener`."""
        self.sockets -= 1

    def broken(self, what: str, ms: float, reason: str) -> None:
        """See `Listener`."""
        self._fire(SOCKET, what, ms, 0, reason)

    def turned_away(self, ms: float, reason: str) -> None:
        """See `Listener`. Tokens of the own market outlive every run; those of another one may end meanwhile."""
        if self._always:
            self._fire(REFUSED, f"connect: {reason}", ms, 0)
        else:
            self._fire(SOCKET, "connect", ms, 0, reason)

    # -- streams ------------------------------------------------------------------------------------------------------

    def delivered(self, namespace: str, events: list[dict[str, Any]], size: int) -> None:
        """See `Listener`: the lag is from the event's `t`, the moment when it was decided, to its receipt here."""
        if not self._clock.known:
            return
        now = self._clock.now()
        entries = self._environment.stats.entries
        for event in events:
            lag_ms = now - datetime.fromisoformat(event["t"]).timestamp() * 1000
            name = "close lag" if event["type"] in _STAMPED_EARLIER else "events lag"
            entries[f"{namespace} {name}", EVENTS].log(max(0, round(lag_ms)), size // len(events))

    def fault(self, namespace: str, fault: Fault) -> None:
        """See `Listener`. Always a failure."""
        self.faults[fault.kind] += 1
        if self.faults.total() <= _SHOWN:
            log.error("%s %s: %s", namespace, fault.kind, fault.detail)
        self._environment.stats.log_error(EVENTS, f"{namespace} events lag", fault.kind)


class Failed(Exception):
    """Why an entry is a failure."""


def milliseconds() -> float:
    """This machine's time."""
    return time.time() * 1000
