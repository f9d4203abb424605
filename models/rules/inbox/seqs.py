"""A set of seqs that grows at its end: cheap to copy, to count from a place on, and to keep, however many there are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

_BITS: Final = 512


class SeqSet:
    """Positive integers, added in ascending order, removed in any.

    One integer holds the bits of 512 neighbours, so a copy shares them all: a million seqs are two thousand integers.
    """

    __slots__ = ("_blocks",)

    def __init__(self) -> None:
        self._blocks: dict[int, int] = {}

    def add(self, seq: int) -> None:
        """Add a seq that is greater than all that were added before."""
        block, bit = divmod(seq, _BITS)
        self._blocks[block] = self._blocks.get(block, 0) | 1 << bit

    def discard(self, seq: int) -> None:
        """Remove a seq; one that isn't there is ignored."""
        block, bit = divmod(seq, _BITS)
        bits = self._blocks.get(block, 0) & ~(1 << bit)
        if bits:
            self._blocks[block] = bits
        else:
            self._blocks.pop(block, None)

    def __contains__(self, seq: int) -> bool:
        block, bit = divmod(seq, _BITS)
        return bool(self._blocks.get(block, 0) >> bit & 1)

    def __len__(self) -> int:
        return sum(bits.bit_count() for bits in self._blocks.values())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SeqSet) and self._blocks == other._blocks

    __hash__ = None  # type: ignore[assignment]

    def count_after(self, seq: int) -> int:
        """How many are greater than `seq`. Costs as much as there are."""
        first, bit = divmod(seq + 1, _BITS)
        count = 0
        for block in reversed(self._blocks):
            if block < first:
                break
            bits = self._blocks[block]
            count += (bits >> bit if block == first else bits).bit_count()
        return count

    def newest_before(self, seq: int | None, most: int) -> list[int]:
        """The greatest that are less than `seq`, or of all; descending, at most `most`."""
        found: list[int] = []
        for block in reversed(self._blocks):
            bits = self._blocks[block]
            if seq is not None:
                bits &= (1 << max(0, min(seq - block * _BITS, _BITS))) - 1
            while bits and len(found) < most:
                bit = bits.bit_length() - 1
                found.append(block * _BITS + bit)
                bits ^= 1 << bit
            if len(found) == most:
                break
        return found

    def copy(self) -> SeqSet:
        """An independent copy."""
        copied = SeqSet()
        copied._blocks = self._blocks.copy()
        return copied

    def dump(self) -> list[list[Any]]:
        """`[[number of the block, its bits in hexadecimal], ...]`."""
        return [[block, f"{bits:x}"] for block, bits in self._blocks.items()]

    @classmethod
    def load(cls, dumped: Sequence[Sequence[Any]]) -> SeqSet:
        """The inverse of `dump`."""
        loaded = cls()
        loaded._blocks = {block: int(bits, 16) for block, bits in dumped}
        return loaded
