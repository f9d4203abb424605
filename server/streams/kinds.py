"""What a feature says about a kind of stream when it registers it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from models.rules.stream import Rules
from server.auth.principal import Principal
from server.streams.event import StoredEvent

Authorise = Callable[[Principal | None, str], Awaitable[None]]
View = Callable[[Principal | None, str, Any], Awaitable[dict[str, Any]]]
Companion = Callable[[bytes], tuple[str, Mapping[str, Any]] | None]
OnCommit = Callable[[str, Sequence[StoredEvent]], Awaitable[None]]


@dataclass(frozen=True)
class StreamKind:
    """A kind of stream: streams are named `<name>:<id>`.

    Attributes:
        name: before the colon.
        rules: the state machine that decides and folds.
        authorise: raises FORBIDDEN, NOT_FOUND or UNAUTHENTICATED unless the caller may read the stream. None: the kind is
            private to the server, clients are told NOT_FOUND.
        view: the `state` shown to a caller; the rules' public view when None.
        on_commit: called after this instance appended; best effort, so whatever must happen has a follower too.
        guards: types of events after which a reader may have lost its right to read: at such an event every subscriber is
            authorised again before it is given another one.
        companion: what is signalled to subscribers beside a batch, made of the wire form of its last event: `(event, payload)`.
    """

    name: str
    rules: Rules[Any]
    authorise: Authorise | None = None
    view: View | None = None
    on_commit: OnCommit | None = None
    guards: tuple[str, ...] = ()
    companion: Companion | None = None

    def guarding(self, wire: bytes) -> bool:
        """Whether the event, in its wire form, is one of `guards`. Quotes within a text are escaped, so this can't be forged."""
        return any(b'"type":"%b"' % guard.encode() in wire for guard in self.guards)
