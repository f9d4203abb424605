"""What happens around every handler: authenticate, read, validate, run, render."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Mapping
from typing import Any, Final

import orjson
from aiohttp import web
from pydantic import BaseModel

from server.auth.principal import Principal
from server.auth.tokens import Tokens
from server.errors import AppError
from server.limits.address import client_address
from server.limits.limits import Limits
from server.web.compression import decompress
from server.web.idempotency import StoredAnswers
from server.web.router import Call, Route
from server.web.validation import parse_json, validate

PRINCIPAL: Final = web.RequestKey("principal", Principal)
"""Where the request log finds the caller."""

_BODY_S: Final = 30.0
_KEY = re.compile(r"[\x21-\x7e]{1,200}")
_UNUSABLE = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
_LONGEST_PARAMETER: Final = 256
_SHARED: Final = "public, max-age=0, s-maxage=1, stale-while-revalidate=1"
"""For proxies alone: a crowd that asks at the same moment is answered once. Browsers ask again each time."""


class Endpoint:
    """One route, running.

    Args:
        route: the operation.
        tokens: checks access tokens.
        answers: keeps answers by Idempotency-Key.
        limits: how often who may ask.
        max_body: largest body, bytes.
    """

    def __init__(self, route: Route, tokens: Tokens, answers: StoredAnswers, limits: Limits, max_body: int) -> None:
        self._route = route
        self._tokens = tokens
        self._answers = answers
        self._limits = limits
        self._guessable = is_guessable(route)
        self._max_body = max_body

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request.

        Raises:
            AppError: any failure; `server.web.edge` renders it.
        """
        route = self._route
        principal = await self._admit(request)
        if route.admin and not (principal and principal.admin):
            raise AppError("FORBIDDEN")
        path = _path_of(request)
        key = self._key_of(request) if route.mutates else None
        query = validate(route.query, _query_of(request), "query") if route.query else None
        body = await self._body_of(request)
        call = Call(request, route, principal, path, body, query, key, _digest(route, path, query, body))
        if key is not None and route.stores_answers:
            return await self._answers.run(call, self._execute)
        return await self._execute(call)

    async def _execute(self, call: Call) -> web.StreamResponse:
        response = render(await call.route.handler(call), call.route.status)
        if call.route.shared:
            response.headers.add("Vary", "Authorization")
            if call.principal is None:
                response.headers["Cache-Control"] = _SHARED
        return response

    async def _admit(self, request: web.Request) -> Principal | None:
        """Who asks, if that is not too often; before anything of the request's body is read."""
        address = client_address(request)
        if self._guessable:
            await self._limits.guess(address)
            return None
        try:
            principal = await self._authenticate(request)
        except AppError:
            self._limits.request(None, address)
            raise
        self._limits.request(principal.id if principal else None, address)
        return principal

    async def _authenticate(self, request: web.Request) -> Principal | None:
        if self._route.auth == "none":
            return None
        header = request.headers.get("Authorization")
        if header is None:
            if self._route.auth == "required":
                raise AppError("UNAUTHENTICATED")
            return None
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer":
            raise AppError("UNAUTHENTICATED")
        principal = await self._tokens.authenticate(token.strip())
        request[PRINCIPAL] = principal
        return principal

    def _key_of(self, request: web.Request) -> str | None:
        key = request.headers.get("Idempotency-Key")
        problem = None
        if key is None and self._route.needs_key:
            problem = "is required here"
        elif key is not None and not _KEY.fullmatch(key):
            problem = "must be 1 to 200 printable ASCII characters without spaces"
        if problem:
            raise AppError("VALIDATION_FAILED", errors=[{"loc": ["header", "Idempotency-Key"], "msg": problem}])
        return key

    async def _body_of(self, request: web.Request) -> BaseModel | None:
        if request.content_length is not None and request.content_length > self._max_body:
            raise AppError("TOO_LARGE")
        if self._route.body is None:
            return None
        coding = request.headers.get("Content-Encoding", "")
        raw = decompress(await self._read(request), coding, self._max_body)
        if not raw.strip():
            return validate(self._route.body, {}, "body")
        if not _is_json(request):
            raise AppError("UNSUPPORTED_MEDIA_TYPE")
        return validate(self._route.body, parse_json(raw), "body")

    async def _read(self, request: web.Request) -> bytes:
        try:
            async with asyncio.timeout(_BODY_S):
                return await request.read()
        except TimeoutError:
            raise AppError("BAD_REQUEST", "The body did not arrive in time") from None
        except web.RequestPayloadError:
            raise AppError("BAD_REQUEST", "The body cannot be read") from None


def is_guessable(route: Route) -> bool:
    """Whether a route lets anybody try passwords, tokens or addresses: all that take no login below /auth."""
    return route.auth == "none" and route.path.startswith("/auth/")


def render(answer: object, status: int = 200) -> web.StreamResponse:
    """What a handler returned, as a response: JSON for models, dicts and lists, 204 for None."""
    if isinstance(answer, web.StreamResponse):
        return answer
    if answer is None:
        return web.Response(status=204)
    if isinstance(answer, BaseModel):
        body = answer.model_dump_json(by_alias=True).encode()
    else:
        body = orjson.dumps(answer, option=orjson.OPT_NON_STR_KEYS)
    return web.Response(status=status, body=body, content_type="application/json")


def _is_json(request: web.Request) -> bool:
    if "Content-Type" not in request.headers:
        return True
    kind = request.content_type
    charset = (request.charset or "utf-8").lower()
    return (kind == "application/json" or kind.endswith("+json")) and charset in {"utf-8", "utf8", "us-ascii"}


def _path_of(request: web.Request) -> Mapping[str, str]:
    path = dict(request.match_info)
    if any(len(value) > _LONGEST_PARAMETER or _UNUSABLE.search(value) for value in path.values()):
        raise AppError("NOT_FOUND")
    return path


def _query_of(request: web.Request) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, value in request.query.items():
        if _UNUSABLE.search(value):
            raise AppError(
                "VALIDATION_FAILED",
                errors=[{"loc": ["query", name[:100]], "msg": "must not contain control characters"}],
            )
        if name not in values:
            values[name] = value
        elif isinstance(values[name], list):
            values[name].append(value)
        else:
            values[name] = [values[name], value]
    return values


def _digest(route: Route, path: Mapping[str, str], query: BaseModel | None, body: BaseModel | None) -> str:
    """Fingerprint of what the request asks for, independent of spacing, the order of names and unknown names."""
    if not route.mutates:
        return ""
    parts = [route.method, route.template, *(f"{name}={path[name]}" for name in sorted(path))]
    parts += [model.model_dump_json() if model is not None else "" for model in (query, body)]
    return hashlib.sha256("\x00".join(parts).encode()).hexdigest()
