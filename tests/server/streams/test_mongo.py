"""What MongoDB answers to an append, told apart: written, lost to another instance, a used key, unknown."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from pymongo import AsyncMongoClient

from models.event import EventDocument
from server.clock import local_id
from server.streams.event import StoredEvent
from server.streams.mongo import MongoEventStore, _appended
from server.streams.store import Appended, StoreUnavailable

DUPLICATE: dict[str, Any] = {"code": 11000, "errmsg": "E11000 duplicate key"}
LATE = {"code": 64, "codeName": "WriteConcernFailed", "errmsg": "waiting for replication timed out"}


def event(seq: int, key: str | None = None) -> StoredEvent:
    keyed = {"actor": "ann", "key": key, "digest": "d"} if key is not None else {}
    return StoredEvent(seq, 0, "x", {"n": seq}, stream="tally:a", id=local_id(), source="me", **keyed)


@pytest.fixture
async def store(mongodb_url: str, database: str) -> AsyncIterator[MongoEventStore]:
    async with AsyncMongoClient[dict[str, Any]](mongodb_url) as client:
        await client[database]["events"].create_indexes(EventDocument.Settings.indexes)
        yield MongoEventStore(client[database])


async def seqs(store: MongoEventStore) -> list[int]:
    return [one.seq for one in await store.read("tally:a", 0, 100)]


async def test_what_is_written_stops_at_the_first_conflict(store: MongoEventStore) -> None:
    assert await store.append([event(1, "a"), event(2)]) == Appended(2)
    assert await store.append([event(2), event(3)]) == Appended(0, "seq")
    assert await store.append([event(3), event(4, "a"), event(5)]) == Appended(1, "key")
    assert await seqs(store) == [1, 2, 3]


async def test_what_bson_cannot_hold_is_no_outage(store: MongoEventStore) -> None:
    with pytest.raises(OverflowError):
        await store.append(
            [event(1), StoredEvent(2, 0, "x", {"n": 2**64}, stream="tally:a", id=local_id(), source="me")]
        )
    assert await seqs(store) == []


async def test_a_write_that_the_store_refuses_is_unknown(store: MongoEventStore) -> None:
    nested: dict[str, Any] = {}
    for _ in range(250):
        nested = {"in": nested}
    with pytest.raises(StoreUnavailable):
        await store.append([event(1), StoredEvent(2, 0, "x", nested, stream="tally:a", id=local_id(), source="me")])


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ({"ok": 1, "n": 3}, Appended(3)),
        ({"ok": 1, "n": 1, "writeErrors": [{**DUPLICATE, "index": 1, "keyPattern": {"stream": 1, "seq": 1}}]}, Appended(1, "seq")),
        (
            {"ok": 1, "n": 2, "writeErrors": [{**DUPLICATE, "index": 2, "keyPattern": {"stream": 1, "actor": 1, "key": 1}}]},
            Appended(2, "key"),
        ),
        ({"ok": 1, "n": 0, "writeErrors": [{**DUPLICATE, "index": 0}], "writeConcernError": LATE}, Appended(0, "seq")),
        ({"ok": 1, "n": 3, "writeConcernError": LATE}, None),
        ({"ok": 1, "n": 1, "writeErrors": [{"code": 50, "index": 1, "errmsg": "exceeded time limit"}]}, None),
        ({"ok": 1, "n": 2}, None),
    ],
)  # fmt: skip
def test_answers(answer: dict[str, Any], outcome: Appended | None) -> None:
    if outcome is not None:
        assert _appended(answer, 3) == outcome
        return
    with pytest.raises(StoreUnavailable):
        _appended(answer, 3)
