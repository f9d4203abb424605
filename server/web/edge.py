"""The outermost layer of every request: its id, its log line, its measure, its failure as a problem."""

from __future__ import annotations

import logging
import time
from typing import Final

import structlog
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware
from structlog.contextvars import bound_contextvars

from server.limits.address import ClientAddresses, client_address
from server.metrics import HTTP_SECONDS
from server.web.compression import compress
from server.web.endpoint import PRINCIPAL
from server.web.headers import ResponseHeaders, request_id
from server.web.health import Health
from server.web.problems import as_app_error, problem_response
from server.web.router import API_PREFIX
from server.web.site import ROUTE as SITE

_SOCKETS: Final = "/socket.io/"
_EVENTS: Final = f"{API_PREFIX}/streams/{{stream}}/events"

_QUIET: Final = frozenset({"/health/live", "/health/ready", "/metrics", _SOCKETS, SITE})
"""Asked again and again by machines, or many at once for one page: what succeeds is logged at debug only."""

log = structlog.get_logger(__name__)


def edge(headers: ResponseHeaders, health: Health, addresses: ClientAddresses) -> Middleware:
    """The middleware around everything."""

    @web.middleware
    async def around(request: web.Request, handler: Handler) -> web.StreamResponse:
        started = time.perf_counter()
        addresses.of(request)
        with bound_contextvars(request_id=request_id(request)):
            response = headers.preflight(request) or await _answer(request, handler)
            if not health.accepting and not response.prepared:
                response.force_close()  # who comes again shall find another instance
            _record(request, response, time.perf_counter() - started)
            return response

    return around


async def _answer(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        response = await handler(request)
    except web.HTTPException as error:
        if error.status < 400:  # a redirect
            return error
        response = problem_response(as_app_error(error), request_id(request))
        if hdrs.ALLOW in error.headers:
            response.headers[hdrs.ALLOW] = error.headers[hdrs.ALLOW]
    except ConnectionResetError:
        raise  # the client has gone; nobody is left to be answered
    except Exception as error:
        failure = as_app_error(error)
        if request.writer.output_size > 0:  # a stream that has begun can only be cut off
            raise ConnectionResetError("the answer broke off") from error
        response = problem_response(failure, request_id(request))
    await compress(request, response)
    return response


def _record(request: web.Request, response: web.StreamResponse, seconds: float) -> None:
    route = _route_of(request)
    status = response.status
    if not _waits(request, response, route):
        HTTP_SECONDS.labels(_method_of(request), route, str(status)).observe(seconds)
    quiet = route in _QUIET and status < 400
    if quiet and not log.is_enabled_for(logging.DEBUG):
        return
    principal = request.get(PRINCIPAL)
    write = log.debug if quiet else log.info
    write(
        "request",
        user_id=principal.id if principal else None,
        remote=client_address(request),
        method=request.method,
        route=route,
        status=status,
        response_time_ms=round(seconds * 1000, 2),
    )


def _waits(request: web.Request, response: web.StreamResponse, route: str) -> bool:
    """Whether an answer takes long because it is meant to: sockets, polls for sockets, event streams, long polls."""
    if route == _EVENTS:
        return "wait=" in request.query_string or response.content_type == "text/event-stream"
    return route == _SOCKETS


def _route_of(request: web.Request) -> str:
    """The route's pattern, never the path itself: labels must stay few."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "unmatched"


def _method_of(request: web.Request) -> str:
    return request.method if request.method in hdrs.METH_ALL else "other"
