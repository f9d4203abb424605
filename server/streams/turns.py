"""Whose turn it is on a stream that several instances write to at once.

Nothing depends on it: whoever writes out of turn either wins or learns that another was first. But a lost race costs everything
that was decided for it. So instances that meet take turns, in the order of their names: whoever comes right after the last
writer goes on at once, the next waits for one turn's time, and so on; who finds twice that nobody wrote meanwhile waits no more.
"""

from __future__ import annotations

from typing import Final

_MEMORY_S: Final = 0.5
"""Who has not written for so long is no rival any more."""

_TURN_S: Final = (0.002, 0.1)
"""Bounds of what a turn is taken to last; the first guess is the least."""

_SHARE: Final = 0.2
"""Of the latest measurement in the estimate."""


class Turns:
    """What is known of the writers of one stream. All times are the loop's, in seconds.

    Args:
        me: name of this instance.

    Attributes:
        last: who wrote last.
    """

    def __init__(self, me: str) -> None:
        self._me = me
        self._rivals: dict[str, float] = {}
        self.last = me
        self._last_at = 0.0
        self._turn_s = _TURN_S[0]

    def wrote(self, source: str, now: float) -> None:
        """An instance, this one included, has written."""
        self.last, self._last_at = source, now
        if source != self._me:
            self._rivals[source] = now

    def took(self, seconds: float) -> None:
        """A turn of this instance took so long."""
        least, most = _TURN_S
        self._turn_s += _SHARE * (min(max(seconds, least), most) - self._turn_s)

    def contested(self, now: float) -> bool:
        """Whether others write, too."""
        if self._rivals:
            self._rivals = {source: at for source, at in self._rivals.items() if now - at < _MEMORY_S}
        return bool(self._rivals)

    @property
    def grace_s(self) -> float:
        """How long to wait in addition for those who are late."""
        return self._turn_s

    def wait_s(self, now: float) -> float:
        """How long it is until this instance's turn; 0 if it has come."""
        if not self.contested(now):
            return 0.0
        ring = sorted({self._me, self.last, *self._rivals})
        distance = (ring.index(self._me) - ring.index(self.last)) % len(ring) or len(ring)
        return max(0.0, (distance - 1) * self._turn_s - (now - self._last_at))
