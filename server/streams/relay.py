"""Between instances: commands that another one decides, since it is writing their stream, and its answers.

Never the truth: what the bus loses is decided at home (`server.streams.handover`), and a key makes that harmless. Messages are
signed with a key that only the instances have, so that who can write to Redis still can't bid in somebody's name.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final, Protocol

import orjson
import structlog

from models.rules.stream import Command
from server.clock import Clock
from server.errors import CODES, AppError
from server.streams import metrics
from server.streams.bus import Bus
from server.streams.pending import Answer, Pending

log = structlog.get_logger(__name__)

_ADDRESS: Final = "@"
"""What an instance's own channel begins with; no kind of stream does."""

_SIGNATURE: Final = 16

Outcome = Answer | AppError


class Local(Protocol):
    """A stream on this instance, as its relay sees it."""

    @property
    def host(self) -> str | None:
        """The instance that decides this one's own commands at present; None for itself."""
        ...

    def visit(self, guest: str, id_: str, command: Command, patience_s: float) -> asyncio.Future[Answer]:
        """Decide a command of another instance here, within so long or not at all."""
        ...

    def answered(self, host: str, elsewhere: str | None, outcomes: Sequence[tuple[str, Outcome]]) -> None:
        """Another instance has decided commands of this one, by id. `elsewhere`: who decides that one's own."""
        ...


class Relay:
    """One instance's end.

    Args:
        bus: between the instances. clock: the cluster's. source: name of this one. secret: what all of them share.
        local: a stream of this instance by its name; raises AppError for one that can't be.
    """

    def __init__(self, bus: Bus, clock: Clock, source: str, secret: str, local: Callable[[str], Local]) -> None:
        self._bus = bus
        self._clock = clock
        self._source = source
        self._key = hashlib.blake2b(secret.encode(), person=b"rialto relay").digest()
        self._local = local
        self._replies: dict[tuple[str, str], list[list[Any]]] = {}

    @property
    def up(self) -> bool:
        """Whether messages are expected to arrive now."""
        return self._bus.up

    async def start(self) -> None:
        """Listen to the other instances."""
        await self._bus.watch(_ADDRESS + self._source)

    def ask(self, host: str, stream: str, pendings: Iterable[Pending], patience_s: float) -> bool:
        """Have another instance decide commands, in this order, within so long; it may never answer. False: they can't be said in JSON."""
        commands = [
            [
                pending.id,
                (command := pending.command).name,
                command.actor,
                command.payload,
                command.key,
                command.context,
            ]
            for pending in pendings
        ]
        try:
            until = self._clock.now() + int(patience_s * 1000)
            self._send(host, {"stream": stream, "until": until, "commands": commands})
        except TypeError:
            log.error("relay.not_json", stream=stream, exc_info=True)
            return False
        metrics.RELAYED.inc(len(commands))
        return True

    def takes(self, channel: str) -> bool:
        """Whether a channel of the bus is an instance's own, and no stream's."""
        return channel.startswith(_ADDRESS)

    def arrived(self, packed: bytes) -> None:
        """Take a message that came on this instance's channel; what is none of ours is dropped."""
        signature, body = packed[:_SIGNATURE], packed[_SIGNATURE:]
        if not hmac.compare_digest(signature, self._signature(body)):
            log.warning("relay.forged")
            return
        message = orjson.loads(body)
        try:
            local = self._local(message["stream"])
        except AppError:
            log.warning("relay.unknown_stream", stream=message["stream"])
            return
        if "commands" in message:
            self._visited(local, message)
        else:
            outcomes = [(id_, _outcome(*rest)) for id_, *rest in message["answers"]]
            local.answered(message["from"], message["elsewhere"], outcomes)

    def _visited(self, local: Local, message: Mapping[str, Any]) -> None:
        patience_s = (message["until"] - self._clock.now()) / 1000
        if patience_s <= 0:
            return  # it was held up for so long that they are decided at home by now
        guest, stream = message["from"], message["stream"]
        for id_, name, actor, payload, key, context in message["commands"]:
            future = local.visit(guest, id_, Command(name, actor, payload, key, context), patience_s)
            future.add_done_callback(partial(self._settled, local, guest, stream, id_))

    def _settled(self, local: Local, guest: str, stream: str, id_: str, future: asyncio.Future[Answer]) -> None:
        """Answers of one turn of the loop travel together: a commit settles many."""
        replies = self._replies.get((guest, stream))
        if replies is None:
            replies = self._replies[guest, stream] = []
            asyncio.get_running_loop().call_soon(self._reply, local, guest, stream)
        replies.append([id_, *_said(future)])

    def _reply(self, local: Local, guest: str, stream: str) -> None:
        answers = self._replies.pop((guest, stream))
        self._send(guest, {"stream": stream, "elsewhere": local.host, "answers": answers})

    def _send(self, instance: str, message: Mapping[str, Any]) -> None:
        body = orjson.dumps({"from": self._source, **message}, default=_plain)
        self._bus.send(_ADDRESS + instance, self._signature(body) + body)

    def _signature(self, body: bytes) -> bytes:
        return hashlib.blake2b(body, key=self._key, digest_size=_SIGNATURE).digest()


def _said(future: asyncio.Future[Answer]) -> tuple[Any, bool, Any]:
    """An outcome in JSON: fields, whether replayed, error."""
    error = AppError("UNAVAILABLE") if future.cancelled() else future.exception()
    if error is None:
        answer = future.result()
        return answer.fields, answer.replayed, None
    if not isinstance(error, AppError):
        error = AppError("INTERNAL")
    return None, False, [error.code, error.message, error.details, error.errors]


def _outcome(fields: Mapping[str, Any], replayed: bool, error: Sequence[Any] | None) -> Outcome:
    if error is None:
        return Answer(fields, replayed)
    code, message, details, errors = error
    if code not in CODES:  # of a newer release
        return AppError("UNAVAILABLE")
    return AppError(code, message, details=details, errors=errors)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError
