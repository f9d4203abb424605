"""An Engine.IO session over WebSocket, on gevent."""

from __future__ import annotations

import base64
import hashlib
import secrets
from contextlib import suppress
from typing import Any, Final
from urllib.parse import urlsplit

from gevent import socket, ssl

from loadtest.wire import frames
from loadtest.wire.frames import Frames, Malformed
from loadtest.wire.transport import Lost

_GUID: Final = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_CHUNK: Final = 65_536
_OPEN_S: Final = 20.0
_NORMAL: Final = (1000).to_bytes(2, "big")


class WebSocket:
    """See `loadtest.wire.transport.Transport`.

    Args:
        url: of the server, `http` or `https`; its certificate is not judged, since a market under test signs its own.

    Raises:
        Lost: no connection, or no upgrade.
    """

    name = "websocket"

    def __init__(self, url: str) -> None:
        self._frames = Frames()
        self._ended = ""
        self._socket: Any = None
        try:
            self._socket = _connected(url)
            early = _upgraded(self._socket, urlsplit(url).netloc, "/socket.io/?EIO=4&transport=websocket")
        except OSError as error:
            self.abort()
            raise Lost(f"no connection: {error}") from None
        except BaseException:
            self.abort()
            raise
        self._packets = self._cut(early)

    def patience(self, seconds: float) -> None:
        """See `Transport`."""
        self._socket.settimeout(seconds)

    def send(self, packet: bytes) -> None:
        """See `Transport`."""
        try:
            self._socket.sendall(frames.encode(packet))
        except OSError as error:
            raise Lost(f"sending failed: {error}") from None

    def receive(self) -> list[bytes]:
        """See `Transport`."""
        while not self._packets:
            if self._ended:
                raise Lost(self._ended)
            try:
                data = self._socket.recv(_CHUNK)
                self._packets = self._cut(data)
            except (OSError, Malformed) as error:
                raise Lost(f"receiving failed: {error}") from None
            if not data:
                raise Lost("ended by the server")
        packets, self._packets = self._packets, []
        return packets

    def _cut(self, data: bytes) -> list[bytes]:
        """The packets in what was received; pings of WebSocket's own are answered, its close is kept in mind."""
        packets = []
        for opcode, payload in self._frames.feed(data):
            if opcode == frames.TEXT:
                packets.append(payload)
            elif opcode == frames.PING:
                self._socket.sendall(frames.encode(payload, frames.PONG))
            elif opcode == frames.CLOSE:
                self._ended = f"closed by the server ({int.from_bytes(payload[:2], 'big')})"
                break
        return packets

    def close(self) -> None:
        """See `Transport`."""
        with suppress(OSError):
            self._socket.sendall(frames.encode(b"1") + frames.encode(_NORMAL, frames.CLOSE))
        self.abort()

    def abort(self) -> None:
        """See `Transport`."""
        if self._socket is not None:
            self._socket.close()


def _connected(url: str) -> Any:
    """A connected socket. Raises OSError."""
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    plain = socket.create_connection((parts.hostname, parts.port or (443 if secure else 80)), timeout=_OPEN_S)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if not secure:
        return plain
    context = ssl._create_unverified_context()
    return context.wrap_socket(plain, server_hostname=parts.hostname)


def _upgraded(connection: Any, host: str, path: str) -> bytes:
    """Go over to WebSocket; returns what came behind the answer. Raises Lost, OSError."""
    key = base64.b64encode(secrets.token_bytes(16)).decode()
    connection.sendall(
        f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    answer = b""
    while b"\r\n\r\n" not in answer:
        data = connection.recv(_CHUNK)
        if not data:
            raise Lost("ended by the server while it was opened")
        answer += data
    head, _, early = answer.partition(b"\r\n\r\n")
    accept = base64.b64encode(hashlib.sha1((key + _GUID).encode()).digest())  # noqa: S324 - what the protocol asks for
    if not head.startswith(b"HTTP/1.1 101 ") or accept not in head:
        raise Lost(f"no upgrade: {head.decode(errors='replace').splitlines()[0]}")
    return early
