"""What a connection's commands are answered, and who is told what happens to it."""

from __future__ import annotations

from typing import Any, Final, NamedTuple, Protocol

from loadtest.wire.follow import Fault

ANSWER_S: Final = 15.0
"""An ack that takes longer is given up."""


class NoAnswer(Exception):
    """An ack did not come within `ANSWER_S`."""


class Ack(NamedTuple):
    """The answer to a command: its body, after how many ms it came, its size in bytes."""

    body: dict[str, Any]
    ms: float
    size: int

    @property
    def code(self) -> str:
        """The error's code; empty if there is none."""
        return "" if self.body.get("ok") else str(self.body.get("error", {}).get("code", "no code"))


class Listener(Protocol):
    """Who is told what happens to a connection. Called from the greenlet that reads: nothing of it may wait."""

    def opened(self, ms: float, again: bool) -> None:
        """All namespaces are entered and all streams are followed (again) since so many ms."""
        ...

    def closed(self) -> None:
        """An open connection is no more, for whatever reason."""
        ...

    def broken(self, what: str, ms: float, reason: str) -> None:
        """Something went wrong that nobody here wanted: what was tried, for how long, and why it failed."""
        ...

    def turned_away(self, ms: float, reason: str) -> None:
        """The server does not know this client (any more): it must log in."""
        ...

    def answered(self, name: str, ack: Ack) -> None:
        """A command was answered, well or not; `name` is such as `/bidding bid`."""
        ...

    def delivered(self, namespace: str, events: list[dict[str, Any]], size: int) -> None:
        """Live events came."""
        ...

    def fault(self, namespace: str, fault: Fault) -> None:
        """A stream did not keep its promise."""
        ...
