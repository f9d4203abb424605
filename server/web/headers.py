"""Headers that every response carries: request id, security, CORS."""

from __future__ import annotations

import re
from typing import Final

from aiohttp import web

from server.clock import new_id
from server.web.origins import ANY, Origins

STRICT_POLICY: Final = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
"""The content policy of all that is no page: should a browser show it after all, it loads and runs nothing.

What follows `default-src` does not fall back to it.
"""

REQUEST_ID: Final = web.RequestKey("request_id", str)

_SANE_ID = re.compile(r"[A-Za-z0-9._:-]{8,128}")
_METHODS: Final = "GET, HEAD, POST, PUT, PATCH, DELETE"
_REQUEST_HEADERS: Final = (
    "Authorization, Content-Type, Idempotency-Key, Last-Event-ID, X-Request-Id, X-No-Compression, Cache-Control"
)
_RESPONSE_HEADERS: Final = "X-Request-Id, Retry-After, Location, Idempotency-Replayed"


def request_id(request: web.BaseRequest) -> str:
    """The id of this request: the caller's own `X-Request-Id` if it is a sane one, else a new one."""
    if REQUEST_ID not in request:
        sent = request.headers.get("X-Request-Id", "")
        request[REQUEST_ID] = sent if _SANE_ID.fullmatch(sent) else new_id()
    return request[REQUEST_ID]


class ResponseHeaders:
    """Adds the common headers just before a response is sent, streams and socket handshakes included.

    Args:
        origins: that browsers may call from.
        secure: whether the public address is https.
        instance: name of this process, for `X-Rialto-Instance`: no secret, session ids begin with it too.
    """

    def __init__(self, origins: Origins, *, secure: bool, instance: str) -> None:
        self._origins = origins
        self._secure = secure
        self._instance = instance

    async def add(self, request: web.Request, response: web.StreamResponse) -> None:
        """The application's `on_response_prepare`."""
        headers = response.headers
        headers["X-Request-Id"] = request_id(request)
        headers["X-Rialto-Instance"] = self._instance
        headers["X-Content-Type-Options"] = "nosniff"
        headers.setdefault("X-Frame-Options", "DENY")
        headers.setdefault("Referrer-Policy", "no-referrer")
        headers.setdefault("Content-Security-Policy", STRICT_POLICY)
        headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        headers.setdefault("Cache-Control", "no-store")
        headers["Server"] = "rialto"
        if self._secure:
            headers.setdefault("Strict-Transport-Security", "max-age=31536000")
        self._add_cors(request, response)
        if len(varies := headers.getall("Vary", [])) > 1:
            headers["Vary"] = ", ".join(varies)  # there are proxies that heed one line only

    def allows(self, request: web.Request) -> str | None:
        """The value of `Access-Control-Allow-Origin` for this request; None for other or no origins."""
        origin = request.headers.get("Origin")
        if origin is None:
            return None
        if self._origins.any:
            return ANY
        return origin if self._origins.lists(origin) else None

    def preflight(self, request: web.Request) -> web.Response | None:
        """The answer to a browser's question whether it may call; None if this is no such question."""
        if request.method != "OPTIONS" or "Access-Control-Request-Method" not in request.headers:
            return None
        response = web.Response(status=204)
        if self.allows(request):
            response.headers["Access-Control-Allow-Methods"] = _METHODS
            response.headers["Access-Control-Allow-Headers"] = _REQUEST_HEADERS
            response.headers["Access-Control-Max-Age"] = "600"
        return response

    def _add_cors(self, request: web.Request, response: web.StreamResponse) -> None:
        if "Access-Control-Allow-Origin" in response.headers or not self._origins:
            return
        allowed = self.allows(request)
        if allowed:
            response.headers["Access-Control-Allow-Origin"] = allowed
            response.headers["Access-Control-Expose-Headers"] = _RESPONSE_HEADERS
        if allowed != ANY:
            response.headers.add("Vary", "Origin")
