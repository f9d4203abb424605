"""What is refused before any route is asked: answered with problems, and not logged as failures of ours.

A request that is not HTTP never reaches a middleware. As it comes, aiohttp logs each as an error with its traceback, so that
anybody can fill the log, and answers in plain text with the offending bytes in it. It has no hook for that, so its protocol is
replaced here; no other module leans on aiohttp's internals.
"""

from __future__ import annotations

from typing import Any

import structlog
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_protocol import RequestHandler

from server.errors import AppError
from server.web.headers import request_id
from server.web.problems import as_app_error, problem_response

log = structlog.get_logger(__name__)

_CLIENTS: tuple[type[BaseException], ...] = (HttpProcessingError, web.RequestPayloadError)
"""Failures that are the client's alone."""


class Protocol(RequestHandler):
    """One connection of a client."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The answer for what no middleware has seen, or has let through.

        Raises:
            ConnectionError: nobody is left to be answered, or half an answer was sent already.
        """
        if isinstance(exc, ConnectionError):
            raise exc
        if isinstance(exc, _CLIENTS):
            log.info("request.malformed", kind=type(exc).__name__, remote=request.remote)
            failure = AppError("BAD_REQUEST")
        else:
            failure = as_app_error(exc) if isinstance(exc, Exception) else AppError("INTERNAL")
        if request.writer.output_size > 0:
            raise ConnectionError("the answer broke off")
        response = _problem(request, failure)
        response.force_close()
        return response

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send a response; an exception of aiohttp's own, such as 417 for an unknown `Expect`, as a problem."""
        if isinstance(resp, web.HTTPException) and resp.status >= 400:
            resp = _problem(request, as_app_error(resp))
        return await super().finish_response(request, resp, start_time)

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """What goes wrong beside a request, such as the rest of a body that nobody wants and nobody can decode."""
        error = kw.get("exc_info")
        if isinstance(error, (*_CLIENTS, ConnectionError)):
            log.info("request.malformed", kind=type(error).__name__)
        else:
            super().log_exception(*args, **kw)


class Runner(web.AppRunner):
    """An `AppRunner` whose connections are `Protocol`s."""

    __slots__ = ()

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        return _Server(made.request_handler, request_factory=made.request_factory, loop=made._loop, **made._kwargs)


class _Server(web.Server):
    def __call__(self) -> RequestHandler:
        return Protocol(self, loop=self._loop, **self._kwargs)


def _problem(request: web.BaseRequest, failure: AppError) -> web.Response:
    response = problem_response(failure, request_id(request))
    response.headers["X-Request-Id"] = request_id(request)
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cache-Control"] = "no-store"
    return response
