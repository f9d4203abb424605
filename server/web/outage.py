"""Which exceptions of the stores mean "not now" rather than "wrong"."""

from __future__ import annotations

from typing import Final

from pymongo.errors import (
    ConnectionFailure,
    ExecutionTimeout,
    InvalidOperation,
    OperationFailure,
    PyMongoError,
    WriteConcernError,
    WTimeoutError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

_PASSING: Final = frozenset({6, 7, 50, 64, 89, 91, 100, 189, 262, 9001, 10107, 11600, 11602, 13435, 13436})
"""Codes of MongoDB's own "retryable" list: unreachable hosts, elections, shutdowns, time limits."""


def is_outage(error: BaseException) -> bool:
    """Whether a database or Redis is away for the moment, so that the same command may succeed later."""
    if isinstance(error, ConnectionFailure | ExecutionTimeout | WTimeoutError | WriteConcernError):
        return True
    if isinstance(error, InvalidOperation):
        return "after close" in str(error)  # the process is shutting down
    if isinstance(error, OperationFailure) and error.code in _PASSING:
        return True
    if isinstance(error, PyMongoError):
        return error.has_error_label("RetryableWriteError") or error.has_error_label("TransientTransactionError")
    if isinstance(error, RedisError):
        return isinstance(error, RedisConnectionError | RedisTimeoutError)
    return False
