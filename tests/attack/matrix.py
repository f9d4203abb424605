"""What a row of the authorisation matrix is, and which routes and commands have none."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from server.errors import CODES
from server.realtime.namespace import Namespace
from server.web.router import API_PREFIX, Route

ROLES: Final = ("anonymous", "other", "member", "owner", "blocked", "removed", "moderator", "admin")
"""Who asks: nobody in particular; somebody who has nothing to do with it; who has bid and is in the rooms; whose job it is; whom the
owner has blocked, after a bid and in the room of the job; who has bid and was removed from the rooms; who keeps order; who may all."""

SHORT: Final = {
    "401": "UNAUTHENTICATED",
    "403": "FORBIDDEN",
    "404": "NOT_FOUND",
    "409": "CONFLICT",
    "422": "VALIDATION_FAILED",
}
"""What a status stands for in a row where one of several codes of that status is meant."""

FRESH: Final = "fresh"
"""The name of a thing that is another one in each request."""

_THING: Final = re.compile(r"<(\w+)>")
_PARAMETER: Final = re.compile(r"(?<=/)[^/]*<[^/]*")
_SLOT: Final = re.compile(r"(?<=/)[^/]*{[^/]*")
_SUCCESS: Final = re.compile(r"2\d\d|ok")
_READING: Final = frozenset({"GET", "subscribe", "unsubscribe", "sync_time", "reauthenticate"})


@dataclass(frozen=True)
class Row:
    """One request or command, and what each role is answered.

    Attributes:
        what: the request line, such as `GET /rooms/<room>?limit=1`, or a socket's namespace and command, such as `/chat send`.
        answers: one word per role: the status of a success, `ok` on sockets, a code, or one of SHORT.
        sent: the JSON body, or the command's one argument.
        needs: things that must be there although nothing names them.
        accept: media type that is asked for.
        harmless: what one role's success changes makes no difference to the other roles, so that they share a stage; it is given up
            after the row.
        personal: a success changes the caller's account, so that the caller is somebody new afterwards.

    In `what` and `sent`, `<name>` stands for a thing of the stage, see `matrix_stage`.
    """

    what: str
    answers: str
    sent: Any = None
    needs: tuple[str, ...] = ()
    accept: str = "application/json"
    harmless: bool = False
    personal: bool = False

    @property
    def name(self) -> str:
        """For people who read a report: with the things that only the body or nothing names."""
        return " ".join([self.what, *(f"<{thing}>" for thing in sorted({*_named(self.sent), *self.needs} - {FRESH}))])

    @property
    def is_command(self) -> bool:
        """Whether it goes over a socket."""
        return self.what.startswith("/")

    @property
    def verb(self) -> str:
        """The method, or the namespace."""
        return self.what.partition(" ")[0]

    @property
    def target(self) -> str:
        """The path with its query, or the command."""
        return self.what.partition(" ")[2]

    @property
    def place(self) -> str:
        """What it is a row of: with all parameters alike, and without a query."""
        return _PARAMETER.sub("<>", self.what.partition("?")[0])

    @property
    def changes(self) -> bool:
        """Whether a success leaves something behind."""
        return (self.target if self.is_command else self.verb) not in _READING

    @property
    def expected(self) -> dict[str, str]:
        """The answers by role, codes in full."""
        words = [SHORT.get(word, word) for word in self.answers.split()]
        assert len(words) == len(ROLES), f"{self.what} needs {len(ROLES)} answers: {self.answers}"
        assert all(is_success(word) or word in CODES for word in words), f"{self.what}: {self.answers}"
        return dict(zip(ROLES, words, strict=True))

    @property
    def things(self) -> frozenset[str]:
        """Names of the things that it is about."""
        return frozenset({*_THING.findall(self.what), *_named(self.sent), *self.needs})

    def fits(self, route: Route) -> bool:
        """Whether this is a request to the route: things stand where it has parameters, everything else is the same."""
        return self.place == place_of(route)


def place_of(route: Route) -> str:
    """What rows of a route have as their `place`."""
    path = _SLOT.sub("<>", route.template.removeprefix(API_PREFIX))
    return f"{route.method} {path}"


def is_success(word: str) -> bool:
    """Whether an answer is none of a refusal."""
    return _SUCCESS.fullmatch(word) is not None


def fill(value: Any, things: Mapping[str, Any]) -> Any:
    """A value with things in the place of their names; a text that is nothing but a name becomes the thing itself."""
    if isinstance(value, dict):
        return {name: fill(part, things) for name, part in value.items()}
    if isinstance(value, list):
        return [fill(part, things) for part in value]
    if not isinstance(value, str):
        return value
    whole = _THING.fullmatch(value)
    return things[whole[1]] if whole else _THING.sub(lambda found: str(things[found[1]]), value)


def without_row(rows: Iterable[Row], routes: Iterable[Route], namespaces: Iterable[Namespace]) -> list[str]:
    """Routes and commands that no row is about."""
    places = {row.place for row in rows}
    return [place for place in (*map(place_of, routes), *commands_of(namespaces)) if place not in places]


def without_target(rows: Iterable[Row], routes: Iterable[Route], namespaces: Iterable[Namespace]) -> list[str]:
    """What rows are about and is not there."""
    known = {*map(place_of, routes), *commands_of(namespaces)}
    return sorted({row.place for row in rows} - known)


def commands_of(namespaces: Iterable[Namespace]) -> Iterator[str]:
    """Every command of the namespaces, as rows call it."""
    return (f"{namespace.name} {command.event}" for namespace in namespaces for command in namespace.commands)


def _named(value: Any) -> Iterator[str]:
    """The names of things in a body."""
    if isinstance(value, str):
        yield from _THING.findall(value)
    elif isinstance(value, dict):
        for part in value.values():
            yield from _named(part)
    elif isinstance(value, list):
        for part in value:
            yield from _named(part)
