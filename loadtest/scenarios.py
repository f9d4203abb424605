"""Which kinds of people take part in a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple


class Scenario(NamedTuple):
    """Attributes:
    kinds: names of classes in `loadtest.people`.
    people, talkers: accounts of these kinds that are wanted, per user.
    """

    kinds: tuple[str, ...]
    people: float
    talkers: float


SCENARIOS: Final[Mapping[str, Scenario]] = {
    "mixed": Scenario(("Watcher", "Bidder", "Chatter", "RestHistory"), people=0.5, talkers=0.15),
    "watcher": Scenario(("Watcher",), people=0.4, talkers=0),
    "bidder": Scenario(("Bidder",), people=1, talkers=0),
    "chatter": Scenario(("Chatter",), people=0, talkers=1),
    "rest_history": Scenario(("RestHistory",), people=1, talkers=0),
}
"""`mixed` is a market day; the weights of the classes say how many of each there are."""
