"""Incoming Socket.IO packets. Commands, nearly all there is, take a short way; the rest is read by python-socketio and then
held to the protocol.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import IntEnum
from typing import Any, Final, NamedTuple

import orjson
from socketio.packet import Packet as Decoder

from server.realtime.namespace import is_reserved

ATTACHMENTS: Final = 16
"""Binary attachments of one packet at most."""

_HEAD: Final = re.compile(r'2(?:(/[^,?\[]*),)?([0-9]{1,15})?\["([A-Za-z0-9_:-]{1,64})"', re.ASCII)

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


class Head(NamedTuple):
    """Of an event, what can be told without parsing its arguments. `start`: where the list of name and arguments begins."""

    namespace: str
    number: int | None
    event: str
    start: int


class NotText(ValueError):
    """The JSON is sound but for surrogates without their partner, which JavaScript can write and nobody can store or show."""


class Packet(NamedTuple):
    """A well-formed packet. `data`: a dict or None for CONNECT, a list for events and acks, None for DISCONNECT."""

    kind: Kind
    namespace: str
    number: int | None
    data: Any
    attachments: int


def head(text: str) -> Head | None:
    """The head of a plain event in the form in which clients write it; None for whatever looks otherwise."""
    found = _HEAD.match(text)
    if found is None:
        return None
    namespace, number, event = found.groups()
    return Head(namespace or "/", int(number) if number else None, event, found.end() - len(event) - 3)


def arguments(text: str, of: Head) -> list[Any]:
    """The arguments of the plain event whose head was found.

    Raises:
        NotText: an argument holds half a character.
        ValueError: malformed; the protocol asks to close the connection.
    """
    try:
        data: list[Any] = orjson.loads(text[of.start :])
    except ValueError:
        if _is_sound_but_for_surrogates(text):
            raise NotText("half a character") from None
        raise
    if is_reserved(of.event):
        raise ValueError("reserved name")
    return data[1:]


def with_binary(value: Any, attachments: Sequence[bytes]) -> Any:
    """The value with the attachments in the places of their placeholders.

    Raises:
        ValueError: a placeholder for what isn't there.
    """
    if isinstance(value, dict):
        if value.get("_placeholder") is True:
            number = value.get("num")
            if type(number) is not int or not 0 <= number < len(attachments):
                raise ValueError("a placeholder without an attachment")
            return attachments[number]
        return {key: with_binary(each, attachments) for key, each in value.items()}
    if isinstance(value, list):
        return [with_binary(each, attachments) for each in value]
    return value


def parse(text: str) -> Packet:
    """The packet of an Engine.IO message.

    Raises:
        NotText: an argument of an event holds half a character.
        ValueError: malformed; the protocol asks to close the connection.
    """
    if text[:1] not in tuple("0123456"):
        raise ValueError("unknown packet type")
    try:
        decoded = Decoder(encoded_packet=text)
    except (TypeError, IndexError, RecursionError) as error:
        raise ValueError("malformed packet") from error
    except ValueError:
        if _is_sound_but_for_surrogates(text):
            raise NotText("half a character") from None
        raise
    packet = Packet(
        Kind(decoded.packet_type),
        decoded.namespace or "/",
        decoded.id,
        decoded.data,
        decoded.attachment_count,
    )
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
    if kind is Kind.CONNECT:
        return not packet.attachments and (data is None or isinstance(data, dict))
    if kind is Kind.DISCONNECT:
        return not packet.attachments and data is None
    if kind is Kind.EVENT or kind is Kind.BINARY_EVENT:
        named = isinstance(data, list) and bool(data) and isinstance(data[0], str) and not is_reserved(data[0])
        return named and packet.attachments <= (ATTACHMENTS if kind is Kind.BINARY_EVENT else 0)
    if kind is Kind.ACK or kind is Kind.BINARY_ACK:
        answered = isinstance(data, list) and packet.number is not None
        return answered and packet.attachments <= (ATTACHMENTS if kind is Kind.BINARY_ACK else 0)
    return False  # CONNECT_ERROR is the server's to send
