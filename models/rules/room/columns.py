"""What a room remembers of each message however long it gets: append-only, cheap to copy and to dump."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any, Final, Generic, NamedTuple, TypeVar

V = TypeVar("V")

_CHUNK: Final = 512


class Sent(NamedTuple):
    """A message without its text.

    Attributes:
        seq: of its event. t: ms.
        author: number of the member.
    """

    seq: int
    t: int
    author: int


class _Chunk:
    """A full run of messages, shared by all copies; its text is made once."""

    __slots__ = ("rows", "text")

    def __init__(self, rows: tuple[Sent, ...]) -> None:
        self.rows = rows
        self.text: str | None = None

    def dump(self) -> str:
        if self.text is None:
            self.text = _encode(self.rows)
        return self.text


class Messages:
    """All messages by ascending seq; the first is at place 0."""

    __slots__ = ("_chunks", "_tail")

    def __init__(self) -> None:
        self._chunks: list[_Chunk] = []
        self._tail: list[Sent] = []

    def append(self, sent: Sent) -> None:
        """Add the newest message."""
        self._tail.append(sent)
        if len(self._tail) == _CHUNK:
            self._chunks.append(_Chunk(tuple(self._tail)))
            self._tail = []

    def place(self, seq: int) -> int:
        """How many messages have that seq or one before it."""
        index = bisect_right(self._chunks, seq, key=lambda chunk: chunk.rows[-1].seq)
        rows: Sequence[Sent] = self._chunks[index].rows if index < len(self._chunks) else self._tail
        return index * _CHUNK + bisect_right(rows, seq, key=lambda sent: sent.seq)

    def find(self, seq: int) -> Sent | None:
        """The message with that seq."""
        place = self.place(seq)
        found = self.part(place - 1, place) if place else []
        return found[0] if found and found[0].seq == seq else None

    def part(self, start: int, stop: int) -> list[Sent]:
        """The messages from place `start` up to, not including, `stop`."""
        rows: list[Sent] = []
        place = max(start, 0)
        stop = min(stop, len(self))
        while place < stop:
            index, offset = divmod(place, _CHUNK)
            chunk: Sequence[Sent] = self._chunks[index].rows if index < len(self._chunks) else self._tail
            taken = chunk[offset : offset + stop - place]
            rows += taken
            place += len(taken)
        return rows

    def __iter__(self) -> Iterator[Sent]:
        for chunk in self._chunks:
            yield from chunk.rows
        yield from self._tail

    def __len__(self) -> int:
        return len(self._chunks) * _CHUNK + len(self._tail)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Messages) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    def copy(self) -> Messages:
        """An independent copy; full chunks are shared, since they never change."""
        copied = Messages()
        copied._chunks = self._chunks.copy()
        copied._tail = self._tail.copy()
        return copied

    def dump(self) -> list[str]:
        """One text per 512 messages, see `_encode`."""
        return [*(chunk.dump() for chunk in self._chunks), *([_encode(self._tail)] if self._tail else [])]

    @classmethod
    def load(cls, dumped: Sequence[str]) -> Messages:
        """The inverse of `dump`."""
        messages = cls()
        for text in dumped:
            for sent in _decode(text):
                messages.append(sent)
        return messages


class Sparse(Generic[V]):
    """Something that only some messages have, by seq. Values never change in place.

    They lie in boxes of 512 seqs that copies share; a write copies its box. So copying costs little however many there are.
    """

    __slots__ = ("_boxes",)

    def __init__(self, values: Mapping[int, V] | None = None) -> None:
        self._boxes: dict[int, dict[int, V]] = {}
        for seq, value in (values or {}).items():
            self._boxes.setdefault(seq // _CHUNK, {})[seq] = value

    def get(self, seq: int) -> V | None:
        """The value at a seq."""
        box = self._boxes.get(seq // _CHUNK)
        return None if box is None else box.get(seq)

    def put(self, seq: int, value: V) -> None:
        """Set the value at a seq."""
        number = seq // _CHUNK
        self._boxes[number] = {**self._boxes.get(number, {}), seq: value}

    def drop(self, seq: int) -> None:
        """Have no value at a seq."""
        number = seq // _CHUNK
        if seq in self._boxes.get(number, {}):
            self._boxes[number] = {other: value for other, value in self._boxes[number].items() if other != seq}

    def count_after(self, seq: int) -> int:
        """How many values there are at greater seqs."""
        number = seq // _CHUNK
        return sum(
            len(box) if place > number else sum(other > seq for other in box)
            for place, box in self._boxes.items()
            if place >= number
        )

    def items(self) -> list[tuple[int, V]]:
        """All of them by ascending seq."""
        return sorted((item for box in self._boxes.values() for item in box.items()), key=lambda item: item[0])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sparse) and self.items() == other.items()

    __hash__ = None  # type: ignore[assignment]

    def copy(self) -> Sparse[V]:
        """An independent copy."""
        copied: Sparse[V] = Sparse()
        copied._boxes = self._boxes.copy()
        return copied

    def dump(self) -> list[list[Any]]:
        """`[seq, value]` pairs."""
        return [[seq, value] for seq, value in self.items()]


def _encode(rows: Sequence[Sent]) -> str:
    """Columns rather than rows, seq and t as differences."""
    seqs, times, authors = zip(*rows, strict=True)
    return ";".join(" ".join(map(str, column)) for column in (_differences(seqs), _differences(times), authors))


def _decode(text: str) -> Iterator[Sent]:
    seqs, times, authors = ([int(number) for number in column.split()] for column in text.split(";"))
    return map(Sent, accumulate(seqs), accumulate(times), authors)


def _differences(numbers: Sequence[int]) -> list[int]:
    return [number - before for before, number in zip((0, *numbers[:-1]), numbers, strict=True)]
