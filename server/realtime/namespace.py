"""Namespaces and their commands, as data that dispatch and the AsyncAPI document share."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from pydantic import BaseModel, ValidationError

from server.auth.principal import Principal
from server.errors import CODES, AppError
from server.realtime.metrics import COMMANDS, Tally
from server.web.validation import field_errors

if TYPE_CHECKING:
    from server.realtime.connection import Connection
    from server.realtime.recovery import Recovery

Handler = Callable[["Connection", Any], Awaitable[Mapping[str, Any]] | dict[str, Any]]
RawHandler = Callable[["Connection", list[Any]], Awaitable[Sequence[Any] | None]]

_RESERVED: Final = frozenset(
    {"connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"}
)
"""Names that the protocol keeps for itself; the official parser closes a connection that uses one."""

UNKNOWN: Final = "unknown"
"""Label of what is no command."""

_NAME: Final = re.compile(r"/(?:[a-z][a-z0-9_-]*)?")


@dataclass(frozen=True, slots=True)
class SocketCommand:
    """Something a client may ask for, answered with an ack.

    Attributes:
        event: its name on the wire.
        body: model of the one argument.
        handler: `async (connection, body) -> fields of the ack`, without `ok`; or a plain function that returns them at once, as a
            dict, which spares a task.
        answer: model of the successful ack, without `ok`.
        summary: one sentence for the AsyncAPI document.
        errors: codes that it adds to those every command may answer.
        tally: where its answers are counted.
        overlaps: whether the client's next command may begin once this one has submitted an append; not if what it does after that,
            or before its append is its own, has an order to keep.
    """

    event: str
    body: type[BaseModel]
    handler: Handler
    answer: type[BaseModel]
    summary: str
    errors: tuple[str, ...]
    tally: Tally
    overlaps: bool = True

    def parse(self, arguments: list[Any], *, binary: bool = False) -> BaseModel:
        """The validated body of a received command.

        Raises:
            AppError: VALIDATION_FAILED, with one entry per offending field.
        """
        if binary:
            raise AppError("VALIDATION_FAILED", "Binary data is not accepted")
        if len(arguments) != 1 or not isinstance(arguments[0], dict):
            raise AppError(
                "VALIDATION_FAILED",
                "A command takes exactly one argument, an object",
                errors=[{"loc": [], "msg": "exactly one object is expected"}],
            )
        try:
            # What `model_validate` does, less its own checks of how it is called.
            body: BaseModel = self.body.__pydantic_validator__.validate_python(arguments[0], strict=True)
            return body
        except ValidationError as error:
            raise AppError("VALIDATION_FAILED", errors=field_errors(error)) from None


@dataclass(frozen=True, slots=True)
class SocketEvent:
    """Something the server sends by itself: name, model of its one argument, one sentence."""

    event: str
    model: type[BaseModel]
    summary: str


class TurnedAway(Exception):
    """A gate lets somebody not in; the message is what the client is told."""


class Gate(Protocol):
    """Who may enter a namespace that does not go by access tokens alone."""

    async def __call__(self, auth: dict[str, Any], address: str) -> Principal | None:
        """Who it is, by what was sent to connect; None for somebody without an account.

        Raises:
            AppError: its code is what the client is told.
            TurnedAway
        """
        ...


class Observer(Protocol):
    """What a feature may want to know of its namespace's clients. Nothing of it may block or raise."""

    def entered(self, connection: Connection) -> None:
        """A client connected."""
        ...

    def left(self, connection: Connection) -> None:
        """A client is gone; its subscriptions were ended before."""
        ...

    def subscribed(self, connection: Connection, stream: str) -> None:
        """A client began to watch a stream."""
        ...

    def unsubscribed(self, connection: Connection, stream: str) -> None:
        """A client watches a stream no longer."""
        ...

    async def stop(self) -> None:
        """The instance stops; all clients are gone. Everything that was begun in the background is ended."""
        ...


class Namespace:
    """One namespace: who may connect, what it answers, what it emits.

    Args:
        name: with its leading slash, such as `/bidding`.
        anonymous: whether a client without a token may connect. A bad token is refused all the same.
        private: whether it is for operators: in no document, and without the commands that all others have.
        watchers: whether clients are told how many watch the streams that they watch here.
        carries: for the AsyncAPI document, the types of the events of the streams that are watched here, such as a discriminated
            union of models; they describe the events, nothing is validated.
        description: for the AsyncAPI document.

    Attributes:
        observers: are told of clients that come, go and watch.
        raws: handlers of raw events by name, see `raw`.
        gate: says who may enter; None where access tokens do.
        recovery: opens connections that can be recovered, for clients that ask for it; None where they can't.
        greeting: called with each client that has connected and what it sent to do so, once it has been told that it is connected.

    Raises:
        ValueError: not a name.
    """

    def __init__(
        self,
        name: str,
        *,
        anonymous: bool = False,
        watchers: bool = False,
        private: bool = False,
        carries: tuple[Any, ...] = (),
        description: str = "",
    ) -> None:
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is not the name of a namespace")
        self.name = name
        self.anonymous = anonymous
        self.watchers = watchers
        self.private = private
        self.carries = carries
        self.description = description
        self.observers: list[Observer] = []
        self.raws: dict[str, RawHandler] = {}
        self.gate: Gate | None = None
        self.recovery: Recovery | None = None
        self.greeting: Callable[[Connection, dict[str, Any]], None] | None = None
        self._commands: dict[str, SocketCommand] = {}
        self._events: dict[str, SocketEvent] = {}
        self._unknown = COMMANDS.tally(name, UNKNOWN)

    def command(
        self,
        event: str,
        body: type[BaseModel],
        handler: Handler,
        *,
        answer: type[BaseModel],
        summary: str,
        errors: tuple[str, ...] = (),
        overlaps: bool = True,
    ) -> None:
        """Answer a command; the arguments are `SocketCommand`'s.

        Raises:
            ValueError: the name is reserved or taken, or a code is unknown.
        """
        if event in _RESERVED or event in self._commands or event in self.raws:
            raise ValueError(f"the command {event!r} of {self.name} is reserved or taken")
        if unknown := [code for code in errors if code not in CODES]:
            raise ValueError(f"{self.name} {event} names unknown error codes: {unknown}")
        tally = COMMANDS.tally(self.name, event)
        self._commands[event] = SocketCommand(event, body, handler, answer, summary, errors, tally, overlaps)

    def raw(self, event: str, handler: RawHandler) -> None:
        """Answer an event whose arguments, binary ones included, are passed on as they came, and which is in no document.

        Args:
            handler: `async (connection, arguments) -> arguments of the ack`, or None for no ack.

        Raises:
            ValueError: the name is reserved or taken.
        """
        if event in _RESERVED or event in self._commands or event in self.raws:
            raise ValueError(f"the event {event!r} of {self.name} is reserved or taken")
        self.raws[event] = handler

    def emits(self, event: str, model: type[BaseModel], summary: str) -> None:
        """Document an event that the server emits here.

        Raises:
            ValueError: the name is reserved or taken.
        """
        if event in _RESERVED or event in self._events:
            raise ValueError(f"the event {event!r} of {self.name} is reserved or taken")
        self._events[event] = SocketEvent(event, model, summary)

    def find(self, event: str) -> SocketCommand:
        """The command of that name.

        Raises:
            AppError: UNKNOWN_COMMAND.
        """
        command = self._commands.get(event)
        if command is None:
            raise AppError("UNKNOWN_COMMAND", f"{self.name} has no such command")
        return command

    def label(self, event: str) -> str:
        """The name of a command for limits and metrics; one for all that are none."""
        return event if event in self._commands else UNKNOWN

    def tally(self, event: str) -> Tally:
        """Where the answers to a command are counted; one place for all that are none."""
        command = self._commands.get(event)
        return self._unknown if command is None else command.tally

    @property
    def commands(self) -> Iterator[SocketCommand]:
        """All commands, in the order in which they were added."""
        return iter(self._commands.values())

    @property
    def events(self) -> Iterator[SocketEvent]:
        """All emitted events, in the order in which they were added."""
        return iter(self._events.values())


def is_reserved(event: str) -> bool:
    """Whether a client may not use the name for a command at all."""
    return event in _RESERVED
