"""Who may be delivered to next, so that one bad receiver can't hold up the others.

A lane is a receiver's host. It has a few places; as long as its last try failed, it is suspect and has one. All the suspects
together have at most half of all places. So whoever answers finds room, whatever number of others hang.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from typing import Final

_REMEMBERED: Final = 10_000


class Lanes:
    """The places of one worker.

    Args:
        most: tries at once. most_per_lane: of them in one lane.
    """

    def __init__(self, most: int, most_per_lane: int) -> None:
        self._most = most
        self._most_per_lane = most_per_lane
        self._under_way: Counter[str] = Counter()
        self._suspects: OrderedDict[str, None] = OrderedDict()

    @property
    def full(self) -> bool:
        """Whether there is no place left for anybody."""
        return self._under_way.total() >= self._most

    def has_room(self, lane: str) -> bool:
        """Whether a try may begin in this lane."""
        if self.full:
            return False
        if lane not in self._suspects:
            return self._under_way[lane] < self._most_per_lane
        suspected = sum(count for name, count in self._under_way.items() if name in self._suspects)
        return self._under_way[lane] < 1 and suspected < max(1, self._most // 2)

    def enter(self, lane: str) -> None:
        """A try begins."""
        self._under_way[lane] += 1

    def leave(self, lane: str, *, failed: bool | None) -> None:
        """A try has ended; `failed` is None when the receiver was not even asked."""
        self._under_way[lane] -= 1
        if not self._under_way[lane]:
            del self._under_way[lane]
        if not failed:
            if failed is False:
                self._suspects.pop(lane, None)
            return
        self._suspects[lane] = None
        self._suspects.move_to_end(lane)
        if len(self._suspects) > _REMEMBERED:
            self._suspects.popitem(last=False)
