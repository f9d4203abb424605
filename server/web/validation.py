"""From raw input to a validated model, or VALIDATION_FAILED with the place of every mistake."""

from __future__ import annotations

import json
from typing import Any, Final, TypeVar

import orjson
from pydantic import BaseModel, ValidationError

from server.errors import AppError

M = TypeVar("M", bound=BaseModel)

_MOST_ERRORS: Final = 50
_LONGEST_LOC: Final = 100
_NO_OBJECT: Final = frozenset({"model_type", "model_attributes_type"})
"""Kinds of errors whose message would name a class of ours."""


def field_errors(error: ValidationError, where: str | None = None) -> list[dict[str, Any]]:
    """`[{loc, msg}]` of at most 50 mistakes; `where` (`body`, `query`) goes in front of each loc. Input is not repeated."""
    prefix: list[str | int] = [where] if where else []
    return [
        {
            "loc": prefix + [part[:_LONGEST_LOC] if isinstance(part, str) else part for part in item["loc"]],
            "msg": "must be an object" if item["type"] in _NO_OBJECT else item["msg"].removeprefix("Value error, "),
        }
        for item in error.errors(include_url=False, include_context=False, include_input=False)[:_MOST_ERRORS]
    ]


def validate(model: type[M], data: object, where: str | None = None) -> M:
    """An instance of `model`.

    Raises:
        AppError: VALIDATION_FAILED with `errors`.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise AppError("VALIDATION_FAILED", errors=field_errors(error, where)) from None


def parse_json(raw: bytes) -> Any:
    """Strict JSON: UTF-8, no NaN, no lone surrogates, bounded nesting, no key twice in one object.

    Raises:
        AppError: MALFORMED_JSON.
    """
    try:
        value = orjson.loads(raw)
        # orjson keeps the last of two equal keys, other readers the first; an amount must not depend on who reads.
        json.loads(raw, object_pairs_hook=_unique, parse_int=float)
    except AppError:
        raise
    except (ValueError, RecursionError) as error:
        raise AppError("MALFORMED_JSON") from error
    return value


def _unique(pairs: list[tuple[str, Any]]) -> None:
    if len({name for name, _ in pairs}) != len(pairs):
        raise AppError("MALFORMED_JSON", "A name occurs twice in one object")
