"""Exported logs of an auction and their verification, offline (bidding.md, rule 4).

A log is JSON Lines: each line is a public event as clients see it, `{seq, t, type, ..., hash}`. An auditor's export adds to
each line `"private": {...}`, which the hash doesn't cover but whose content the hashed commitments do; of a hidden format it
is the stream of truth. The chain is checked always, the resolution where the private fields are there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from models.rules.auction.amounts import MAX_AMOUNT, is_integer
from models.rules.auction.audit import Audit, PublicAudit
from models.rules.canonical import GENESIS, canonical_json, chain_hash
from models.rules.stream import Event
from models.rules.times import from_rfc3339

__all__ = ["GENESIS", "Report", "canonical_json", "chain_hash", "verify"]

_HASH: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_ENVELOPE: Final = frozenset({"seq", "t", "type", "hash", "private"})


@dataclass(frozen=True, slots=True)
class Report:
    """What verification found.

    Attributes:
        ok: nothing is wrong.
        events: how many events were found good, from the first.
        broken_seq: the event at which it breaks, 1 for the first; None if none does.
        reason: what is wrong with it.
        resolution_checked: whether the private fields were there, so that the outcome was worked out again.
        head: the hash of the last good event. A log that was cut off at its end verifies; this tells it from the whole.
    """

    ok: bool
    events: int
    broken_seq: int | None
    reason: str | None
    resolution_checked: bool
    head: str


class _Broken(Exception):
    """The reason why an event is wrong."""


def verify(lines: Iterable[str | bytes]) -> Report:
    """Verify an exported log, line by line; the first fault ends it. Never raises for what a log may contain."""
    check = _Verification()
    try:
        for line in lines:
            check.take(line)
    except _Broken as broken:
        return Report(False, check.events, check.events + 1, str(broken), check.audited, check.head)
    if not check.events:
        return Report(False, 0, None, "the log is empty", False, GENESIS)
    return Report(True, check.events, None, None, check.audited, check.head)


class _Verification:
    def __init__(self) -> None:
        self.events = 0
        self.head = GENESIS
        self.audited = False
        self._t = 0
        self._has_private = False
        self._public_audit = PublicAudit()
        self._audit: Audit | None = None

    def take(self, line: str | bytes) -> None:
        """Check the next line and take it in."""
        fields = _parse(line)
        private = fields.pop("private", None)
        link = fields.pop("hash", None)
        self._check_order(fields)
        if not isinstance(link, str) or not _HASH.fullmatch(link):
            raise _Broken("hash is not 64 lower-case hexadecimal digits")
        if chain_hash(self.head, fields) != link:
            raise _Broken("hash does not match: this event was altered, or one before it was put in or taken out")
        event = _event(fields, private)
        self._check_private(event, private)
        self._check_content(event)
        self.events += 1
        self.head = link
        self._t = event.t

    def _check_order(self, fields: Mapping[str, Any]) -> None:
        seq = fields.get("seq")
        if not is_integer(seq):
            raise _Broken("seq is not an integer")
        if seq != self.events + 1:
            raise _Broken(f"seq is {seq} where {self.events + 1} is due")
        try:
            t = from_rfc3339(fields["t"])
        except (KeyError, TypeError, ValueError):
            raise _Broken("t is not a time of the form 2026-11-21T10:00:00.000Z") from None
        if t < self._t:
            raise _Broken("t goes back")
        if not isinstance(fields.get("type"), str):
            raise _Broken("type is not text")

    def _check_private(self, event: Event, private: Any) -> None:
        if private is not None and not isinstance(private, dict):
            raise _Broken("private is not an object")
        if event.seq == 1:
            self._has_private = private is not None
            # a projection's private fields only name its source
            if private is not None and "source" not in private:
                self._audit = Audit()
                self.audited = True
        elif (private is not None) != self._has_private:
            raise _Broken("either all events have private fields or none has")

    def _check_content(self, event: Event) -> None:
        try:
            reason = self._public_audit.check(event)
            if reason is None and self._audit is not None:
                reason = self._audit.check(event)
        except (LookupError, TypeError, ValueError, AttributeError, AssertionError, OverflowError) as error:
            raise _Broken(f"its fields are not those of {event.type}: {type(error).__name__} {error}") from None
        if reason is not None:
            raise _Broken(reason)


def _event(fields: Mapping[str, Any], private: Any) -> Event:
    public = {name: value for name, value in fields.items() if name not in _ENVELOPE}
    return Event(fields["seq"], from_rfc3339(fields["t"]), fields["type"], public, private or {})


def _parse(line: str | bytes) -> dict[str, Any]:
    """One line as an object, as strictly as JSON allows: what two readers could read differently is refused."""
    try:
        text = line.decode() if isinstance(line, bytes) else line
    except UnicodeDecodeError:
        raise _Broken("the line is not UTF-8") from None
    text = text.removesuffix("\n")
    if text != text.strip():
        raise _Broken("the line has blanks around it")
    try:
        found = json.loads(
            text,
            object_pairs_hook=_unique,
            parse_float=_refuse_number,
            parse_constant=_refuse_number,
            parse_int=_integer,
        )
    except _Broken:
        raise
    except (ValueError, RecursionError) as error:
        raise _Broken(f"the line is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise _Broken("the line is not an object")
    try:
        canonical_json(found)
    except UnicodeEncodeError:  # an escaped lone surrogate
        raise _Broken("text is not valid Unicode") from None
    return found


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Broken("a key appears twice")
    return found


def _refuse_number(text: str) -> NoReturn:
    raise _Broken(f"{text} is not an integer")


def _integer(text: str) -> int:
    if len(text) > 17 or abs(int(text)) > MAX_AMOUNT or text == "-0":
        raise _Broken(f"{text[:20]} is not an integer that every reader holds exactly")
    return int(text)
