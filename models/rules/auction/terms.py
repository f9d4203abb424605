"""The terms of an auction: fixed when it opens, public but for the reserve."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from models.rules.auction.amounts import MAX_AMOUNT
from models.rules.auction.currencies import CURRENCIES
from models.rules.auction.fields import Fields
from models.rules.auction.increments import Increments, default_increments
from models.rules.auction.naming import HIDDEN_FORMATS
from models.rules.times import LATEST, from_rfc3339, to_rfc3339

FORMATS: Final = ("reverse", "english", "sealed", "proposal")
DAY_MS: Final = 86_400_000
MAX_DURATION_MS: Final = 365 * DAY_MS
MAX_WINDOW_S: Final = 7 * 86_400
START_GRACE_MS: Final = 60_000
"""A start up to a minute in the past is taken as "now": the command was under way, or the client's clock is off."""

_MAX_ROWS: Final = 100
_DIRECTIONS: Final = ("reverse", "forward")
_FIXED_DIRECTION: Final = {"reverse": "reverse", "english": "forward"}
_FIELDS: Final = frozenset(
    {
        "format",
        "direction",
        "currency",
        "start_amount",
        "minimum_amount",
        "reserve_amount",
        "increments",
        "start_at",
        "end_at",
        "soft_close",
        "confirm_jump_percent",
        "show_count",
    }
)


@dataclass(frozen=True, slots=True)
class Terms:
    """What an auction is held under.

    Attributes:
        format: `reverse`, `english`, `sealed` or `proposal`.
        direction: `reverse` (less is better) or `forward`. `reverse` and `english` imply theirs; the others default to
            `reverse`, since on this market freelancers bid for work.
        currency: ISO 4217.
        start_amount: no bid may be worse; the ceiling in reverse, the floor in forward.
        minimum_amount: no bid may be less; 1 unless given.
        reserve_amount: hidden; at least as good as the start. Without effect on proposals, where the client chooses.
        increments: see `default_increments` for when none are given.
        start_at, end_at: ms; `end_at` as first planned, extensions and pauses move the state's.
        window_ms, extension_ms: the soft close, 0 without one; sealed bids and proposals are never extended.
        hard_end_at: ms; no extension passes it. None: extensions go on as long as bids do.
        confirm_jump_percent: a bid further than this from the price needs `confirm`; None: none does.
        show_count: whether the number of sealed bids is public while they run. Other formats always show it.
        hidden: whether submissions are private.
        sign: bidding.md's `d`: +1 forward, -1 reverse.
    """

    format: str
    direction: str
    currency: str
    start_amount: int
    minimum_amount: int
    reserve_amount: int | None
    increments: Increments
    start_at: int
    end_at: int
    window_ms: int = 0
    extension_ms: int = 0
    hard_end_at: int | None = None
    confirm_jump_percent: int | None = None
    show_count: bool = True
    hidden: bool = field(init=False)
    sign: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "hidden", self.format in HIDDEN_FORMATS)
        object.__setattr__(self, "sign", 1 if self.direction == "forward" else -1)

    def step(self, price: int) -> int:
        """The least improvement on a price: bidding.md's `step(p)`."""
        return max(self.minimum_amount, price + self.sign * self.increments.at(price))

    def next_amount(self, price: int | None) -> int | None:
        """The weakest amount a challenger may bid at this price; None when nothing better is possible."""
        if price is None:
            return self.start_amount
        amount = self.step(price)
        return amount if self.sign * amount > self.sign * price and amount <= MAX_AMOUNT else None

    def meets_reserve(self, amount: int) -> bool | None:
        """Whether an amount is at least as good as the reserve; None without one."""
        if self.reserve_amount is None:
            return None
        return self.sign * amount >= self.sign * self.reserve_amount

    def to_json(self) -> dict[str, Any]:
        """The public form, without the reserve; times as RFC 3339."""
        return {
            **self._plain(),
            "start_at": to_rfc3339(self.start_at),
            "end_at": to_rfc3339(self.end_at),
            "soft_close": self._soft_close(None if self.hard_end_at is None else to_rfc3339(self.hard_end_at)),
        }

    def to_command(self) -> dict[str, Any]:
        """The form that `parse_terms` takes: times in ms, the reserve included."""
        return {
            **self._plain(),
            "reserve_amount": self.reserve_amount,
            "start_at": self.start_at,
            "end_at": self.end_at,
            "soft_close": self._soft_close(self.hard_end_at),
        }

    def _plain(self) -> dict[str, Any]:
        return {
            "format": self.format,
            "direction": self.direction,
            "currency": self.currency,
            "start_amount": self.start_amount,
            "minimum_amount": self.minimum_amount,
            "increments": [{"from": start, "step": step} for start, step in self.increments.rows],
            "confirm_jump_percent": self.confirm_jump_percent,
            "show_count": self.show_count,
        }

    def _soft_close(self, hard_end_at: str | int | None) -> dict[str, Any]:
        return {
            "window_s": self.window_ms // 1000,
            "extension_s": self.extension_ms // 1000,
            "hard_end_at": hard_end_at,
        }


NO_TERMS: Final = Terms("reverse", "reverse", "XXX", 1, 1, None, Increments(((0, 1),)), 0, 0)
"""Stands in until an auction is opened."""


def public_terms(terms: Mapping[str, Any], reserve_amount: int | None) -> Terms:
    """The terms from `Terms.to_json`'s form, which was valid when it was written."""
    soft_close = terms["soft_close"]
    hard_end_at = soft_close["hard_end_at"]
    return Terms(
        format=terms["format"],
        direction=terms["direction"],
        currency=terms["currency"],
        start_amount=terms["start_amount"],
        minimum_amount=terms["minimum_amount"],
        reserve_amount=reserve_amount,
        increments=Increments(tuple((row["from"], row["step"]) for row in terms["increments"])),
        start_at=from_rfc3339(terms["start_at"]),
        end_at=from_rfc3339(terms["end_at"]),
        window_ms=soft_close["window_s"] * 1000,
        extension_ms=soft_close["extension_s"] * 1000,
        hard_end_at=None if hard_end_at is None else from_rfc3339(hard_end_at),
        confirm_jump_percent=terms["confirm_jump_percent"],
        show_count=terms["show_count"],
    )


def parse_terms(raw: Any, now: int) -> Terms:
    """Terms from the JSON of `open`, whose times are ms.

    Shape: `{format, direction?, currency, start_amount, minimum_amount?, reserve_amount?, increments?: [{from, step}],
    start_at? (else now), end_at, soft_close?: {window_s, extension_s, hard_end_at?}, confirm_jump_percent?, show_count?}`.

    Raises:
        Rejected: VALIDATION_FAILED with `details.errors = [{loc, msg}]`, all of them; `loc` begins at the terms.
    """
    fields = Fields(raw)
    fields.refuse_unknown(_FIELDS)
    format_ = fields.choice("format", FORMATS)
    direction = _direction(fields, format_)
    start_amount = fields.amount("start_amount")
    minimum_amount = fields.amount("minimum_amount", 1)
    reserve_amount = fields.amount("reserve_amount") if fields.has("reserve_amount") else None
    increments = _increments(fields) or default_increments(start_amount)
    start_at, end_at = _times(fields, now)
    window_s, extension_s, hard_end_at = _soft_close(fields, start_at, end_at)
    jump = fields.optional_integer("confirm_jump_percent", 1, 100_000)
    show_count = fields.boolean("show_count") or format_ != "sealed"
    currency = fields.required_text("currency", 3)
    if currency and currency not in CURRENCIES:
        fields.complain("must be an ISO 4217 code", "currency")
    if minimum_amount > start_amount:
        fields.complain("must not be more than start_amount", "minimum_amount")
    if reserve_amount is not None:
        _check_reserve(fields, direction, reserve_amount, start_amount, minimum_amount)
    fields.raise_errors()
    return Terms(
        format_, direction, currency, start_amount, minimum_amount, reserve_amount, increments, start_at, end_at,
        window_s * 1000, extension_s * 1000, hard_end_at, jump, show_count,
    )  # fmt: skip


def _direction(fields: Fields, format_: str) -> str:
    implied = _FIXED_DIRECTION.get(format_)
    direction = fields.choice("direction", _DIRECTIONS, implied or "reverse")
    if implied is not None and direction != implied:
        fields.complain(f"must be {implied} in the format {format_}", "direction")
    return direction


def _increments(fields: Fields) -> Increments | None:
    rows: list[tuple[int, int]] = []
    for row in fields.items("increments", _MAX_ROWS):
        row.refuse_unknown(frozenset({"from", "step"}))
        start, step = row.integer("from", 0, MAX_AMOUNT), row.integer("step", 1, MAX_AMOUNT)
        if not rows and start != 0:
            row.complain("must be 0 in the first row", "from")
        if rows and start <= rows[-1][0]:
            row.complain("must be more than in the row before", "from")
        rows.append((start, step))
    return Increments(tuple(rows)) if rows else None


def _times(fields: Fields, now: int) -> tuple[int, int]:
    start_at = fields.integer("start_at", 0, LATEST, now)
    end_at = fields.integer("end_at", 0, LATEST)
    if start_at < now - START_GRACE_MS:
        fields.complain("must not be in the past", "start_at")
    if start_at > now + MAX_DURATION_MS:
        fields.complain("must be within 365 days", "start_at")
    if end_at <= start_at:
        fields.complain("must be after start_at", "end_at")
    elif end_at - start_at > MAX_DURATION_MS:
        fields.complain("must be at most 365 days after start_at", "end_at")
    if end_at <= now:
        fields.complain("must be in the future", "end_at")
    return start_at, end_at


def _soft_close(fields: Fields, start_at: int, end_at: int) -> tuple[int, int, int | None]:
    if not fields.has("soft_close"):
        return 0, 0, None
    soft_close = fields.nested("soft_close")
    soft_close.refuse_unknown(frozenset({"window_s", "extension_s", "hard_end_at"}))
    window_s = soft_close.integer("window_s", 0, MAX_WINDOW_S)
    extension_s = soft_close.integer("extension_s", 0, MAX_WINDOW_S)
    hard_end_at = soft_close.optional_integer("hard_end_at", 0, LATEST)
    if hard_end_at is not None and hard_end_at < end_at:
        soft_close.complain("must not be before end_at", "hard_end_at")
    if hard_end_at is not None and hard_end_at - start_at > MAX_DURATION_MS:
        soft_close.complain("must be at most 365 days after start_at", "hard_end_at")
    return window_s, extension_s, hard_end_at


def _check_reserve(fields: Fields, direction: str, reserve: int, start: int, minimum: int) -> None:
    if direction == "forward" and reserve < start:
        fields.complain("must not be less than start_amount", "reserve_amount")
    if direction == "reverse" and reserve > start:
        fields.complain("must not be more than start_amount", "reserve_amount")
    if reserve < minimum:
        fields.complain("must not be less than minimum_amount", "reserve_amount")
