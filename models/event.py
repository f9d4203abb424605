"""What streams keep in MongoDB: events, snapshots, followers' positions.

The hot paths in `server.streams.mongo` use the raw collections; these documents declare the fields and the indexes.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from beanie import Document
from pymongo import ASCENDING, IndexModel


class EventDocument(Document):
    """One event of one stream. Short names: there are very many of them.

    Attributes:
        id: random id.
        stream: `<kind>:<id>`; the shard key.
        seq: dense from 1.
        t: ms since the epoch, never less than in the event before.
        type: event type.
        pub: public fields. prv: private ones.
        hash: hex link of a chained stream.
        src: instance that appended it. cmd: id of the command that caused it; None when time did.
        ans: on the first event of a command: its answer.
        actor, key, digest: on the first event of a keyed command: who, its key, hash of its payload.
    """

    id: str  # type: ignore[assignment]
    stream: str
    seq: int
    t: int
    type: str
    pub: dict[str, Any]
    prv: dict[str, Any] | None = None
    hash: str | None = None
    src: str
    cmd: str | None = None
    actor: str | None = None
    key: str | None = None
    digest: str | None = None
    ans: dict[str, Any] | None = None

    class Settings:
        """Unique indexes begin with the shard key, so that the collection can be sharded by `{stream: 1}`."""

        name = "events"
        indexes: ClassVar[list[IndexModel]] = [
            IndexModel([("stream", ASCENDING), ("seq", ASCENDING)], unique=True, name="stream_seq"),
            IndexModel(
                [("stream", ASCENDING), ("actor", ASCENDING), ("key", ASCENDING)],
                unique=True,
                name="stream_actor_key",
                partialFilterExpression={"key": {"$exists": True}},
            ),
        ]


class SnapshotDocument(Document):
    """A folded state, so that opening a long stream is cheap. `state` is zlib-compressed JSON; `id` is the stream."""

    id: str  # type: ignore[assignment]
    seq: int
    t: int
    hash: str | None = None
    version: int
    state: bytes

    class Settings:
        """One snapshot per stream, the newest."""

        name = "snapshots"


class FollowerDocument(Document):
    """How far a follower has come, and which worker runs it now. `id` is the follower's name."""

    id: str  # type: ignore[assignment]
    token: dict[str, Any] | None = None
    owner: str | None = None
    lease_until: datetime | None = None

    class Settings:
        """Few documents, found by id."""

        name = "followers"
