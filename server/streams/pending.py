"""A command on its way: what is asked, what is known of its key, what it comes to."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from typing import Any

import orjson

from models.rules.records import record
from models.rules.stream import Command, Rejected
from server.clock import local_id
from server.errors import AppError
from server.streams.keys import KnownKey


@record
class Answer:
    """What a command came to: the ack's fields, and whether they are the repeated answer to an earlier try."""

    fields: Mapping[str, Any]
    replayed: bool = False


class Pending:
    """A command on its way through the queue.

    Args:
        id_: the name that another instance gave to a command of its own, which is to be decided here.

    Attributes:
        stays: whether it is decided here, whoever else writes to the stream.
        doubtful: whether another instance was asked to decide it, and may do so yet.
    """

    __slots__ = ("command", "deadline", "digest", "doubtful", "future", "id", "outcome", "stays")

    def __init__(
        self, command: Command, future: asyncio.Future[Answer], deadline: float, id_: str | None = None
    ) -> None:
        self.id = id_ or local_id()
        self.stays = id_ is not None
        self.doubtful = False
        self.command = command
        self.future = future
        self.deadline = deadline
        self.digest = payload_digest(command) if command.key is not None else ""
        self.outcome: Answer | AppError | None = None

    def settle(self, outcome: Answer | AppError) -> None:
        """Answer the caller, unless it was answered already (its deadline passed).

        A refusal is final, and so none where another instance may still accept.
        """
        if self.future.done():
            return
        if isinstance(outcome, AppError):
            if self.doubtful:
                outcome = AppError("UNAVAILABLE", "It may have happened: the same key tells")
            self.future.set_exception(outcome)
        else:
            self.future.set_result(outcome)


def payload_digest(command: Command) -> str:
    """What two tries with the same key must have in common: the name and the payload, not the context."""
    return hashlib.sha256(orjson.dumps([command.name, dict(command.payload)], option=orjson.OPT_SORT_KEYS)).hexdigest()


def rejection(rejected: Rejected) -> AppError:
    """The rules' refusal as an answer; field errors get their own place."""
    details = dict(rejected.details)
    errors = details.pop("errors", None)
    return AppError(rejected.code, rejected.message, details=details, errors=errors)


def replay(pending: Pending, known: KnownKey) -> Answer | AppError:
    """What a command with a used key is told: the first answer, or that its payload is another."""
    if known.digest != pending.digest:
        return AppError("IDEMPOTENCY_MISMATCH")
    return Answer(known.answer, replayed=True)
