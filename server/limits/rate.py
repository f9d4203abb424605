"""How often something may happen, as settings say it: `100/15m` is a hundred at once, and one more every nine seconds."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Final

from pydantic import AfterValidator

_FORM: Final = re.compile(r"([1-9][0-9]{0,6})/([1-9][0-9]{0,3})?([smh])", re.ASCII)
_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600}


@dataclass(frozen=True)
class Rate:
    """A token bucket: it holds `count`, and is filled from empty to full in `period_s` seconds."""

    count: int
    period_s: float

    @cached_property
    def each_s(self) -> float:
        """Seconds until one more is allowed."""
        return self.period_s / self.count

    def times(self, factor: int) -> Rate:
        """The same for so many at once."""
        return Rate(self.count * factor, self.period_s)

    @classmethod
    def parse(cls, text: str) -> Rate:
        """`<count>/<number?><s|m|h>`.

        Raises:
            ValueError: another form.
        """
        found = _FORM.fullmatch(text)
        if found is None:
            raise ValueError("must be like 100/15m: a count, and a number of s, m or h")
        count, number, unit = found.groups()
        return cls(int(count), int(number or 1) * _SECONDS[unit])


def _checked(text: str) -> str:
    Rate.parse(text)
    return text


RateText = Annotated[str, AfterValidator(_checked)]
"""A rate in settings."""
