"""The commands of every namespace: subscribe, unsubscribe, sync_time, reauthenticate."""

from __future__ import annotations

from typing import Annotated, Any

import orjson
from pydantic import BaseModel, Field

from server.auth.principal import Principal
from server.auth.tokens import Tokens
from server.clock import Clock
from server.errors import AppError
from server.realtime.connection import Connection
from server.realtime.departure import Reconnect
from server.realtime.namespace import Namespace
from server.realtime.recovery import RecoverableConnection, RecoverableSubscription
from server.realtime.subscription import Subscription
from server.realtime.watchers import StreamWatchers, Watchers
from server.streams.hub import Hub
from server.streams.streams import Streams
from server.web.described import carrying

MAX_SEQ = 2**53 - 1
"""The largest integer that every JSON reader keeps exact."""

StreamName = Annotated[str, Field(min_length=3, max_length=200, description="`<kind>:<id>`")]


class Subscribe(BaseModel):
    """Watch a stream. Without `after`, from now on; with it, from the event after that seq."""

    stream: StreamName
    after: Annotated[int, Field(ge=0, le=MAX_SEQ)] | None = Field(None, description="the last seq that the client has")


class Subscribed(BaseModel):
    """The start of a subscription. `more`: not attached yet, subscribe again from `seq`."""

    stream: str
    seq: int = Field(description="of the last event in `state` or `events`")
    state: dict[str, Any] | None = Field(description="the state at `seq`, when no `after` was sent")
    events: list[dict[str, Any]] = Field(description="at most 1000 events after `after`, in order")
    more: bool


class Unsubscribe(BaseModel):
    """Stop watching a stream; fine also when it isn't watched."""

    stream: StreamName


class Done(BaseModel):
    """Nothing but `ok`."""


class SyncTime(BaseModel):
    """Ask for the cluster's time."""

    t0: int | float = Field(allow_inf_nan=False, description="when the client sends this, ms on its own clock")


class Times(BaseModel):
    """Offset of the client's clock: `((t1 - t0) + (t2 - t3)) / 2`, `t3` being when this arrived."""

    t0: int | float
    t1: int = Field(description="when the server received the command, ms")
    t2: int = Field(description="when the server sent this, ms")


class Reauthenticate(BaseModel):
    """Go on with a newer access token, before the one that the client connected with ends."""

    token: Annotated[str, Field(min_length=1, max_length=4096)]


class Reauthenticated(BaseModel):
    """The token holds for all namespaces of this transport that its user has entered."""

    expires_in: int = Field(description="seconds until the transport is closed, unless there is a newer token by then")


class StreamEvents(BaseModel):
    """New events of a watched stream."""

    stream: str
    events: list[dict[str, Any]] = Field(description="`{seq, t, type, ...}` in order")
    seq: int = Field(description="of the last event")


class Subscriptions:
    """The commands, on the hub of this instance.

    Args:
        limit: streams that one transport may watch, all its namespaces together.
    """

    def __init__(
        self, streams: Streams, hub: Hub, clock: Clock, watchers: Watchers, tokens: Tokens, limit: int
    ) -> None:
        self._tokens = tokens
        self._streams = streams
        self._hub = hub
        self._watchers = watchers
        self._clock = clock
        self._limit = limit

    def register(self, namespace: Namespace) -> None:
        """Give the commands to a namespace."""
        readable = ("UNAUTHENTICATED", "FORBIDDEN", "NOT_FOUND")
        prefix = namespace.name.strip("/").capitalize()
        subscribed = carrying(Subscribed, namespace.carries, prefix)
        stream_events = carrying(StreamEvents, namespace.carries, prefix)
        namespace.command(
            "subscribe",
            Subscribe,
            self.subscribe,
            answer=subscribed,
            summary="Watch a stream",
            errors=readable,
            overlaps=False,  # whoever subscribes first to an inbox opens it, by an append
        )
        namespace.command("unsubscribe", Unsubscribe, self.unsubscribe, answer=Done, summary="Stop watching a stream")
        namespace.command("sync_time", SyncTime, self.sync_time, answer=Times, summary="Compare clocks")
        namespace.command(
            "reauthenticate",
            Reauthenticate,
            self.reauthenticate,
            answer=Reauthenticated,
            summary="Go on with a newer access token",
            errors=("UNAUTHENTICATED", "FORBIDDEN"),
            overlaps=False,
        )
        namespace.emits("events", stream_events, "New events of a watched stream, each seq once, in order")
        namespace.emits(
            "reconnect", Reconnect, "This instance ends: come back after `delay_ms`, to another, and resume"
        )
        if namespace.watchers:
            namespace.emits("watchers", StreamWatchers, "How many watch a watched stream, at most once a second")

    async def subscribe(self, connection: Connection, body: Subscribe) -> dict[str, Any]:
        """Authorise, replace a former subscription of the same stream, attach.

        Raises:
            AppError: FORBIDDEN, NOT_FOUND, UNAUTHENTICATED, or VALIDATION_FAILED for one stream too many.
        """
        stream = body.stream
        former = connection.subscriptions.get(stream)
        if former is None and connection.peer.watching >= self._limit:
            # Before the stream is looked at: what is refused anyway must not cost the database anything.
            raise AppError("VALIDATION_FAILED", f"A socket may watch {self._limit} streams; unsubscribe from some")
        await self._streams.authorise(connection.principal, stream)
        fresh = self._subscription(connection, stream)
        if former is not None:
            former.cork()  # what it would deliver now is in the new one's opening too
        try:
            opening = await self._hub.subscribe(stream, body.after, fresh)
            state = None
            if body.after is None:  # the state is live, so it is viewed before anything else can run
                state = await self._streams.view(connection.principal, stream, opening.state)
            if self._streams.guarded(stream):  # the right may have been lost before the subscription began
                await self._streams.authorise(connection.principal, stream)
        except BaseException:
            fresh.end()
            if former is not None:
                former.uncork()
            raise
        if former is not None:
            former.end()
        if opening.more or connection.closed:
            fresh.end()
        else:
            fresh.begin(opening.seq)
        _tell_offset(connection)
        return {
            "stream": stream,
            "seq": opening.seq,
            "state": state,
            "events": [orjson.Fragment(event.wire) for event in opening.events],
            "more": opening.more,
        }

    async def _lost(self, connection: Connection, principal: Principal) -> list[Subscription]:
        """What the client watches by a right that the newer token does not give: its user's role may have changed meanwhile."""
        return [
            subscription
            for each in connection.peer.connections_of(principal.id)
            if each.principal is not None and each.principal.rights != principal.rights
            for stream, subscription in list(each.subscriptions.items())
            if not await self._streams.permitted(principal, stream)
        ]

    def _subscription(self, connection: Connection, stream: str) -> Subscription:
        if isinstance(connection, RecoverableConnection):
            return RecoverableSubscription(connection, stream, self._streams, self._watchers)
        return Subscription(connection, stream, self._streams, self._watchers)

    def unsubscribe(self, connection: Connection, body: Unsubscribe) -> dict[str, Any]:
        """Detach; no event of the stream follows the ack."""
        subscription = connection.subscriptions.get(body.stream)
        if subscription is not None:
            subscription.end()
            _tell_offset(connection)
        return {}

    def sync_time(self, connection: Connection, body: SyncTime) -> dict[str, Any]:
        """The cluster's time at arrival and now."""
        return {"t0": body.t0, "t1": self._clock.at(connection.arrived), "t2": self._clock.now()}

    async def reauthenticate(self, connection: Connection, body: Reauthenticate) -> dict[str, Any]:
        """Take a newer token of the same user, for every namespace that it has entered on this transport.

        Raises:
            AppError: UNAUTHENTICATED for a bad token or a client that connected without one, FORBIDDEN for another user's; then
                everything is as before.
        """
        user = connection.require().id
        principal = await self._tokens.authenticate(body.token)
        if principal.id != user:
            raise AppError("FORBIDDEN", "The token is another user's")
        lost = await self._lost(connection, principal)
        if connection.closed:
            return {"expires_in": 0}  # nobody hears it any more
        for each in connection.peer.connections_of(user):
            each.renew(principal)
        for subscription in lost:
            subscription.close("not permitted any more")
        # The logout may have passed between the look at the denylist and the registration just made.
        if self._tokens.revoked(principal.session):
            connection.peer.close("session revoked")
        return {"expires_in": max(0, principal.expires_at - self._clock.now()) // 1000}


def _tell_offset(connection: Connection) -> None:
    """What it watches has changed; before the ack, a client that wants to recover is told."""
    if isinstance(connection, RecoverableConnection):
        connection.tell_offset()
