"""An Engine.IO session over HTTP long-polling, on gevent."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final

import gevent
import orjson

from loadtest.wire.http import Http
from loadtest.wire.transport import Lost

_SEPARATOR: Final = b"\x1e"
_PATH: Final = "/socket.io/?EIO=4&transport=polling"
_TEXT: Final = {"Content-Type": "text/plain;charset=UTF-8"}
_ASK_S: Final = 60.0
"""The server answers a poll after its ping interval at the latest."""


class Polling:
    """See `loadtest.wire.transport.Transport`.

    Raises:
        Lost: no connection, or no session.
    """

    name = "polling"

    def __init__(self, url: str) -> None:
        self._http = Http(url, _ASK_S)
        self._reader: Any = None
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
        status, _ = self._http.request("POST", self._path, packet, _TEXT)
        if status != 200:
            raise Lost(f"sending was answered {status}")

    def receive(self) -> list[bytes]:
        """See `Transport`."""
        if not self._packets:
            self._reader = gevent.getcurrent()
            try:
                self._packets = self._poll()
            finally:
                self._reader = None
        packets, self._packets = self._packets, []
        return packets

    def _poll(self) -> list[bytes]:
        status, body = self._http.request("GET", self._path)
        if status != 200:
            raise Lost(f"a poll was answered {status}")
        return body.split(_SEPARATOR)

    def close(self) -> None:
        """See `Transport`."""
        with suppress(Lost):
            self.send(b"1")
        self.abort()

    def abort(self) -> None:
        """See `Transport`."""
        self._http.close()
        if self._reader is not None and self._reader is not gevent.getcurrent():
            self._reader.kill(Lost("closed here"), block=False)  # nothing else reaches into a poll
