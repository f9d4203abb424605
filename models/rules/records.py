"""Plain values: what is made once and never changed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def record(cls: type[T]) -> type[T]:
    """A dataclass with slots that the type checker holds frozen.

    At run time it is not, because a frozen one sets each field through a call: an event of fifteen fields took 4 us instead of
    0.4, and each bid makes five such values.
    """
    return dataclass(slots=True)(cls)
