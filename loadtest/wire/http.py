"""HTTP calls on gevent over connections that are kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gevent import ssl
from geventhttpclient import HTTPClient
from geventhttpclient.response import HTTPParseError

from loadtest.wire.transport import Lost

_CONNECT_S: Final = 20.0


class Http:
    """Calls to one server, whose certificate, if any, is not judged.

    Every connection is a client of its own: the library's pool would lose a place for good whenever a greenlet is killed in the
    middle of a call, as Locust does with users.

    Args:
        url: where it is.
        patience_s: how long it may be silent.
    """

    def __init__(self, url: str, patience_s: float) -> None:
        self._url = url
        self._patience_s = patience_s
        self._free: list[HTTPClient] = []
        self._closed = False

    def request(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Status and body of the answer. Raises Lost."""
        if self._closed:
            raise Lost("closed here")
        client = self._free.pop() if self._free else self._client()
        try:
            response = client.request(method, path, body=body, headers=dict(headers or {}))
            answer = response.status_code, bytes(response.read())
        except (OSError, HTTPParseError) as error:
            client.close()
            raise Lost(f"{method} failed: {error}") from None
        except BaseException:
            client.close()
            raise
        if self._closed:
            client.close()
        else:
            self._free.append(client)
        return answer

    def _client(self) -> HTTPClient:
        return HTTPClient.from_url(
            self._url,
            concurrency=1,
            connection_timeout=_CONNECT_S,
            network_timeout=self._patience_s,
            insecure=True,
            ssl_context_factory=ssl._create_unverified_context,
        )

    def close(self) -> None:
        """Close what is free, and what is in use when it is done."""
        self._closed = True
        while self._free:
            self._free.pop().close()
