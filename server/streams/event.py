"""Events as they are stored, as they are read, and as they travel."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, Protocol

import orjson

from models.rules.records import record
from models.rules.stream import Event
from server.clock import to_rfc3339

GENESIS: Final = bytes(32)
"""What the first event of a chained stream links to."""

_CANONICAL: Final = orjson.OPT_SORT_KEYS


class PublicEvent(Protocol):
    """The least that delivery needs: a number and the encoded public form."""

    @property
    def seq(self) -> int:
        """Position in the stream, dense from 1."""
        ...

    @property
    def wire(self) -> bytes:
        """`{seq, t, type, ...}` as JSON."""
        ...


@record
class WireEvent:
    """A public event that came encoded, from another instance."""

    seq: int
    wire: bytes


@record
class StoredEvent(Event):
    """A committed event with everything the server knows of it.

    Attributes:
        stream: name of the stream.
        id: random id of the event.
        wire: the public form, encoded once.
        hash: hex link of a chained stream, else None.
        source: instance that appended it.
        command: id of the command that caused it, None when time did.
        answer: on the first event of a command: what its caller was told.
        actor, key, digest: on the first event of a keyed command, for replays.
    """

    stream: str = ""
    id: str = ""
    wire: bytes = b""
    hash: str | None = None
    source: str = ""
    command: str | None = None
    actor: str | None = None
    key: str | None = None
    digest: str | None = None
    answer: Mapping[str, Any] | None = None

    @property
    def kind(self) -> str:
        """The part of the stream's name before the colon."""
        return self.stream.partition(":")[0]

    @property
    def subject(self) -> str:
        """The part of the stream's name after the colon."""
        return self.stream.partition(":")[2]

    def to_document(self) -> dict[str, Any]:
        """The MongoDB form (models.event.EventDocument); absent fields are left out, as the partial index needs."""
        document: dict[str, Any] = {
            "_id": self.id,
            "stream": self.stream,
            "seq": self.seq,
            "t": self.t,
            "type": self.type,
            "pub": self.public,
            "src": self.source,
        }
        if self.private:
            document["prv"] = self.private
        if self.hash is not None:
            document["hash"] = self.hash
        if self.command is not None:
            document["cmd"] = self.command
            if self.answer is not None:
                document["ans"] = self.answer
        if self.key is not None:
            document["actor"] = self.actor
            document["key"] = self.key
            document["digest"] = self.digest
        return document

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> StoredEvent:
        """The inverse of `to_document`."""
        get = document.get
        link = get("hash")
        canonical = canonical_json(document["seq"], document["t"], document["type"], document["pub"])
        return cls(  # by position: by keyword it takes three times as long
            document["seq"], document["t"], document["type"], document["pub"], get("prv") or {}, document["stream"],
            document["_id"], with_hash(canonical, link), link, document["src"], get("cmd"),
            get("actor"), get("key"), get("digest"), get("ans"),
        )  # fmt: skip


def canonical_json(seq: int, t: int, type_: str, public: Mapping[str, Any]) -> bytes:
    """The public event without its hash as canonical JSON: sorted keys, no spaces, UTF-8."""
    return orjson.dumps({**public, "seq": seq, "t": to_rfc3339(t), "type": type_}, option=_CANONICAL)


def with_hash(canonical: bytes, link: str | None) -> bytes:
    """The wire form: the canonical JSON, `hash` put at its end, so that an event is encoded once for both uses."""
    if link is None:
        return canonical
    return b'%b,"hash":"%b"}' % (canonical[:-1], link.encode())


def chain(previous: bytes, canonical: bytes) -> bytes:
    """SHA-256 over the previous link and the canonical event (bidding.md, rule 4)."""
    return hashlib.sha256(previous + canonical).digest()


@dataclass(frozen=True)
class Batch:
    """Consecutive events of one stream on their way to subscribers.

    `memo` lets a transport keep the frame it made of the batch, so that it is encoded once for all recipients.
    """

    stream: str
    events: Sequence[PublicEvent]
    memo: dict[Any, Any] = field(default_factory=dict, compare=False)

    @property
    def seq(self) -> int:
        """Of the last event."""
        return self.events[-1].seq

    def after(self, seq: int) -> Batch:
        """The part of it behind a seq that lies within it."""
        part = self.memo.get(seq)
        if part is None:
            part = self.memo[seq] = Batch(self.stream, [event for event in self.events if event.seq > seq])
        return part

    @cached_property
    def wire(self) -> bytes:
        """`{"stream", "events", "seq"}`: the body of the socket event `events`."""
        return b'{"stream":%b,"events":[%b],"seq":%d}' % (
            orjson.dumps(self.stream),
            b",".join([event.wire for event in self.events]),
            self.seq,
        )


@dataclass(frozen=True)
class Signal:
    """Something ephemeral for the subscribers of a stream: it has no seq, is not kept, and may be lost.

    `memo` as of Batch. `payload` is JSON. `besides`: a user who is not told, being the one that it is about.
    """

    stream: str
    event: str
    payload: bytes
    besides: str = ""
    memo: dict[Any, Any] = field(default_factory=dict, compare=False)

    def pack(self, source: str) -> bytes:
        """The form between instances; its first byte tells it from packed events. `source`: who sends it."""
        return b"!%b %b %b\n%b" % (source.encode(), self.event.encode(), self.besides.encode(), self.payload)

    @classmethod
    def unpack(cls, stream: str, packed: bytes) -> tuple[str, Signal]:
        """The inverse of `pack`: who sent it, and what."""
        head, _, payload = packed[1:].partition(b"\n")
        source, event, besides = head.decode().split(" ")
        return source, cls(stream, event, payload, besides)


def is_signal(packed: bytes) -> bool:
    """Whether what came from another instance is a packed Signal."""
    return packed.startswith(b"!")


def pack(events: Sequence[PublicEvent]) -> bytes:
    """The form between instances: the first seq, then one encoded event per line (JSON holds no raw newline)."""
    return b"%d\n%b" % (events[0].seq, b"\n".join([event.wire for event in events]))


def unpack(packed: bytes) -> list[WireEvent]:
    """The inverse of `pack`.

    Raises:
        ValueError: not of that form.
    """
    head, *wires = packed.split(b"\n")
    first = int(head)
    return [WireEvent(seq, wire) for seq, wire in enumerate(wires, first)]
