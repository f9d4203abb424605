"""Socket.IO packets (protocol v5) as a client reads and writes them, without I/O."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import orjson

CONNECT: Final = 0
DISCONNECT: Final = 1
EVENT: Final = 2
ACK: Final = 3
CONNECT_ERROR: Final = 4


class Packet(NamedTuple):
    """What came in. `number` is that of an ack, -1 without one; `data` a dict for CONNECT and its refusal, else a list."""

    kind: int
    namespace: str
    number: int
    data: Any


def decode(message: bytes) -> Packet:
    """The packet in an Engine.IO message, without its leading `4`.

    Raises:
        ValueError: not a packet.
    """
    kind, position, namespace, number = message[0] - 48, 1, "/", -1
    if message[1:2] == b"/":
        position = message.index(b",") + 1 if b"," in message else len(message) + 1
        namespace = message[1 : position - 1].decode()
    digits = position
    while message[digits : digits + 1].isdigit():
        digits += 1
    if digits > position:
        number = int(message[position:digits])
    return Packet(kind, namespace, number, orjson.loads(message[digits:]) if digits < len(message) else None)


def connect(namespace: str, auth: dict[str, Any]) -> bytes:
    """The Engine.IO message that enters a namespace."""
    return b"40%b,%b" % (namespace.encode(), orjson.dumps(auth))


def command(namespace: str, number: int, event: str, payload: dict[str, Any]) -> bytes:
    """The Engine.IO message of a command whose ack is wanted."""
    return b"42%b,%d%b" % (namespace.encode(), number, orjson.dumps([event, payload]))
