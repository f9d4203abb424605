"""Names: of a room's stream, of what a room is about, and of people who are not to be known yet."""

from __future__ import annotations

import re
from typing import Final

ROOM_KIND: Final = "room"
"""Streams of rooms."""

DM: Final = "dm"
JOB: Final = "job"
CONTRACT: Final = "contract"

_GUEST: Final = "Guest "
_ALIAS_LENGTH: Final = 6
_NAME: Final = rf"{_GUEST}[0-9a-z]{{{_ALIAS_LENGTH}}}|[0-9A-Za-z_-]{{1,64}}"
_MENTION: Final = re.compile(rf"(?<![0-9A-Za-z_@-])@({_NAME})(?![0-9A-Za-z_-])")

NAME_PATTERN: Final = rf"^(?:{_NAME})$"
"""What a member is called in a room: its user id, or a pseudonym."""


def room_stream(room: str) -> str:
    """The stream of a room."""
    return f"{ROOM_KIND}:{room}"


def room_id(stream: str) -> str:
    """The room's id, from its stream's name."""
    return stream.partition(":")[2]


def dm_place(one: str, other: str) -> str:
    """What the one room of two people is found by."""
    first, second = sorted((one, other))
    return f"{DM}:{first}:{second}"


def job_place(job: str) -> str:
    """What the room of a job is found by."""
    return f"{JOB}:{job}"


def contract_place(contract: str) -> str:
    """What the room of a contract is found by."""
    return f"{CONTRACT}:{contract}"


def pseudonym(random_letters: str) -> str:
    """`Guest 7k2f9q`, of random letters and digits: a number would tell how many were there before."""
    return f"{_GUEST}{random_letters[:_ALIAS_LENGTH]}"


def names_in(text: str) -> list[str]:
    """Names behind an `@` in a text, in order; whether anybody is called so is another question."""
    return _MENTION.findall(text)
