"""An Engine.IO session over HTTP long-polling, on gevent."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final

import gevent
import orjson
from gevent import ssl
from geventhttpclient import HTTPClient
from geventhttpclient.response import HTTPParseError

from loadtest.wire.transport import Lost

_SEPARATOR: Final = b"\x1e"
_PATH: Final = "/socket.io/?EIO=4&transport=polling"
_ASK_S: Final = 60.0
"""The server answers a poll after its ping interval at the latest."""

BROKEN: Final = (OSError, HTTPParseError)
"""What `geventhttpclient` raises of a connection."""


def client(url: str, concurrency: int, patience_s: float) -> HTTPClient:
    """Connections to a server whose certificate, if any, is not judged."""
    return HTTPClient.from_url(
        url,
        concurrency=concurrency,
        connection_timeout=20,
        network_timeout=patience_s,
        insecure=True,
        ssl_context_factory=ssl._create_unverified_context,
    )


class Polling:
    """See `loadtest.wire.transport.Transport`.

    Raises:
        Lost: no connection, or no session.
    """

    name = "polling"

    def __init__(self, url: str) -> None:
        self._http = client(url, 2, _ASK_S)
        self._reader: Any = None
        self._ended = False
        self._path = _PATH
        try:
            self._packets = self._poll()
            self._path += f"&sid={orjson.loads(self._packets[0][1:])['sid']}"
        except (ValueError, KeyError):
            self.abort()
            raise Lost("no session") from None
        except BaseException:
            self.abort()
            raise

    def patience(self, seconds: float) -> None:
        """Nothing to do: every poll has a limit of its own."""

    def send(self, packet: bytes) -> None:
        """See `Transport`."""
        if self._ended:
            raise Lost("closed here")
        try:
            answer = self._http.post(self._path, body=packet, headers={"Content-Type": "text/plain;charset=UTF-8"})
            answer.read()
        except BROKEN as error:
            raise Lost(f"sending failed: {error}") from None
        if answer.status_code != 200:
            raise Lost(f"sending was answered {answer.status_code}")

    def receive(self) -> list[bytes]:
        """See `Transport`."""
        if not self._packets:
            if self._ended:
                raise Lost("closed here")
            self._reader = gevent.getcurrent()
            try:
                self._packets = self._poll()
            finally:
                self._reader = None
        packets, self._packets = self._packets, []
        return packets

    def _poll(self) -> list[bytes]:
        try:
            answer = self._http.get(self._path)
            body = bytes(answer.read())
        except BROKEN as error:
            raise Lost(f"polling failed: {error}") from None
        if answer.status_code != 200:
            raise Lost(f"a poll was answered {answer.status_code}")
        return body.split(_SEPARATOR)

    def close(self) -> None:
        """See `Transport`."""
        with suppress(Lost):
            self.send(b"1")
        self.abort()

    def abort(self) -> None:
        """See `Transport`."""
        self._ended = True
        self._http.close()
        if self._reader is not None and self._reader is not gevent.getcurrent():
            self._reader.kill(Lost("closed here"), block=False)  # nothing else reaches into a poll
