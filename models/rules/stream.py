"""The words that rules and streams share: commands come in, drafts of events go out.

A set of rules is a state machine without I/O. `server.streams` runs it: it calls `due` and `decide` against the state in
memory, writes the drafts as events, and folds what was written with `apply`. Everything here is plain data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any, Protocol, TypeVar

from models.rules.records import record

S = TypeVar("S")


class Rejected(Exception):
    """A command that the rules refuse. `code` is one of bidding.md's; nothing is appended for it.

    Args:
        code: a stable error code, a key of `server.errors.CODES`.
        message: one sentence for a person.
        details: JSON-able facts for a program, such as `min_next`.
    """

    def __init__(self, code: str, message: str, **details: Any) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.details = details


@record
class Command:
    """Something an actor wants of a stream.

    Attributes:
        name: which decision is asked for, such as `bid`.
        actor: id of the user, or `system`.
        payload: what the actor sent, plain JSON. Same key and another payload is IDEMPOTENCY_MISMATCH.
        key: made by the client, unique per (stream, actor); None for commands that the state itself makes idempotent.
        context: facts that the service adds and that a retry may bring anew: salts, prepared names. Not compared.
    """

    name: str
    actor: str
    payload: Mapping[str, Any] = field(default_factory=dict)
    key: str | None = None
    context: Mapping[str, Any] = field(default_factory=dict)


@record
class Draft:
    """An event as the rules wish it.

    Attributes:
        type: event type of contract.md.
        public: the fields everybody sees. JSON without floats, so that the hash is the same in every language.
        private: what never leaves the server but must be replayed: ids, limits, salts.
        t: stamp in ms when it isn't "now" (`closed` is stamped exactly `end_at`).
    """

    type: str
    public: Mapping[str, Any]
    private: Mapping[str, Any] = field(default_factory=dict)
    t: int | None = None


@record
class Event:
    """A committed event, as the fold sees it. `t` is in ms and never less than that of the event before."""

    seq: int
    t: int
    type: str
    public: Mapping[str, Any]
    private: Mapping[str, Any] = field(default_factory=dict)


@record
class Decision:
    """Drafts to append, in order, and the answer for the caller (the ack's fields without `ok`).

    No drafts is allowed: the answer alone, nothing happened.
    """

    drafts: tuple[Draft, ...]
    answer: Mapping[str, Any]


class Rules(Protocol[S]):
    """A state machine over one kind of stream.

    Law: after every single event the state is legal, also when the process dies before the rest of a decision is
    written: what is then still owed comes out of `due`.
    """

    version: int
    """Of the dumped form; a snapshot of another version is ignored and the stream folded from its start."""

    chained: bool
    """Whether each event carries `hash`, which links it to the one before."""

    def initial(self) -> S:
        """The state of a stream without events."""
        ...

    def due(self, state: S, now: int) -> Draft | None:
        """The next event that time or an interrupted decision owes at `now` (ms); None when nothing is owed."""
        ...

    def next_due(self, state: S) -> int | None:
        """When (ms) `due` will next have something, if nothing else happens; None for never."""
        ...

    def decide(self, state: S, command: Command, now: int) -> Decision:
        """Decide a command at `now` (ms); reads the state only. The first draft will get seq `state.seq + 1`.

        Raises:
            Rejected: with a code of bidding.md.
        """
        ...

    def apply(self, state: S, event: Event) -> None:
        """Fold one committed event into the state, in place."""
        ...

    def copy(self, state: S) -> S:
        """An independent copy, to try decisions on."""
        ...

    def dump(self, state: S) -> dict[str, Any]:
        """The state as JSON, for a snapshot; `load(dump(s))` equals `s`."""
        ...

    def load(self, dumped: Mapping[str, Any]) -> S:
        """The state from `dump`'s JSON."""
        ...

    def view(self, state: S) -> dict[str, Any]:
        """The public `state` of `subscribe`: JSON in the contract's forms, times as RFC 3339."""
        ...
