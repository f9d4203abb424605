"""Columns behave as plain lists and dictionaries do, and their copies are independent."""

from __future__ import annotations

import json
from bisect import bisect_right

from hypothesis import given
from hypothesis import strategies as st

from models.rules.room.columns import Messages, Sent, Sparse

GAPS = st.lists(st.integers(1, 5), max_size=1_600)


def build(gaps: list[int]) -> tuple[Messages, list[Sent]]:
    """The columns, and the same as a list."""
    messages, rows, seq = Messages(), list[Sent](), 0
    for index, gap in enumerate(gaps):
        seq += gap
        rows.append(Sent(seq, 1_000 + seq * 7, index % 3 + 1))
        messages.append(rows[-1])
    return messages, rows


@given(GAPS, st.integers(0, 9_000), st.integers(0, 1_700), st.integers(0, 1_700))
def test_messages_are_a_list(gaps: list[int], seq: int, start: int, length: int) -> None:
    messages, rows = build(gaps)
    seqs = [sent.seq for sent in rows]
    assert list(messages) == rows
    assert len(messages) == len(rows)
    assert messages.place(seq) == bisect_right(seqs, seq)
    assert messages.find(seq) == (rows[seqs.index(seq)] if seq in seqs else None)
    assert messages.part(start, start + length) == rows[start : start + length]
    assert Messages.load(json.loads(json.dumps(messages.dump()))) == messages


def test_copies_of_messages_go_their_own_way() -> None:
    messages, rows = build([1] * 1_100)
    copied = messages.copy()
    copied.append(Sent(2_000, 9_999, 1))
    assert list(messages) == rows
    assert copied.find(2_000) == Sent(2_000, 9_999, 1)
    assert messages.find(2_000) is None
    assert messages.part(-5, 2) == rows[:2]


@given(st.lists(st.tuples(st.integers(0, 2_000), st.none() | st.integers(0, 9)), max_size=200), st.integers(0, 2_100))
def test_sparse_values_are_a_dictionary(writes: list[tuple[int, int | None]], seq: int) -> None:
    sparse, plain = Sparse[int](), dict[int, int]()
    for place, value in writes:
        before = sparse.copy()
        kept = before.items()
        if value is None:
            sparse.drop(place)
            plain.pop(place, None)
        else:
            sparse.put(place, value)
            plain[place] = value
        assert before.items() == kept
    assert sparse.items() == sorted(plain.items())
    assert sparse.get(seq) == plain.get(seq)
    assert sparse.count_after(seq) == sum(place > seq for place in plain)
    assert Sparse(dict(sparse.dump())) == sparse
