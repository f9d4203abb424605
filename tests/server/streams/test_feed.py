"""One stream's subscribers: order, completeness and fairness of deliveries, whoever comes or goes meanwhile."""

from __future__ import annotations

import asyncio
import random

import orjson

from server.streams.event import Batch, Signal, WireEvent
from server.streams.feed import CHUNK, RECENT, SLICE, Feed
from tests.waiting import until


def events(first: int, last: int) -> list[WireEvent]:
    return [WireEvent(seq, orjson.dumps({"seq": seq})) for seq in range(first, last + 1)]


class Reader:
    """A subscriber that keeps what it gets; `slow` blocks the loop for that long at each delivery."""

    def __init__(self, slow: float = 0.0) -> None:
        self.seqs: list[int] = []
        self.batches = 0
        self.signals: list[str] = []
        self.slow = slow

    def deliver(self, batch: Batch) -> None:
        self.batches += 1
        self.seqs += [event.seq for event in batch.events]
        until_s = asyncio.get_running_loop().time() + self.slow
        while asyncio.get_running_loop().time() < until_s:
            pass

    def signal(self, signal: Signal) -> None:
        self.signals.append(signal.event)

    async def permitted(self) -> bool:
        return True

    def close(self, reason: str) -> None:
        raise AssertionError(reason)


def feed_of(*readers: Reader, tick_s: float = 0.01, seq: int = 0) -> Feed:
    feed = Feed("tally:a", tick_s, None, seq=seq)
    feed.sinks.update(dict.fromkeys(readers, seq))
    return feed


def take(feed: Feed, first: int, last: int) -> None:
    """As the hub does it."""
    feed.seq = last
    feed.deliver(events(first, last))


async def test_the_first_event_does_not_wait() -> None:
    reader = Reader()
    take(feed_of(reader), 1, 1)
    assert reader.seqs == [1]


async def test_events_of_a_busy_stream_travel_together() -> None:
    reader = Reader(slow=0.003)
    feed = feed_of(reader)
    for seq in range(1, 101):
        take(feed, seq, seq)
        await asyncio.sleep(0)
    await until(lambda: len(reader.seqs) == 100)
    assert reader.seqs == list(range(1, 101))
    assert reader.batches < 50


async def test_nothing_gathers_when_the_tick_is_off() -> None:
    reader = Reader(slow=0.002)
    feed = feed_of(reader, tick_s=0)
    for seq in range(1, 21):
        take(feed, seq, seq)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert reader.batches == 20


async def test_who_comes_while_events_gather_gets_only_what_is_new_to_it() -> None:
    early, late = Reader(slow=0.005), Reader()
    feed = feed_of(early)
    take(feed, 1, 1)
    take(feed, 2, 4)  # these gather
    feed.sinks[late] = feed.seq
    take(feed, 5, 6)
    await until(lambda: len(early.seqs) == 6)
    assert early.seqs == [1, 2, 3, 4, 5, 6]
    assert late.seqs == [5, 6]


async def test_others_have_a_turn_between_slices() -> None:
    readers = [Reader() for _ in range(3 * SLICE)]
    feed = feed_of(*readers)
    take(feed, 1, 1)
    assert [bool(readers[place].seqs) for place in (0, SLICE - 1, SLICE, 3 * SLICE - 1)] == [True, True, False, False]
    take(feed, 2, 2)
    await until(lambda: readers[-1].seqs == [1, 2])
    assert all(reader.seqs == [1, 2] for reader in readers)


async def test_who_leaves_between_slices_gets_nothing_more() -> None:
    readers = [Reader() for _ in range(2 * SLICE)]
    feed = feed_of(*readers)
    take(feed, 1, 1)
    del feed.sinks[readers[-1]]
    await until(lambda: bool(readers[-2].seqs))
    assert readers[-1].seqs == []


async def test_completing_hands_on_everything_at_once() -> None:
    readers = [Reader() for _ in range(2 * SLICE)]
    feed = feed_of(*readers)
    take(feed, 1, 1)
    take(feed, 2, CHUNK * 2)
    feed.complete()
    whole = list(range(1, CHUNK * 2 + 1))
    assert all(reader.seqs == whole for reader in readers)
    take(feed, CHUNK * 2 + 1, CHUNK * 2 + 1)
    await until(lambda: len(readers[0].seqs) == CHUNK * 2 + 1)


async def test_everybody_gets_each_event_once_whatever_happens() -> None:
    dice = random.Random(7)
    stay = [Reader() for _ in range(SLICE + 50)]
    feed = feed_of(*stay, tick_s=0.002)
    passing: list[tuple[Reader, int]] = []
    left: list[tuple[Reader, int, int]] = []
    seq = 0
    for _ in range(400):
        size = dice.choice((1, 1, 1, 7, 40))
        take(feed, seq + 1, seq + size)
        seq += size
        if dice.random() < 0.5:
            reader = Reader()
            feed.sinks[reader] = feed.seq
            passing.append((reader, feed.seq))
        if passing and dice.random() < 0.3:
            reader, since = passing.pop(dice.randrange(len(passing)))
            del feed.sinks[reader]
            left.append((reader, since, len(reader.seqs)))
        if dice.random() < 0.02:
            feed.complete()
        if dice.random() < 0.3:
            await asyncio.sleep(0)
    await until(lambda: all(reader.seqs[-1:] == [seq] for reader in stay))
    assert all(reader.seqs == list(range(1, seq + 1)) for reader in stay)
    assert all(reader.seqs == list(range(since + 1, seq + 1)) for reader, since in passing)
    for reader, since, count in left:
        assert reader.seqs == list(range(since + 1, since + 1 + count))


async def test_a_signal_reaches_those_who_are_there() -> None:
    readers = [Reader() for _ in range(SLICE + 2)]
    feed = feed_of(*readers)
    feed.signal(Signal("tally:a", "typing", b"{}"))
    del feed.sinks[readers[-1]]
    await until(lambda: readers[-2].signals == ["typing"])
    assert readers[-1].signals == []


async def test_recent_events_are_kept_for_those_who_come_back() -> None:
    feed = feed_of(Reader(), seq=10)
    assert feed.since(8) is None
    feed.recall(events(4, 10))
    take(feed, 11, 12)
    assert [event.seq for event in feed.since(8) or ()] == [9, 10, 11, 12]
    assert [event.seq for event in feed.since(3) or ()] == list(range(4, 13))
    assert feed.since(2) is None
    assert feed.since(12) == []


async def test_what_comes_while_recent_events_are_read_is_kept_too() -> None:
    feed = feed_of(Reader(), seq=10)
    feed.recall(events(1, 10))
    read = events(1, 12)
    take(feed, 11, 11)
    take(feed, 12, 12)
    feed.recall(read)
    assert [event.seq for event in feed.since(9) or ()] == [10, 11, 12]


async def test_what_was_read_too_early_is_not_kept() -> None:
    feed = feed_of(seq=10)
    feed.seq = 12
    feed.recall(events(1, 10))
    assert feed.since(9) is None


async def test_no_more_than_so_many_are_kept() -> None:
    feed = feed_of(Reader(), seq=1)
    feed.recall(events(1, 1))
    for seq in range(2, 5 * RECENT, 10):
        take(feed, seq, seq + 9)
    assert feed.since(1) is None
    assert len(feed.since(feed.seq - RECENT) or ()) == RECENT
