"""Incoming Socket.IO packets, held to the protocol. Commands, nearly all there is, take a short way.

python-socketio's own reader is not strict enough: it takes digits of any script, `null` for no data, and binary packets without
the number of their attachments.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import Any, Final, NamedTuple

import orjson

from server.realtime.namespace import is_reserved

ATTACHMENTS: Final = 16
"""Binary attachments of one packet at most."""

_PACKET: Final = re.compile(r"([0-6])(?:(?<=[56])([0-9]{1,10})-)?(/[^,]*(?:,|\Z))?([0-9]{1,100})?", re.ASCII)

_HEAD: Final = re.compile(r'2(?:(/[^,?\[]*),)?([0-9]{1,15})?\["([A-Za-z0-9_:-]{1,64})"', re.ASCII)

Head = re.Match[str]
"""Of an event, what can be told without parsing its arguments: the namespace, unless it is `/`; the number of its ack, if it wants
one; its name. The match itself, which costs half of anything made from it."""

head: Final[Callable[[str], Head | None]] = _HEAD.match
"""The head of a plain event in the form in which clients write it; None for whatever looks otherwise."""

_SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")


class Kind(IntEnum):
    """Packet types of Socket.IO protocol v5."""

    CONNECT = 0
    DISCONNECT = 1
    EVENT = 2
    ACK = 3
    CONNECT_ERROR = 4
    BINARY_EVENT = 5
    BINARY_ACK = 6


class NotText(ValueError):
    """The JSON is sound but for surrogates without their partner, which JavaScript can write and nobody can store or show."""


class Packet(NamedTuple):
    """A well-formed packet. `data`: a dict or None for CONNECT, a list for events and acks, None for DISCONNECT."""

    kind: Kind
    namespace: str
    number: int | None
    data: Any
    attachments: int


def start(of: Head) -> int:
    """Where the list of name and arguments begins."""
    return of.start(3) - 2


def arguments(text: str, of: Head) -> list[Any]:
    """The arguments of the plain event whose head was found.

    Raises:
        NotText: an argument holds half a character.
        ValueError: malformed; the protocol asks to close the connection.
    """
    try:
        data: list[Any] = orjson.loads(text[start(of) :])
    except ValueError:
        if _is_sound_but_for_surrogates(text):
            raise NotText("half a character") from None
        raise
    if is_reserved(data[0]):
        raise ValueError("reserved name")
    return data[1:]


def with_binary(value: Any, attachments: Sequence[bytes]) -> Any:
    """The value with the attachments in the places of their placeholders.

    Raises:
        ValueError: a placeholder for what isn't there, or nested too deeply.
    """
    try:
        return _filled(value, attachments)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _filled(value: Any, attachments: Sequence[bytes]) -> Any:
    if isinstance(value, dict):
        if value.get("_placeholder") is True:
            number = value.get("num")
            if type(number) is not int or not 0 <= number < len(attachments):
                raise ValueError("a placeholder without an attachment")
            return attachments[number]
        return {key: _filled(each, attachments) for key, each in value.items()}
    if isinstance(value, list):
        return [_filled(each, attachments) for each in value]
    return value


def parse(text: str) -> Packet:
    """The packet of an Engine.IO message.

    Raises:
        NotText: an argument of an event holds half a character.
        ValueError: malformed; the protocol asks to close the connection.
    """
    found = _PACKET.match(text)
    if found is None:
        raise ValueError("unknown packet type")
    digit, count, address, number = found.groups()
    payload = text[found.end() :]
    if payload[:1] not in ("", "[", "{"):
        raise ValueError("neither a list nor an object")
    try:
        data = orjson.loads(payload) if payload else None
    except ValueError:
        if _is_sound_but_for_surrogates(text):
            raise NotText("half a character") from None
        raise
    namespace = address.rstrip(",").partition("?")[0] if address else "/"
    packet = Packet(Kind(int(digit)), namespace, int(number) if number else None, data, int(count or 0))
    if not _is_valid(packet):
        raise ValueError("invalid packet")
    return packet


def _is_sound_but_for_surrogates(text: str) -> bool:
    """Whether whole characters in their places would make it well-formed."""
    repaired = _SURROGATE.sub(r"\\ufffd", text)
    if repaired == text or head(text) is None:
        return False
    try:
        return _is_valid(parse(repaired))
    except ValueError:
        return False


def _is_valid(packet: Packet) -> bool:
    kind, data = packet.kind, packet.data
    binary = kind is Kind.BINARY_EVENT or kind is Kind.BINARY_ACK
    if not (1 <= packet.attachments <= ATTACHMENTS if binary else packet.attachments == 0):
        return False
    if kind is Kind.CONNECT:
        return data is None or isinstance(data, dict)
    if kind is Kind.DISCONNECT:
        return data is None
    if kind is Kind.EVENT or kind is Kind.BINARY_EVENT:
        return isinstance(data, list) and bool(data) and isinstance(data[0], str) and not is_reserved(data[0])
    if kind is Kind.ACK or kind is Kind.BINARY_ACK:
        return isinstance(data, list) and packet.number is not None
    return False  # CONNECT_ERROR is the server's to send
