"""All bids of an auction in order: append-only, cheap to copy and to dump however long it gets."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Final, NamedTuple

_CHUNK: Final = 512


class Bid(NamedTuple):
    """A bid as it was placed; whether it still counts is kept in the state.

    Attributes:
        seq: of its event in the stream of truth.
        t: ms.
        bidder: the bidder's number.
        amount: its strength: the amount of an exact bid, the limit of an auto bid.
        exact: not an auto bid.
    """

    seq: int
    t: int
    bidder: int
    amount: int
    exact: bool


class _Chunk:
    """A full run of bids, shared by all copies; its text is made once."""

    __slots__ = ("bids", "text")

    def __init__(self, bids: tuple[Bid, ...]) -> None:
        self.bids = bids
        self.text: str | None = None

    def dump(self) -> str:
        if self.text is None:
            self.text = _encode(self.bids)
        return self.text


class Ledger:
    """Bids by ascending seq."""

    __slots__ = ("_chunks", "_tail")

    def __init__(self) -> None:
        self._chunks: list[_Chunk] = []
        self._tail: list[Bid] = []

    def append(self, bid: Bid) -> None:
        """Add the newest bid."""
        self._tail.append(bid)
        if len(self._tail) == _CHUNK:
            self._chunks.append(_Chunk(tuple(self._tail)))
            self._tail = []

    def find(self, seq: int) -> Bid | None:
        """The bid with that seq."""
        index = bisect_left(self._chunks, seq, key=lambda chunk: chunk.bids[-1].seq)
        bids: Sequence[Bid] = self._chunks[index].bids if index < len(self._chunks) else self._tail
        index = bisect_left(bids, seq, key=lambda bid: bid.seq)
        return bids[index] if index < len(bids) and bids[index].seq == seq else None

    def of(self, bidder: int) -> Iterator[Bid]:
        """One bidder's bids, oldest first."""
        return (bid for bid in self if bid.bidder == bidder)

    def __iter__(self) -> Iterator[Bid]:
        for chunk in self._chunks:
            yield from chunk.bids
        yield from self._tail

    def __reversed__(self) -> Iterator[Bid]:
        yield from reversed(self._tail)
        for chunk in reversed(self._chunks):
            yield from reversed(chunk.bids)

    def __len__(self) -> int:
        return len(self._chunks) * _CHUNK + len(self._tail)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ledger) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    def copy(self) -> Ledger:
        """An independent copy; full chunks are shared, since they never change."""
        copied = Ledger()
        copied._chunks = self._chunks.copy()
        copied._tail = self._tail.copy()
        return copied

    def dump(self) -> list[str]:
        """One text per 512 bids, see `_encode`."""
        return [*(chunk.dump() for chunk in self._chunks), *([_encode(self._tail)] if self._tail else [])]

    @classmethod
    def load(cls, dumped: Sequence[str]) -> Ledger:
        """The inverse of `dump`."""
        ledger = cls()
        for text in dumped:
            for bid in _decode(text):
                ledger.append(bid)
        return ledger


def _encode(bids: Sequence[Bid]) -> str:
    """Columns rather than rows, seq and t as differences: about 16 bytes a bid."""
    seqs, times, bidders, amounts, exact = zip(*bids, strict=True)
    columns = [_differences(seqs), _differences(times), bidders, amounts, map(int, exact)]
    return ";".join(" ".join(map(str, column)) for column in columns)


def _decode(text: str) -> Iterator[Bid]:
    seqs, times, bidders, amounts, exact = ([int(number) for number in column.split()] for column in text.split(";"))
    return map(Bid, accumulate(seqs), accumulate(times), bidders, amounts, map(bool, exact))


def _differences(numbers: Sequence[int]) -> list[int]:
    return [number - before for before, number in zip((0, *numbers[:-1]), numbers, strict=True)]
