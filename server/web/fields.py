"""Field types that every schema shares: what is strict about them is decided here once.

Bodies are strict: `"5"` and `5.0` are not integers. Names that a schema does not know are ignored, so that clients may be newer
than the server; where a slip would cost money the schema forbids them instead.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
    model_validator,
)

from models.rules.auction.currencies import CURRENCIES
from server.clock import to_ms, to_rfc3339

MOST_MINOR_UNITS: Final = 9_007_199_254_740_991
"""2**53 - 1: the largest integer that every JSON reader keeps exact."""

_RFC3339 = re.compile(r"(\d{4}-\d{2}-\d{2})[Tt](\d{2}:\d{2}:\d{2})(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})", re.ASCII)
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


class Body(BaseModel):
    """A request's body: strict types, unknown names ignored."""

    model_config = ConfigDict(strict=True, extra="ignore")


class Query(BaseModel):
    """A query string: everything arrives as text and is converted."""

    model_config = ConfigDict(extra="ignore")


class Answer(BaseModel):
    """A successful answer."""

    model_config = ConfigDict(serialize_by_alias=True)


def printable(text: str) -> str:
    """The text itself, if it has no control characters besides line breaks and tabs.

    Raises:
        ValueError: it has.
    """
    if _CONTROL.search(text):
        raise ValueError("must not contain control characters")
    return text


def one_line(text: str) -> str:
    """The text itself, if it has no control characters and no line breaks.

    Raises:
        ValueError: it has.
    """
    if _CONTROL.search(text) or not text.isprintable():
        raise ValueError("must be one line without control characters")
    return text


def parse_moment(value: object) -> int:
    """Milliseconds since the epoch for an RFC 3339 time with a zone, between 1970 and 9999.

    Raises:
        ValueError: it is something else.
    """
    match = _RFC3339.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("must be an RFC 3339 time with a zone, such as 2026-11-21T10:00:00.000Z")
    day, clock, fraction, zone = match.groups()
    fraction = (fraction or ".0")[:7]
    try:
        moment = datetime.fromisoformat(f"{day}T{clock}{fraction:0<7}{'+00:00' if zone in 'Zz' else zone}")
        ms = to_ms(moment.astimezone(UTC))
    except (ValueError, OverflowError):
        raise ValueError("is not a time of the calendar") from None
    if ms < 0:
        raise ValueError("must not be before 1970")
    return ms


def _moment_in(value: object) -> object:
    return parse_moment(value)


def _moment_out(ms: int) -> str:
    return to_rfc3339(ms)


Moment = Annotated[
    int,
    BeforeValidator(_moment_in),
    PlainSerializer(_moment_out, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-11-21T10:00:00.000Z"]}),
]
"""A time of a request, held as ms: RFC 3339 with a zone."""

Timestamp = Annotated[
    str, WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-11-21T10:00:00.000Z"]})
]
"""A time of an answer: RFC 3339 UTC with milliseconds."""

Printable = Annotated[str, AfterValidator(printable)]
"""Text without control characters."""

Id = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[0-9A-Za-z_-]+$")]
"""The id of anything."""

Amount = Annotated[int, Field(ge=0, le=MOST_MINOR_UNITS)]
"""Money in minor units; the currency is beside it."""


def known_currency(code: str) -> str:
    """The code itself, if ISO 4217 has it.

    Raises:
        ValueError: it does not.
    """
    if code not in CURRENCIES:
        raise ValueError("is not an ISO 4217 currency")
    return code


Currency = Annotated[str, AfterValidator(known_currency), Field(examples=["EUR"])]
"""ISO 4217."""


class LocationIn(Body):
    """A place on the map, an address, or neither when the work is remote; coordinates come in pairs."""

    lat: float | None = Field(None, ge=-90, le=90)
    lng: float | None = Field(None, ge=-180, le=180)
    address: Printable = Field("", max_length=300)
    remote: bool = False

    @model_validator(mode="after")
    def _both_or_none(self) -> Self:
        if (self.lat is None) != (self.lng is None):
            raise ValueError("lat and lng come together")
        return self


def _drop_default(schema: dict[str, Any]) -> None:
    schema.pop("default", None)


def absent(**limits: Any) -> Any:
    """The default of a field that may be left out but not be null; whether it was sent is in `model_fields_set`."""
    return Field(default=None, json_schema_extra=_drop_default, **limits)


def split_list(value: Any) -> Any:
    """`a,b` and repeated parameters are the same list; empty parts don't count."""
    parts = [value] if isinstance(value, str) else value
    if not isinstance(parts, list):
        return parts
    return [piece.strip() for part in parts for piece in str(part).split(",") if piece.strip()]
