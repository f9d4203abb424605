"""What all people do: arrive, log in, connect, think, leave for a while and come back."""

from __future__ import annotations

import functools
import secrets
import time
from collections.abc import Callable
from typing import Any, ClassVar, Final, TypeVar

import gevent
from locust import User, task
from locust.env import Environment

from loadtest.people.world import World, world_of
from loadtest.record import milliseconds
from loadtest.wire.connection import Connection
from loadtest.wire.follow import Fault
from loadtest.wire.listener import Ack, NoAnswer
from loadtest.wire.rest import Answer
from loadtest.wire.transport import Lost, Transport

P = TypeVar("P", bound="Person")

_TRIES: Final = 5
_BACK_S: Final = 20.0
"""Within this time a connection should be back."""

_RETRYABLE: Final = frozenset({"UNAVAILABLE", "RATE_LIMITED"})
_RESUMES: Final = 0.7
"""Of those who come back; the others begin anew."""

_LOGS_OUT: Final = 0.2
"""Of those who leave."""

_LATE_S: Final = 10.0
"""An event that has not come by then is missing."""


def habit(weight: int) -> Callable[[Callable[[P], None]], Callable[[P], None]]:
    """Something that a person does now and then: a Locust task for somebody who is there, and bears a lost connection."""

    def decorate(deed: Callable[[P], None]) -> Callable[[P], None]:
        @functools.wraps(deed)
        def perform(person: P) -> None:
            try:
                person.be_there()
                deed(person)
            except (Lost, NoAnswer):
                return  # it is recorded where it happened

        decorated: Callable[[P], None] = task(weight)(perform)
        return decorated

    return decorate


def new_key() -> str:
    """A key for one command, the same for all its tries."""
    return secrets.token_hex(12)


class Person(User):
    """Somebody at the market, perhaps with a socket.

    Attributes:
        think_s: mean pause between two things that they do.
        stay_s: mean length of a visit. away_s: mean pause until the next one.
        namespaces: entered by those with a socket.
    """

    abstract = True
    think_s: ClassVar[float] = 10.0
    stay_s: ClassVar[float] = 180.0
    away_s: ClassVar[float] = 8.0
    namespaces: ClassVar[tuple[str, ...]] = ()

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.world: World = world_of(environment)
        self.dice = self.world.dice
        self.email = ""
        self.token = ""
        self.user: dict[str, Any] = {}
        self.url = self.world.url()
        self.connection: Connection | None = None
        self._transport = self.world.transport()
        self._there_until = 0.0

    # -- what the kinds of people fill in -----------------------------------------------------------------------------

    def account(self) -> str:
        """The e-mail address to log in with; empty for a stranger."""
        return ""

    def settle_in(self) -> None:
        """What is done at the beginning of a visit that is not the continuation of another."""

    def heard(self, namespace: str, event: str, payload: dict[str, Any]) -> None:
        """The server sent something. Must not wait."""

    # -- coming and going ---------------------------------------------------------------------------------------------

    def wait_time(self) -> float:
        """Seconds until the next thing to do."""
        return min(self.dice.expovariate(1 / self.think_s), 4 * self.think_s) * self.world.pace

    def on_start(self) -> None:
        """Locust: the user is there."""
        self.email = self.account()

    def on_stop(self) -> None:
        """Locust: the user ends."""
        if self.connection is not None:
            self.world.connections.discard(self.connection)
            self.connection.close()

    def be_there(self) -> None:
        """Arrive, or leave and come back, whichever it is time for.

        Raises:
            Lost: this time it could not be done.
        """
        if not self._there_until:
            self._arrive()
        elif time.monotonic() > self._there_until:
            self._leave()
            gevent.sleep(self.dice.expovariate(1 / self.away_s) * self.world.pace)
            self._arrive()
        elif self.connection is not None and not self.connection.wait(_BACK_S * (not self.connection.refused)):
            if not self.connection.refused:
                self.world.record.broken("reconnect", _BACK_S * 1000, "not back in time")
            self.connection.close()
            self._there_until, self.token = 0.0, ""
            self._arrive()

    def _arrive(self) -> None:
        if self.email and not self.token:
            login = self.world.log_in(self.email)
            if not login:
                raise Lost("no login")
            self.token, self.user = login["access_token"], login["user"]
        fresh = True
        if self.namespaces:
            fresh = self._connect()
        self._there_until = time.monotonic() + self.dice.expovariate(1 / self.stay_s) * self.world.pace
        if fresh:
            self.settle_in()

    def _connect(self) -> bool:
        """Open the connection; tells whether there is nothing to go on with."""
        fresh = self.connection is None
        if self.connection is None:
            self.connection = Connection(self._reach, self._auth, self.namespaces, self.world.record, self.heard)
        elif self.dice.random() > _RESUMES:
            self.connection.close(forget=True)
            fresh = True
        self.connection.start()
        self.world.connections.add(self.connection)
        if fresh:
            self.compare_clocks()
        return fresh

    def _reach(self) -> Transport:
        self.url = self.world.url()
        return self._transport(self.url)

    def _auth(self) -> dict[str, Any]:
        return {"token": self.token} if self.token else {}

    def _leave(self) -> None:
        self._there_until = 0.0
        self._miss_nothing()
        if self.connection is not None:
            self.world.connections.discard(self.connection)
            self.connection.close()
        if self.token and self.dice.random() < _LOGS_OUT:
            self.rest("POST", "/auth/logout")
            self.token = ""

    def _miss_nothing(self) -> None:
        """Hold one of the streams against its head: that its last event never came shows in no gap."""
        if self.connection is None or not self.connection.open:
            return
        namespace, stream = self.dice.choice(self.connection.followed() or [("", "")])
        head = self.rest("GET", f"/streams/{stream}", "/streams/{stream}") if stream else None
        if head is None or head.code:
            return
        deadline = time.monotonic() + _LATE_S
        while (seen := self.connection.seen(namespace, stream)) is not None and seen < head.body["seq"]:
            if time.monotonic() > deadline:
                detail = f"{stream}: {seen} is the last that came, and {head.body['seq']} was there {_LATE_S:.0f} s ago"
                self.world.record.fault(namespace, Fault("missing", detail))
                return
            gevent.sleep(0.1)
            if not self.connection.open:
                return

    # -- what everybody can do ----------------------------------------------------------------------------------------

    def command(self, namespace: str, event: str, payload: dict[str, Any]) -> Ack:
        """Send a command, again while a retry can help; its key makes that safe.

        Raises:
            Lost, NoAnswer: nothing helped.
        """
        assert self.connection is not None
        trouble: Exception = Lost("no answer that counts")
        for _ in range(_TRIES):
            try:
                ack = self.connection.call(namespace, event, payload)
            except (Lost, NoAnswer) as error:
                trouble = error
                if not self.connection.wait(_BACK_S):
                    break
                continue
            if ack.code not in _RETRYABLE:
                return ack
            details = ack.body["error"].get("details", {})
            gevent.sleep(details.get("retry_after_ms", 500) / 1000)
        raise trouble

    def rest(self, method: str, path: str, name: str = "", **request: Any) -> Answer:
        """A REST call with one's token; `name` stands for the path where that holds ids."""
        return self.world.call(self.world.url(), method, path, name=name, token=self.token, **request)

    def compare_clocks(self) -> None:
        """`sync_time`, in the first namespace."""
        assert self.connection is not None
        sent = milliseconds()
        ack = self.connection.call(self.namespaces[0], "sync_time", {"t0": sent})
        if not ack.code:
            self.world.clock.learn(sent, ack.body["t1"], ack.body["t2"], sent + ack.ms)
