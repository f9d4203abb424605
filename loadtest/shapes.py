"""How many people are there, and when: the shapes of a run, without Locust.

A shape says how many users there shall be at a time, and what happens at which time beside.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

Curve = Callable[[float], float]
"""From the share of the run that is over, 0 to 1, to the share of all users who are there."""

_RAMP: Final = 0.3
_CLOSE: Final = 0.65


def _risen(done: float, start: float, end: float) -> float:
    return min(1.0, max(0.0, (done - start) / (end - start)))


def _ramp(done: float) -> float:
    """Rises, stays."""
    return _risen(done, 0, _RAMP)


def _spike(done: float) -> float:
    """A quarter of all, then everybody in the last minutes before the close, then a quarter again."""
    base = 0.25 * _risen(done, 0, 0.1)
    if done < _CLOSE + 0.1:
        return max(base, _risen(done, _CLOSE - 0.3, _CLOSE - 0.1))
    return 1 - 0.75 * _risen(done, _CLOSE + 0.1, _CLOSE + 0.2)


@dataclass(frozen=True)
class Shape:
    """One of `SHAPES`.

    Attributes:
        curve: how many are there.
        closes: when the auction closes that everybody turns to, as a share of the run; None without one.
        storms: when all connections are cut at once.
    """

    curve: Curve
    closes: float | None = None
    storms: tuple[float, ...] = ()

    def users(self, done: float, most: int) -> int:
        """How many there are after this share of the run, of `most`."""
        return max(1, round(self.curve(done) * most))


SHAPES: Final[Mapping[str, Shape]] = {
    "ramp": Shape(_ramp),
    "spike": Shape(_spike, closes=_CLOSE),
    "storm": Shape(_ramp, storms=(0.5, 0.75)),
}
"""`ramp`: up, and then steadily on. `spike`: everybody comes for the close of one auction. `storm`: everybody is thrown out
twice, and comes back."""
