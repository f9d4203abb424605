"""Routes as data: features add them, `server.web.app` installs them, `server.web.openapi` describes them.

A handler is `async (call: Call) -> answer`; it parses nothing. What it returns becomes the response: a pydantic model, a
dict or a list is rendered as JSON with the route's status, None is 204, a `StreamResponse` is sent as it is.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from aiohttp import web
from pydantic import BaseModel

from server.auth.principal import Principal
from server.clock import derived_id, new_id
from server.errors import CODES, AppError

API_PREFIX: Final = "/api/v1"

Auth = Literal["none", "optional", "required"]
Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]

_PATH_PARAMETER = re.compile(r"{(\w+)(?::[^{}]+)?}")


@dataclass(frozen=True, slots=True)
class Route:
    """One operation of the REST interface.

    Attributes:
        method, path: the path is below `/api/v1`, in aiohttp's syntax: `/jobs/{id}`.
        handler: what runs.
        summary, description, tags: for the OpenAPI document.
        body, query, answer: pydantic models of the request's body, its query string and the successful answer.
        media: media types of answers that the handler streams itself; beside JSON if there is an `answer` too.
        status: of a successful answer that has content.
        auth: `optional` lets anonymous callers in, but refuses a bad token.
        admin: only administrators; everybody else gets FORBIDDEN.
        errors: codes (keys of `server.errors.CODES`) that this operation adds to those its shape implies.
        needs_key: the header Idempotency-Key is required, and the handler itself makes use of it.
        own_key: the key is optional, and the handler itself makes use of it.
        shared: what anonymous callers are answered is the same for all of them, and may be a second old: proxies may keep it.
    """

    method: Method
    path: str
    handler: Callable[[Call], Awaitable[object]]
    summary: str
    tags: tuple[str, ...]
    body: type[BaseModel] | None
    query: type[BaseModel] | None
    answer: type[BaseModel] | None
    media: tuple[str, ...]
    status: int
    auth: Auth
    admin: bool
    errors: tuple[str, ...]
    needs_key: bool
    own_key: bool
    shared: bool
    description: str

    @property
    def mutates(self) -> bool:
        """Whether an Idempotency-Key means anything here."""
        return self.method != "GET"

    @property
    def stores_answers(self) -> bool:
        """Whether the web layer itself keeps the answer per (user, key); see `server.web.idempotency`."""
        return self.mutates and self.auth == "required" and not (self.needs_key or self.own_key)

    @property
    def path_parameters(self) -> tuple[str, ...]:
        """Names of the path's parameters, in order."""
        return tuple(_PATH_PARAMETER.findall(self.path))

    @property
    def template(self) -> str:
        """The full path in OpenAPI's form, regular expressions removed."""
        return API_PREFIX + _PATH_PARAMETER.sub(r"{\1}", self.path)


@dataclass(slots=True)
class Call:
    """One request, parsed, validated and authenticated.

    Attributes:
        request: the aiohttp request, for handlers that stream.
        route: the operation.
        principal: the caller; None for an anonymous one.
        path: path parameters.
        body, query: instances of the route's models, or None where it has none.
        key: the Idempotency-Key, if one was sent.
        digest: fingerprint of method, path, query and body, as hexadecimal.
    """

    request: web.Request
    route: Route
    principal: Principal | None
    path: Mapping[str, str]
    body: Any
    query: Any
    key: str | None
    digest: str

    @property
    def user(self) -> Principal:
        """The caller of a route with `auth="required"`."""
        if self.principal is None:
            raise AppError("UNAUTHENTICATED")
        return self.principal

    def entity_id(self, kind: str) -> str:
        """The id for a thing that this request creates.

        With an Idempotency-Key it is the same id for the same caller, key and request, so that a request which is run again
        after a crash finds what the first run made instead of making a second one.
        """
        if self.key is None or self.principal is None:
            return new_id()
        return derived_id("entity", kind, self.principal.id, self.key, self.digest)


class Router:
    """The list of all routes."""

    def __init__(self) -> None:
        self._routes: dict[tuple[str, str], Route] = {}

    def __iter__(self) -> Iterator[Route]:
        return iter(self._routes.values())

    def add(
        self,
        method: Method,
        path: str,
        handler: Callable[[Call], Awaitable[object]],
        *,
        summary: str,
        tags: tuple[str, ...] | list[str],
        body: type[BaseModel] | None = None,
        query: type[BaseModel] | None = None,
        answer: type[BaseModel] | None = None,
        media: tuple[str, ...] = (),
        status: int = 200,
        auth: Auth = "required",
        admin: bool = False,
        errors: tuple[str, ...] = (),
        needs_key: bool = False,
        own_key: bool = False,
        shared: bool = False,
        description: str = "",
    ) -> Route:
        """Add one operation; the arguments are `Route`'s.

        Raises:
            ValueError: the operation exists already, a code is unknown, or the arguments contradict each other.
        """
        route = Route(
            method=method,
            path=path,
            handler=handler,
            summary=summary,
            tags=tuple(tags),
            body=body,
            query=query,
            answer=answer,
            media=media,
            status=status,
            auth=auth,
            admin=admin,
            errors=tuple(errors),
            needs_key=needs_key,
            own_key=own_key,
            shared=shared,
            description=description,
        )
        if not path.startswith("/"):
            raise ValueError(f"the path {path!r} must start with a slash")
        if unknown := [code for code in errors if code not in CODES]:
            raise ValueError(f"{method} {path} names unknown error codes: {unknown}")
        if admin and auth != "required":
            raise ValueError(f"{method} {path} is for administrators, so it needs auth='required'")
        if needs_key and not route.mutates:
            raise ValueError(f"{method} {path} cannot need a key: it changes nothing")
        if shared and (method != "GET" or auth == "required"):
            raise ValueError(f"{method} {path} cannot be shared: only what anonymous callers read can")
        place = (method, route.template)
        if place in self._routes:
            raise ValueError(f"{method} {path} is added twice")
        self._routes[place] = route
        return route
