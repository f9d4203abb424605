"""What the socket edge and the HTTP form of streams ask of the rest of the server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from server.auth.principal import Principal
from server.streams.event import Batch, PublicEvent


class Sink(Protocol):
    """Where a subscription's events go."""

    def deliver(self, batch: Batch) -> None:
        """Take the next events of the stream. Must neither block nor raise."""
        ...


class Opening(Protocol):
    """How a subscription starts."""

    @property
    def seq(self) -> int:
        """Of the last event contained in `state` or `events`."""
        ...

    @property
    def events(self) -> Sequence[PublicEvent]:
        """What was missed, at most 1000."""
        ...

    @property
    def more(self) -> bool:
        """Whether there is more to fetch; the sink isn't attached then."""
        ...

    @property
    def state(self) -> Any:
        """The folded state when no `after` was given."""
        ...


class Hub(Protocol):
    """Local delivery of streams."""

    async def subscribe(self, stream: str, after: int | None, sink: Any) -> Any:
        """An `Opening`; unless it has more, the sink gets everything after it."""
        ...

    def unsubscribe(self, stream: str, sink: Any) -> Any:
        """End the delivery to a sink; idempotent."""
        ...


class Streams(Protocol):
    """Permission for streams and the view of their state."""

    async def authorise(self, principal: Principal | None, stream: str) -> None:
        """Raise unless the caller may read the stream."""
        ...

    async def view(self, principal: Principal | None, stream: str, state: Any) -> dict[str, Any]:
        """The state as the caller may see it."""
        ...


class Tokens(Protocol):
    """Access tokens."""

    async def authenticate(self, token: str) -> Principal:
        """The bearer; raises AppError UNAUTHENTICATED."""
        ...

    def revoked(self, session: str) -> bool:
        """Whether this process knows that the session is revoked."""
        ...
