"""Who is typing: told to the others who watch the room, forgotten when it is not repeated.

Kept by the instance on which somebody types. The others are told at most once a second and user that it goes on, however often
the client says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from handlers.chat.service import Check, Rooms
from models.rules.room.naming import room_id, room_stream
from models.rules.room.state import State
from server.auth.principal import Principal
from server.realtime import Connection
from server.streams.hub import Hub

EXPIRY_S: Final = 5.0

_INTERVAL_S: Final = 1.0
"""The least between two signals that somebody types, and how long a look at who may do so holds."""

_NEVER: Final = float("-inf")

_Place = tuple[str, str]
"""User id and stream."""


@dataclass(eq=False)
class _Typing:
    """Somebody in a room.

    Attributes:
        name: in the room.
        connections: on which it was said. until: when it ends without repetition.
        checked_at: when it was last asked whether this is allowed.
        told: whether the others believe that somebody types. told_at: when they were last told so.
    """

    name: str
    checked_at: float
    connections: set[Connection] = field(default_factory=set)
    until: float = _NEVER
    told: bool = False
    told_at: float = _NEVER
    timer: asyncio.TimerHandle | None = None


class Typists:
    """Whoever types on this instance; an observer of the namespace.

    Args:
        rooms: who is in them. hub: carries the signals. checks: refuse, as for what is said.
        expiry_s: how long it lasts without repetition. interval_s: between two signals of the same.
    """

    def __init__(
        self,
        rooms: Rooms,
        hub: Hub,
        checks: list[Check],
        *,
        expiry_s: float = EXPIRY_S,
        interval_s: float = _INTERVAL_S,
    ) -> None:
        self._rooms = rooms
        self._hub = hub
        self._checks = checks
        self._expiry_s = expiry_s
        self._interval_s = interval_s
        self._typing: dict[_Place, _Typing] = {}
        self._places: dict[Connection, set[_Place]] = {}

    async def say(self, connection: Connection, room: str, on: bool) -> None:
        """A client says that its user types, or does no more.

        Raises:
            AppError: NOT_FOUND, FORBIDDEN; what a check refuses.
        """
        principal = connection.require()
        place = (principal.id, room_stream(room))
        typing = self._typing.get(place)
        now = asyncio.get_running_loop().time()
        if typing is None or now - typing.checked_at >= self._interval_s:
            name = await self._name(principal, room)
            if connection.closed:
                return
            typing = self._typing.get(place)
            if typing is None:
                if not on:
                    return
                typing = self._typing[place] = _Typing(name, now)
            typing.name, typing.checked_at = name, now
        if on:
            typing.connections.add(connection)
            typing.until = now + self._expiry_s
            self._places.setdefault(connection, set()).add(place)
            if typing.told and now - typing.told_at >= self._interval_s:
                self._tell(place, typing, True)  # for those who came later
        else:
            self._let_go(connection, place, typing)
        self._settle(place, typing)

    async def check(self, principal: Principal, state: State, stream: str, payload: Mapping[str, Any]) -> None:
        """After something is said nobody types, see `handlers.chat.service.Check`. Refuses nothing."""
        place = (principal.id, stream)
        if "text" in payload and (typing := self._typing.get(place)) is not None:
            typing.until = _NEVER
            self._settle(place, typing)

    # -- what the namespace tells -------------------------------------------------------------------------------------

    def entered(self, connection: Connection) -> None:
        """See Observer."""

    def left(self, connection: Connection) -> None:
        """See Observer."""
        for place in list(self._places.get(connection, ())):
            self._end(connection, place)

    def subscribed(self, connection: Connection, stream: str) -> None:
        """See Observer."""

    def unsubscribed(self, connection: Connection, stream: str) -> None:
        """See Observer."""
        if connection.principal is not None:
            place = (connection.principal.id, stream)
            # Where one subscribes anew, the former subscription ends just before the next one begins.
            asyncio.get_running_loop().call_soon(self._gone, connection, place)

    async def stop(self) -> None:
        """See Observer."""
        for typing in self._typing.values():
            if typing.timer is not None:
                typing.timer.cancel()
        self._typing.clear()

    # -- inside -------------------------------------------------------------------------------------------------------

    async def _name(self, principal: Principal, room: str) -> str:
        state = await self._rooms.require_member(principal, room)
        name = state.name_of(principal.id)
        assert name is not None, "a member has a name"
        for check in self._checks:
            await check(principal, state, room_stream(room), {})
        return name

    def _gone(self, connection: Connection, place: _Place) -> None:
        if place[1] not in connection.subscriptions:
            self._end(connection, place)

    def _end(self, connection: Connection, place: _Place) -> None:
        if (typing := self._typing.get(place)) is not None:
            self._let_go(connection, place, typing)
            self._settle(place, typing)

    def _let_go(self, connection: Connection, place: _Place, typing: _Typing) -> None:
        typing.connections.discard(connection)
        places = self._places.get(connection, set())
        places.discard(place)
        if not places:
            self._places.pop(connection, None)

    def _settle(self, place: _Place, typing: _Typing) -> None:
        """Tell the others what they don't know yet, as soon as that may be."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        typing_now = bool(typing.connections) and now < typing.until
        may_tell_at = typing.told_at + self._interval_s
        if typing_now and not typing.told and now >= may_tell_at:
            self._tell(place, typing, True)
        elif not typing_now and typing.told:
            self._tell(place, typing, False)
        if typing.timer is not None:
            typing.timer.cancel()
            typing.timer = None
        if typing_now:
            again = typing.until if typing.told else min(may_tell_at, typing.until)
        elif now < may_tell_at:
            again = may_tell_at  # kept, so that going on and off is no way to tell more often
        else:
            for connection in list(typing.connections):
                self._let_go(connection, place, typing)
            del self._typing[place]
            return
        typing.timer = loop.call_at(again, partial(self._settle, place, typing))

    def _tell(self, place: _Place, typing: _Typing, on: bool) -> None:
        user, stream = place
        typing.told = on
        if on:
            typing.told_at = asyncio.get_running_loop().time()
        payload = {"room": room_id(stream), "user": typing.name, "on": on}
        self._hub.signal(stream, "typing", payload, besides=user)
