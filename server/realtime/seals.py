"""What a client keeps for the server between two connections, sealed so that it comes back as it was given or counts for nothing.

A `pid` says whose connection it was, an `offset` what that connection had been sent. Keeping them at the client instead of the
server is why they hold when the server is killed, and on every instance.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2s
from hmac import compare_digest
from typing import Any, Final
from urllib.parse import quote, unquote

STREAMS: Final = 16
"""In one offset at most: it travels with each batch of events."""

_LONGEST_PID: Final = 128
_LONGEST_OFFSET: Final = 16_384
_PID, _OFFSET = b"pid", b"offset"
_SEAL_BYTES: Final = 12
_MANY: Final = b"!"


class Broken(Exception):
    """Not what was given out, or not to this client."""


class TooMany(Exception):
    """The connection watched more streams than an offset holds."""


class Seals:
    """Makes and reads both.

    Args:
        key: 32 bytes, the same on all instances.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def pid(self, namespace: str, user: str | None, sid: str) -> str:
        """The private id of a connection: `<sid>.<seal>`, the same whenever the same is asked."""
        return f"{sid}.{self._seal(_PID, _owner(namespace, user, sid)).decode()}"

    def sid(self, pid: Any, namespace: str, user: str | None) -> str:
        """Which connection a private id is of.

        Raises:
            Broken: not given to this user in this namespace.
        """
        if not isinstance(pid, str) or len(pid) > _LONGEST_PID or not pid.isascii():
            raise Broken
        sid, _, seal = pid.partition(".")
        if not compare_digest(seal.encode(), self._seal(_PID, _owner(namespace, user, sid))):
            raise Broken
        return sid

    def offset(self, sid: str, seqs: Mapping[bytes, int], now_s: int) -> bytes:
        """What a connection has been sent by now: `<seal>.<time>;<stream>=<seq>;...`, ASCII that JSON doesn't escape.

        Args:
            seqs: the last seq of each stream that it watches, by the streams' labels.
        """
        if len(seqs) > STREAMS:
            body = b"%x;%b" % (now_s, _MANY)
        else:
            body = b";".join([b"%x" % now_s, *[b"%b=%d" % each for each in seqs.items()]])
        return b"%b.%b" % (self._seal(_OFFSET, b"%b %b" % (sid.encode(), body)), body)

    def read(self, offset: Any, sid: str) -> tuple[int, dict[str, int]]:
        """When an offset was given out, in seconds, and the last seq of each stream by its name.

        Raises:
            Broken: not given to that connection.
            TooMany: there were too many streams.
        """
        if not isinstance(offset, str) or len(offset) > _LONGEST_OFFSET or not offset.isascii():
            raise Broken
        seal, _, body = offset.encode().partition(b".")
        if not compare_digest(seal, self._seal(_OFFSET, b"%b %b" % (sid.encode(), body))):
            raise Broken
        time, *watched = body.split(b";")
        if watched == [_MANY]:
            raise TooMany
        pairs = (each.rpartition(b"=") for each in watched)
        return int(time, 16), {unquote(label.decode()): int(seq) for label, _, seq in pairs}

    def _seal(self, purpose: bytes, data: bytes) -> bytes:
        # BLAKE2 with a key is a MAC by itself, at a third of the price of HMAC; an offset is sealed for each batch of each client.
        return blake2s(data, key=self._key, digest_size=_SEAL_BYTES, person=purpose).hexdigest().encode()


def label(stream: str) -> bytes:
    """A stream's name as offsets have it: without their separators, quotes or backslashes."""
    return quote(stream, safe=":").encode()


def _owner(namespace: str, user: str | None, sid: str) -> bytes:
    return "\0".join((namespace, user or "", sid)).encode()
