"""REST calls on gevent; all people of a process share the connections to each instance."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

import orjson

from loadtest.wire.http import Http
from loadtest.wire.transport import Lost

_PATIENCE_S: Final = 60.0


class Answer(NamedTuple):
    """What a call was answered: status (0 if nothing came), decoded body, after how many ms, its size in bytes."""

    status: int
    body: Any
    ms: float
    size: int

    @property
    def code(self) -> str:
        """The error's code; empty if there is none."""
        if 0 < self.status < 400:
            return ""
        problem = self.body if isinstance(self.body, dict) else {}
        return str(problem.get("code") or (f"HTTP {self.status}" if self.status else "no answer"))


class Rest:
    """Calls to any of the instances.

    Args:
        urls: where they are.
    """

    def __init__(self, urls: list[str]) -> None:
        self._servers = {url: Http(url, _PATIENCE_S) for url in urls}

    def call(
        self,
        url: str,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | int] | None = None,
        body: Any = None,
        token: str = "",
        key: str = "",
    ) -> Answer:
        """`method url/api/v1<path>`. Never raises for what the server or the network does."""
        headers = {"Accept": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if key:
            headers["Idempotency-Key"] = key
        content = b""
        if body is not None:
            content = orjson.dumps(body)
            headers["Content-Type"] = "application/json"
        target = f"/api/v1{path}" + (f"?{urlencode(query)}" if query else "")
        began = time.perf_counter()
        try:
            status, received = self._servers[url].request(method, target, content, headers)
        except Lost as lost:
            return Answer(0, {"detail": str(lost)}, (time.perf_counter() - began) * 1000, 0)
        ms = (time.perf_counter() - began) * 1000
        try:
            decoded = orjson.loads(received) if received else None
        except orjson.JSONDecodeError:
            decoded = None
        return Answer(status, decoded, ms, len(received))

    def close(self) -> None:
        """Close all connections."""
        for server in self._servers.values():
            server.close()
