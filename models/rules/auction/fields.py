"""Reading a command's JSON: typed fields out, all complaints collected for one VALIDATION_FAILED."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from models.rules.auction.amounts import MAX_AMOUNT, is_integer
from models.rules.stream import Rejected

Loc = tuple[str | int, ...]

MAX_REASON: Final = 500
MAX_LETTER: Final = 10_000
MAX_ID: Final = 128


class Fields:
    """A JSON object under examination. `errors` is shared with nested objects; absent and null are the same."""

    def __init__(self, raw: Any, loc: Loc = (), errors: list[dict[str, Any]] | None = None) -> None:
        self.errors: list[dict[str, Any]] = [] if errors is None else errors
        self.loc = loc
        self._raw: Mapping[str, Any] = {}
        if isinstance(raw, Mapping):
            self._raw = raw
        else:
            self.complain("must be an object")

    def complain(self, msg: str, *loc: str | int) -> None:
        """Note an error at a place below this object."""
        self.errors.append({"loc": [*self.loc, *loc], "msg": msg})

    def raise_errors(self) -> None:
        """Raise Rejected VALIDATION_FAILED if anything was noted."""
        if self.errors:
            raise invalid(*self.errors)

    def has(self, name: str) -> bool:
        """Whether the field is there and not null."""
        return self._raw.get(name) is not None

    def refuse_unknown(self, known: frozenset[str]) -> None:
        """A misspelt field must not be silently without effect."""
        for name in self._raw:
            if name not in known:
                self.complain("unknown field", str(name))

    def integer(self, name: str, least: int, most: int, default: int | None = None) -> int:
        """An integer within bounds; without a default the field is required. `least` stands in for a wrong one."""
        value = self._raw.get(name)
        if value is None and default is not None:
            return default
        if value is None:
            self.complain("is required", name)
        elif not is_integer(value):
            self.complain("must be an integer", name)
        elif not least <= value <= most:
            self.complain(f"must be from {least} to {most}", name)
        else:
            return value
        return least

    def optional_integer(self, name: str, least: int, most: int) -> int | None:
        """An integer within bounds, or None."""
        return self.integer(name, least, most) if self.has(name) else None

    def amount(self, name: str, default: int | None = None) -> int:
        """A positive amount in minor units."""
        return self.integer(name, 1, MAX_AMOUNT, default)

    def boolean(self, name: str) -> bool:
        """True or false; false when absent."""
        value = self._raw.get(name)
        if value is None:
            return False
        if not isinstance(value, bool):
            self.complain("must be true or false", name)
            return False
        return value

    def choice(self, name: str, choices: Sequence[str], default: str | None = None) -> str:
        """One of a few words; without a default the field is required."""
        value = self._raw.get(name)
        if value is None and default is not None:
            return default
        if isinstance(value, str) and value in choices:
            return value
        self.complain("must be one of " + ", ".join(choices), name)
        return choices[0]

    def text(self, name: str, most: int) -> str | None:
        """Text of at most so many characters that UTF-8 can carry; None when absent or blank."""
        value = self._raw.get(name)
        if value is None:
            return None
        if not isinstance(value, str):
            self.complain("must be text", name)
        elif len(value) > most:
            self.complain(f"must have at most {most} characters", name)
        elif not _encodable(value):
            self.complain("must be valid Unicode", name)
        else:
            return value.strip() or None
        return None

    def required_text(self, name: str, most: int) -> str:
        """As `text`, but it must be there."""
        count = len(self.errors)
        value = self.text(name, most)
        if value is None and len(self.errors) == count:
            self.complain("is required", name)
        return value or ""

    def texts(self, name: str, most: int, longest: int) -> list[str]:
        """A list of at most `most` texts; empty when absent."""
        value = self._raw.get(name)
        if value is None:
            return []
        if isinstance(value, str) or not isinstance(value, Sequence) or len(value) > most:
            self.complain(f"must be a list of at most {most}", name)
            return []
        found: list[str] = []
        for index, item in enumerate(value):
            if isinstance(item, str) and 0 < len(item) <= longest and _encodable(item):
                found.append(item)
            else:
                self.complain(f"must be text of 1 to {longest} characters", name, index)
        return found

    def nested(self, name: str) -> Fields:
        """An object inside this one; an absent one reads as empty."""
        value = self._raw.get(name)
        return Fields({} if value is None else value, (*self.loc, name), self.errors)

    def items(self, name: str, most: int) -> list[Fields]:
        """The objects of a list; empty when absent."""
        value = self._raw.get(name)
        if value is None:
            return []
        if isinstance(value, (str, bytes)) or not isinstance(value, Sequence) or not 0 < len(value) <= most:
            self.complain(f"must be a list of 1 to {most} rows", name)
            return []
        return [Fields(item, (*self.loc, name, index), self.errors) for index, item in enumerate(value)]


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def invalid(*errors: Mapping[str, Any]) -> Rejected:
    """VALIDATION_FAILED with its `{loc, msg}` entries."""
    return Rejected("VALIDATION_FAILED", "Some fields are not valid", errors=[dict(error) for error in errors])


def invalid_field(msg: str, *loc: str | int) -> Rejected:
    """VALIDATION_FAILED for one field."""
    return invalid({"loc": list(loc), "msg": msg})
