"""The table of increments: how much better a bid must be than the price."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Increments:
    """Rows `(from, step)`, strictly ascending, the first from 0; the step of the last row with `from` <= amount counts."""

    rows: tuple[tuple[int, int], ...]
    _starts: tuple[int, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_starts", tuple(start for start, _ in self.rows))

    def at(self, amount: int) -> int:
        """The step that counts at an amount."""
        return self.rows[bisect_right(self._starts, amount) - 1][1]


def default_increments(start_amount: int) -> Increments:
    """Without a table: one percent of the start at any amount, at least one minor unit."""
    return Increments(((0, max(1, start_amount // 100)),))
