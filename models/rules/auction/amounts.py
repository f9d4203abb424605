"""Amounts of money: integers in minor units."""

from __future__ import annotations

from typing import Any, Final, TypeGuard

MAX_AMOUNT: Final = 2**53 - 1
"""The largest integer that JavaScript holds exactly."""


def is_integer(value: Any) -> TypeGuard[int]:
    """An int and nothing that merely compares like one: no bool, no float."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_amount(value: Any) -> TypeGuard[int]:
    """A positive integer that every client can hold."""
    return is_integer(value) and 0 < value <= MAX_AMOUNT
